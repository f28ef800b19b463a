//! Apps behind a proxy: which can be registered, and who may do it.

use crate::support::{Client, Server, probes::Probes};
use serde_json::{Value, json};
use usher::domain::Origin;

fn server(public_url: Option<&str>) -> (Server, Client) {
    let public_url = public_url.map(|url| Origin::parse(url).unwrap());
    let server = Server::with(|settings| settings.policy.public_url = public_url);
    let root = server.admin("root");
    (server, root)
}

fn app(url: &str) -> Value {
    json!({"name": "Notes", "url": url, "access": "everyone"})
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

#[test]
fn an_app_is_registered_read_changed_listed_and_deleted() {
    let (server, root) = server(Some("https://auth.example.com"));
    for name in ["Zoo", "family"] {
        root.post("/groups", json!({"name": name})).is(201, "");
    }
    let new = json!({"name": "Notizen 📝", "url": "https://notes.example.org:8443", "access": "groups",
        "groups": ["zoo", "FAMILY", "family"]});

    let made = root.post("/apps", new);

    assert_eq!((made.status, made.header("location")), (201, "/api/v1/apps/1"));
    let expected = json!({"id": 1, "name": "Notizen 📝", "url": "https://notes.example.org:8443", "access": "groups",
        "groups": ["family", "Zoo"]});
    assert_eq!(made.json(), expected);
    assert_eq!(root.get("/apps/1").is(200, "").json(), expected);
    assert_eq!(root.put("/apps/1", json!({})).is(200, "").json(), expected);
    assert_eq!(root.put("/apps/1", json!({"name": "Notes", "groups": ["Zoo"]})).json()["groups"], json!(["Zoo"]));
    let changed =
        root.put("/apps/1", json!({"access": "admins", "url": "https://notes.example.org"})).is(200, "").json();
    assert_eq!((&changed["access"], &changed["groups"]), (&"admins".into(), &json!([])));
    assert_eq!((&changed["name"], &changed["url"]), (&"Notes".into(), &"https://notes.example.org".into()));
    root.post("/apps", app("https://wiki.example.org")).is(201, "");
    let listed = root.get("/apps").is(200, "").json();
    assert_eq!(
        (&listed["apps"][0], &listed["apps"][1]["id"], &listed["next_cursor"]),
        (&changed, &json!(2), &Value::Null)
    );
    let page = root.get("/apps?limit=1").json();
    let rest = root.get(&format!("/apps?limit=1&cursor={}", page["next_cursor"].as_str().unwrap())).json();
    assert_eq!(
        (&page["apps"][0]["id"], &rest["apps"][0]["id"], &rest["next_cursor"]),
        (&json!(1), &json!(2), &Value::Null)
    );
    root.get("/apps?cursor=eA").is(400, "validation_failed");
    root.delete("/apps/1").is(204, "");
    root.delete("/apps/1").is(404, "app_not_found");
    assert_eq!(root.post("/apps", app("https://notes.example.org")).json()["id"], 3, "an id is never used again");
    assert_eq!(["created", "changed", "deleted"].map(|what| server.audit_count_of(&format!("app.{what}"))), [3, 2, 1]);
}

#[test]
fn each_host_belongs_to_one_app_whatever_the_port_and_none_has_the_servers() {
    let (server, root) = server(Some("https://auth.example.com:444"));
    root.post("/apps", app("https://notes.example.com")).is(201, "");
    root.post("/apps", app("https://wiki.example.com")).is(201, "");
    let before = server.rows();
    for url in [
        "https://notes.example.com",
        "https://notes.example.com:8443",
        "https://auth.example.com",
        "https://auth.example.com:444",
        "https://auth.example.com:8443",
    ] {
        root.post("/apps", app(url)).is(409, "host_taken");
        root.put("/apps/2", json!({"url": url})).is(409, "host_taken");
    }
    for url in ["http://other.example.com", "http://notes.example.com", "http://auth.example.com"] {
        assert_eq!(root.post("/apps", app(url)).faulty(), ["url"], "{url}");
        assert_eq!(root.put("/apps/2", json!({"url": url})).faulty(), ["url"], "{url}");
    }
    assert_eq!(server.rows(), before);
    root.put("/apps/1", json!({"url": "https://notes.example.com:8443"})).is(200, "");
    root.post("/apps", app("https://sub.auth.example.com")).is(201, "");
    root.post("/apps", app("https://example.com")).is(201, "");
}

#[test]
fn without_a_public_url_any_origin_will_do() {
    let (_server, root) = server(None);
    for url in ["http://notes.example.com", "https://wiki.example.com", "http://[::1]:3000", "http://127.0.0.1:3000"] {
        root.post("/apps", app(url)).is(201, "");
    }
    root.post("/apps", app("http://[::1]")).is(409, "host_taken");
}

#[test]
fn groups_are_named_where_they_decide_and_nowhere_else() {
    let (server, root) = server(None);
    root.post("/groups", json!({"name": "family"})).is(201, "");
    let new =
        |access: &str, groups: Value| with(with(app("http://a.example"), "access", access.into()), "groups", groups);
    let before = server.rows();
    for body in [
        new("groups", json!([])),
        with(app("http://a.example"), "access", "groups".into()),
        new("groups", json!(["strangers"])),
        new("groups", json!(["family", "strangers"])),
        new("groups", json!(["two words"])),
        new("groups", json!([""])),
        new("groups", json!([1])),
        new("groups", json!("family")),
        new("groups", Value::Null),
        new("groups", json!(vec!["family"; 101])),
        new("everyone", json!(["family"])),
        new("admins", json!(["family"])),
    ] {
        assert_eq!(root.post("/apps", body.clone()).faulty(), ["groups"], "{body}");
    }
    assert_eq!(server.rows(), before);
    root.post("/apps", new("admins", json!([]))).is(201, "");
    for body in [json!({"groups": ["family"]}), json!({"access": "groups"}), json!({"access": "groups", "groups": []})]
    {
        assert_eq!(root.put("/apps/1", body.clone()).faulty(), ["groups"], "{body}");
    }
    root.put("/apps/1", json!({"access": "groups", "groups": ["family"]})).is(200, "");
    assert_eq!(root.put("/apps/1", json!({"groups": []})).faulty(), ["groups"]);
    assert_eq!(root.put("/apps/1", json!({"access": "everyone", "groups": ["family"]})).faulty(), ["groups"]);
}

#[test]
fn a_group_in_use_stays_until_the_app_lets_go_of_it() {
    let (_server, root) = server(None);
    for name in ["family", "friends"] {
        root.post("/groups", json!({"name": name})).is(201, "");
    }
    let new = with(app("http://a.example"), "access", "groups".into());
    root.post("/apps", with(new, "groups", json!(["family"]))).is(201, "");

    root.delete("/groups/1").is(409, "group_in_use");
    root.put("/groups/1", json!({"name": "kin"})).is(200, "");
    assert_eq!(root.get("/apps/1").json()["groups"], json!(["kin"]));
    root.put("/apps/1", json!({"groups": ["friends"]})).is(200, "");
    root.delete("/groups/1").is(204, "");
    root.delete("/groups/2").is(409, "group_in_use");
    root.delete("/apps/1").is(204, "");
    root.delete("/groups/2").is(204, "");
}

#[test]
fn with_another_url_codes_that_lead_to_the_old_one_are_gone() {
    let (server, root) = server(None);
    root.post("/apps", app("https://notes.example.com")).is(201, "");
    server.add_what_browsers_leave(root.id);
    root.put("/apps/1", json!({"name": "Ours", "url": "https://notes.example.com"})).is(200, "");
    assert_eq!(server.code_counts()[0], 1, "the same URL takes nothing back");

    root.put("/apps/1", json!({"url": "https://moved.example.com"})).is(200, "");

    assert_eq!(server.code_counts()[0], 0);
}

#[test]
fn hostile_fields_and_ids_are_refused() {
    let (server, root) = server(None);
    root.post("/apps", app("http://a.example")).is(201, "");
    let before = server.rows();
    for url in [
        "",
        "a.example",
        "http://a.example/",
        "http://a.example/path",
        "HTTP://B.example",
        "http://b.example:80",
        "ftp://b.example",
        "javascript:alert(1)",
        "http://user@b.example",
        "http://b.example\r\nSet-Cookie: x=y",
        "http://b\u{202e}.example",
        "http://bücher.example",
        "http://*.example",
        "null",
        "*",
    ] {
        assert_eq!(root.post("/apps", app(url)).faulty(), ["url"], "{url:?}");
    }
    let long = "a".repeat(101);
    for name in ["", " ", " a", "a\0", "a\nb", "\u{202e}a", &long] {
        assert_eq!(
            root.post("/apps", with(app("http://b.example"), "name", name.into())).faulty(),
            ["name"],
            "{name:?}"
        );
    }
    for access in [json!("nobody"), json!("Everyone"), json!(""), json!(1), Value::Null] {
        assert_eq!(root.post("/apps", with(app("http://b.example"), "access", access)).faulty(), ["access"]);
    }
    assert_eq!(root.post("/apps", json!({"host": "x"})).faulty(), ["access", "host", "name", "url"]);
    for path in ["/apps/0", "/apps/01", "/apps/+1", "/apps/-1", "/apps/1e3", "/apps/99", "/apps/a.example"] {
        root.get(path).is(404, "app_not_found");
        root.put(path, json!({"name": "x"})).is(404, "app_not_found");
        root.delete(path).is(404, "app_not_found");
    }
    assert_eq!(server.rows(), before);
}

#[test]
fn an_app_that_can_not_be_read_is_an_error_and_can_be_deleted() {
    for damage in ["access = 'all'", "url = 'nowhere'", "host = 'b.example'", "name = 'two' || char(10) || 'lines'"] {
        let (server, root) = server(None);
        root.post("/apps", app("http://a.example")).is(201, "");
        server.damage_apps(damage);
        root.get("/apps/1").is(500, "internal_error");
        root.get("/apps").is(500, "internal_error");
        root.delete("/apps/1").is(204, "");
        root.get("/apps").is(200, "");
    }
}
