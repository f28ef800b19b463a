//! The file: which ones are refused, and with how light a hand; what is private; and what happens when the file or its
//! disk is taken away.

use crate::support::{
    PASSWORD,
    binary::{Serving, command, complaint, create_admin, files, usher, usher_reading},
};
use futures_executor::block_on;
use rusqlite::Connection;
use serde_json::json;
use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};
use tempfile::{TempDir, tempdir};
use usher::{
    app::{App, NewAccount, Policy},
    clock::Clock,
    domain::{Caller, EmailAddress, Error, PasswordPolicy, Role, User, Username},
    hashing::HashPool,
    store::Store,
};

/// "ushr" in ASCII.
const APPLICATION_ID: u32 = 0x7573_6872;

/// Every command that opens a database.
const COMMANDS: [&[&str]; 5] = [
    &["serve"],
    &["migrate"],
    &["migrate", "--status"],
    &["audit"],
    &[
        "create-admin",
        "--username",
        "ada",
        "--email",
        "ada@example.com",
        "--argon2-memory",
        "64",
        "--generate-password",
    ],
];

/// Asserts status 1, nothing on standard output, and one line that contains each of `words`.
#[track_caller]
fn refused(output: &Output, words: &[&str]) {
    let all = complaint(output);
    assert_eq!(output.status.code(), Some(1), "{all}");
    assert!(output.stdout.is_empty(), "{:?}", output.stdout);
    let own: Vec<&str> = all.lines().filter(|line| line.starts_with("usher: ")).collect();
    assert!(own.len() == 1 && all.lines().last() == Some(own[0]), "{all}");
    for word in words {
        assert!(own[0].contains(word), "{word:?} is not in: {all}");
    }
}

/// Runs every command on what `make` puts at the path, and asserts that each refuses it and leaves every byte, and the
/// folder's listing, as they were. A lock beside it has a test of its own.
#[track_caller]
fn is_refused_untouched(make: impl Fn(&Path), words: &[&str]) {
    is_refused_with(make, words, &["usher.db.lock"]);
}

/// The same; files that may appear beside it are named.
#[track_caller]
fn is_refused_with(make: impl Fn(&Path), words: &[&str], allowed: &[&str]) {
    for arguments in COMMANDS {
        // given: a folder for each command, so that none sees what another one left
        let folder = tempdir().unwrap();
        make(&folder.path().join("usher.db"));
        let before = files(folder.path());

        // when
        let output = usher(folder.path(), arguments);

        // then
        refused(&output, words);
        let mut after = files(folder.path());
        after.retain(|name, _| before.contains_key(name) || !allowed.contains(&name.as_str()));
        assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "{arguments:?}");
        assert!(after == before, "{arguments:?} changed a byte");
    }
}

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

