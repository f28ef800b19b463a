//! Signing out.

use crate::support::Server;

#[test]
fn opening_the_page_ends_nothing_and_its_button_ends_the_session() {
    let server = Server::with_pages();
    server.user("ada");
    let person = server.signed_in_person("ada");
    let thief = person.stolen();
    person.open("/sign-out").says(200, "<button type=\"submit\">Sign out</button>");
    assert!(person.signed_in_as().is_some());

    person.submit("/sign-out", &[]).leads_to("/sign-in");

    assert_eq!((person.cookie("__Host-usher"), person.signed_in_as()), (None, None));
    assert_eq!(thief.signed_in_as(), None, "the session has ended, not only the cookie");
    assert!(person.cookie("__Host-usher-known").is_some(), "the browser is still known");
}

#[test]
fn those_who_are_not_signed_in_are_signed_out_already() {
    let server = Server::with_pages();
    let person = server.person();
    person.open("/sign-out").says(200, "You are not signed in");
    person.submit("/sign-out", &[]).leads_to("/sign-in");
    person.set_cookie("__Host-usher", "ushb_forged");
    person.submit("/sign-out", &[]).leads_to("/sign-in");
}
