//! What a sign-in takes, and what it tells about accounts: nothing.

use crate::support::{PASSWORD, Server, hostile::CANARY, probes::Probes};
use serde_json::json;

#[test]
fn a_sign_in_with_anything_but_two_strings_is_a_fault_of_form() {
    let server = Server::start();
    for (body, faulty) in [
        (json!({}), vec!["email", "password"]),
        (json!({"email": null, "password": null}), vec!["email", "password"]),
        (json!({"email": 1, "password": true}), vec!["email", "password"]),
        (json!({"email": {"$gt": ""}, "password": {"$gt": ""}}), vec!["email", "password"]),
        (json!({"email": ["a@example.com"], "password": [CANARY]}), vec!["email", "password"]),
        (json!({"email": "a@example.com", "password": CANARY, "username": "a"}), vec!["username"]),
        (json!({"email": 1, "passwort": "x"}), vec!["email", "password", "passwort"]),
    ] {
        let answer = server.anon().post("/auth/login", body.clone());
        assert_eq!(answer.faulty(), faulty, "{body}");
    }
}

#[test]
fn a_sign_in_with_any_two_strings_is_simply_wrong() {
    let server = Server::start();
    server.user("ada");
    let hashes = server.app.hashes();
    let before = server.rows();
    let mut bodies = Vec::new();
    for (email, password) in [
        ("", ""),
        ("ada@example.com", ""),
        ("ada@example.com", "correct horse battery "),
        ("ada@example.com", "Correct horse battery"),
        ("ada@example.com", "correct horse battery\0"),
        (" ada@example.com", PASSWORD),
        ("ada@example.com ", PASSWORD),
        ("ada@example.com\0", PASSWORD),
        ("ada@example.com\n", PASSWORD),
        ("ada@example.com.", PASSWORD),
        ("a\u{200b}da@example.com", PASSWORD),
        ("%", PASSWORD),
        ("' OR 1=1 --", PASSWORD),
        ("ada", PASSWORD),
        ("a\u{430}da@example.com", PASSWORD),
    ] {
        let answer = server.anon().login(email, password);
        answer.is(401, "invalid_credentials");
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{email:?}");
        bodies.push(answer.body);
    }
    let long = server.anon().login("ada@example.com", &"p".repeat(257));
    long.is(401, "invalid_credentials");
    bodies.push(long.body);
    let longest = server.anon().login(&"a".repeat(60_000), PASSWORD);
    longest.is(401, "invalid_credentials");
    bodies.push(longest.body);

    assert!(bodies.iter().all(|body| *body == bodies[0]), "told apart");
    assert_eq!(server.rows(), before);
    // The one with a NUL and the one that is too long can be no account's.
    assert_eq!(server.app.hashes() - hashes, bodies.len() as u64 - 2);
    assert_eq!(server.anon().login("ADA@EXAMPLE.COM", PASSWORD).status, 200);
}