/// A database of this program at a path, closed, with its write-ahead log taken over, and without the lock beside it.
fn make_database(path: &Path) {
    let folder = path.parent().unwrap();
    let made = usher(folder, &["migrate", "--database", path.to_str().unwrap()]);
    assert!(made.status.success(), "{}", complaint(&made));
    std::fs::remove_file(beside(path, ".lock")).unwrap();
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

fn sql(path: &Path, statements: &str) {
    Connection::open(path).unwrap().execute_batch(statements).unwrap();
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

/// A server behind a shell that sets something up first. `$0` and `$@` are the server.
fn through_shell(folder: &Path, script: &str) -> Command {
    let plain = command(folder);
    let mut shell = Command::new("/bin/sh");
    shell.current_dir(folder).env_clear().stdin(std::process::Stdio::null());
    shell.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.args(["-c", &format!("{script}; exec \"$0\" \"$@\"")]);
    shell.arg(plain.get_program()).args(["serve", "--argon2-memory", "64", "--throttle", "off"]);
    shell
}

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

#[test]
fn a_file_removed_beneath_a_running_server_is_noticed_and_nothing_takes_its_place() {
    // given
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    serving.register("ada").is(201, "");
    serving.client().get("//readyz").is(200, "");

    // when
    std::fs::remove_file(folder.path().join("usher.db")).unwrap();
    let before: Vec<String> = files(folder.path()).into_keys().collect();
    let ready = serving.client().get("//readyz");
    let _ = serving.register("bob");
    let _ = serving.client().login("ada@example.com", PASSWORD);
    let beside = create_admin(folder.path(), "root");

    // then
    ready.is(503, "storage_unavailable");
    assert_eq!(beside.status.code(), Some(1));
    assert_eq!(files(folder.path()).into_keys().collect::<Vec<_>>(), before);
    serving.client().get("//healthz").is(200, "");
    serving.signal("TERM");
    assert_eq!(serving.wait().0, Some(0));
    assert!(!folder.path().join("usher.db").exists());
}

#[test]
fn nothing_is_confirmed_that_went_into_a_removed_file() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    std::fs::remove_file(folder.path().join("usher.db")).unwrap();
    serving.register("ada").is(503, "storage_unavailable");
}

#[test]
fn a_file_replaced_beneath_a_running_server_is_noticed_and_left_alone() {
    // given
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    serving.register("ada").is(201, "");
    let other = tempdir().unwrap();
    make_database(&other.path().join("usher.db"));
    let bytes = std::fs::read(other.path().join("usher.db")).unwrap();

    // when
    std::fs::copy(other.path().join("usher.db"), folder.path().join("new")).unwrap();
    std::fs::rename(folder.path().join("new"), folder.path().join("usher.db")).unwrap();
    let ready = serving.client().get("//readyz");
    let _ = serving.register("bob");
    serving.signal("TERM");
    let (status, _) = serving.wait();

    // then
    ready.is(503, "storage_unavailable");
    assert_eq!(status, Some(0));
    assert!(
        std::fs::read(folder.path().join("usher.db")).unwrap() == bytes,
        "it wrote to a file that it had not opened"
    );
}

/// Replaces a file with another one of the same bytes.
fn replace(path: &Path) {
    std::fs::write(beside(path, ".new"), std::fs::read(path).unwrap()).unwrap();
    std::fs::set_permissions(beside(path, ".new"), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(beside(path, ".new"), path).unwrap();
}

#[test]
fn a_log_or_its_index_that_is_taken_away_refuses_changes_and_what_was_confirmed_is_there_after_a_restart() {
    type TakeAway = fn(&Path);
    let away: [(&str, TakeAway); 4] = [
        ("-wal", |path| std::fs::remove_file(path).unwrap()),
        ("-wal", replace),
        ("-shm", |path| std::fs::remove_file(path).unwrap()),
        ("-shm", replace),
    ];
    for (suffix, take_away) in away {
        // given
        let folder = tempdir().unwrap();
        let serving = Serving::start(folder.path(), &[]);
        serving.register("ada").is(201, "");

        // when
        take_away(&folder.path().join(format!("usher.db{suffix}")));

        // then: everyone says so, and nothing is confirmed or put in its place
        let before: Vec<String> = files(folder.path()).into_keys().collect();
        serving.register("bob").is(503, "storage_unavailable");
        serving.client().get("//readyz").is(503, "storage_unavailable");
        serving.until_logged(&format!("usher.db{suffix} was removed or replaced"));
        let words = [&format!("usher.db{suffix} was removed or replaced"), "SIGTERM"].map(|word: &str| word.to_owned());
        let words = [words[0].as_str(), words[1].as_str()];
        for arguments in COMMANDS {
            refused(&usher(folder.path(), arguments), &words);
        }
        let check = usher(folder.path(), &["check"]);
        let told = String::from_utf8(check.stdout).unwrap();
        assert!(!check.status.success() && words.iter().all(|word| told.contains(word)), "{told}");
        assert_eq!(files(folder.path()).into_keys().collect::<Vec<_>>(), before, "{suffix}");
        serving.signal("TERM");
        assert_eq!(serving.wait().0, Some(0));
        let again = Serving::start(folder.path(), &[]);
        again.sign_in("ada");
        again.register("bob").is(201, "");
        assert!(usher(folder.path(), &["check"]).status.success());
    }
}

#[test]
fn a_log_is_not_laid_over_a_database_that_was_put_in_the_place_of_its_own() {
    // given: a server that ended without having moved its log into the database
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut serving = Serving::start(folder.path(), &[]);
    serving.register("ada").is(201, "");
    assert!(usher(folder.path(), &["backup", "copy.db"]).status.success());
    serving.register("bob").is(201, "");
    serving.child.kill().unwrap();
    drop(serving);

    // when: the copy takes the place of the database, and the log stays
    std::fs::rename(path("usher.db"), path("kept.db")).unwrap();
    std::fs::rename(path("copy.db"), path("usher.db")).unwrap();

    // then: nothing is touched, however often it is tried
    let before = files(folder.path());
    for arguments in [&["user", "list"][..], &["serve"], &["serve"], &["migrate"], &["backup", "other.db"]] {
        refused(&usher(folder.path(), arguments), &["usher.db-wal belongs to another file", "put the file"]);
    }
    let after = files(folder.path());
    for (name, bytes) in &before {
        assert!(after.get(name) == Some(bytes), "{name} has changed: {:?}", after.get(name).map(Vec::len));
    }
    assert_eq!(after.len(), before.len(), "{:?}", after.keys());

    // and the file that it belongs to can be put back, with all that was confirmed
    std::fs::rename(path("kept.db"), path("usher.db")).unwrap();
    Serving::start(folder.path(), &[]).sign_in("bob");
}

#[test]
fn a_command_beside_a_server_refuses_a_database_that_was_put_in_the_place_of_another() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    replace(&folder.path().join("usher.db"));
    refused(&create_admin(folder.path(), "root"), &["usher.db was removed or replaced"]);
    serving.register("ada").is(503, "storage_unavailable");
}

/// What a command opens that works beside a server, or without one.
fn open_beside(path: &Path) -> App {
    let store = Store::open(path, 1, Clock::System).unwrap();
    App::new(store, HashPool::start(crate::support::CHEAP, 1, 1).unwrap(), Clock::System, Policy::default())
}

fn register(app: &App, name: &str) -> Result<User, Error> {
    let account = NewAccount {
        username: Username::parse(name).unwrap(),
        email: EmailAddress::parse(&format!("{name}@example.com")).unwrap(),
        password: PasswordPolicy::default().accept(PASSWORD, &[]).unwrap(),
        role: Role::User,
        invitation: None,
    };
    block_on(app.accounts.register(&Caller::shell(), account))
}

#[test]
fn a_command_whose_log_is_taken_away_confirms_nothing() {
    // given
    let folder = tempdir().unwrap();
    assert!(create_admin_in_new(folder.path(), "ada").status.success());
    let app = open_beside(&folder.path().join("usher.db"));
    assert!(register(&app, "bob").is_ok());

    // when
    std::fs::remove_file(folder.path().join("usher.db-wal")).unwrap();
    let refused = register(&app, "eve");

    // then
    let Err(Error::Storage(text)) = refused else { panic!("{refused:?}") };
    assert!(text.contains("usher.db-wal was removed or replaced"), "{text}");
    drop(app);
    let serving = Serving::start(folder.path(), &[]);
    serving.sign_in("bob");
    serving.register("eve").is(201, "");
}

#[test]
fn a_command_that_was_begun_before_a_newer_program_migrated_changes_nothing() {
    // given
    let folder = tempdir().unwrap();
    let path = folder.path().join("usher.db");
    assert!(create_admin_in_new(folder.path(), "ada").status.success());
    let app = open_beside(&path);
    assert!(register(&app, "bob").is_ok());

    // when
    sql(&path, "PRAGMA user_version = 99");
    let refused = register(&app, "eve");

    // then
    let Err(Error::Storage(text)) = refused else { panic!("{refused:?}") };
    assert!(text.contains("migrated to version 99 by a newer usher"), "{text}");
    let found: i64 =
        Connection::open(&path).unwrap().query_row("SELECT count(*) FROM users", [], |row| row.get(0)).unwrap();
    assert_eq!(found, 2);
}

/// Makes a database with an administrator.
fn create_admin_in_new(folder: &Path, name: &str) -> Output {
    assert!(usher(folder, &["migrate"]).status.success());
    create_admin(folder, name)
}

#[test]
fn a_file_with_two_names_is_left_untouched_under_both() {
    let linked = |path: &Path| {
        make_database(path);
        std::fs::hard_link(path, path.with_file_name("other.db")).unwrap();
    };
    is_refused_untouched(linked, &["hard links", "cp -al", "cp -p"]);
    let folder = tempdir().unwrap();
    linked(&folder.path().join("usher.db"));
    for database in ["usher.db", "other.db"] {
        let check = usher(folder.path(), &["check", "--database", database]);
        let told = String::from_utf8(check.stdout).unwrap();
        assert!(!check.status.success() && told.contains("hard links"), "{told}");
    }
    // What it says helps.
    let advice = "cp -p usher.db usher.db.new && mv usher.db.new usher.db";
    assert!(Command::new("/bin/sh").current_dir(folder.path()).args(["-c", advice]).status().unwrap().success());
    assert!(create_admin(folder.path(), "ada").status.success());
    assert!(usher(folder.path(), &["check"]).status.success());
}

#[test]
fn a_second_name_that_the_file_of_a_running_server_gets_is_what_is_complained_about() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    serving.register("ada").is(201, "");
    std::fs::hard_link(folder.path().join("usher.db"), folder.path().join("other.db")).unwrap();
    for database in ["usher.db", "other.db"] {
        for arguments in [&["serve"][..], &["migrate"], &["user", "list"], &["backup", "copy.db"]] {
            let arguments = [arguments, &["--database", database]].concat();
            refused(&usher(folder.path(), &arguments), &[database, "2 names", "hard links"]);
        }
        let check = usher(folder.path(), &["check", "--database", database]);
        let told = String::from_utf8(check.stdout).unwrap();
        assert!(!check.status.success() && told.contains("hard links") && !told.contains("removed"), "{told}");
    }
}

