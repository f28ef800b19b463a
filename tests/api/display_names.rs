//! Display names: what people are called, on the account and in what a proxy is told.

use crate::support::{Server, probes::Probes};
use serde_json::{Value, json};

#[test]
fn owners_and_administrators_choose_a_display_name_and_an_empty_one_removes_it() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("Ada"));
    let name = |answer: crate::support::Answer| answer.is(200, "").json()["display_name"].clone();
    assert_eq!(name(ada.get("/auth/me")), Value::Null);

    assert_eq!(name(ada.put(&ada.me(), json!({"display_name": "Ada Lovelace"}))), "Ada Lovelace");
    assert_eq!(name(ada.get("/auth/me")), "Ada Lovelace");
    assert_eq!(name(root.get(&ada.me())), "Ada Lovelace");
    assert_eq!(root.get("/users").json()["users"][1]["display_name"], "Ada Lovelace");
    assert_eq!(
        server.anon().login("ada@example.com", crate::support::PASSWORD).json()["user"]["display_name"],
        "Ada Lovelace"
    );
    assert_eq!(name(root.put(&ada.me(), json!({"display_name": "山田"}))), "山田");
    assert_eq!(name(root.put(&ada.me(), json!({"username": "ada2"}))), "山田", "what is not given stays");
    assert_eq!(server.audit_count_about("user.updated", ada.id), 3);

    assert_eq!(name(ada.put(&ada.me(), json!({"display_name": ""}))), Value::Null);
    assert_eq!(server.audit_count_about("user.updated", ada.id), 4);
    let tag = ada.get(&ada.me()).header("etag").to_owned();
    assert_eq!(name(ada.put(&ada.me(), json!({"display_name": ""}))), Value::Null);
    assert_eq!(ada.get(&ada.me()).header("etag"), tag, "nothing has changed");
    server.user("eve").put(&ada.me(), json!({"display_name": "Eve"})).is(404, "user_not_found");
}

#[test]
fn a_display_name_that_could_deceive_or_break_out_is_refused() {
    let server = Server::start();
    let ada = server.user("ada");
    let before = server.rows();
    let long = "a".repeat(101);
    for name in [
        " ",
        " Ada",
        "Ada ",
        "\u{a0}",
        "\u{200b}",
        "A\u{202e}da",
        "A\u{2066}da",
        "Ada\u{2028}Admin",
        "Ada\r\nRemote-Role: admin",
        "A\0da",
        "A\u{1b}[2Jda",
        &long,
    ] {
        assert_eq!(ada.put(&ada.me(), json!({"display_name": name})).faulty(), ["display_name"], "{name:?}");
    }
    for value in [Value::Null, json!(7), json!(true), json!(["Ada"]), json!({})] {
        assert_eq!(ada.put(&ada.me(), json!({"display_name": value})).faulty(), ["display_name"], "{value}");
    }
    let registration = json!({"username": "bob", "email": "bob@example.com", "password": crate::support::PASSWORD, "display_name": "Bob"});
    assert_eq!(server.anon().post("/users", registration).faulty(), ["display_name"]);
    assert_eq!(server.rows(), before);
}

#[test]
fn a_display_name_is_stored_as_it_looks_and_reaches_apps_in_utf_8() {
    let server = Server::start();
    let ada = server.user("Ada");
    let told = || String::from_utf8(ada.get("/auth/verify").headers["remote-name"].as_bytes().to_vec()).unwrap();
    assert_eq!(told(), "Ada", "without one: the username as typed");

    ada.put(&ada.me(), json!({"display_name": "Zoe\u{308} 👩\u{200d}💻"})).is(200, "");

    assert_eq!(ada.get("/auth/me").json()["display_name"], "Zo\u{eb} 👩\u{200d}💻");
    assert_eq!(told(), "Zo\u{eb} 👩\u{200d}💻");
    ada.put(&ada.me(), json!({"display_name": "é".repeat(100)})).is(200, "");
    assert_eq!(told(), "é".repeat(100));
}
