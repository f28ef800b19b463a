//! Signing in with a form.

use crate::support::{PASSWORD, Server, person::pages, probes::Probes};
use serde_json::json;
use std::time::Duration;

const SESSION: &str = "__Host-usher";

#[test]
fn a_username_or_an_email_address_in_any_case_opens_a_session() {
    let server = Server::with_pages();
    server.user("Ada");
    for login in ["Ada", "aDA", "ada@example.com", "ADA@Example.Com"] {
        let person = server.person();
        person.sign_in(login, PASSWORD).leads_to("/");
        assert_eq!(person.signed_in_as().as_deref(), Some("Ada"), "{login}");
    }
}

#[test]
fn what_is_refused_looks_the_same_and_shows_what_was_typed_but_the_password() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    server.user("bob");
    root.put(&ada.me(), json!({"disabled": true}));

    let refused = |login: &str, password: &str| {
        let page = server.person().sign_in(login, password);
        assert!(page.set_cookies().is_empty(), "{page:?}");
        page.says(401, "is wrong, or the account is disabled");
        page.says(401, &format!("value=\"{login}\""));
        page.body.replace(login, "")
    };
    let wrong = refused("bob", "wrong-secret");
    assert!(!wrong.contains("wrong-secret"));
    for (login, password) in [("nobody", PASSWORD), ("ada", PASSWORD), ("bob", ""), ("eve@example.com", PASSWORD)] {
        assert_eq!(refused(login, password), wrong, "{login}");
    }
}

#[test]
fn every_attempt_costs_one_hash_whether_or_not_there_is_such_an_account() {
    let server = Server::with_pages();
    server.user("ada");
    for login in ["ada", "nobody", "ada@example.com", "nobody@example.com", ""] {
        let before = server.app.hashes();
        server.person().sign_in(login, "wrong");
        assert_eq!(server.app.hashes() - before, 1, "{login}");
    }
}

#[test]
fn a_browser_that_is_to_be_kept_signed_in_keeps_its_cookie_and_another_one_lasts_twelve_hours() {
    let server = Server::with_pages();
    let ada = server.user("ada");
    let (kept, not_kept) = (server.person(), server.person());
    let cookie = kept.sign_in("ada", PASSWORD).set_cookies()[0].to_owned();
    assert!(cookie.starts_with("__Host-usher=ushb_") && cookie.ends_with("; Max-Age=2592000"), "{cookie}");
    let cookie = not_kept.submit("/sign-in", &[("login", "ada"), ("password", PASSWORD)]).set_cookies()[0].to_owned();
    assert!(cookie.starts_with("__Host-usher=ushb_") && !cookie.contains("Max-Age"), "{cookie}");

    server.clock.advance(Duration::from_hours(12) - Duration::from_secs(1));
    assert!(not_kept.signed_in_as().is_some() && kept.signed_in_as().is_some());
    server.clock.advance(Duration::from_secs(1));
    assert!(not_kept.signed_in_as().is_none() && kept.signed_in_as().is_some());
    let kinds = ada.get("/auth/sessions").json();
    let kinds: Vec<&str> =
        kinds["sessions"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["browser", "api"]);
}

#[test]
fn a_browser_that_is_not_kept_signed_in_lasts_no_longer_than_other_sessions() {
    let server = Server::with(|settings| {
        pages(settings);
        settings.policy.sessions.lifetime = Duration::from_hours(2);
        settings.policy.sessions.idle_timeout = Duration::from_hours(2);
    });
    server.user("ada");
    let person = server.person();
    person.submit("/sign-in", &[("login", "ada"), ("password", PASSWORD)]).leads_to("/");
    for _ in 0..2 {
        assert!(person.signed_in_as().is_some());
        server.flush();
        server.clock.advance(Duration::from_hours(1));
    }
    assert!(person.signed_in_as().is_none());
}

