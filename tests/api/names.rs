//! Usernames and e-mail addresses: which are accepted, and which are the same.

use crate::support::{PASSWORD, Server, probes::Probes};
use serde_json::json;

#[test]
fn names_that_only_look_different_or_alike_do_not_get_by() {
    let server = Server::start();
    server.user("kim");
    server.user("ilse");
    let before = server.rows();
    let try_name = |name: &str, email: &str| {
        server.anon().post("/users", json!({"username": name, "email": email, "password": PASSWORD}))
    };

    for name in ["KIM", "Kim", "kIM"] {
        try_name(name, "new@example.com").is(409, "username_taken");
    }
    for email in ["KIM@example.com", "kim@EXAMPLE.COM", "Kim@Example.Com"] {
        try_name("new", email).is(409, "email_taken");
    }
    try_name("KIM", "ILSE@EXAMPLE.COM").is(409, "username_taken");

    let names = [
        "\u{212a}im",
        "k\u{131}m",
        "\u{130}lse",
        "k\u{456}m",
        "kim\u{200b}",
        "k\u{200d}im",
        "\u{202e}mik",
        "kim\u{feff}",
        "\u{ff4b}im",
        "kim\u{301}",
        "kim\u{ad}",
        " kim",
        "kim ",
        "\tkim",
        "kim\u{a0}",
        "",
        " ",
        ".",
        "..",
        "-",
        "_",
        "a b",
        "a/b",
        "a@b",
        "a:b",
        "a%41",
        "<b>",
    ];
    for name in names {
        let answer = try_name(name, "new@example.com");
        assert_eq!(answer.faulty(), ["username"], "{name:?}");
    }
    let (long, longer) = (format!("{}@example.com", "a".repeat(65)), format!("a@{}.com", "b".repeat(64)));
    let whole = format!("{}@{}.com", "a".repeat(64), ["b".repeat(62), "c".repeat(62), "d".repeat(62)].join("."));
    assert!(whole.len() > 254);
    let emails = [
        "\u{212a}im@example.com",
        "k\u{131}m@example.com",
        "kim@example\u{3002}com",
        "kim\u{200b}@example.com",
        "kim@ex\u{ad}ample.com",
        "\u{202e}kim@example.com",
        " kim@example.com",
        "kim@example.com ",
        "kim@example.com\u{a0}",
        "a@b@c",
        "a@",
        "@b",
        "a",
        "a@b..c",
        "a@-b.c",
        "a@b_c.d",
        "a@[127.0.0.1]",
        "\"a b\"@c.d",
        "a(b)@c.d",
        "Kim <kim@example.com>",
        "a@b,c@d",
        "a@\u{4f8b}.jp",
        &long,
        &longer,
        &whole,
    ];
    for email in emails {
        let answer = try_name("new", email);
        assert_eq!(answer.faulty(), ["email"], "{email:?}");
    }
    assert_eq!(server.rows(), before);
}

#[test]
fn a_name_at_its_longest_is_accepted() {
    let server = Server::start();
    let email = format!("{}@example.com", "a".repeat(64));
    let body = json!({"username": "u".repeat(64), "email": email, "password": "\u{1F600}".repeat(256)});

    let answer = server.anon().post("/users", body);

    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.json()["email"], email);
}

#[test]
fn changing_a_name_into_a_twin_is_refused() {
    let server = Server::start();
    server.user("kim");
    let ada = server.user("ada");
    let before = server.rows();

    ada.put(&ada.me(), json!({"username": "KIM"})).is(409, "username_taken");
    ada.put(&ada.me(), json!({"email": "KIM@EXAMPLE.COM"})).is(409, "email_taken");
    ada.put(&ada.me(), json!({"email": "kim@example.com", "username": "kim"})).is(409, "username_taken");
    ada.put(&ada.me(), json!({"role": "admin"})).is(403, "forbidden");
    ada.put(&ada.me(), json!({"disabled": false})).is(403, "forbidden");
    ada.put(&ada.me(), json!({"role": "root"})).is(400, "validation_failed");
    ada.put(&ada.me(), json!({"id": 1})).is(400, "validation_failed");
    ada.put(&ada.me(), json!({"email_verified": true})).is(400, "validation_failed");
    ada.put(&ada.me(), json!({"revision": 1})).is(400, "validation_failed");
    ada.put(&ada.me(), json!({"username": null})).is(400, "validation_failed");

    assert_eq!(server.rows(), before);
    assert_eq!(ada.put(&ada.me(), json!({"username": "ADA"})).json()["username"], "ADA");
}
