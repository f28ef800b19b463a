//! What a reverse proxy is told about a caller. `proxies.rs` shows it behind real ones.

use crate::support::{Answer, Client, Server, probes::Probes};
use serde_json::json;
use std::time::Duration;

const HEADERS: [&str; 5] = ["remote-user", "remote-user-id", "remote-email", "remote-role", "remote-name"];

/// Asserts that the caller may pass, and returns user, id, e-mail address, role and name.
#[track_caller]
fn passes(answer: &Answer) -> [&str; 5] {
    assert_eq!((answer.status, answer.body.len()), (200, 0), "{answer:?}");
    assert_eq!(answer.headers.get_all("remote-groups").iter().count(), 1, "also where it is empty: {answer:?}");
    HEADERS.map(|name| {
        let values: Vec<_> = answer.headers.get_all(name).iter().collect();
        assert!(values.len() == 1 && !values[0].is_empty(), "{name}: {values:?}");
        answer.header(name)
    })
}

/// Asserts that the caller may not, and that nothing is told about them.
#[track_caller]
fn fails(answer: &Answer, status: u16, code: &str) {
    answer.is(status, code);
    assert!(HEADERS.iter().all(|name| answer.headers.get(*name).is_none()), "{answer:?}");
    assert!(answer.headers.get("remote-groups").is_none(), "{answer:?}");
}

fn verify(client: &Client) -> Answer {
    client.get("/auth/verify")
}

#[test]
fn callers_with_a_token_pass_with_their_username_id_address_role_and_name() {
    let server = Server::start();
    let (root, ada) = (server.admin("Root"), server.user("Ada.Lovelace"));
    let (root_id, ada_id) = (root.id.to_string(), ada.id.to_string());

    assert_eq!(passes(&verify(&root)), ["root", &root_id, "Root@example.com", "admin", "Root"]);
    assert_eq!(verify(&root).header("content-length"), "0");
    let unverified = format!("{ada_id}@unverified.invalid");
    assert_eq!(passes(&verify(&ada)), ["ada.lovelace", &ada_id, &unverified, "user", "Ada.Lovelace"]);

    root.put(&ada.me(), json!({"email": "ada@example.org"}));
    assert_eq!(passes(&verify(&ada))[2], "ada@example.org", "an administrator fixed it");
    ada.put(&ada.me(), json!({"email": "root@example.org"}));
    assert_eq!(passes(&verify(&ada))[2], unverified, "she typed it");
}

#[test]
fn what_changes_acts_on_the_next_question() {
    let server = Server::start();
    let (root, ada, bob) = (server.admin("root"), server.user("ada"), server.user("bob"));
    for client in [&root, &ada, &bob] {
        passes(&verify(client));
    }

    root.put(&ada.me(), json!({"username": "Countess", "role": "admin"}));
    assert_eq!(passes(&ada.get("/auth/verify?role=admin"))[0], "countess");
    root.put(&ada.me(), json!({"role": "user"}));
    fails(&ada.get("/auth/verify?role=admin"), 403, "forbidden");

    root.put(&ada.me(), json!({"disabled": true}));
    fails(&verify(&ada), 401, "invalid_token");
    root.delete(&bob.me());
    fails(&verify(&bob), 401, "invalid_token");
    root.send("POST", "/auth/logout", &[], None);
    fails(&verify(&root), 401, "invalid_token");
}

#[test]
fn without_a_valid_token_nobody_passes() {
    let server = Server::start();
    let answer = verify(&server.anon());
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    fails(&answer, 401, "authentication_required");
    fails(&server.anon().get("/auth/verify?role=nonsense"), 401, "authentication_required");

    let answer = verify(&server.anon().with_token("nonsense"));
    assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    fails(&answer, 401, "invalid_token");
}

#[test]
fn the_bare_token_will_do_and_a_token_elsewhere_will_not() {
    let server = Server::start();
    let token = server.user("ada").token.unwrap();
    let send = |path: &str, header: &str| server.anon().send("GET", path, &[(header, &token)], None);
    assert_eq!(passes(&send("/auth/verify", "authorization"))[0], "ada");
    fails(&send("/auth/verify", "x-forwarded-authorization"), 401, "authentication_required");
    fails(&server.anon().get(&format!("/auth/verify?token={token}")), 401, "authentication_required");
}

#[test]
fn administrators_hold_every_role_and_others_only_their_own() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    assert_eq!(passes(&root.get("/auth/verify?role=admin"))[3], "admin");
    assert_eq!(passes(&root.get("/auth/verify?role=user"))[3], "admin");
    assert_eq!(passes(&ada.get("/auth/verify?role=user"))[3], "user");
    fails(&ada.get("/auth/verify?role=admin"), 403, "forbidden");

    server.flush();
    assert_eq!(server.audit_count_by("access.denied", ada.id), 1);
}

#[test]
fn a_question_that_is_not_understood_lets_nobody_pass() {
    let server = Server::start();
    let root = server.admin("root");
    for query in ["role=", "role=root", "role=Admin", "role", "role=user&role=user", "role=user&role=admin", "role=%FF"]
    {
        let answer = root.get(&format!("/auth/verify?{query}"));
        assert_eq!(answer.faulty(), ["role"], "{query}");
        fails(&answer, 400, "validation_failed");
    }
    assert_eq!(root.get("/auth/verify?rd=x&role=admin").faulty(), ["rd"]);
    assert_eq!(root.get("/auth/verify?Role=admin").faulty(), ["Role"]);
    passes(&root.get("/auth/verify?"));
}

#[test]
fn head_answers_as_get_does_and_no_other_method_asks() {
    let server = Server::start();
    let ada = server.user("ada");
    assert_eq!(passes(&ada.send("HEAD", "/auth/verify", &[], None))[0], "ada");
    assert_eq!(server.anon().send("HEAD", "/auth/verify", &[], None).status, 401);
    assert_eq!(ada.send("HEAD", "/auth/verify?role=admin", &[], None).status, 403);
    let answer = ada.post("/auth/verify", json!({}));
    assert_eq!(answer.is(405, "method_not_allowed").header("allow"), "GET, HEAD");
}

#[test]
fn passing_is_use_of_the_session() {
    let server = Server::start();
    let ada = server.user("ada");
    for _ in 0..3 {
        server.clock.advance(Duration::from_hours(24 * 6));
        passes(&verify(&ada));
        server.flush();
    }
    let stored = server.last_used_at().as_millis();
    assert_eq!(stored - crate::support::START, 18 * 24 * 3_600_000);

    server.clock.advance(Duration::from_hours(24 * 7));
    fails(&verify(&ada), 401, "invalid_token");
}
