//! The audit log: what is in it, who reads it, what is kept of it, and what can be proven by it.

mod chain;
mod check;
mod days;
mod follow;
mod listing;
mod print;
mod recording;
mod retention;

use crate::support::{
    Client, Server,
    binary::{complaint, usher},
    probes::Probes,
};
use serde_json::Value;
use std::{os::unix::fs::PermissionsExt, path::Path, process::Output, time::Duration};
use tempfile::{TempDir, tempdir};
use usher::domain::{AuditLimits, ChainPoint};

const DAY: Duration = Duration::from_hours(24);

/// The events of one page.
#[track_caller]
fn events(client: &Client, query: &str) -> Vec<Value> {
    let answer = client.get(&format!("/audit?{query}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["events"].as_array().expect("events").clone()
}

/// Every page of the log, from the newest to the oldest.
fn all_pages(client: &Client, query: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = client.get(&format!("/audit?{query}{cursor}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = answer.json();
        all.extend(page["events"].as_array().expect("events").clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// A server that keeps a day of the log, and never so many entries that their number counts.
fn keeping_a_day() -> Server {
    Server::with(|settings| settings.policy.audit = AuditLimits { retention: DAY, max_rows: 1_000_000 })
}

fn prune(server: &Server) {
    futures_executor::block_on(server.app.maintenance.sweep()).expect("it can be written");
}

fn left(server: &Server) -> (i64, i64) {
    (server.oldest_audit_id(), server.audit_count())
}

fn folder_of(server: &Server) -> std::path::PathBuf {
    server.database().parent().expect("a folder").to_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn check(folder: &Path, arguments: &[&str]) -> Output {
    usher(folder, &[&["check"], arguments].concat())
}

/// The lines of a check that finds nothing wrong.
#[track_caller]
fn proven(folder: &Path, arguments: &[&str]) -> String {
    let output = check(folder, arguments);
    assert_eq!((output.status.code(), complaint(&output)), (Some(0), String::new()), "{}", stdout(&output));
    assert!(!stdout(&output).contains("error "), "{}", stdout(&output));
    stdout(&output)
}

/// The lines of a check that finds something wrong.
#[track_caller]
fn broken(folder: &Path, arguments: &[&str]) -> String {
    let output = check(folder, arguments);
    assert_eq!((output.status.code(), complaint(&output).lines().count()), (Some(1), 1), "{}", stdout(&output));
    assert!(complaint(&output).starts_with("usher: "), "{}", complaint(&output));
    let lines: Vec<String> =
        stdout(&output).lines().filter(|line| line.starts_with("error ")).map(str::to_owned).collect();
    lines.join("\n")
}

/// The head of a log, as the check prints it.
#[track_caller]
fn head(folder: &Path) -> ChainPoint {
    let report: Value = serde_json::from_slice(&check(folder, &["--json"]).stdout).expect("JSON");
    ChainPoint::parse(report["audit_head"].as_str().expect("a head")).expect("ID:HASH")
}

/// A folder with a copy of a server's database, for somebody to tamper with.
fn copy_of(server: &Server) -> TempDir {
    let folder = tempdir().unwrap();
    let path = folder.database_file();
    server.copy_to(&path);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    folder
}

/// A log of twelve entries.
fn twelve_entries() -> Server {
    let server = Server::start();
    for name in ["ada", "bob", "cy"] {
        let user = server.user(name);
        server.anon().login(&format!("{name}@example.com"), "wrong horse battery");
        server.flush();
        user.send("POST", "/auth/logout", &[], None);
    }
    assert_eq!(server.audit_count(), 12);
    server
}
