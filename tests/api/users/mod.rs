//! Accounts: registering, reading, changing and deleting them, as people and administrators do.

mod audit;
mod delete;
mod password;
mod read;
mod register;
mod update;

use crate::support::PASSWORD;
use serde_json::{Value, json};

fn new_user(name: &str) -> Value {
    json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD})
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}
