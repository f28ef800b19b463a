//! One's own names and e-mail address.

use crate::support::{Server, person::Page};
use serde_json::json;

const PAGE: &str = "/account";

fn fields<'f>(page: &'f Page, changes: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    let field = |name| {
        let changed = changes.iter().find(|(other, _)| *other == name);
        (name, changed.map_or_else(|| page.value(name), |(_, value)| value))
    };
    ["revision", "display_name", "username", "email"].map(field).to_vec()
}

#[test]
fn somebody_changes_how_they_are_called() {
    let server = Server::with_pages();
    let ada = server.user("ada");
    let person = server.signed_in_person("ada");
    let page = person.open(PAGE);
    page.says(200, "<h1>Profile</h1>").says(200, "aria-current=\"page\">Profile</a>");
    assert_eq!((page.value("username"), page.value("display_name")), ("ada", ""));

    let saved = person.submit(PAGE, &fields(&page, &[("display_name", "Ada Lovelace"), ("username", "ada2")]));
    saved.leads_to("/account?done=saved");
    person.open("/account?done=saved").says(200, "<p class=\"done\" role=\"status\">Saved.</p>");
    let me = ada.get("/auth/me").json();
    assert_eq!((&me["display_name"], &me["username"]), (&json!("Ada Lovelace"), &json!("ada2")));
}

#[test]
fn all_that_is_wrong_is_told_at_its_field_and_kept() {
    let server = Server::with_pages();
    server.user("ada");
    server.user("bob");
    let person = server.signed_in_person("ada");
    let page = person.open(PAGE);
    let faulty = [("display_name", "a\u{202e}b"), ("username", "not a username"), ("email", "nobody")];
    let again = person.submit(PAGE, &fields(&page, &faulty));
    again.says(400, "Nothing was saved. Correct what is marked.");
    assert!(["display_name", "username", "email"].iter().all(|field| again.fault(field).is_some()), "{again:?}");
    assert_eq!(again.value("username"), "not a username");
    person.submit(PAGE, &fields(&page, &[("username", "BOB")])).says(409, "Username is taken; choose another");
}

#[test]
fn a_change_that_came_between_is_shown_and_not_overwritten() {
    let server = Server::with_pages();
    let root = server.admin("root");
    let ada = server.user("ada");
    let person = server.signed_in_person("ada");
    let page = person.open(PAGE);
    let path = format!("/users/{}", ada.id);
    root.put(&path, json!({"display_name": "Countess", "email": "new@example.com"})).is(200, "");

    let again = person.submit(PAGE, &fields(&page, &[("username", "lovelace")]));
    again
        .says(412, "this was changed meanwhile")
        .says(412, "It is now Countess.")
        .says(412, "It is now new@example.com.");
    assert_eq!(again.value("username"), "lovelace");
    assert_eq!(ada.get("/auth/me").json()["username"], "ada");

    let meant = [("display_name", "Countess"), ("email", "new@example.com"), ("username", "lovelace")];
    person.submit(PAGE, &fields(&again, &meant)).leads_to("/account?done=saved");
    let me = ada.get("/auth/me").json();
    assert_eq!((&me["username"], &me["display_name"]), (&json!("lovelace"), &json!("Countess")));
}

#[test]
fn a_word_in_the_url_that_nothing_says_says_nothing() {
    let server = Server::with_pages();
    server.user("ada");
    let person = server.signed_in_person("ada");
    let page = person.open("/account?done=%3Cb%3Eowned");
    assert!(!page.body.contains("owned") && !page.body.contains("role=\"status\""), "{page:?}");
}

#[test]
fn a_form_of_somebody_else_changes_nothing() {
    let server = Server::with_pages();
    let (ada, bob) = (server.user("ada"), server.user("bob"));
    let person = server.signed_in_person("ada");
    let page = person.open(PAGE);
    person.sign_in("bob", crate::support::PASSWORD);
    person.submit(PAGE, &fields(&page, &[("display_name", "Ada")])).says(412, "this was changed meanwhile");
    let sent = [("username", "ada"), ("password", "the password of ada")];
    person.submit("/account/password", &sent).says(409, "This form is for another account");
    assert_eq!(bob.get("/auth/me").json()["display_name"], json!(null));
    assert_eq!((ada.get("/auth/me").status, bob.get("/auth/me").status), (200, 200), "no session has ended");
    server.person().sign_in("bob", crate::support::PASSWORD).leads_to("/");
}

#[test]
fn a_link_of_another_site_says_nothing_of_what_was_done() {
    let server = Server::with_pages();
    server.user("ada");
    let person = server.signed_in_person("ada");
    let page = person.send("GET", "/account?done=saved", &[("sec-fetch-site", "cross-site")], None);
    assert!(page.status == 200 && !page.body.contains("Saved."), "{page:?}");
}
