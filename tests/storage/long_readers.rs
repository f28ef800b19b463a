//! Readers that take their time, or stop reading: nobody's writes wait for them, and the write-ahead log does not grow.

use crate::support::{
    PASSWORD, START, Server,
    binary::{command, files, until},
};
use serde_json::json;
use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Stdio,
};

/// More than any pipe holds of them.
const ACCOUNTS: u32 = 3_000;
/// To this the log is cut, at the latest with the second transaction after a checkpoint.
const MAX_LOG: u64 = 16 * 1024 * 1024;

/// A server with many accounts and many entries in its audit log.
fn crowded() -> Server {
    let server = Server::start();
    let numbers = format!("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ACCOUNTS})");
    server
        .sql()
        .execute_batch(&format!(
            "BEGIN;
             INSERT INTO users (username, username_key, email, email_key, email_verified, password_hash, password_version, role, disabled, revision,
                                created_at, updated_at)
             {numbers} SELECT 'user' || i, 'user' || i, 'user' || i || '@example.com', 'user' || i || '@example.com', 0, hex(zeroblob(200)), 1, 'user', 0, 1, {START}, {START} FROM n;
             INSERT INTO audit (at, action, count, hash)
             {numbers} SELECT {START}, 'session.signed_in', 1, zeroblob(32) FROM n;
             UPDATE audit_state SET head_id = (SELECT max(id) FROM audit);
             COMMIT"
        ))
        .unwrap();
    server
}

/// Changes every account again and again.
fn write_much(server: &Server) {
    let connection = server.sql();
    connection.execute_batch("PRAGMA synchronous = off").unwrap();
    for _ in 0..40 {
        connection.execute_batch("UPDATE users SET updated_at = updated_at + 1").unwrap();
    }
}

fn log_bytes(server: &Server) -> u64 {
    std::fs::metadata(format!("{}-wal", server.database().display())).unwrap().len()
}

#[test]
fn a_command_whose_output_nobody_reads_does_not_keep_the_log_from_being_taken_over() {
    let server = crowded();
    for arguments in [
        &["user", "export"][..],
        &["user", "list"],
        &["user", "list", "--json"],
        &["audit"],
        &["audit", "--json"],
        &["audit", "--follow", "--limit", "3000"],
        &["audit", "--follow", "--limit", "3000", "--json"],
    ] {
        // given
        let folder = server.database().parent().unwrap().to_owned();
        let mut child = command(&folder).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let out = child.stdout.take().unwrap();
        until("its output waits to be read", || (rustix::io::ioctl_fionread(&out).unwrap() > 30_000).then_some(()));

        // when
        write_much(&server);

        // then
        let held = log_bytes(&server);
        assert!(held < MAX_LOG, "{arguments:?}: {held}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn a_client_who_reads_no_answer_does_not_keep_the_log_from_being_taken_over() {
    // given
    let server = crowded();
    let root = server.admin("root");
    let mut silent = TcpStream::connect(server.address).unwrap();
    let token = root.token.as_ref().unwrap();
    for path in ["/users?limit=200", "/audit?limit=200"].repeat(50) {
        write!(silent, "GET /api/v1{path} HTTP/1.1\r\nhost: usher\r\nauthorization: Bearer {token}\r\n\r\n").unwrap();
    }
    silent.read_exact(&mut [0]).unwrap();

    // when
    write_much(&server);

    // then
    assert!(log_bytes(&server) < MAX_LOG, "{}", log_bytes(&server));
}

#[test]
fn a_log_that_grew_behind_a_reader_is_cut_once_the_reader_is_gone() {
    // given: another program that reads, in one transaction
    let server = crowded();
    let reader = server.sql();
    reader.execute_batch("BEGIN; SELECT count(*) FROM users").unwrap();
    write_much(&server);
    let grown = log_bytes(&server);

    // when
    reader.execute_batch("COMMIT").unwrap();
    for name in ["ada", "bob", "cy"] {
        server.user(name);
    }

    // then
    assert!(grown > MAX_LOG && log_bytes(&server) <= MAX_LOG, "{grown}, then {}", log_bytes(&server));
}

#[test]
fn an_export_shows_one_moment_and_leaves_nothing_behind() {
    // given
    let server = crowded();
    let folder = server.database().parent().unwrap().to_owned();
    let mut child = command(&folder).args(["user", "export"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    until("its output waits to be read", || (rustix::io::ioctl_fionread(&out).unwrap() > 30_000).then_some(()));

    // when
    let meanwhile: Vec<String> = files(&folder).into_keys().collect();
    server.sql().execute_batch("UPDATE users SET disabled = 1; DELETE FROM users WHERE id % 2").unwrap();
    let late = json!({"username": "late", "email": "late@example.com", "password": PASSWORD});
    server.anon().post("/users", late).is(201, "");
    let mut text = String::new();
    out.read_to_string(&mut text).unwrap();

    // then
    assert!(child.wait().unwrap().success());
    assert_eq!(text.lines().count(), ACCOUNTS as usize);
    assert!(text.lines().all(|line| line.contains("\"disabled\":false")));
    assert_eq!(meanwhile, ["usher.db", "usher.db-shm", "usher.db-wal", "usher.db.lock"]);
}
