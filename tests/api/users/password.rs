//! Changing a password, and what needs one: the sensitive changes of an account.

use super::with;
use crate::support::{Client, PASSWORD, Server, probes::Probes};
use serde_json::json;
use std::time::Duration;

#[test]
fn change_ends_other_sessions() {
    let server = Server::start();
    let (here, there) = (server.user("ada"), server.sign_in("ada"));

    assert_eq!(here.put(&here.me(), json!({"password": "another horse battery"})).status, 200);

    assert_eq!(here.get("/auth/me").status, 200);
    there.get("/auth/me").is(401, "invalid_token");
    server.anon().login("ada@example.com", PASSWORD).is(401, "invalid_credentials");
    assert_eq!(server.anon().login("ada@example.com", "another horse battery").status, 200);
}

#[test]
fn change_by_an_administrator_ends_all_sessions() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    assert_eq!(root.put(&ada.me(), json!({"password": "another horse battery"})).status, 200);
    ada.get("/auth/me").is(401, "invalid_token");
    assert_eq!(root.get("/auth/me").status, 200);
}

#[test]
fn change_voids_reset_tokens() {
    let server = Server::start();
    let ada = server.user("ada");
    server.add_reset(ada.id);
    ada.put(&ada.me(), json!({"password": "another horse battery"}));
    assert_eq!(server.reset_count(), 0);
}

#[test]
fn new_password_is_not_the_new_username() {
    let server = Server::start();
    let ada = server.user("ada.lovelace");
    assert_eq!(ada.put(&ada.me(), json!({"password": "Ada.Lovelace"})).faulty(), ["password"]);
    assert_eq!(ada.put(&ada.me(), json!({"username": "countess", "password": "COUNTESS"})).faulty(), ["password"]);
    let answer = ada.put(&ada.me(), json!({"username": "countess", "password": "ada.lovelace"}));
    assert_eq!(answer.status, 200, "the old name is a password like any other");
}

#[test]
fn change_of_password_or_email_needs_a_fresh_sign_in_or_the_current_password() {
    let server = Server::start();
    let ada = server.user("ada");
    server.clock.advance(Duration::from_secs(15 * 60 + 1));
    let wanted = [json!({"password": "another horse battery"}), json!({"email": "ada@example.org"})];

    for body in &wanted {
        ada.put(&ada.me(), body.clone()).is(403, "reauthentication_required");
        let wrong = with(body.clone(), "current_password", json!("wrong horse battery"));
        ada.put(&ada.me(), wrong).is(403, "reauthentication_required");
    }
    assert_eq!(ada.put(&ada.me(), json!({"username": "ada2"})).status, 200, "a name does not need it");
    assert_eq!(ada.put(&ada.me(), json!({"email": "ada@example.com"})).status, 200, "nor the same address");
    for body in &wanted {
        let right = with(body.clone(), "current_password", json!(PASSWORD));
        let changed = ada.put(&ada.me(), right);
        assert_eq!(changed.status, 200, "{changed:?}");
        server.anon().login("ada@example.org", PASSWORD);
        if body.get("password").is_some() {
            ada.put(&ada.me(), json!({"password": PASSWORD, "current_password": "another horse battery"}));
        }
    }
}

#[test]
fn wrong_current_password_is_a_failed_sign_in() {
    let server = Server::start();
    let ada = server.user("ada");
    let body = json!({"password": "another horse battery", "current_password": "wrong horse battery"});
    ada.put(&ada.me(), body).is(403, "reauthentication_required");
    server.flush();
    let failed = server.audit_count_of("session.sign_in_failed");
    assert_eq!(failed, 1, "a wrong one counts as a failed sign-in");
}

#[test]
fn reauthentication_can_be_off_and_is_not_asked_about_others() {
    let server = Server::with(|settings| settings.policy.reauthenticate_after = Duration::ZERO);
    let (root, ada) = (server.admin("root"), server.user("ada"));
    server.clock.advance(Duration::from_hours(24));
    assert_eq!(ada.put(&ada.me(), json!({"email": "ada@example.org"})).status, 200);

    let server = server.restart(|_| {});
    let root = Client::new(server.address, root.token, root.id);
    assert_eq!(root.put(&ada.me(), json!({"password": "another horse battery"})).status, 200);
    root.put(&root.me(), json!({"password": "another horse battery"})).is(403, "reauthentication_required");
}
