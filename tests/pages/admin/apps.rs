//! The list of apps, and how one is changed and deleted.

use crate::support::{
    PASSWORD, Server,
    apps::{MUSIC, NAVIGATION, NOTES, Visitor},
    person::{Page, Person},
    probes::Probes,
};
use serde_json::json;
use std::collections::BTreeMap;

const LIST: &str = "/admin/apps";
const APP: &str = "/admin/apps/1";
const DELETE: &str = "/admin/apps/1/delete";

#[test]
fn the_list_says_who_may_enter_and_when_the_proxy_asked() {
    let server = Server::with_apps();
    server.admin("root");
    let person = server.signed_in_person("root");
    Visitor::new(&server).verify(NOTES, "GET", "/", &NAVIGATION);
    server.flush();
    let page = person.open(LIST);
    page.says(200, "<a href=\"/admin/apps/1\"><bdi>Notes</bdi></a>")
        .says(200, "<time datetime=\"2026-11-22T10:00:00Z\">")
        .says(200, "everyone with an account")
        .says(200, "<strong>never</strong>: nothing shows that it is protected")
        .says(200, "aria-current=\"page\">Apps</a>");
    assert!(!page.body.contains("Next page"), "{page:?}");
}

#[test]
fn one_that_is_damaged_hides_no_other_and_says_what_to_do() {
    let server = Server::with_apps();
    server.admin("root");
    server.damage_apps("url = 'x' WHERE id = 1");
    let page = server.signed_in_person("root").open(LIST);
    page.says(200, "the app 1 is damaged").says(200, "usher app delete 1").says(200, "<bdi>Music</bdi>");
}

#[test]
fn a_long_list_has_pages() {
    let server = Server::with_apps();
    server.admin("root");
    for n in 3..=51 {
        server.add_app(&format!("App {n}"), &format!("https://app{n}.example.org"), "admins");
    }
    let person = server.signed_in_person("root");
    let page = person.open(LIST);
    page.says(200, "<bdi>App 50</bdi>");
    assert!(!page.body.contains("App 51"), "{page:?}");
    let (_, link) = page.body.split_once("<a href=\"/admin/apps?cursor=").expect("a next page");
    let next = person.open(&format!("/admin/apps?cursor={}", link.split('"').next().unwrap()));
    next.says(200, "<bdi>App 51</bdi>");
    assert!(!next.body.contains("App 50") && !next.body.contains("Next page"), "{next:?}");
    for bad in ["x", "%FF", "MTA="] {
        person.open(&format!("/admin/apps?cursor={bad}")).says(400, "This is not a page of the list");
    }
}

#[test]
fn an_app_is_changed_and_what_was_typed_wrongly_comes_back() {
    let server = Server::with_apps();
    let root = server.admin("root");
    root.post("/groups", json!({"name": "Family"})).is(201, "");
    root.post("/groups", json!({"name": "friends"})).is(201, "");
    let person = server.signed_in_person("root");
    let page = person.open(APP);
    assert_eq!((page.value("name"), page.value("url")), ("Notes", NOTES));
    page.says(200, "<option value=\"everyone\" selected>").says(200, "Registration is open: “everyone” is anybody");

    let send = |access, changes: &[(&str, &str)]| send_of(&person, &person.open(APP), access, changes);
    let again = send("groups", &[("name", "a\u{202e}b"), ("url", "notes")]);
    assert!(again.fault("name").is_some() && again.fault("url").is_some(), "{again:?}");
    again.says(400, "<option value=\"groups\" selected>");
    assert_eq!(again.value("url"), "notes");
    send("admins", &[("url", MUSIC)]).says(409, "URL has the host of another");
    send("groups", &[]).says(400, "Choose a group, or let others in.");
    assert_eq!(root.get("/apps/1").json()["access"], "everyone");

    let moved = "https://moved.example.test";
    let url = format!("{moved}/");
    let changes = [("name", "Our <notes>"), ("url", &url), ("group-Family", "yes"), ("group-friends", "yes")];
    send("groups", &changes).leads_to("/admin/apps/1?done=saved");
    let app = root.get("/apps/1").json();
    assert_eq!(
        (&app["name"], &app["url"], &app["groups"]),
        (&json!("Our <notes>"), &json!(moved), &json!(["Family", "friends"]))
    );
    let page = person.open(APP);
    page.says(200, "<h1><bdi>Our &#60;notes&#62;</bdi></h1>")
        .says(200, "name=\"group-friends\" value=\"yes\" checked>");

    // The boxes stay ticked in the browser, and count no more.
    send("admins", &[("name", "Notes"), ("was-name", "Our <notes>")]).leads_to("/admin/apps/1?done=saved");
    assert_eq!(root.get("/apps/1").json()["groups"], json!([]));
}