#[test]
fn what_is_no_file_beside_a_database_is_refused_and_nothing_waits_for_it() {
    let kinds: [fn(&Path); 3] = [
        |path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        |path| std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
        |path| std::fs::create_dir(path).unwrap(),
    ];
    for suffix in ["-journal", "-wal", "-shm"] {
        for (put, is_new) in kinds.into_iter().flat_map(|put| [(put, true), (put, false)]) {
            // given
            let folder = tempdir().unwrap();
            let path = folder.path().join("usher.db");
            if !is_new {
                make_database(&path);
            }
            put(&beside(&path, suffix));

            // when, then
            let name = format!("usher.db{suffix} is not a regular file");
            for arguments in [&["serve"][..], &["migrate"], &["user", "list"], &["backup", "copy.db"]] {
                refused(&usher(folder.path(), arguments), &[&name, "remove it"]);
            }
            let check = usher(folder.path(), &["check"]);
            let told = String::from_utf8(check.stdout).unwrap();
            assert!(!check.status.success() && told.contains(&name), "{told}");
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), if is_new { 1 } else { 2 });
        }
    }
}

#[test]
fn a_second_server_is_refused_although_the_lock_was_deleted_or_replaced() {
    let away: [fn(&Path); 2] = [|lock| std::fs::remove_file(lock).unwrap(), replace];
    for take_away in away {
        // given
        let folder = tempdir().unwrap();
        let serving = Serving::start(folder.path(), &[]);
        serving.register("ada").is(201, "");

        // when
        take_away(&folder.path().join("usher.db.lock"));

        // then
        for arguments in [&["serve"][..], &["migrate"]] {
            refused(&usher(folder.path(), arguments), &["in use"]);
        }
        serving.register("bob").is(201, "");
        assert!(create_admin(folder.path(), "root").status.success(), "a command beside it works");
        std::fs::remove_file(folder.path().join("usher.db-wal")).unwrap();
        refused(&create_admin(folder.path(), "else"), &["usher.db-wal was removed or replaced"]);
    }
}

