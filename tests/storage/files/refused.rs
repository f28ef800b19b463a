//! Files that are refused, each left as it was to the byte, and remains of a database that are completed.

use super::{COMMANDS, beside, is_refused_untouched, is_refused_with, make_database, refused, sql};
use crate::support::{
    PASSWORD,
    binary::{Serving, complaint, create_admin, files, usher, usher_reading},
};
use rusqlite::Connection;
use std::{os::unix::fs::PermissionsExt, path::Path};
use tempfile::tempdir;

#[test]
fn a_file_that_is_refused_gets_no_lock_beside_it() {
    for arguments in COMMANDS {
        for foreign in ["a letter, and no database at all", ""] {
            // given: a text, or a folder
            let folder = tempdir().unwrap();
            let path = folder.path().join("usher.db");
            if foreign.is_empty() { std::fs::create_dir(&path) } else { std::fs::write(&path, foreign) }.unwrap();

            // when
            let output = usher(folder.path(), arguments);

            // then
            refused(&output, &["usher.db"]);
            assert_eq!(files(folder.path()).into_keys().collect::<Vec<_>>(), ["usher.db"], "{arguments:?}");
        }
    }
}

#[test]
fn a_database_of_another_program_is_left_untouched() {
    let foreign = |path: &Path| sql(path, "PRAGMA application_id = 0x12345678; CREATE TABLE bookmarks (url TEXT)");
    is_refused_untouched(foreign, &["another program", "--database"]);
}

#[test]
fn a_database_that_says_nothing_of_its_program_and_has_tables_is_left_untouched() {
    let foreign = |path: &Path| sql(path, "CREATE TABLE users (name TEXT); INSERT INTO users VALUES ('somebody')");
    is_refused_untouched(foreign, &["another program", "--database"]);
}

#[test]
fn a_database_of_another_program_in_wal_mode_is_left_untouched() {
    // What another program has not checkpointed yet is in the log beside.
    let foreign = |path: &Path| {
        let source = beside(path, "-source");
        let open = Connection::open(&source).unwrap();
        open.execute_batch(
            "PRAGMA journal_mode = wal; CREATE TABLE t (x); PRAGMA wal_checkpoint; INSERT INTO t VALUES (1)",
        )
        .unwrap();
        std::fs::copy(&source, path).unwrap();
        std::fs::copy(beside(&source, "-wal"), beside(path, "-wal")).unwrap();
        drop(open);
        std::fs::remove_file(source).unwrap();
    };
    is_refused_untouched(foreign, &["another program", "--database"]);
}

#[test]
fn a_newer_database_is_left_untouched() {
    let newer = |path: &Path| {
        make_database(path);
        sql(path, "PRAGMA user_version = 999");
    };
    is_refused_untouched(newer, &["version 999", "newer usher"]);
}

#[test]
fn a_database_whose_version_another_program_took_away_is_left_untouched() {
    for version in [0, -1] {
        let unknown = |path: &Path| {
            make_database(path);
            sql(path, &format!("PRAGMA user_version = {version}"));
        };
        is_refused_untouched(unknown, &["another program", &format!("user_version is {version}"), "restore a backup"]);

        let folder = tempdir().unwrap();
        unknown(&folder.path().join("usher.db"));
        for arguments in [&["user", "list"][..], &["backup", "copy.db"], &["check"]] {
            let ended = usher(folder.path(), arguments);
            let told = format!("{}{}", complaint(&ended), String::from_utf8_lossy(&ended.stdout));
            assert_eq!(ended.status.code(), Some(1), "{told}");
            assert!(told.contains(&format!("user_version is {version}")) && !told.contains("usher migrate"), "{told}");
        }
    }
}

#[test]
fn a_newer_database_whose_version_is_still_in_its_log_is_left_untouched() {
    let newer = |path: &Path| {
        let source = beside(path, "-source");
        make_database(&source);
        let open = Connection::open(&source).unwrap();
        open.execute_batch("PRAGMA user_version = 999").unwrap();
        std::fs::copy(&source, path).unwrap();
        std::fs::copy(beside(&source, "-wal"), beside(path, "-wal")).unwrap();
        drop(open);
        std::fs::remove_file(source).unwrap();
    };
    // To read a log SQLite needs an index of it, which holds nothing of its own and may stay.
    is_refused_with(newer, &["version 999", "newer usher"], &["usher.db.lock", "usher.db-shm"]);
}

#[test]
fn the_status_of_a_database_that_a_kill_left_with_a_log_is_told_without_writing() {
    // given
    let folder = tempdir().unwrap();
    let mut serving = Serving::start(folder.path(), &[]);
    serving.register("ada").is(201, "");
    serving.child.kill().unwrap();
    serving.child.wait().unwrap();
    let before = files(folder.path());
    assert!(!before["usher.db-wal"].is_empty());

    // when
    let status = usher(folder.path(), &["migrate", "--status"]);

    // then
    assert_eq!(status.status.code(), Some(0), "{}", complaint(&status));
    let after = files(folder.path());
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    for name in ["usher.db", "usher.db-wal"] {
        assert!(after[name] == before[name], "{name} has changed");
    }
}

#[test]
fn a_text_is_left_untouched() {
    let text = |path: &Path| std::fs::write(path, "This is a letter, and no database at all.\n".repeat(200)).unwrap();
    is_refused_untouched(text, &["not an SQLite database", "--database"]);
}