/// Sends the form of a page as a browser does, with some fields changed; `""` unticks a box.
fn send_of(person: &Person, page: &Page, access: &str, changes: &[(&str, &str)]) -> Page {
    let mut fields: BTreeMap<&str, &str> = ["name", "url"].map(|name| (name, page.value(name))).into();
    fields.insert("access", access);
    for tag in page.body.split("<input ").skip(1).map(|tag| tag.split('>').next().unwrap()) {
        let name = tag.split_once("name=\"").map_or("", |(_, from)| from.split('"').next().unwrap());
        if name.starts_with("was-") || (name.starts_with("group-") && tag.ends_with("checked")) {
            fields.insert(name, page.value(name));
        }
    }
    fields.extend(changes.iter().copied());
    fields.retain(|_, value| !value.is_empty());
    person.submit(APP, &Vec::from_iter(fields))
}

#[test]
fn of_two_administrators_the_second_sees_what_the_first_has_changed() {
    let server = Server::with_apps();
    let root = server.admin("root");
    server.admin("boss");
    for name in ["family", "Friends", "Guests"] {
        root.post("/groups", json!({"name": name})).is(201, "");
    }
    let (first, second) = (server.signed_in_person("root"), server.signed_in_person("boss"));
    let (seen, seen_too) = (first.open(APP), second.open(APP));
    let moved = "https://moved.example.test";
    let changes = [("name", "Theirs"), ("url", moved), ("group-family", "yes"), ("group-Friends", "yes")];
    send_of(&first, &seen, "groups", &changes).leads_to("/admin/apps/1?done=saved");

    let again = send_of(&second, &seen_too, "everyone", &[("name", "Ours")]);

    again
        .says(412, "Nothing was saved: this was changed meanwhile.")
        .says(412, "It is now Theirs.")
        .says(412, "It is now https://moved.example.test.")
        .says(412, "It is now members of family, Friends.")
        .says(412, "<option value=\"everyone\" selected>");
    assert_eq!([again.value("name"), again.value("url")], ["Ours", NOTES], "what was typed comes back");
    let app = root.get("/apps/1").json();
    assert_eq!([&app["name"], &app["url"], &app["access"]], [&json!("Theirs"), &json!(moved), &json!("groups")]);
    // Who has seen it may replace it.
    send_of(&second, &again, "everyone", &[("name", "Ours"), ("url", moved)]).leads_to("/admin/apps/1?done=saved");
    let app = root.get("/apps/1").json();
    assert_eq!([&app["name"], &app["access"], &app["groups"]], [&json!("Ours"), &json!("everyone"), &json!([])]);
}

/// Boxes alone, which no field names, and forms that don't say what they were shown with.
#[test]
fn a_page_that_was_opened_long_ago_lets_nobody_in_again() {
    let server = Server::with_apps();
    let root = server.admin("root");
    for name in ["family", "Friends"] {
        root.post("/groups", json!({"name": name})).is(201, "");
    }
    let person = server.signed_in_person("root");
    let change = |groups| {
        root.put("/apps/1", json!({"access": "groups", "groups": groups})).is(200, "");
    };
    change(["family", "Friends"].to_vec());
    let old = person.open(APP);
    change(vec!["Friends"]);
    // What is wrong beside it says nothing of the change.
    let old = send_of(&person, &old, "groups", &[("name", "a\u{202e}b")]);
    old.says(400, "Correct what is marked.");
    let again = send_of(&person, &old, "groups", &[("name", "Notes")]);
    again.says(412, "It is now members of Friends.").says(412, "name=\"group-family\" value=\"yes\" checked>");
    let plain = [("name", "Notes"), ("url", NOTES), ("access", "everyone")];
    person.submit(APP, &plain).says(412, "this was changed meanwhile");
    assert_eq!(root.get("/apps/1").json()["groups"], json!(["Friends"]));
}

#[test]
fn with_another_url_everybody_enters_again_and_its_proxy_is_yet_to_ask() {
    let server = Server::with_apps();
    let root = server.admin("root");
    let ada = server.user("ada");
    let visitor = Visitor::signed_in(&server, "ada");
    for app in [NOTES, MUSIC] {
        visitor.go(app, "/").unwrap();
    }
    for app in [1, 2] {
        ada.post(&format!("{}/app-tokens", ada.me()), json!({"name": "git", "app_id": app})).is(201, "");
    }
    server.flush();
    let person = server.signed_in_person("root");
    let has_asked = |app: u8| !person.open(&format!("/admin/apps/{app}")).body.contains("not yet: open the app");
    let inside = |count: u8| {
        person.open(APP).says(200, &format!("<dt>Sessions in the app now</dt><dd>{count}</dd>"));
    };
    root.put("/apps/1", json!({"name": "Ours", "url": NOTES})).is(200, "");
    inside(1);
    assert_eq!((has_asked(1), server.app_token_count()), (true, 2), "the same URL takes nothing back");
    server.clock.advance(std::time::Duration::from_mins(2));
    Visitor::new(&server).verify(NOTES, "GET", "/", &NAVIGATION); // which waits to be written

    root.put("/apps/1", json!({"url": "https://moved.example.test"})).is(200, "");

    server.flush();
    inside(0);
    assert_eq!((has_asked(1), has_asked(2), server.app_token_count()), (false, true, 1));
    visitor.go(MUSIC, "/").unwrap();
    Visitor::new(&server).verify("https://moved.example.test", "GET", "/", &NAVIGATION);
    server.flush();
    assert!(has_asked(1));
    person.open(APP).says(200, "People who are inside must enter again");
    root.put("/apps/1", json!({"url": NOTES})).is(200, "");
    let answer = visitor.verify(NOTES, "GET", "/", &[]);
    assert_eq!(answer.status, 401, "the old cookie opens nothing: {answer:?}");
}

