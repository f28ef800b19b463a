//! Reading an account.

use super::new_user;
use crate::support::Server;
use serde_json::json;

const FIELDS: [&str; 11] = [
    "id",
    "username",
    "email",
    "email_verified",
    "display_name",
    "role",
    "disabled",
    "created_at",
    "updated_at",
    "last_login_at",
    "groups",
];

#[test]
fn owner_and_administrators_see_an_account() {
    let server = Server::start();
    let (root, ada, bob) = (server.admin("root"), server.user("ada"), server.user("bob"));

    for reader in [&ada, &root] {
        let answer = reader.get(&ada.me());
        assert_eq!(answer.status, 200);
        let body = answer.json();
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), FIELDS);
        assert_eq!(answer.header("etag"), format!("\"{}.1\"", ada.id));
    }
    bob.get(&ada.me()).is(404, "user_not_found");
    server.anon().get(&ada.me()).is(401, "authentication_required");
}

#[test]
fn sign_in_is_not_a_change() {
    let server = Server::start();
    let ada = server.user("ada");
    let answer = ada.get(&ada.me());
    assert_eq!(answer.header("etag"), format!("\"{}.1\"", ada.id));
    assert_eq!(answer.json()["last_login_at"], "2026-11-22T10:00:00Z");
}

#[test]
fn no_answer_holds_a_password_or_a_hash() {
    let server = Server::start();
    let ada = server.user("ada");
    let answers = [
        server.anon().post("/users", new_user("bob")),
        ada.get(&ada.me()),
        ada.get("/auth/me"),
        ada.put(&ada.me(), json!({"password": "another horse battery"})),
        server.anon().login("ada@example.com", "another horse battery"),
    ];
    for answer in answers {
        let text = String::from_utf8(answer.body).unwrap();
        assert!(!text.contains("argon2") && !text.contains("horse"), "{text}");
    }
}
