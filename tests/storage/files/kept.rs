//! The file as it is kept: private, with facts that can be read from outside, and ids that are never reused.

use super::through_shell;
use crate::support::binary::{Serving, create_admin, files};
use std::os::unix::fs::PermissionsExt;
use tempfile::tempdir;

/// "ushr" in ASCII.
const APPLICATION_ID: u32 = 0x7573_6872;

#[test]
fn every_file_it_makes_is_private_whatever_the_umask() {
    for umask in ["000", "022", "077"] {
        // given
        let folder = tempdir().unwrap();

        // when
        let serving = Serving::spawn(folder.path(), &mut through_shell(folder.path(), &format!("umask {umask}")));
        serving.register("ada").is(201, "");

        // then
        let names: Vec<String> = files(folder.path()).into_keys().collect();
        assert_eq!(names, ["usher.db", "usher.db-shm", "usher.db-wal", "usher.db.lock"]);
        for name in names {
            let mode = folder.path().join(&name).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600, "{name} under umask {umask}");
        }
    }
}

#[test]
fn a_folder_that_others_can_reach_is_warned_about() {
    let folder = tempdir().unwrap();
    for (mode, warned) in [(0o755, true), (0o700, false)] {
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        let serving = Serving::start(folder.path(), &[]);
        serving.signal("TERM");
        let (_, log) = serving.wait();
        assert_eq!(log.contains("chmod 700"), warned, "{log}");
    }
}

#[test]
fn the_facts_of_the_file_can_be_read_from_outside() {
    // given
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    serving.register("ada").is(201, "");

    // when: the header on the disk, without SQLite, while the log beside it has not been taken over
    let header = std::fs::read(folder.path().join("usher.db")).unwrap();
    let number = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());

    // then
    assert_eq!((number(68), header[18], header[19]), (APPLICATION_ID, 2, 2), "application_id, and WAL");
    assert!(number(60) >= 1, "user_version");
    let database = serving.sql();
    let one = |sql: &str| -> String {
        database
            .query_row(sql, [], |row| row.get::<_, rusqlite::types::Value>(0))
            .map(|value| format!("{value:?}"))
            .unwrap()
    };
    assert_eq!(one("PRAGMA journal_mode"), r#"Text("wal")"#);
    assert_eq!(one("PRAGMA application_id"), format!("Integer({APPLICATION_ID})"));
    assert_eq!(one("PRAGMA integrity_check"), r#"Text("ok")"#);
    assert_eq!(one("SELECT count(*) FROM pragma_foreign_key_check"), "Integer(0)");
    let lax = "SELECT count(*) FROM pragma_table_list WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND strict = 0";
    assert_eq!(one(lax), "Integer(0)", "every table is STRICT");
    assert_eq!(one("SELECT count(*) FROM sqlite_schema WHERE type IN ('trigger', 'view')"), "Integer(0)");
    assert_eq!(one("SELECT sql LIKE '%AUTOINCREMENT%' FROM sqlite_schema WHERE name = 'users'"), "Integer(1)");
}

#[test]
fn a_deleted_account_takes_its_sessions_along() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    serving.register("ada").is(201, "");
    let (first, second) = (serving.sign_in("ada"), serving.sign_in("ada"));
    assert_eq!(first.delete(&first.me()).status, 204);
    second.get("/auth/me").is(401, "invalid_token");
    let left: i64 = serving.sql().query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

#[test]
fn the_id_of_a_deleted_account_is_never_given_away_again() {
    // given
    let folder = tempdir().unwrap();
    let mut serving = Serving::start(folder.path(), &[]);
    let mut newest = 0;

    for (round, restart) in [None, Some("TERM"), Some("KILL"), None].into_iter().enumerate() {
        // when
        let name = format!("user{round}");
        serving.register(&name).is(201, "");
        let client = serving.sign_in(&name);

        // then
        assert!(client.id > newest, "{} after {newest}", client.id);
        newest = client.id;
        assert_eq!(client.delete(&client.me()).status, 204);
        if let Some(signal) = restart {
            serving.signal(signal);
            serving.wait();
            serving = Serving::start(folder.path(), &[]);
        }
    }
    // The command line counts on from there, too.
    assert!(create_admin(folder.path(), "root").status.success());
    assert!(serving.sign_in("root").id > newest);
}
