//! A file, a log or a schema that is taken away or replaced while it is in use.

use super::{COMMANDS, create_admin_in_new, make_database, refused, replace, sql};
use crate::support::{
    PASSWORD,
    binary::{Serving, create_admin, files, usher},
};
use futures_executor::block_on;
use rusqlite::Connection;
use std::path::Path;
use tempfile::tempdir;
use usher::{
    app::{App, NewAccount, Policy},
    clock::Clock,
    domain::{Caller, EmailAddress, Error, PasswordPolicy, Role, User, Username},
    hashing::HashPool,
    store::Store,
};

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
