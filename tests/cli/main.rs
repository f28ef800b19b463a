//! The command line and the running server, as administrators meet them.

#[path = "../support/mod.rs"]
mod support;

mod audit;
mod check_apps;
mod commands;
mod examples;
mod groups;
mod import;
mod links;
mod policy;
mod serving;
mod shell;
