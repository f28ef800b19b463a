//! The pages for people, as a browser meets them, without scripts.

#[path = "../support/mod.rs"]
mod support;

mod account;
mod admin;
mod app_sessions;
mod app_tokens;
mod attacks;
mod confirm;
mod cross_site;
mod invited;
mod known_browsers;
mod links;
mod permissions;
mod protect;
mod register;
mod reset;
mod setup;
mod shell;
mod sign_in;
mod sign_out;
mod single_sign_on;
