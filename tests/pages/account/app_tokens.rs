//! App tokens on a page.

use super::after_a_while;
use crate::support::{
    PASSWORD, Server,
    apps::{NOTES, Visitor},
    person::{Page, Person},
};
use serde_json::json;
use std::time::Duration;

const PAGE: &str = "/account/app-tokens";
const REVOKE: &str = "/account/app-tokens/revoke";

fn create(person: &Person, name: &str, app: &str, life: &str) -> Page {
    person.submit(PAGE, &[("name", name), ("app", app), ("life", life)])
}

/// The token that a page shows.
fn shown(page: &Page) -> String {
    let (_, from) = page.body.split_once("<pre><code>").unwrap_or_else(|| panic!("{page:?}"));
    from.split('<').next().expect("a token").to_owned()
}

#[test]
fn a_token_is_created_shown_once_used_listed_and_revoked() {
    let server = Server::with_apps();
    server.user("ada");
    let visitor = Visitor::signed_in(&server, "ada");
    let person = &visitor.person;
    let page = person.open(PAGE);
    page.says(200, "<h1>App tokens</h1>").says(200, ">Notes</option>").says(200, ">Music</option>");
    page.says(200, "<option value=\"90\" selected>90 days</option>");

    let created = create(person, "Phone & <b>tablet", "1", "30");

    created.says(201, "it is shown only this once").says(201, "Phone &#38; &#60;b&#62;tablet").says(201, NOTES);
    created.says(201, "anything, such as <code>ada</code>").says(201, "2026-12-22 10:00 UTC");
    let token = shown(&created);
    let basic = visitor.verify(NOTES, "GET", "/", &[("authorization", &format!("Bearer {token}"))]);
    assert_eq!((basic.status, basic.header("remote-user")), (200, "ada"));

    server.flush();
    let page = person.open(PAGE);
    page.says(200, "<bdi>Phone &#38; &#60;b&#62;tablet</bdi>").says(200, "<dt>App</dt><dd><bdi>Notes</bdi></dd>");
    page.says(200, "Revoke<span class=\"unseen\"> the app token Phone &#38; &#60;b&#62;tablet</span>");
    page.says(200, "<dt>Last used</dt><dd><time datetime=\"2026-11-22T10:00:00Z\">");
    assert!(!page.body.contains(&token), "{page:?}");

    let id = page.value("token").to_owned();
    for _ in 0..2 {
        // The second time it is gone already.
        person.submit(REVOKE, &[("token", &id)]).leads_to("/account/app-tokens?done=app-token-revoked");
    }
    let refused = visitor.verify(NOTES, "GET", "/", &[("authorization", &format!("Bearer {token}"))]);
    assert_eq!(refused.status, 401);
    let page = person.open("/account/app-tokens?done=app-token-revoked");
    assert!(page.says(200, "The app token was revoked.").body.matches("<h2>").count() == 1, "{page:?}");
}

#[test]
fn a_token_lasts_as_long_as_was_chosen() {
    let server = Server::with_apps();
    let ada = server.user("ada");
    let person = server.signed_in_person("ada");
    for (life, expires) in [
        ("30", json!("2026-12-22T10:00:00Z")),
        ("90", json!("2027-02-20T10:00:00Z")),
        ("365", json!("2027-11-22T10:00:00Z")),
        ("never", json!(null)),
    ] {
        create(&person, life, "1", life).says(201, "Copy it now");
        let listed = ada.get(&format!("{}/app-tokens", ada.me())).json();
        assert_eq!(listed["app_tokens"][0]["expires_at"], expires, "{life}");
    }
    person.open(PAGE).says(200, "<dt>Expires</dt><dd>never</dd>").says(200, "<dt>Last used</dt><dd>not yet</dd>");
}

