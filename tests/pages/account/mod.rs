mod app_tokens;
mod delete;
mod history;
mod password;
mod profile;
mod sessions;

use crate::support::{Server, person::Person};
use std::time::Duration;

/// Somebody whose sign-in is too old for what needs a recent one.
fn after_a_while(server: &Server, name: &str) -> Person {
    let person = server.signed_in_person(name);
    server.clock.advance(Duration::from_mins(16));
    person
}