#[test]
fn every_group_can_be_ticked_however_many_there_are() {
    let server = Server::with_apps();
    let root = server.admin("root");
    for n in 0..201 {
        root.post("/groups", json!({"name": format!("group{n}")})).is(201, "");
    }
    let page = server.signed_in_person("root").open(APP);
    assert_eq!(page.body.matches("name=\"group-").count(), 201);
    page.says(200, "name=\"group-group200\"");
}

#[test]
fn who_is_inside_is_counted() {
    let server = Server::with_apps();
    server.admin("root");
    server.user("ada");
    let inside = |count: &str| {
        let page = server.signed_in_person("root").open(APP);
        page.says(200, &format!("<dt>Sessions in the app now</dt><dd>{count}</dd>"));
    };
    inside("0");
    let ada = Visitor::signed_in(&server, "ada");
    ada.go(NOTES, "/").unwrap();
    Visitor::signed_in(&server, "ada").go(NOTES, "/").unwrap();
    ada.go(MUSIC, "/").unwrap();
    inside("2");
    ada.person.submit("/sign-out", &[]);
    inside("1");
    server.clock.advance(std::time::Duration::from_hours(7 * 24));
    inside("0");
}

#[test]
fn a_session_in_an_app_counts_as_long_as_it_and_its_browsers_live() {
    let server = Server::with_apps();
    server.admin("root");
    server.user("ada");
    let ada = Visitor::new(&server);
    let sign_in = |keep: &[(&str, &str)]| {
        ada.person.submit("/sign-in", &[&[("login", "ada"), ("password", PASSWORD)], keep].concat()).leads_to("/");
    };
    let inside = |count: u8| {
        let page = server.signed_in_person("root").open(APP);
        page.says(200, &format!("<dt>Sessions in the app now</dt><dd>{count}</dd>"));
    };
    let half_a_day = std::time::Duration::from_hours(12);

    // given: one of twelve hours, whose browser then stays signed in
    sign_in(&[]);
    ada.go(NOTES, "/").unwrap();
    sign_in(&[("keep", "yes")]);
    inside(1);
    server.clock.advance(half_a_day);
    inside(0);

    // and one of thirty days, whose browser then has twelve hours left
    ada.go(NOTES, "/").unwrap();
    sign_in(&[]);
    inside(1);
    server.clock.advance(half_a_day);
    inside(0);
}

#[test]
fn an_app_goes_when_its_name_was_typed() {
    let server = Server::with_apps();
    let root = server.admin("root");
    let person = server.signed_in_person("root");
    for typed in ["", "Note", "Music"] {
        let again = person.submit(DELETE, &[("typed_name", typed)]);
        again.says(400, "Nothing was deleted. Type the name to confirm.");
        assert!(again.fault("typed_name").is_some(), "{again:?}");
    }
    root.get("/apps/1").is(200, "");
    person.submit(DELETE, &[("typed_name", " Notes ")]).leads_to("/admin/apps?done=app-deleted");
    root.get("/apps/1").is(404, "app_not_found");
    person.submit(DELETE, &[("typed_name", "Notes")]).says(404, "There is no such app.");
    person.open("/admin/apps?done=app-deleted").says(200, "The app was deleted.");
}

#[test]
fn a_change_needs_a_recent_sign_in() {
    let server = Server::with_apps();
    let root = server.admin("root");
    let person = server.signed_in_person("root");
    server.clock.advance(std::time::Duration::from_hours(1));
    send_of(&person, &person.open(APP), "admins", &[("name", "Other")]).says(403, "Confirm that it is you");
    person.submit(DELETE, &[("typed_name", "Notes")]).says(403, "Confirm that it is you");
    assert_eq!(root.get("/apps/1").json()["name"], "Notes");
}

#[test]
fn others_than_administrators_see_and_change_nothing() {
    let server = Server::with_apps();
    let root = server.admin("root");
    server.user("ada");
    let ada = server.signed_in_person("ada");
    for path in [LIST, APP] {
        ada.open(path).says(403, "You may not do this");
        server.person().open(path).leads_to(&format!("/sign-in?to={}", path.replace('/', "%2F")));
    }
    let sent = [("name", "Other"), ("url", NOTES), ("access", "admins")];
    ada.submit(APP, &sent).says(403, "You may not do this");
    ada.submit(DELETE, &[("typed_name", "Notes")]).says(403, "You may not do this");
    server.person().submit(APP, &sent).leads_to("/sign-in");
    server.person().submit(DELETE, &[("typed_name", "Notes")]).leads_to("/sign-in");
    assert_eq!(root.get("/apps/1").json()["name"], "Notes");
}