#[test]
fn each_sign_in_replaces_the_token_and_keeps_the_session() {
    let server = Server::with_pages();
    let ada = server.user("ada");
    let person = server.signed_in_person("ada");
    let (old, session) = (person.cookie(SESSION).unwrap(), browser_session(&ada));

    server.clock.advance(Duration::from_mins(5));
    person.sign_in("ada", PASSWORD).leads_to("/");

    let renewed = browser_session(&ada);
    assert_eq!((&renewed["id"], &renewed["created_at"]), (&session["id"], &session["created_at"]));
    assert_eq!(
        (&session["authenticated_at"], &renewed["authenticated_at"]),
        (&json!("2026-11-22T10:00:00Z"), &json!("2026-11-22T10:05:00Z"))
    );
    let stale = server.person();
    stale.set_cookie(SESSION, &old);
    assert!(stale.signed_in_as().is_none() && person.signed_in_as().is_some());
}

/// The only session of a browser.
fn browser_session(client: &crate::support::Client) -> serde_json::Value {
    let sessions = client.get("/auth/sessions").json();
    let mut browsers = sessions["sessions"].as_array().unwrap().iter().filter(|one| one["kind"] == "browser").cloned();
    let only = browsers.next().expect("there is one");
    assert!(browsers.next().is_none(), "{sessions}");
    only
}

#[test]
fn signing_in_as_somebody_else_ends_the_session_that_the_browser_had() {
    let server = Server::with_pages();
    server.user("ada");
    server.user("bob");
    let person = server.signed_in_person("ada");
    let old = person.cookie(SESSION).unwrap();

    person.sign_in("bob", PASSWORD).leads_to("/");

    assert_eq!(person.signed_in_as().as_deref(), Some("bob"));
    let stale = server.person();
    stale.set_cookie(SESSION, &old);
    assert_eq!(stale.signed_in_as(), None);
}

#[test]
fn a_failed_sign_in_leaves_the_session_that_the_browser_has() {
    let server = Server::with_pages();
    server.user("ada");
    let person = server.signed_in_person("ada");
    person.sign_in("ada", "wrong").says(401, "is wrong");
    assert_eq!(person.signed_in_as().as_deref(), Some("ada"));
}

#[test]
fn what_happens_to_the_account_is_seen_by_the_next_page() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let change = |change: serde_json::Value| {
        let person = server.signed_in_person("ada");
        assert_eq!(root.put(&ada.me(), change).status, 200);
        person.signed_in_as()
    };
    assert_eq!(change(json!({"username": "Countess"})).as_deref(), Some("Countess"));
    root.put(&ada.me(), json!({"username": "ada"}));
    assert_eq!(change(json!({"password": "another battery"})), None);
    root.put(&ada.me(), json!({"password": PASSWORD}));
    assert_eq!(change(json!({"disabled": true})), None);
    root.put(&ada.me(), json!({"disabled": false}));
    let person = server.signed_in_person("ada");
    root.delete(&ada.me());
    assert_eq!(person.signed_in_as(), None);
}

#[test]
fn a_cookie_opens_no_api_and_a_token_of_the_api_no_page() {
    let server = Server::with_pages();
    let ada = server.user("ada");
    server.admin("root");
    let person = server.signed_in_person("ada");
    let cookie = person.cookie(SESSION).unwrap();

    let answer = person.send("GET", "/api/v1/auth/me", &[], None);
    assert!(answer.status == 401 && answer.body.contains("authentication_required"), "{answer:?}");
    ada.with_token(&cookie).get("/auth/me").is(401, "invalid_token");
    let bearer = format!("Bearer {}", ada.token.as_deref().unwrap());
    let page = server.person().send("GET", "/", &[("authorization", &bearer)], None);
    page.leads_to("/sign-in");
    let with_api_token = server.person();
    with_api_token.set_cookie(SESSION, ada.token.as_deref().unwrap());
    assert_eq!(with_api_token.signed_in_as(), None);
}

