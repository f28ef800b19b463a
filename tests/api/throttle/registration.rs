//! Registrations.

use super::{from, let_through, server};
use crate::support::{PASSWORD, Server};
use serde_json::json;

#[test]
fn registrations_are_counted_by_address_and_what_validation_refuses_is_not() {
    let server = server();
    let register = |ip: &str, name: &str| {
        let body = json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD});
        from(&server.anon(), ip, "/users", &body)
    };
    for n in 0..100 {
        register("203.0.113.7", &format!("-{n}")).is(400, "validation_failed");
    }
    let attempt = |n| register("203.0.113.7", if n % 2 == 0 { "taken".into() } else { format!("user{n}") }.as_str());
    assert_eq!(let_through(attempt, 120), 30, "also those that learn that a name is taken");
    register("203.0.113.8", "somebody").is(201, "");
}

#[test]
fn administrators_are_not_slowed_down_when_they_make_accounts() {
    let server = Server::start();
    let root = server.admin("root");
    for n in 0..40 {
        let body = json!({"username": format!("u{n}"), "email": format!("u{n}@example.com"), "password": PASSWORD});
        root.post("/users", body).is(201, "");
    }
}
