//! The command line, as admins and scripts meet it: help, exit statuses, settings, and the commands beside `serve`.

mod create_admin;
mod healthcheck;
mod help;
mod migrate;
mod output;
mod settings;
mod terminal;

use crate::support::binary::{complaint, usher};
use std::process::Output;
use tempfile::{TempDir, tempdir};

/// `--session-lifetime` is also `USHER_SESSION_LIFETIME`.
fn variable(flag: &str) -> String {
    format!("USHER_{}", flag.trim_start_matches('-').replace('-', "_").to_uppercase())
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// Asserts an exit status, nothing on standard output, and one line on standard error, which is returned.
#[track_caller]
fn refused(output: &Output, status: i32) -> String {
    let line = complaint(output);
    assert_eq!(output.status.code(), Some(status), "{line}");
    assert_eq!(stdout(output), "");
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.starts_with("usher: "), "{line}");
    line
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", complaint(output));
    stdout(output)
}

/// A folder with a database in it.
fn prepared() -> TempDir {
    let folder = tempdir().unwrap();
    succeeded(&usher(folder.path(), &["migrate"]));
    folder
}

const ADA: [&str; 7] = ["create-admin", "--username", "ada", "--email", "ada@example.com", "--argon2-memory", "64"];

/// `create-admin` for `ada`, with a cheap hash and more arguments.
fn ada<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ADA.iter().chain(more).copied().collect()
}