#[test]
fn a_lock_that_is_no_file_is_refused_and_nothing_waits_for_it() {
    let kinds: [fn(&Path); 3] = [
        |path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        |path| std::os::unix::fs::symlink("/dev/null", path).unwrap(),
        |path| std::fs::create_dir(path).unwrap(),
    ];
    for put in kinds {
        let folder = tempdir().unwrap();
        put(&folder.path().join("usher.db.lock"));
        for arguments in [&["serve"][..], &["migrate"]] {
            refused(&usher(folder.path(), arguments), &["usher.db.lock is not a regular file", "remove it"]);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        // Commands that need no lock don't wait for it either.
        std::fs::remove_file(folder.path().join("usher.db.lock"))
            .or_else(|_| std::fs::remove_dir(folder.path().join("usher.db.lock")))
            .unwrap();
        make_database(&folder.path().join("usher.db"));
        put(&folder.path().join("usher.db.lock"));
        assert!(create_admin(folder.path(), "ada").status.success());
    }
}

fn accounts(serving: &Serving) -> i64 {
    serving.sql().query_row("SELECT count(*) FROM users", [], |row| row.get(0)).unwrap()
}

/// Registers accounts until one is refused, and returns how many were made. Then signs out until that is refused, too,
/// which takes less room.
#[track_caller]
fn fill(serving: &Serving) -> i64 {
    let spare: Vec<_> = (0..4).map(|_| serving.sign_in("ada")).collect();
    let refused =
        (0..20_000).map(|n| (n, serving.register(&format!("filler{n}")))).find(|(_, made)| made.status != 201);
    let (held, answer) = refused.expect("the disk is full at last");
    answer.is(503, "storage_unavailable");
    let answers = spare.iter().map(|client| client.post("/auth/logout", json!({})));
    let refused = answers.into_iter().find(|answer| answer.status != 200).expect("no room is left");
    refused.is(503, "storage_unavailable");
    held
}

/// What holds while nothing can be written: reads and wrong passwords answer as ever, writes say why not.
#[track_caller]
fn answers_without_writing(serving: &Serving, ada: &crate::support::Client, held: i64) {
    assert_eq!(ada.get("/auth/me").json()["username"], "ada");
    ada.get(&ada.me()).is(200, "");
    serving.client().login("ada@example.com", "a wrong password").is(401, "invalid_credentials");
    serving.client().login("nobody@example.com", PASSWORD).is(401, "invalid_credentials");
    serving.client().get("//healthz").is(200, "");
    serving.client().login("ada@example.com", PASSWORD).is(503, "storage_unavailable");
    ada.put(&ada.me(), json!({"username": "other"})).is(503, "storage_unavailable");
    ada.delete(&ada.me()).is(503, "storage_unavailable");
    ada.post("/auth/logout", json!({})).is(503, "storage_unavailable");
    assert_eq!(ada.get("/auth/me").json()["username"], "ada", "nothing has changed");
    assert_eq!(accounts(serving), held);
}

/// A server whose files may have a mebibyte or two at most (the unit is up to the shell).
fn limited(script: &str) -> (TempDir, Serving, crate::support::Client) {
    let folder = tempdir().unwrap();
    let serving = Serving::spawn(folder.path(), &mut through_shell(folder.path(), script));
    serving.register("ada").is(201, "");
    let ada = serving.sign_in("ada");
    (folder, serving, ada)
}

#[test]
fn while_files_cannot_grow_writes_are_refused_and_all_else_answers_as_ever() {
    // given: a limit on the size of files does what a full disk does, without one
    let (folder, serving, ada) = limited("trap '' XFSZ; ulimit -f 1024");

    // when
    let held = fill(&serving);

    // then
    assert!(held > 0);
    answers_without_writing(&serving, &ada, held + 1);
    serving.signal("TERM");
    let (status, log) = serving.wait();
    assert_eq!(status, Some(0), "{log}");
    let again = Serving::start(folder.path(), &[]);
    again.register("bob").is(201, "");
    again.sign_in("filler0");
}

#[test]
fn what_fails_again_and_again_is_said_once_and_so_is_that_it_works_again() {
    // given: no file of the server may grow any more
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    assert!(create_admin(folder.path(), "root").status.success());
    let root = serving.sign_in("root");
    let limit_files = |bytes| {
        let pid = rustix::process::Pid::from_child(&serving.child);
        let limit = rustix::process::Rlimit { current: bytes, maximum: None };
        rustix::process::prlimit(Some(pid), rustix::process::Resource::Fsize, limit).unwrap();
    };
    limit_files(Some(0));

    // when: who reads the log has what was gathered written at once
    let gather = || {
        for _ in 0..3 {
            serving.client().login("root@example.com", "a wrong password").is(401, "invalid_credentials");
            root.get("/audit");
        }
    };
    gather();
    serving.until_logged("writing what was gathered failed");
    limit_files(None);
    serving.until_logged("writing what was gathered works again");
    gather();

    // then
    let log = serving.log();
    let said = ["failed; nothing is lost", "works again"].map(|text| log.matches(text).count());
    assert_eq!(said, [1, 1], "{log}");
}

#[test]
fn a_limit_on_the_size_of_files_does_not_end_the_server() {
    // given: nobody has told the system to ignore the signal that comes with the limit
    let (_folder, serving, ada) = limited("ulimit -f 1024");

    // when
    let last =
        (0..2_000).map(|n| status_of_registration(serving.address, &format!("filler{n}"))).find(|s| *s != Some(201));

    // then: no answer at all is what a server that was killed gives
    assert_eq!(last, Some(Some(503)));
    ada.get("/auth/me").is(200, "");
}

/// Registers somebody; `None` where the server is gone.
fn status_of_registration(address: SocketAddr, name: &str) -> Option<u16> {
    let body = json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD}).to_string();
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let head = "POST /api/v1/users HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Type: application/json";
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    line.split(' ').nth(1)?.parse().ok()
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

