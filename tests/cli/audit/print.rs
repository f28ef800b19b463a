//! `usher audit`.

use super::{folder_of, stdout, twelve_entries};
use crate::support::{
    Server,
    binary::{command, complaint, ended, usher},
    damage::{Damage, Tampering},
};
use serde_json::{Value, json};
use std::process::Stdio;

#[test]
fn the_command_prints_the_whole_log_or_the_newest_of_it_the_oldest_first() {
    let server = twelve_entries();
    let folder = folder_of(&server);
    let table = |arguments: &[&str]| {
        let read = usher(&folder, &[&["audit"], arguments].concat());
        assert_eq!((read.status.code(), complaint(&read)), (Some(0), String::new()));
        let lines: Vec<String> = stdout(&read).lines().map(str::to_owned).collect();
        assert!(
            lines[0]
                .split_whitespace()
                .eq(["ID", "TIME", "ACTION", "ACTOR", "USER", "COUNT", "IP", "ADDRESS", "REQUEST"])
        );
        lines[1..].iter().map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect::<Vec<i64>>()
    };
    assert_eq!(table(&[]), (1..=12).collect::<Vec<_>>());
    assert_eq!(table(&["--limit", "3"]), [10, 11, 12]);
    assert_eq!(table(&["--limit", "0"]), Vec::<i64>::new());
    assert_eq!(table(&["--action", "session.signed_out"]), [4, 8, 12]);
    assert_eq!(table(&["--action", "session.signed_out", "--limit", "2"]), [8, 12]);
    assert_eq!(table(&["--since", "2026-11-22T10:00:00Z", "--limit", "1"]), [12]);
    assert_eq!(table(&["--since", "2026-11-22T10:00:01Z"]), Vec::<i64>::new());
    assert_eq!(table(&["--until", "2026-11-22T10:00:01Z", "--user", "2"]), [5, 6, 7, 8]);
    assert_eq!(table(&["--until", "2026-11-22T10:00:00Z", "--limit", "3"]), Vec::<i64>::new());
    assert_eq!(table(&["--user", "2"]), [5, 6, 7, 8]);
    assert_eq!(table(&["--user", "2", "--actor", "2"]), [6, 8]);
    assert_eq!(table(&["--user", "BOB", "--actor", "bob@example.com"]), [6, 8]);
    let unknown = usher(&folder, &["audit", "--user", "nobody"]);
    assert_eq!(
        (unknown.status.code(), complaint(&unknown).as_str()),
        (Some(1), "usher: nobody: there is no such user")
    );
    for bad in [
        ["--action", "x"],
        ["--since", "x"],
        ["--until", "2026-11-22"],
        ["--user", "a b"],
        ["--actor", "0"],
        ["--limit", "-1"],
    ] {
        assert_eq!(usher(&folder, &[&["audit"], &bad[..]].concat()).status.code(), Some(2), "{bad:?}");
    }
}

#[test]
fn accounts_in_the_table_have_their_usernames_beside_their_ids_while_they_exist() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    root.delete(&ada.me()).is(204, "");
    root.put(&root.me(), json!({"username": "queen"})).is(200, "");

    let read = usher(&folder_of(&server), &["audit"]);

    let table = stdout(&read);
    let accounts_of = |action: &str| {
        let line = table.lines().find(|line| line.contains(action)).unwrap_or_else(|| panic!("{action}: {table}"));
        let (_, rest) = line.split_once(action).unwrap();
        rest.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(accounts_of("session.signed_in"), ["1 queen", "1 queen"]);
    assert_eq!(accounts_of("user.deleted"), ["1 queen", "2"]);
    assert_eq!(accounts_of("user.registered"), ["-", "1 queen"]);
}

#[test]
fn the_document_has_the_shape_of_the_api() {
    let server = twelve_entries();
    let root = server.admin("root");
    let mut of_api = root.get("/audit?limit=200").json();
    of_api["events"].as_array_mut().unwrap().reverse();

    let read = usher(&folder_of(&server), &["audit", "--json"]);

    let of_command: Value = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!(of_command, of_api);
    let none = usher(&folder_of(&server), &["audit", "--json", "--user", "99"]);
    assert_eq!(stdout(&none), "{\"events\":[],\"next_cursor\":null}\n");
}

#[test]
fn what_a_vandal_wrote_does_not_reach_the_terminal_as_it_is() {
    let server = twelve_entries();
    server.tamper(&Tampering::SetRequestId(5, "\u{1b}[2J"));
    server.tamper(&Tampering::SetIp(5, Some("a\nb")));
    let read = usher(&folder_of(&server), &["audit"]);
    assert!(!stdout(&read).contains('\u{1b}') && stdout(&read).lines().count() == 13, "{}", stdout(&read));
}

#[test]
fn the_reader_of_a_pipe_may_leave_early() {
    let server = twelve_entries();
    let mut child =
        command(&folder_of(&server)).arg("audit").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = ended(child);
    assert_eq!((output.status.code(), complaint(&output)), (Some(0), String::new()));
}
