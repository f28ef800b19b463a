//! Being asked for the password again.

use crate::support::{PASSWORD, Server, person::Person};
use std::time::Duration;

/// Somebody whose sign-in is too old for what needs a recent one.
fn after_a_while(server: &Server, name: &str) -> Person {
    let person = server.signed_in_person(name);
    server.clock.advance(Duration::from_mins(16));
    person
}

const APP: [(&str, &str); 5] = [
    ("name", "Notes & more"),
    ("url", "https://notes.example.test"),
    ("access", "admins"),
    ("proxy", "caddy"),
    ("upstream", "127.0.0.1:3000"),
];

#[test]
fn what_was_sent_comes_along_and_is_sent_again_after_the_password() {
    let server = Server::with_pages();
    let root = server.admin("root");
    let person = after_a_while(&server, "root");
    let cookie = person.cookie("__Host-usher");

    let asked = person.submit("/admin/apps/new", &APP);
    asked.says(403, "<h1>Confirm that it is you</h1>").says(403, "with what you have just sent");
    assert_eq!(asked.value("name"), "Notes &#38; more");
    assert_eq!(root.get("/apps").json()["apps"], serde_json::json!([]), "nothing was changed yet");

    let mut fields = APP.to_vec();
    fields.extend([("confirm-to", "/admin/apps/new"), ("confirm-sends", "yes")]);
    let wrong = [&fields[..], &[("confirm-password", "wrong horse")]].concat();
    let again = person.submit("/confirm", &wrong);
    again.says(401, "The password is wrong.");
    assert_eq!((again.value("name"), again.value("confirm-to")), ("Notes &#38; more", "/admin/apps/new"));
    assert!(!again.body.contains("wrong horse"));

    let right = [&fields[..], &[("confirm-password", PASSWORD)]].concat();
    let sent_again = person.submit("/confirm", &right);
    assert_eq!((sent_again.status, sent_again.header("location")), (307, "/admin/apps/new"));
    assert_ne!(person.cookie("__Host-usher"), cookie, "the session has a new token");
    person.submit("/admin/apps/new", &right).leads_to("/admin/apps/1?proxy=caddy&upstream=127.0.0.1:3000");
    assert_eq!(root.get("/apps/1").json()["name"], "Notes & more");
}

#[test]
fn the_old_token_opens_nothing_after_the_password_was_confirmed() {
    let server = Server::with_pages();
    server.user("ada");
    let person = after_a_while(&server, "ada");
    let thief = person.stolen();
    person.submit("/confirm", &[("confirm-to", "/account"), ("confirm-password", PASSWORD)]).leads_to("/account");
    assert_eq!((person.signed_in_as().as_deref(), thief.signed_in_as()), (Some("ada"), None));
}

#[test]
fn a_way_leads_to_no_other_host() {
    let server = Server::with_pages();
    server.user("ada");
    let person = server.signed_in_person("ada");
    for elsewhere in ["https://evil.example.test/", "//evil.example.test", "/\\evil.example.test", ""] {
        let fields = [("confirm-to", elsewhere), ("confirm-password", PASSWORD)];
        person.submit("/confirm", &fields).leads_to("/");
        person.submit("/sign-in", &[("login", "ada"), ("password", PASSWORD), ("to", elsewhere)]).leads_to("/");
    }
}

#[test]
fn guesses_at_the_password_are_limited_and_recorded() {
    let server = Server::with_pages();
    let root = server.admin("root");
    server.user("ada");
    let person = server.signed_in_person("ada");
    let guess = || person.submit("/confirm", &[("confirm-to", "/account"), ("confirm-password", "wrong horse")]);
    let refused = (0..200).map(|_| guess()).find(|page| page.status != 401).expect("a limit");
    refused.says(429, "Too many attempts.");
    assert!(refused.header("retry-after").parse::<u64>().is_ok(), "{refused:?}");
    server.flush();
    let found = root.get("/audit?action=session.sign_in_failed").json();
    assert!(!found["events"].as_array().unwrap().is_empty(), "{found}");
    // The owner can still sign in.
    server.person().sign_in("ada", PASSWORD);
}

#[test]
fn passwords_do_not_come_along() {
    let server = Server::with_pages();
    server.user("ada");
    let person = after_a_while(&server, "ada");
    let user = server.person();
    user.sign_in("ada", PASSWORD);
    let fields = [
        ("display_name", ""),
        ("username", "ada"),
        ("email", "new@example.com"),
        ("revision", "1"),
        ("password", "a secret that was typed"),
        ("new_password", "a secret that was typed"),
    ];
    let asked = person.submit("/account", &fields);
    asked.says(403, "Confirm that it is you");
    assert!(!asked.body.contains("a secret"), "{asked:?}");
    assert_eq!(asked.value("email"), "new@example.com");
}

#[test]
fn who_is_not_signed_in_comes_back_to_the_page_after_the_sign_in() {
    let server = Server::with_pages();
    server.user("ada");
    let person = server.person();
    person.open("/account?x=1").leads_to("/sign-in?to=%2Faccount%3Fx%3D1");
    let form = person.open("/sign-in?to=%2Faccount%3Fx%3D1");
    assert_eq!(form.value("to"), "/account?x=1");
    let wrong = person.submit("/sign-in", &[("login", "ada"), ("password", "wrong"), ("to", "/account?x=1")]);
    assert_eq!(wrong.value("to"), "/account?x=1");
    let fields = [("login", "ada"), ("password", PASSWORD), ("to", "/account?x=1")];
    person.submit("/sign-in", &fields).leads_to("/account?x=1");
    // What was sent is lost, so there is nothing to come back to.
    server.person().submit("/account", &[("username", "x")]).leads_to("/sign-in");
}

#[test]
fn programs_with_a_token_are_asked_for_nothing() {
    let server = Server::with_pages();
    let root = server.admin("root");
    server.clock.advance(Duration::from_hours(1));
    root.post("/groups", serde_json::json!({"name": "family"})).is(201, "");
}

#[test]
fn where_the_setting_is_off_nobody_is_asked() {
    let server = Server::with(|settings| {
        crate::support::person::pages(settings);
        settings.policy.reauthenticate_after = Duration::ZERO;
    });
    server.admin("root");
    let person = after_a_while(&server, "root");
    person.submit("/admin/apps/new", &APP).leads_to("/admin/apps/1?proxy=caddy&upstream=127.0.0.1:3000");
}