#[cfg(feature = "system-tests")]
mod on_a_disk_of_its_own {
    use super::*;
    use std::os::unix::process::CommandExt;

    /// A small file system, gone when dropped. Needs root.
    struct Disk(TempDir);

    impl Disk {
        fn mount(options: &str) -> Self {
            let folder = tempdir().unwrap();
            run("mount", &["-t", "tmpfs", "-o", options, "tmpfs", folder.path().to_str().unwrap()]);
            Self(folder)
        }

        fn path(&self) -> &Path {
            self.0.path()
        }

        /// Takes all the room that is left.
        fn fill_up(&self) -> PathBuf {
            let ballast = self.path().join("ballast");
            let zeros = std::fs::File::open("/dev/zero").unwrap();
            let full = std::io::copy(&mut { zeros }, &mut std::fs::File::create(&ballast).unwrap()).unwrap_err();
            assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
            ballast
        }
    }

    impl Drop for Disk {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("-l").arg(self.path()).status();
        }
    }

    fn run(program: &str, arguments: &[&str]) {
        let ended = Command::new(program).args(arguments).output().unwrap();
        assert!(ended.status.success(), "{program} {arguments:?}: {}", complaint(&ended));
    }

    #[test]
    fn a_full_disk_refuses_writes_and_space_that_is_freed_lets_them_through_again() {
        // given
        let disk = Disk::mount("size=4m,mode=700");
        let serving = Serving::start(disk.path(), &[]);
        serving.register("ada").is(201, "");
        let ada = serving.sign_in("ada");

        for round in 0..2 {
            // when
            let ballast = disk.fill_up();
            let mut held = accounts(&serving);
            for n in 0.. {
                let answer = serving.register(&format!("round{round}n{n}"));
                if answer.status != 201 {
                    answer.is(503, "storage_unavailable");
                    break;
                }
                held += 1;
            }

            // then
            answers_without_writing(&serving, &ada, held);
            std::fs::remove_file(ballast).unwrap();
            serving.register(&format!("after{round}")).is(201, "");
            serving.sign_in("ada");
            serving.client().get("//readyz").is(200, "");
        }
        serving.signal("TERM");
        assert_eq!(serving.wait().0, Some(0));
    }

    #[test]
    fn a_disk_that_is_full_at_the_start_is_said_in_one_line() {
        let disk = Disk::mount("size=1m,mode=700");
        disk.fill_up();
        for arguments in [&["serve"][..], &["migrate"]] {
            refused(&usher(disk.path(), arguments), &["usher.db"]);
        }
    }

    #[test]
    fn a_database_half_made_on_a_full_disk_is_made_whole_once_there_is_room() {
        // given
        let disk = Disk::mount("size=1m,mode=700");
        let ballast = disk.fill_up();
        let first = usher(disk.path(), &["migrate"]);

        // when
        std::fs::remove_file(ballast).unwrap();
        let second = usher(disk.path(), &["migrate"]);

        // then
        assert_eq!((first.status.code(), second.status.code()), (Some(1), Some(0)), "{}", complaint(&second));
        assert!(create_admin(disk.path(), "ada").status.success());
    }

    /// Root may write what nobody may, so this is another user's.
    #[test]
    fn a_file_that_can_only_be_read_at_the_start_can_be_changed_as_soon_as_it_can_be_written() {
        // given: a database that its owner may only read, and the program where they can reach it
        const NOBODY: u32 = 65534;
        let folder = tempdir().unwrap();
        let path = folder.path().join("usher.db");
        assert!(create_admin_in_new(folder.path(), "ada").status.success());
        let program = tempdir().unwrap();
        std::fs::set_permissions(program.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::copy(env!("CARGO_BIN_EXE_usher"), program.path().join("usher")).unwrap();
        for owned in [folder.path().to_owned(), path.clone(), beside(&path, ".lock")] {
            std::os::unix::fs::chown(owned, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let allow = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        allow(0o400);

        // when
        let mut serve = Command::new(program.path().join("usher"));
        serve.current_dir(folder.path()).env_clear().env("USHER_LISTEN", "127.0.0.1:0").uid(NOBODY).gid(NOBODY);
        let serving = Serving::spawn(folder.path(), serve.args(["serve", "--argon2-memory", "64"]));

        // then
        assert!(serving.log().contains("can only be read"), "{}", serving.log());
        serving.client().get("//readyz").is(200, "");
        serving.client().login("ada@example.com", "a wrong password").is(401, "invalid_credentials");
        serving.client().login("ada@example.com", PASSWORD).is(503, "storage_unavailable");
        allow(0o600);
        let ada = serving.sign_in("ada");
        ada.get("/auth/me").is(200, "");
        ada.put(&ada.me(), json!({"username": "lovelace"})).is(200, "");
        for name in ["usher.db-wal", "usher.db-shm"] {
            assert_eq!(folder.path().join(name).metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        serving.signal("TERM");
        assert_eq!(serving.wait().0, Some(0));
        assert_eq!(Serving::start(folder.path(), &[]).sign_in("ada").get("/auth/me").json()["username"], "lovelace");
    }

    /// While the server has its files open the system refuses to make the disk read-only, so this is the start.
    #[test]
    fn a_read_only_disk_is_said_in_one_line_and_works_again_once_it_can_be_written() {
        // given
        let disk = Disk::mount("size=4m,mode=700");
        assert!(usher(disk.path(), &["migrate"]).status.success());
        let before = files(disk.path());
        let folder = disk.path().to_str().unwrap();

        // when
        run("mount", &["-o", "remount,ro", folder]);
        let tried = COMMANDS.map(|arguments| (arguments, usher(disk.path(), arguments)));
        let after = files(disk.path());
        run("mount", &["-o", "remount,rw", folder]);

        // then
        for (arguments, output) in tried {
            if arguments != ["migrate", "--status"] {
                refused(&output, &["usher.db"]);
            }
        }
        assert!(after == before);
        let serving = Serving::start(disk.path(), &[]);
        serving.register("ada").is(201, "");
    }
}
