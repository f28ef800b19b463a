//! Protecting an app, and finding it.

use crate::support::{
    Server,
    apps::{MUSIC, NAVIGATION, NOTES, Visitor, behind_a_proxy},
    person::{Page, Person, pages},
    probes::Probes,
};
use serde_json::json;

const PAGE: &str = "/admin/apps/new";

const FIELDS: [(&str, &str); 5] = [
    ("name", "Notes & more"),
    ("url", NOTES),
    ("access", "admins"),
    ("proxy", "caddy"),
    ("upstream", "127.0.0.1:3000"),
];

/// The form as it is sent, with some fields changed.
fn send(person: &Person, changes: &[(&str, &str)]) -> Page {
    let fields = FIELDS.map(|(name, value)| {
        let changed = changes.iter().find(|(other, _)| *other == name);
        (name, changed.map_or(value, |(_, value)| value))
    });
    person.submit(PAGE, &fields)
}

fn server() -> Server {
    Server::with(|settings| {
        pages(settings);
        behind_a_proxy(settings);
    })
}

#[test]
fn an_administrator_registers_an_app_and_gets_what_its_proxy_needs() {
    let server = server();
    let root = server.admin("root");
    let person = server.signed_in_person("root");
    let form = person.open(PAGE);
    for label in ["Name", "URL", "Who may enter", "Proxy", "Where the proxy finds the app"] {
        form.says(200, &format!(">{label}</label>"));
    }
    form.says(200, "<option value=\"admins\" selected>Administrators</option>");
    form.says(200, "Registration is open: “everyone” is anybody");

    let path = "/admin/apps/1?proxy=caddy&upstream=127.0.0.1:3000";
    send(&person, &[]).leads_to(path);

    let app = root.get("/apps/1").json();
    assert_eq!((&app["name"], &app["url"], &app["access"]), (&json!("Notes & more"), &json!(NOTES), &json!("admins")));
    let page = person.open(path);
    page.says(200, "<h1><bdi>Notes &#38; more</bdi></h1>")
        .says(200, "<dd>administrators</dd>")
        .says(200, "If this stays, the app is not protected");
    page.says(200, &format!("<a href=\"{NOTES}/_usher/test\">")).says(200, "<strong>Caddy</strong>");
    page.says(200, "<a href=\"/admin/apps/1?proxy=nginx&#38;upstream=127.0.0.1:3000\">nginx</a>");
    assert!(page.body.contains("<pre><code>notes.example.test {\n"), "{page:?}");
    assert!(page.body.contains("notes.example.test") && page.body.contains("127.0.0.1:3000"), "{page:?}");
    assert!(!page.body.contains("example.com") && !page.body.contains("This file is for https"), "{page:?}");
}

#[test]
fn the_page_of_an_app_says_when_its_proxy_asked_and_from_where() {
    let server = server();
    server.admin("root");
    let person = server.signed_in_person("root");
    send(&person, &[]);
    Visitor::new(&server).verify(NOTES, "GET", "/", &NAVIGATION);
    server.flush();
    person
        .open("/admin/apps/1")
        .says(200, "<dd><time datetime=\"2026-11-22T10:00:00Z\">2026-11-22 10:00 UTC</time>, from 127.0.0.1</dd>");
}

#[test]
fn all_that_is_wrong_is_told_at_its_field() {
    let server = server();
    server.admin("root");
    let person = server.signed_in_person("root");
    let page = send(&person, &[("name", ""), ("url", "notes"), ("upstream", "3000; evil")]);
    page.says(400, "role=\"alert\"").says(400, "Nothing was saved. Correct what is marked.");
    assert!(["name", "url", "upstream"].iter().all(|field| page.fault(field).is_some()), "{page:?}");
    assert_eq!((page.value("url"), page.value("upstream")), ("notes", "3000; evil"));
    page.says(400, "<option value=\"caddy\" selected>");
    assert!(!page.body.contains("password"), "{page:?}");

    send(&person, &[("url", "http://notes.example.test")]).says(400, "URL must begin with https://");
    send(&person, &[("access", "nobody")]).says(400, "Choose again.");
    let with_slash = send(&person, &[("url", "https://notes.example.test/")]);
    with_slash.leads_to("/admin/apps/1?proxy=caddy&upstream=127.0.0.1:3000");
    send(&person, &[]).says(409, "URL has the host of another app or of this server");
    send(&person, &[("url", "https://auth.example.test:8443")]).says(409, "URL has the host of another app");
}

#[test]
fn groups_can_be_let_in() {
    let server = server();
    let root = server.admin("root");
    for name in ["Family", "friends"] {
        root.post("/groups", json!({"name": name})).is(201, "");
    }
    let person = server.signed_in_person("root");
    person.open(PAGE).says(200, "name=\"group-Family\" value=\"yes\"> Family</label>");
    let send = |boxes: &[&str]| {
        let mut fields = FIELDS.to_vec();
        fields[2] = ("access", "groups");
        fields.extend(boxes.iter().map(|name| (*name, "yes")));
        person.submit(PAGE, &fields)
    };
    send(&[]).says(400, "Choose a group, or let others in.");
    send(&["group-gone"]).says(400, "Choose a group, or let others in.");
    let again = send(&["group-Family", "group-gone"]);
    again.says(400, "One of the groups is no longer there.").says(400, "name=\"group-Family\" value=\"yes\" checked>");
    send(&["group-Family", "group-friends"]).leads_to("/admin/apps/1?proxy=caddy&upstream=127.0.0.1:3000");
    person.open("/admin/apps/1").says(200, "<dd>members of Family, friends</dd>");
    assert_eq!(root.get("/apps/1").json()["groups"], json!(["Family", "friends"]));
}

