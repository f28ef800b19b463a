//! Changing an account.

use super::new_user;
use crate::support::{
    Client, PASSWORD, Server,
    hostile::{attack, refused, request},
};
use serde_json::json;
use std::time::Duration;

#[test]
fn what_is_not_given_stays() {
    let server = Server::start();
    let ada = server.user("ada");
    server.clock.advance(Duration::from_mins(1));

    let changed = ada.put(&ada.me(), json!({"username": "countess"}));

    assert_eq!(changed.status, 200);
    assert_eq!(changed.header("etag"), format!("\"{}.2\"", ada.id));
    let body = changed.json();
    assert_eq!((&body["username"], &body["email"]), (&json!("countess"), &json!("ada@example.com")));
    assert_eq!(
        (&body["created_at"], &body["updated_at"]),
        (&json!("2026-11-22T10:00:00Z"), &json!("2026-11-22T10:01:00Z"))
    );
    assert_eq!(server.anon().login("ada@example.com", PASSWORD).status, 200);
}

#[test]
fn changing_nothing_makes_no_new_revision() {
    let server = Server::start();
    let ada = server.user("ada");
    server.clock.advance(Duration::from_hours(1));
    for body in [json!({}), json!({"username": "ada", "email": "ada@example.com"})] {
        let answer = ada.put(&ada.me(), body);
        assert_eq!((answer.status, answer.header("etag")), (200, format!("\"{}.1\"", ada.id).as_str()));
        assert_eq!(answer.json()["updated_at"], "2026-11-22T10:00:00Z");
    }
}

#[test]
fn email_is_verified_only_when_somebody_else_set_it() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let verified = |client: &Client, path: &str| client.get(path).json()["email_verified"].clone();
    assert_eq!(verified(&root, &root.me()), true, "made at the shell");
    assert_eq!(verified(&ada, &ada.me()), false, "typed by its owner");
    assert_eq!(root.post("/users", new_user("bob")).json()["email_verified"], true, "made by an administrator");

    root.put(&ada.me(), json!({"email": "ada@example.org"}));
    assert_eq!(verified(&ada, &ada.me()), true);
    ada.put(&ada.me(), json!({"email": "ada@example.org", "username": "ada2"}));
    assert_eq!(verified(&ada, &ada.me()), true, "the same address is no change");
    ada.put(&ada.me(), json!({"email": "Ada@example.org"}));
    assert_eq!(verified(&ada, &ada.me()), false);
    root.put(&root.me(), json!({"email": "root@example.org"}));
    assert_eq!(verified(&root, &root.me()), false, "an administrator's own is like any owner's");
}

#[test]
fn role_and_disabled_are_for_administrators() {
    let server = Server::start();
    let (root, ada, bob) = (server.admin("root"), server.user("ada"), server.user("bob"));

    for body in
        [json!({"role": "user"}), json!({"role": "admin"}), json!({"disabled": false}), json!({"disabled": true})]
    {
        ada.put(&ada.me(), body.clone()).is(403, "forbidden");
        ada.put(&bob.me(), body).is(404, "user_not_found");
    }
    assert_eq!(root.put(&ada.me(), json!({"role": "admin"})).json()["role"], "admin");
    assert_eq!(ada.get(&bob.me()).status, 200, "the next request has the new role");
    assert_eq!(root.put(&ada.me(), json!({"role": "user"})).json()["role"], "user");
    ada.get(&bob.me()).is(404, "user_not_found");
}

#[test]
fn disabled_account_has_no_sessions_and_gets_none() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));

    assert_eq!(root.put(&ada.me(), json!({"disabled": true})).json()["disabled"], true);

    ada.get("/auth/me").is(401, "invalid_token");
    server.anon().login("ada@example.com", PASSWORD).is(401, "invalid_credentials");
    root.put(&ada.me(), json!({"disabled": false}));
    ada.get("/auth/me").is(401, "invalid_token");
    assert_eq!(server.anon().login("ada@example.com", PASSWORD).status, 200);
}