#[test]
fn a_malformed_or_doubled_cookie_is_nobody_and_no_error() {
    let server = Server::with_pages();
    server.user("ada");
    let cookie = server.signed_in_person("ada").cookie(SESSION).unwrap();
    let ask = |line: &str| server.person().send("GET", "/sign-out", &[("cookie", line)], None);
    ask(&format!("{SESSION}={cookie}")).says(200, "Signed in as");
    for line in [
        format!("{SESSION}={cookie}x"),
        format!("{SESSION}={}", &cookie[..20]),
        format!("{SESSION}=\"{cookie}\""),
        format!("{SESSION}={cookie}; {SESSION}=x"),
        format!("{SESSION}=x; {SESSION}={cookie}"),
        format!("usher={cookie}"),
        format!("{SESSION}="),
        format!("{SESSION}=%00"),
        "=".to_owned(),
        ";;;".to_owned(),
    ] {
        ask(&line).says(200, "You are not signed in");
    }
}

#[test]
fn over_plain_http_the_cookies_have_other_names_and_the_page_warns() {
    let server = Server::with(|settings| {
        settings.policy.public_url = Some(usher::domain::Origin::parse("http://auth.example.test").unwrap());
    });
    server.user("ada");
    let person = server.person();
    person.open("/sign-in").says(200, "not encrypted");
    person.sign_in("ada", PASSWORD).leads_to("/");
    assert_eq!(person.signed_in_as().as_deref(), Some("ada"));
    let names: Vec<String> = person.cookies.borrow().keys().cloned().collect();
    assert_eq!(names, ["usher", "usher-known"]);
}

#[test]
fn too_many_attempts_are_told_to_wait() {
    let server = Server::with_pages();
    server.user("ada");
    let person = server.person();
    for _ in 0..10 {
        person.sign_in("ada", "wrong").says(401, "is wrong");
    }
    let refused = person.sign_in("ada", PASSWORD);
    refused.says(429, "Too many attempts. Wait 5 minutes, then try again.");
    assert_eq!(refused.header("retry-after"), "300");
}

#[test]
fn that_a_username_and_an_email_address_belong_together_is_not_seen_from_what_is_refused() {
    for [first, second] in [["ada", "ada@example.com"], ["ada@example.com", "ada"], ["ghost", "ghost@example.com"]] {
        let server = Server::with_pages();
        server.user("ada");
        let person = server.person();
        for n in 0..10 {
            let login = if n % 2 == 0 { first.to_uppercase() } else { first.to_owned() };
            person.sign_in(&login, "wrong").says(401, "is wrong");
        }
        assert_eq!(person.sign_in(first, PASSWORD).status, 429, "{first}");
        person.sign_in(second, "wrong").says(401, "is wrong");
    }
}

#[test]
fn unlocking_clears_what_was_tried_by_username_and_by_email_address() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    server.forget_known_addresses();
    let person = server.person();
    for login in ["ada", "ada@example.com"] {
        (0..10).for_each(|_| drop(person.sign_in(login, "wrong")));
        assert_eq!(person.sign_in(login, PASSWORD).status, 429, "{login}");
    }
    root.send("POST", &format!("{}/unlock", ada.me()), &[], None).is(204, "");
    for login in ["ada", "ada@example.com"] {
        person.sign_in(login, "wrong").says(401, "is wrong");
    }
}

#[test]
fn the_audit_log_has_sign_ins_of_browsers() {
    let server = Server::with(pages);
    let ada = server.user("ada");
    server.signed_in_person("ada").submit("/sign-out", &[]).leads_to("/sign-in");
    server.person().sign_in("ada", "wrong");
    server.flush();
    for (action, count) in [("session.signed_in", 2), ("session.signed_out", 1), ("session.sign_in_failed", 1)] {
        assert_eq!(server.audit_count_about(action, ada.id), count, "{action}");
    }
}
