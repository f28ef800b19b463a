//! What people mean to do to those who look at their names: markup, scripts, text that runs backwards, and names as long as
//! they may be. Nothing of it does anything, and all of it can be read.

use crate::support::{Server, person::Page};
use serde_json::json;

/// Names that may be had, and how pages write them.
const NAMES: [(&str, &str); 6] = [
    ("<script>alert(1)</script>", "&#60;script&#62;alert(1)&#60;/script&#62;"),
    ("\"><img src=x onerror=alert(1)>", "&#34;&#62;&#60;img src=x onerror=alert(1)&#62;"),
    ("' autofocus onfocus='x", "&#39; autofocus onfocus=&#39;x"),
    ("{{ user.id }} &amp; {% raw %}", "{{ user.id }} &#38;amp; {% raw %}"),
    ("\u{5d0}\u{5d3}\u{5d4} 123 \u{627}\u{62f}\u{627}", "\u{5d0}\u{5d3}\u{5d4} 123 \u{627}\u{62f}\u{627}"),
    ("\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} \u{1f989}", "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} \u{1f989}"),
];

/// Markup that a name would have to make.
fn is_inert(page: &Page) {
    for made in ["<script", "<img src=x", " onerror=alert(1)>\"", "onfocus='"] {
        assert!(!page.body.contains(made), "{made}: {page:?}");
    }
}

#[test]
fn names_are_written_as_they_are_on_every_page_that_shows_them() {
    let server = Server::with_pages();
    let root = server.admin("root");
    let long = "b".repeat(64);
    root.post("/groups", json!({"name": long})).is(201, "");
    let person = server.signed_in_person("root");
    for (at, (name, written)) in NAMES.iter().enumerate() {
        let username = format!("{}{at}", "a".repeat(63));
        let ada = server.user(&username);
        root.put(&ada.me(), json!({"display_name": name})).is(200, "");
        root.put(&format!("/groups/1/members/{}", ada.id), json!({})).is(204, "");
        let url = format!("https://app{at}.example.test");
        root.post("/apps", json!({"name": name, "url": url, "access": "groups", "groups": [long]})).is(201, "");
        let token = ada.post(&format!("{}/app-tokens", ada.me()), json!({"name": name, "app_id": at + 1}));
        token.is(201, "");
        let isolated = format!("<bdi>{written}</bdi>");

        let list = person.open(&format!("/admin/users?q={username}"));
        list.says(200, &isolated).says(200, &username);
        let account = person.open(&format!("/admin/users/{}", ada.id));
        account.says(200, &isolated).says(200, &long);
        assert_eq!(account.value("display_name"), *written);
        assert!(account.body.matches(&isolated).count() >= 3, "its name, an app token and its app: {account:?}");
        let group = person.open("/admin/groups/1");
        group.says(200, &isolated);
        assert_eq!(group.body.matches(&isolated).count(), 2, "a member and an app: {group:?}");
        for page in [list, account, group] {
            is_inert(&page);
        }
    }
}

/// Which would make a name look like another's.
#[test]
fn text_that_changes_its_direction_is_no_name_and_is_shown_inert_where_it_was_typed() {
    let server = Server::with_pages();
    let ada = server.user("ada");
    server.admin("root");
    let person = server.signed_in_person("root");
    let path = format!("/admin/users/{}", ada.id);
    let page = person.open(&path);
    for bad in ["a\u{202e}b", "\u{2066}x", "<b>\u{200f}", "a\u{0}b"] {
        let fields = [
            ("revision", page.value("revision")),
            ("display_name", bad),
            ("username", "<i>x</i>"),
            ("email", "\"<x>@x\""),
        ];
        let again = person.submit(&path, &fields);
        assert!(again.status == 400 && again.fault("display_name").is_some(), "{again:?}");
        assert_eq!(
            (again.value("username"), again.value("email")),
            ("&#60;i&#62;x&#60;/i&#62;", "&#34;&#60;x&#62;@x&#34;")
        );
    }
}

/// What a program calls itself, where it is no name of a browser.
#[test]
fn the_names_of_programs_are_inert() {
    let server = Server::with_pages();
    let root = server.admin("root");
    server.user("ada");
    let agent = "<script>alert(1)</script> \u{202e}evil";
    let login = json!({"email": "ada@example.com", "password": crate::support::PASSWORD}).to_string();
    let headers = [("content-type", "application/json"), ("user-agent", agent)];
    let sent = server.anon().send("POST", "/auth/login", &headers, Some(login.as_bytes()));
    sent.is(200, "");
    let person = server.signed_in_person("root");
    let page = person.open(&format!("/admin/users/{}", root.id + 1));
    is_inert(&page);
}

#[test]
fn what_is_searched_for_or_typed_into_a_form_comes_back_inert() {
    let server = Server::with_pages();
    server.admin("root");
    let person = server.signed_in_person("root");
    root_group(&person);
    let attack = "\"><script>alert(1)</script>";
    let written = "&#34;&#62;&#60;script&#62;alert(1)&#60;/script&#62;";
    let query = form_urlencoded::byte_serialize(attack.as_bytes()).collect::<String>();
    for path in [format!("/admin/users?q={query}"), format!("/admin/users?sort={query}&role={query}")] {
        is_inert(&person.open(&path));
    }
    assert_eq!(person.open(&format!("/admin/users?q={query}")).value("q"), written);
    for (path, name) in [
        ("/admin/users/new", "username"),
        ("/admin/groups", "name"),
        ("/admin/groups/1", "name"),
        ("/admin/groups/1/join", "login"),
        ("/admin/invitations", "email"),
    ] {
        let again = person.submit(path, &[(name, attack)]);
        is_inert(&again);
        assert_eq!((again.status, again.value(name)), (400, written), "{path}");
    }
}

fn root_group(person: &crate::support::person::Person) {
    person.submit("/admin/groups", &[("name", "family")]).leads_to("/admin/groups/1?done=group-created");
}