#[test]
fn last_enabled_administrator_stays() {
    let server = Server::start();
    let (root, other) = (server.admin("root"), server.admin("other"));
    root.put(&other.me(), json!({"disabled": true}));

    root.put(&root.me(), json!({"role": "user"})).is(409, "last_admin");
    root.put(&root.me(), json!({"disabled": true})).is(409, "last_admin");
    root.delete(&root.me()).is(409, "last_admin");

    root.put(&other.me(), json!({"disabled": false}));
    assert_eq!(root.delete(&root.me()).status, 204);
}

#[test]
fn faults_come_in_the_promised_order() {
    let server = Server::start();
    let (root, ada, _bob) = (server.admin("root"), server.user("ada"), server.user("bob"));
    let stale = Some("\"1.999\"");
    let nowhere = "/users/4711";

    server.anon().put_if(nowhere, stale, json!({"role": 1})).is(401, "authentication_required");
    ada.put_if(nowhere, stale, json!({"role": 1})).is(400, "validation_failed");
    ada.put_if(nowhere, stale, json!({"role": "admin"})).is(404, "user_not_found");
    ada.put_if(&ada.me(), stale, json!({"role": "admin", "username": "bob"})).is(403, "forbidden");
    ada.put_if(&ada.me(), stale, json!({"username": "bob"})).is(412, "precondition_failed");
    ada.put(&ada.me(), json!({"username": "bob"})).is(409, "username_taken");
    root.put_if(&root.me(), stale, json!({"role": "user"})).is(412, "precondition_failed");
    root.put(&root.me(), json!({"role": "user"})).is(409, "last_admin");
}

#[test]
fn if_match_admits_only_the_revision_it_names() {
    let server = Server::start();
    let ada = server.user("ada");
    let (tag, stale) = (format!("\"{}.1\"", ada.id), format!("\"{}.9\"", ada.id));
    let body = |name: &str| json!({"username": name});

    for refused in [stale.clone(), format!("W/{tag}"), "\"x\"".into(), format!("\"{}.1\"", ada.id + 1)] {
        ada.put_if(&ada.me(), Some(&refused), body("x")).is(412, "precondition_failed");
        ada.send("DELETE", &ada.me(), &[("if-match", &refused)], None).is(412, "precondition_failed");
    }
    let unquoted = ada.put_if(&ada.me(), Some(tag.trim_matches('"')), body("x"));
    let message = "If-Match is not the account's current ETag; read the account again, and send its ETag unchanged, with its quotes";
    assert_eq!((unquoted.status, &unquoted.json()["error"]["message"]), (412, &json!(message)));
    assert_eq!(ada.put_if(&ada.me(), Some(&tag), body("a")).status, 200);
    ada.put_if(&ada.me(), Some(&tag), body("b")).is(412, "precondition_failed");
    assert_eq!(ada.put_if(&ada.me(), Some("*"), body("c")).status, 200);
    let list = format!("{stale}, \"{}.3\"", ada.id);
    assert_eq!(ada.put_if(&ada.me(), Some(&list), body("d")).status, 200);
    let now = format!("\"{}.4\"", ada.id);
    assert_eq!(ada.send("DELETE", &ada.me(), &[("if-match", &now)], None).status, 204);
}

#[test]
fn if_match_of_foreign_tags_matches_nothing() {
    let server = Server::start();
    let ada = server.user("ada");
    let header = format!("Authorization: Bearer {}", ada.token.as_deref().expect("a token"));
    let mut attacks = Vec::new();
    for tag in [
        "",
        "\"\"",
        "W/\"1.1\"",
        "1.1",
        "\"1.1",
        "\"1\"",
        "\"1.2\"",
        "\"2.1\"",
        "\"-1.1\"",
        "\"1.1.1\"",
        "\"+1.1\"",
        "\"1.99999999999999999999\"",
        "\u{e9}",
        "Canary7Zq",
        "\"**\"",
        ",,",
    ] {
        let if_match = format!("If-Match: {tag}");
        for (line, body) in [("PUT /api/v1/users/1", r#"{"username": "Canary7Zq"}"#), ("DELETE /api/v1/users/1", "")] {
            let bytes = request(line, &[&header, &if_match, "Content-Type: application/json"], body);
            attacks.push(attack(format!("{line} with {if_match}"), bytes, 412, "precondition_failed"));
        }
    }

    refused(&server, attacks);
}