#[test]
fn a_file_shorter_than_a_header_is_left_untouched() {
    for short in [&b"x"[..], b"SQLite format 3\0"] {
        is_refused_untouched(|path| std::fs::write(path, short).unwrap(), &["not an SQLite database", "--database"]);
    }
}

#[test]
fn a_folder_is_no_database() {
    is_refused_untouched(|path| std::fs::create_dir(path).unwrap(), &["not a regular file", "--database"]);
}

#[test]
fn a_truncated_database_is_left_untouched() {
    let truncated = |path: &Path| {
        make_database(path);
        let length = path.metadata().unwrap().len();
        std::fs::File::options().write(true).open(path).unwrap().set_len(length / 2).unwrap();
    };
    is_refused_untouched(truncated, &["damaged", "backup"]);
}

#[test]
fn an_empty_file_beside_a_write_ahead_log_is_what_is_left_of_a_database() {
    let remains = |path: &Path| {
        std::fs::write(path, "").unwrap();
        std::fs::write(beside(path, "-wal"), [7; 5000]).unwrap();
    };
    is_refused_untouched(remains, &["-wal", "put the file back"]);
}

#[test]
fn an_empty_write_ahead_log_keeps_no_database_from_being_created() {
    let folder = tempdir().unwrap();
    std::fs::write(folder.path().join("usher.db-wal"), "").unwrap();
    let created = usher(folder.path(), &["migrate"]);
    assert!(created.status.success(), "{}", complaint(&created));
}

#[test]
fn a_missing_file_beside_a_write_ahead_log_is_what_is_left_of_a_database() {
    let remains = |path: &Path| std::fs::write(beside(path, "-wal"), [7; 5000]).unwrap();
    is_refused_untouched(remains, &["-wal", "put the file back"]);
}

/// The journal of a transaction that began when its database had so many pages.
fn journal(pages: u8) -> Vec<u8> {
    let mut journal = vec![0; 512];
    journal[..8].copy_from_slice(&[0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]);
    journal[19] = pages;
    journal[20..28].copy_from_slice(&[0, 0, 2, 0, 0, 0, 0x10, 0]); // sectors of 512 bytes, pages of 4096
    journal
}

#[test]
fn what_a_loss_of_power_left_of_the_creation_is_made_whole() {
    for left in [vec![0; 8192], b"SQLite".to_vec()] {
        // given: pages are written in any order, so the first one may be missing
        let folder = tempdir().unwrap();
        let path = folder.path().join("usher.db");
        std::fs::write(&path, left).unwrap();
        std::fs::write(beside(&path, "-journal"), journal(0)).unwrap();

        // when
        let made = usher(folder.path(), &["migrate"]);

        // then
        assert!(made.status.success(), "{}", complaint(&made));
        assert!(create_admin(folder.path(), "ada").status.success());
    }
}

#[test]
fn a_text_beside_a_journal_that_is_not_of_a_creation_is_left_untouched() {
    let letter = "This is a letter, and no database at all.\n".repeat(200);
    for beside_it in [journal(1), b"my own journal".to_vec()] {
        let text = |path: &Path| {
            std::fs::write(path, &letter).unwrap();
            std::fs::write(beside(path, "-journal"), &beside_it).unwrap();
        };
        is_refused_untouched(text, &["not an SQLite database", "--database"]);
    }
}

#[test]
fn garbage_behind_a_good_header_is_left_untouched() {
    let garbage = |path: &Path| {
        make_database(path);
        let mut bytes = std::fs::read(path).unwrap();
        bytes[100..].fill(0xA5);
        std::fs::write(path, bytes).unwrap();
    };
    is_refused_untouched(garbage, &["damaged", "backup"]);
}

#[test]
fn an_empty_file_is_taken_as_a_new_database_and_made_private() {
    for subcommand in ["migrate", "serve"] {
        // given
        let folder = tempdir().unwrap();
        let path = folder.path().join("usher.db");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();

        // when
        if subcommand == "serve" {
            drop(Serving::start(folder.path(), &[]));
        } else {
            assert!(usher(folder.path(), &[subcommand]).status.success());
        }

        // then
        assert!(create_admin(folder.path(), "ada").status.success());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o600, "{subcommand}");
    }
}

#[test]
fn a_damaged_table_is_an_error_and_no_panic() {
    // given: a page that no start looks at
    let folder = tempdir().unwrap();
    let path = folder.path().join("usher.db");
    let serving = Serving::start(folder.path(), &[]);
    serving.register("ada").is(201, "");
    serving.signal("TERM");
    assert_eq!(serving.wait().0, Some(0));
    let place =
        "SELECT (rootpage - 1) * page_size, page_size FROM sqlite_schema, pragma_page_size WHERE name = 'users'";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, u32>(0)? as usize, row.get::<_, u32>(1)? as usize));
    let (start, size) = Connection::open(&path).unwrap().query_row(place, [], read).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[start..start + size].fill(0xA5);
    std::fs::write(&path, bytes).unwrap();

    // when
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = usher_reading(
        folder.path(),
        &[
            "create-admin",
            "--username",
            "root",
            "--email",
            "root@example.com",
            "--argon2-memory",
            "64",
            "--password-stdin",
        ],
        PASSWORD,
    );
    let served = usher(folder.path(), &["serve", "--listen", &holder.local_addr().unwrap().to_string()]);

    // then
    refused(&admin, &["malformed"]);
    assert_eq!(served.status.code(), Some(1));
    assert!(!complaint(&served).contains("panic"), "{}", complaint(&served));
}