#[test]
fn what_an_upstream_holds_means_nothing_to_a_proxy() {
    let server = server();
    server.admin("root");
    let person = server.signed_in_person("root");
    send(&person, &[]);
    for evil in [
        "a:1;%20return%20200",
        "a:1%0a}",
        "%7B$x%7D:1",
        "a:1%22",
        "a%20b:1",
        "a:0",
        "a",
        "a:99999",
        "unix:/x;%20%7D:1",
        "a/%0A%7B:1",
        "a%3F;:1",
        "a%23;:1",
        "a/:1",
        "a%5C:1",
        "a$x:1",
    ] {
        let page = person.open(&format!("/admin/apps/1?proxy=nginx&upstream={evil}"));
        page.says(200, "127.0.0.1:3000");
        assert!(!page.body.contains("return 200"), "{evil}");
    }
    let foreign = [("sec-fetch-site", "cross-site")];
    let led = person.send("GET", "/admin/apps/1?upstream=evil.example:80", &foreign, None);
    led.says(200, "127.0.0.1:3000");
    assert!(!led.body.contains("evil"), "a link of another site chose it");
    person.open("/admin/apps/1?upstream=http://app.internal:80/").says(200, "app.internal:80");
    for fine in ["localhost:8080", "[::1]:80", "notes:3000", "10.0.0.7:65535"] {
        person.open(&format!("/admin/apps/1?upstream={fine}")).says(200, fine);
    }
}

#[test]
fn an_app_where_the_examples_are_not_for_is_pointed_out() {
    let server = server();
    server.admin("root");
    let person = server.signed_in_person("root");
    send(&person, &[("url", "https://notes.example.test:8443")]);
    person.open("/admin/apps/1").says(200, "This file is for https on the usual port.");
}

#[test]
fn others_than_administrators_see_and_change_nothing() {
    let server = server();
    server.admin("root");
    server.user("ada");
    send(&server.signed_in_person("root"), &[]);
    let ada = server.signed_in_person("ada");
    for path in [PAGE, "/admin/apps/1"] {
        ada.open(path).says(403, "You may not do this");
        server.person().open(path).leads_to(&format!("/sign-in?to={}", path.replace('/', "%2F")));
    }
    send(&ada, &[("url", MUSIC)]).says(403, "You may not do this");
    send(&server.person(), &[("url", MUSIC)]).leads_to("/sign-in");
    server.signed_in_person("root").open("/admin/apps/2").says(404, "There is no such app.");
    server.signed_in_person("root").open("/admin/apps/x").says(404, "There is no such app.");
    assert_eq!(server.query::<i64>("SELECT count(*) FROM apps"), 1);
}

#[test]
fn the_first_page_shows_the_apps_that_one_may_enter() {
    let server = server();
    let root = server.admin("root");
    let ada = server.user("ada");
    server.signed_in_person("ada").open("/").says(200, "There is no app that you may enter yet.");
    server.add_app("Zebra <b>", NOTES, "everyone");
    server.add_app("Admins only", MUSIC, "admins");
    server.add_app("Ours", "https://auth.example.test:8443", "everyone");
    let group = root.post("/groups", json!({"name": "family"})).json()["id"].as_i64().unwrap();
    let family =
        json!({"name": "Album", "url": "https://album.example.test", "access": "groups", "groups": ["family"]});
    root.post("/apps", family).is(201, "");

    let names = |person: &Person| -> Vec<String> {
        let page = person.open("/");
        let tiles = page.body.split("<li>").skip(1).filter_map(|tile| tile.split_once("<strong>"));
        tiles.filter_map(|(_, name)| name.split_once("</strong>")).map(|(name, _)| name.to_owned()).collect()
    };
    let person = server.signed_in_person("ada");
    assert_eq!(names(&person), ["Zebra &#60;b&#62;"]);
    person.open("/").says(200, &format!("<a href=\"{NOTES}/\">"));
    assert!(!person.open("/").body.contains(PAGE));
    root.put(&format!("/groups/{group}/members/{}", ada.id), json!({})).is(204, "");
    assert_eq!(names(&person), ["Album", "Zebra &#60;b&#62;"]);
    server.damage_apps("url = 'x' WHERE name = 'Album'");
    assert_eq!(names(&person), ["Zebra &#60;b&#62;"], "one that can't be read hides no other");
    let admin = server.signed_in_person("root");
    assert_eq!(names(&admin), ["Admins only", "Zebra &#60;b&#62;"]);
    admin.open("/").says(200, &format!("<a href=\"{PAGE}\">Protect an app</a>"));
}
