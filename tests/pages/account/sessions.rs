//! Where one is signed in, and ending that.

use crate::support::{
    PASSWORD, Server,
    apps::{MUSIC, NOTES, Visitor},
    person::{Page, Person},
};
use serde_json::{Value, json};
use std::time::Duration;

const PAGE: &str = "/account/sessions";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
const SAFARI: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1";

/// Somebody who signs in with a browser that names itself so.
fn with_browser(server: &Server, name: &str, user_agent: &str, more: &[(&str, &str)]) -> Person {
    let person = server.person();
    let headers = [&[("sec-fetch-site", "same-origin"), ("user-agent", user_agent)], more].concat();
    person.submit_with("/sign-in", &headers, &[("login", name), ("password", PASSWORD)]).leads_to("/");
    person
}

/// The part of the page about each session.
fn rows(page: &Page) -> Vec<String> {
    page.says(200, "<h1>Sessions</h1>");
    let list = page.body.split("<ul class=\"entries\">").nth(1).expect("a list");
    list.split("<h2>").skip(1).map(str::to_owned).take_while(|row| !row.starts_with("End all")).collect()
}

/// The ids of sessions that a part of the page can end.
fn ids(row: &str) -> Vec<&str> {
    row.split("name=\"session\" value=\"").skip(1).map(|from| from.split('"').next().expect("an id")).collect()
}

#[test]
fn sessions_are_listed_in_words_and_this_one_first() {
    let server = Server::with_pages();
    server.user("ada");
    let person = with_browser(&server, "ada", FIREFOX, &[]);
    server.clock.advance(Duration::from_mins(90));
    with_browser(&server, "ada", SAFARI, &[("x-forwarded-for", "203.0.113.7")]);

    let page = person.open(PAGE);
    let listed = rows(&page);

    assert!(listed[0].starts_with("Firefox on Linux <span class=\"here\">This session</span></h2>"), "{listed:?}");
    for fact in [
        "<dt>IP address</dt><dd>127.0.0.1</dd>",
        "<dt>Signed in</dt><dd><time datetime=\"2026-11-22T10:00:00Z\">2026-11-22 10:00 UTC</time></dd>",
        "<dt>Last used</dt><dd><time datetime=\"2026-11-22T11:30:00Z\">2026-11-22 11:30 UTC</time></dd>",
        "<dt>Ends at the latest</dt><dd><time datetime=\"2026-11-22T22:00:00Z\">2026-11-22 22:00 UTC</time></dd>",
    ] {
        assert!(listed[0].contains(fact), "{fact}: {listed:?}");
    }
    assert!(ids(&listed[0]).is_empty(), "this one ends by signing out: {listed:?}");
    // Somebody behind a proxy that is not declared.
    assert!(listed[1].starts_with("Safari on an iPhone</h2>"), "{listed:?}");
    assert!(listed[1].contains("<dt>IP address</dt><dd>unknown</dd>"), "{listed:?}");
    assert!(
        listed[1].contains("End<span class=\"unseen\"> the session of Safari on an iPhone, IP address unknown</span>")
    );
    assert!(listed[2].starts_with("Program</h2>"), "{listed:?}");
    page.says(200, "Signed in as <strong>ada</strong>")
        .says(200, "<a href=\"/account/sessions\" aria-current=\"page\">");
}

#[test]
fn what_a_client_says_of_itself_is_shown_and_does_nothing() {
    let server = Server::with_pages();
    server.user("ada");
    let person = with_browser(&server, "ada", "<script>alert(1)</script> \u{202e}evil", &[]);
    let login = json!({"email": "ada@example.com", "password": PASSWORD}).to_string();
    let headers = [("content-type", "application/json"), ("user-agent", "sync/1.0 <b>")];
    server.anon().send("POST", "/auth/login", &headers, Some(login.as_bytes())).is(200, "");

    let listed = rows(&person.open(PAGE));

    assert!(listed[0].starts_with("Unknown browser"), "{listed:?}");
    assert!(listed[0].contains("<bdi>&#60;script&#62;alert(1)&#60;/script&#62; \u{202e}evil</bdi>"), "{listed:?}");
    assert!(listed[1].starts_with("Program</h2>"), "{listed:?}");
    assert!(listed[1].contains("<bdi>sync/1.0 &#60;b&#62;</bdi>"), "{listed:?}");
}