#[test]
fn what_is_wrong_is_told_at_its_field_and_kept() {
    let server = Server::with_apps();
    let ada = server.user("ada");
    let root = server.admin("root");
    root.put("/apps/2", json!({"access": "admins"})).is(200, "");
    let person = server.signed_in_person("ada");
    let page = person.open(PAGE);
    assert!(page.body.contains(">Notes</option>") && !page.body.contains(">Music</option>"), "{page:?}");

    let again = create(&person, "a\u{202e}b", "1", "eternity");
    again.says(400, "Nothing was saved. Correct what is marked.").says(400, "Expires must be one of the list.");
    assert!(again.fault("name").is_some(), "{again:?}");
    assert_eq!(again.value("name"), "a\u{202e}b");
    for app in ["2", "99", "", "notes"] {
        create(&person, "x", app, "30").says(400, "App can’t be entered; choose another.");
    }
    assert_eq!(ada.get(&format!("{}/app-tokens", ada.me())).json()["app_tokens"], json!([]));
}

#[test]
fn there_is_a_bound_and_a_page_that_says_so() {
    let server = Server::with_apps();
    server.user("ada");
    let ada = server.sign_in("ada");
    for n in 0..100 {
        server.clock.advance(Duration::from_mins(2));
        let wanted = json!({"name": format!("n{n}"), "app_id": 1});
        ada.post(&format!("{}/app-tokens", ada.me()), wanted).is(201, "");
    }
    let person = server.signed_in_person("ada");
    create(&person, "one too many", "1", "30").says(409, "an account can have 100 app tokens");
}

#[test]
fn who_may_enter_no_app_is_told_so() {
    let server = Server::with_pages();
    server.user("ada");
    let person = server.signed_in_person("ada");
    let page = person.open(PAGE);
    page.says(200, "There is no app that you may enter");
    assert!(!page.body.contains("<form"), "{page:?}");
    create(&person, "x", "1", "30").leads_to(PAGE);
}

#[test]
fn creating_and_revoking_need_a_recent_sign_in_and_what_was_typed_comes_along() {
    let server = Server::with_apps();
    let ada = server.user("ada");
    let tokens = || ada.get(&format!("{}/app-tokens", ada.me())).json()["app_tokens"].as_array().unwrap().len();
    let person = after_a_while(&server, "ada");
    person.open(PAGE).says(200, "<h1>App tokens</h1>");
    let asked = create(&person, "Phone", "2", "never");
    asked.says(403, "Confirm that it is you");
    assert_eq!((asked.value("name"), asked.value("app"), asked.value("life"), tokens()), ("Phone", "2", "never", 0));
    let confirm = [("confirm-to", PAGE), ("confirm-sends", "yes"), ("confirm-password", PASSWORD)];
    let fields = [&confirm[..], &[("name", "Phone"), ("app", "2"), ("life", "never")]].concat();
    assert_eq!(person.submit("/confirm", &fields).status, 307);
    person.submit(PAGE, &fields).says(201, "Copy it now");
    assert_eq!(tokens(), 1);

    server.clock.advance(Duration::from_mins(16));
    person.submit(REVOKE, &[("token", "1")]).says(403, "Confirm that it is you");
    assert_eq!(tokens(), 1);
}

#[test]
fn nobody_revokes_somebody_elses_token() {
    let server = Server::with_apps();
    let ada = server.user("ada");
    server.user("bob");
    let made = ada.post(&format!("{}/app-tokens", ada.me()), json!({"name": "x", "app_id": 1})).json();
    let bob = server.signed_in_person("bob");
    bob.submit(REVOKE, &[("token", &made["id"].to_string())]);
    assert_eq!(ada.get(&format!("{}/app-tokens", ada.me())).json()["app_tokens"].as_array().unwrap().len(), 1);
    assert!(!bob.open(PAGE).body.contains("<h2><bdi>"));
}

#[test]
fn who_is_not_signed_in_is_led_to_the_sign_in() {
    let server = Server::with_apps();
    server.person().open(PAGE).leads_to("/sign-in?to=%2Faccount%2Fapp-tokens");
    create(&server.person(), "x", "1", "30").leads_to("/sign-in");
    server.person().submit(REVOKE, &[("token", "1")]).leads_to("/sign-in");
}
