//! Registering.

use super::{new_user, with};
use crate::support::{PASSWORD, Server, probes::Probes};
use serde_json::{Value, json};

#[test]
fn answers_with_account_place_and_revision() {
    let server = Server::start();

    let made = server.anon().post("/users", new_user("Ada"));

    assert_eq!(made.status, 201);
    assert_eq!((made.header("location"), made.header("etag")), ("/api/v1/users/1", "\"1.1\""));
    assert_eq!(
        made.json(),
        json!({
            "id": 1, "username": "Ada", "email": "Ada@example.com", "email_verified": false,
            "display_name": null, "role": "user",
            "disabled": false, "created_at": "2026-11-22T10:00:00Z", "updated_at": "2026-11-22T10:00:00Z",
            "last_login_at": null, "groups": []
        })
    );
}

#[test]
fn all_faulty_fields_are_reported_at_once() {
    let server = Server::start();
    let body = json!({"username": "-", "email": "nobody", "password": "short", "nickname": "x", "a b": 1});
    let refused = server.anon().post("/users", body);
    assert_eq!(refused.faulty(), ["(unknown)", "email", "nickname", "password", "username"]);
    assert_eq!(refused.json()["error"]["message"], "5 fields are invalid");
    assert_eq!(server.anon().post("/users", json!({})).faulty(), ["email", "password", "username"]);
    assert_eq!(server.user_count(), 0);
}

#[test]
fn a_field_of_the_wrong_type_or_null_is_refused_by_name() {
    let server = Server::start();
    for value in [json!(null), json!(1), json!(true), json!([]), json!({})] {
        for field in ["username", "email", "password"] {
            let refused = server.anon().post("/users", with(new_user("ada"), field, value.clone()));
            assert_eq!(refused.faulty(), [field], "{value}");
        }
    }
}

#[test]
fn a_field_that_comes_twice_is_refused_by_name() {
    let server = Server::start();
    let body =
        br#"{"username":"ada","email":"ada@example.com","email":"eve@example.com","password":"correct horse battery"}"#;
    let refused = server.anon().send("POST", "/users", &[("content-type", "application/json")], Some(body));
    assert_eq!(refused.faulty(), ["email"]);
}

#[test]
fn common_password_or_own_name_is_refused() {
    let server = Server::start();
    for password in ["Password1", "12345678", "ada.lovelace", "ADA.LOVELACE@example.com"] {
        let body = with(new_user("ada.lovelace"), "password", json!(password));
        assert_eq!(server.anon().post("/users", body).faulty(), ["password"], "{password}");
    }
    let lax = Server::with(|settings| settings.policy.passwords.blocklist = None);
    assert_eq!(lax.anon().post("/users", with(new_user("ada"), "password", json!("password"))).status, 201);
}

#[test]
fn password_is_counted_in_code_points_and_never_trimmed() {
    let server = Server::start();
    let register = |name: &str, password: &str| {
        server.anon().post("/users", with(new_user(name), "password", json!(password))).status
    };
    assert_eq!(register("a", &"é".repeat(7)), 400);
    assert_eq!(register("b", &"é".repeat(256)), 201);
    assert_eq!(register("c", &"é".repeat(257)), 400);
    assert_eq!(register("d", "nul\u{0}nul\u{0}nul"), 400);
    assert_eq!(register("e", "  two spaces  "), 201);
    server.anon().login("e@example.com", "two spaces").is(401, "invalid_credentials");
    assert_eq!(server.anon().login("e@example.com", "  two spaces  ").status, 200);
    assert_eq!(server.anon().login("b@example.com", &"é".repeat(256)).status, 200);
}

#[test]
fn usernames_and_emails_are_unique_without_regard_to_case() {
    let server = Server::start();
    assert_eq!(server.anon().post("/users", new_user("Ada")).status, 201);
    let taken = |body: Value, code: &str| {
        server.anon().post("/users", body).is(409, code);
    };
    taken(json!({"username": "aDA", "email": "other@example.com", "password": PASSWORD}), "username_taken");
    taken(json!({"username": "other", "email": "ADA@EXAMPLE.COM", "password": PASSWORD}), "email_taken");
    taken(json!({"username": "ada", "email": "ada@example.com", "password": PASSWORD}), "username_taken");
}

#[test]
fn username_is_reported_taken_before_email() {
    let server = Server::start();
    let (_ada, _bob, cy) = (server.user("ada"), server.user("bob"), server.user("cy"));
    let both = json!({"username": "ADA", "email": "BOB@example.com", "password": PASSWORD});
    server.anon().post("/users", both).is(409, "username_taken");
    cy.put(&cy.me(), json!({"username": "ada", "email": "bob@example.com"})).is(409, "username_taken");
    cy.put(&cy.me(), json!({"email": "bob@example.com"})).is(409, "email_taken");
}