#[test]
fn one_session_ends_at_once_and_the_others_go_on() {
    let server = Server::with_pages();
    let ada = server.user("ada");
    let (person, other) = (with_browser(&server, "ada", FIREFOX, &[]), with_browser(&server, "ada", SAFARI, &[]));
    let page = person.open(PAGE);
    let listed = rows(&page);
    let id = ids(&listed[1])[0];

    for _ in 0..2 {
        // The second time it is gone already.
        person.submit(PAGE, &[("session", id)]).leads_to("/account/sessions?done=session-ended");
        assert_eq!((person.signed_in_as().as_deref(), other.signed_in_as()), (Some("ada"), None));
    }
    ada.get("/auth/me").is(200, "");
    person.open("/account/sessions?done=session-ended").says(200, "The session has ended.");
}

#[test]
fn somebody_elses_session_does_not_end() {
    let server = Server::with_pages();
    server.user("ada");
    let bob = server.user("bob");
    let person = server.signed_in_person("ada");
    let id = bob.get("/auth/sessions").json()["sessions"][0]["id"].as_str().expect("an id").to_owned();
    person.submit(PAGE, &[("session", &id)]);
    bob.get("/auth/me").is(200, "");
}

#[test]
fn all_other_sessions_end_with_one_button_and_all_with_another() {
    let server = Server::with_pages();
    let ada = server.user("ada");
    let (person, other) = (server.signed_in_person("ada"), server.signed_in_person("ada"));
    person.open(PAGE).says(200, "value=\"others\"");

    person.submit(PAGE, &[("which", "others")]).leads_to("/account/sessions?done=other-sessions-ended");
    assert_eq!((person.signed_in_as().as_deref(), other.signed_in_as()), (Some("ada"), None));
    ada.get("/auth/me").is(401, "invalid_token");
    let page = person.open(PAGE);
    assert!(rows(&page).len() == 1 && !page.body.contains("value=\"others\""), "nothing is left to end: {page:?}");

    person.submit(PAGE, &[("which", "all")]).leads_to("/sign-in?done=all-sessions-ended");
    assert_eq!((person.cookie("__Host-usher"), person.signed_in_as()), (None, None));
    person.open("/sign-in?done=all-sessions-ended").says(200, "All your sessions have ended. Sign in again.");
}

#[test]
fn who_ends_their_own_session_is_signed_out() {
    let server = Server::with_pages();
    let ada = server.user("ada");
    let person = server.signed_in_person("ada");
    let sessions = ada.get("/auth/sessions").json();
    let own = sessions["sessions"].as_array().expect("a list").iter().find(|one| one["kind"] == "browser");
    let id = own.expect("a browser")["id"].as_str().expect("an id");
    person.submit(PAGE, &[("session", id)]).leads_to("/sign-in?done=session-ended");
    assert_eq!((person.cookie("__Host-usher"), person.signed_in_as()), (None, None));
}

#[test]
fn apps_stand_under_their_browser_by_name_and_can_be_left_one_by_one() {
    let server = Server::with_apps();
    let ada = server.user("ada");
    let visitor = Visitor::signed_in(&server, "ada");
    let other = server.signed_in_person("ada");
    visitor.go(NOTES, "/").unwrap();
    visitor.go(MUSIC, "/").unwrap();

    let listed = rows(&other.open(PAGE));
    assert!(!listed[0].contains("Apps entered"), "{listed:?}");
    assert!(listed[1].contains("Apps entered"), "{listed:?}");
    assert!(listed[1].contains("<bdi>Notes</bdi>") && listed[1].contains("<bdi>Music</bdi>"), "{listed:?}");
    let (_, notes) = listed[1].split_once("<bdi>Notes</bdi>").unwrap();
    other.submit(PAGE, &[("session", ids(notes)[0])]).leads_to("/account/sessions?done=session-ended");
    let status = |app| visitor.verify(app, "GET", "/", &[]).status;
    assert_eq!((status(NOTES), status(MUSIC)), (401, 200));
    // Programs see the name of the app, too.
    let sessions = ada.get("/auth/sessions").json()["sessions"].as_array().unwrap().clone();
    let names = sessions.iter().map(|session| session["app_name"].clone()).filter(|name| *name != Value::Null);
    assert_eq!(names.collect::<Vec<_>>(), ["Music"]);
    // The browser takes its apps with it.
    other.submit(PAGE, &[("which", "others")]).leads_to("/account/sessions?done=other-sessions-ended");
    assert_eq!(status(MUSIC), 401);
}

#[test]
fn who_is_not_signed_in_sees_and_ends_nothing() {
    let server = Server::with_pages();
    let ada = server.user("ada");
    server.person().open(PAGE).leads_to("/sign-in?to=%2Faccount%2Fsessions");
    server.person().submit(PAGE, &[("which", "all")]).leads_to("/sign-in");
    ada.get("/auth/me").is(200, "");
}
