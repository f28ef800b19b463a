//! One's own password.

use super::after_a_while;
use crate::support::{PASSWORD, Server, person::Person};

const PAGE: &str = "/account/password";
const NEW: &str = "another battery staple";

fn set(person: &Person, password: &str) -> crate::support::person::Page {
    person.submit(PAGE, &[("username", "ada"), ("password", password)])
}

#[test]
fn a_new_password_keeps_this_browser_and_ends_everything_else() {
    let server = Server::with_pages();
    let ada = server.user("ada");
    let (person, other) = (server.signed_in_person("ada"), server.signed_in_person("ada"));
    let page = person.open(PAGE);
    page.says(200, "All your other sessions end").says(200, "8 to 256 characters.");
    assert!(page.field("password").contains("autocomplete=\"new-password\""), "{page:?}");
    assert_eq!((page.value("username"), page.value("password")), ("ada", ""));

    set(&person, NEW).leads_to("/account?done=password-set");

    person.open("/account?done=password-set").says(200, "Your password is set.");
    assert_eq!((person.signed_in_as().as_deref(), other.signed_in_as()), (Some("ada"), None));
    ada.get("/auth/me").is(401, "invalid_token");
    server.person().sign_in("ada", PASSWORD).says(401, "password is wrong");
    server.person().sign_in("ada", NEW).leads_to("/");
}

#[test]
fn what_is_wrong_with_a_password_is_told_and_it_is_not_shown_again() {
    let server = Server::with_pages();
    server.user("ada");
    let person = server.signed_in_person("ada");
    for (password, fault) in [
        ("short", "New password must have at least 8 characters."),
        ("password", "New password is on a list of common passwords; choose another."),
        ("ada@example.com", "New password must not be the account&#39;s username or e-mail address."),
        ("", "New password must have at least 8 characters."),
    ] {
        let again = set(&person, password);
        again.says(400, "Nothing was saved. Correct what is marked. Type the password again.");
        assert_eq!((again.fault("password"), again.value("password")), (Some(fault), ""), "{password:?}");
    }
    server.person().sign_in("ada", PASSWORD).leads_to("/");
}

#[test]
fn who_signed_in_a_while_ago_is_asked_before_they_type() {
    let server = Server::with_pages();
    server.user("ada");
    let person = after_a_while(&server, "ada");
    person.open(PAGE).says(403, "Confirm that it is you");
    let confirmed = person.submit("/confirm", &[("confirm-to", PAGE), ("confirm-password", PASSWORD)]);
    confirmed.leads_to(PAGE);
    person.open(PAGE).says(200, "<h1>Password</h1>");
}

#[test]
fn a_form_that_was_open_for_too_long_sets_nothing_and_comes_back_empty() {
    let server = Server::with_pages();
    server.user("ada");
    let person = after_a_while(&server, "ada");
    let asked = set(&person, NEW);
    asked.says(403, "Confirm that it is you");
    assert!(!asked.body.contains(NEW), "{asked:?}");
    let fields = [("confirm-to", PAGE), ("confirm-sends", "yes"), ("username", "ada"), ("confirm-password", PASSWORD)];
    assert_eq!(person.submit("/confirm", &fields).status, 307);
    person.submit(PAGE, &fields).leads_to(PAGE);
    server.person().sign_in("ada", NEW).says(401, "password is wrong");
}

#[test]
fn only_somebody_who_is_signed_in_has_a_password_to_set() {
    let server = Server::with_pages();
    let person = server.person();
    person.open(PAGE).leads_to("/sign-in?to=%2Faccount%2Fpassword");
    set(&person, NEW).leads_to("/sign-in");
}
