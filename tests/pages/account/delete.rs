//! Deleting one's own account.

use super::after_a_while;
use crate::support::{PASSWORD, Server};

const PAGE: &str = "/account/delete";

#[test]
fn somebody_deletes_their_account_and_nobody_is_signed_in_any_more() {
    let server = Server::with_pages();
    let root = server.admin("root");
    let ada = server.user("ada");
    let (person, other) = (server.signed_in_person("ada"), server.signed_in_person("ada"));
    person.open(PAGE).says(200, "To confirm, type ada here.").says(200, "This can’t be undone.");

    let gone = person.submit(PAGE, &[("typed_name", "Ada ")]);

    gone.says(200, "<h1>The account is deleted</h1>");
    assert!(!gone.body.contains("Signed in as"), "{gone:?}");
    assert_eq!((person.cookie("__Host-usher"), other.signed_in_as()), (None, None));
    root.get(&ada.me()).is(404, "user_not_found");
    server.person().sign_in("ada", PASSWORD).says(401, "password is wrong");
}

#[test]
fn without_the_username_nothing_is_deleted() {
    let server = Server::with_pages();
    let ada = server.user("ada");
    server.user("bob");
    let person = server.signed_in_person("ada");
    for typed in ["", "bob", "ada@example.com", "<b>ada"] {
        let again = person.submit(PAGE, &[("typed_name", typed)]);
        again.says(400, "Nothing was deleted. Type the name to confirm.");
        assert_eq!(again.fault("typed_name"), Some("Your username does not match."), "{typed:?}");
        assert!(!again.body.contains("<b>ada"), "{again:?}");
    }
    person.submit(PAGE, &[]).says(400, "Nothing was deleted.");
    ada.get("/auth/me").is(200, "");
}

#[test]
fn the_last_administrator_stays_and_is_told_why() {
    let server = Server::with_pages();
    let root = server.admin("root");
    let person = server.signed_in_person("root");
    person.submit(PAGE, &[("typed_name", "root")]).says(409, "this is the last administrator who can sign in");
    root.get("/auth/me").is(200, "");
    assert_eq!(person.signed_in_as().as_deref(), Some("root"));
}

#[test]
fn who_signed_in_a_while_ago_is_asked_for_the_password_first() {
    let server = Server::with_pages();
    let ada = server.user("ada");
    let person = after_a_while(&server, "ada");
    person.open(PAGE).says(403, "Confirm that it is you");
    let asked = person.submit(PAGE, &[("typed_name", "ada")]);
    asked.says(403, "Confirm that it is you");
    ada.get("/auth/me").is(200, "");

    // The form comes along, and deletes the account after the password.
    let fields = [
        ("confirm-to", PAGE),
        ("confirm-sends", "yes"),
        ("confirm-password", PASSWORD),
        ("typed_name", asked.value("typed_name")),
    ];
    assert_eq!(person.submit("/confirm", &fields).status, 307);
    person.submit(PAGE, &fields).says(200, "The account is deleted");
    ada.get("/auth/me").is(401, "invalid_token");
}

#[test]
fn who_is_not_signed_in_deletes_nothing() {
    let server = Server::with_pages();
    let ada = server.user("ada");
    server.person().open(PAGE).leads_to("/sign-in?to=%2Faccount%2Fdelete");
    server.person().submit(PAGE, &[("typed_name", "ada")]).leads_to("/sign-in");
    ada.get("/auth/me").is(200, "");
}
