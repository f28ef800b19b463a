//! The REST API, as its clients meet it: accounts, sessions, who may do what, and how guessing is slowed down.

#[path = "../support/mod.rs"]
mod support;

mod admission;
mod app_tokens;
mod apps;
mod clock;
mod display_names;
mod groups;
mod guard;
mod hashing;
mod history;
mod import;
mod lists;
mod names;
mod permissions;
mod races;
mod service;
mod sessions;
mod sign_in;
mod spec;
mod throttle;
mod tokens;
mod users;
mod verify;
