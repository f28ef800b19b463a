//! `usher backup`: whole, private, verified, while a server serves.

use crate::support::binary::{Serving, complaint, create_admin, files, until, usher};
use rusqlite::Connection;
use std::{
    collections::BTreeSet,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};
use tempfile::tempdir;

fn usernames(path: &Path) -> BTreeSet<String> {
    let copy = Connection::open(path).unwrap();
    let mut query = copy.prepare("SELECT username FROM users").unwrap();
    query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_backup_under_load_holds_everything_that_was_confirmed_before() {
    // given
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--throttle", "off"]);
    let (confirmed, done) = (Mutex::new(BTreeSet::new()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for name in (0..2_000).map(|n| format!("user{n}")).take_while(|_| !done.load(Ordering::Relaxed)) {
                serving.register(&name).is(201, "");
                confirmed.lock().unwrap().insert(name);
            }
        });
        for copy in ["first.db", "second.db"] {
            until("some accounts", || (confirmed.lock().unwrap().len() > 20).then_some(()));

            // when
            let before = confirmed.lock().unwrap().clone();
            let made = usher(folder.path(), &["backup", copy]);

            // then
            assert!(made.status.success(), "{}", complaint(&made));
            assert!(usernames(&folder.path().join(copy)).is_superset(&before));
        }
        done.store(true, Ordering::Relaxed);
    });
    let left: Vec<String> = files(folder.path()).into_keys().filter(|name| !name.starts_with("usher.db")).collect();
    assert_eq!(left, ["first.db", "second.db"]);
}

#[test]
fn a_backup_is_private_and_whole_and_a_server_starts_from_it() {
    // given
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    serving.register("ada").is(201, "");

    // when
    let made = usher(folder.path(), &["backup", "copy.db"]);

    // then
    assert!(made.status.success(), "{}", complaint(&made));
    let head = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let copy = folder.path().join("copy.db");
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(std::fs::read(&copy).unwrap()[18..20], [1, 1], "it can be read where nothing can be written");
    for database in ["usher.db", "copy.db"] {
        let check = usher(folder.path(), &["check", "--database", database, "--audit-head", &head]);
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    }
    let log = usher(folder.path(), &["audit", "--json", "--action", "database.backed_up"]);
    assert_eq!(String::from_utf8_lossy(&log.stdout).matches("database.backed_up").count(), 1);
    let restored = tempdir().unwrap();
    std::fs::copy(&copy, restored.path().join("usher.db")).unwrap();
    Serving::start(restored.path(), &[]).sign_in("ada");
}

#[test]
fn a_backup_overwrites_nothing_and_says_what_is_in_its_way() {
    // given
    let folder = tempdir().unwrap();
    assert!(usher(folder.path(), &["migrate"]).status.success());
    assert!(create_admin(folder.path(), "root").status.success());
    std::fs::write(folder.path().join("there.db"), "something").unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("link.db")).unwrap();
    let before = files(folder.path());

    for (target, word) in [
        ("there.db", "already"),
        ("usher.db", "the database itself"),
        ("usher.db.lock", "already"),
        ("link.db", "not a regular file"),
        (".", "already"),
        ("-", "standard output"),
        ("no/such/folder.db", "No such file"),
    ] {
        // when
        let refused = usher(folder.path(), &["backup", target]);

        // then
        assert_eq!(refused.status.code(), Some(1), "{target}");
        assert!(complaint(&refused).contains(word), "{target}: {}", complaint(&refused));
        assert!(refused.stdout.is_empty());
    }
    assert!(files(folder.path()) == before);
    let elsewhere = usher(folder.path(), &["backup", "copy.db", "--database", "nothing.db"]);
    assert!(complaint(&elsewhere).contains("there is no database"), "{}", complaint(&elsewhere));
    assert!(files(folder.path()) == before);
}

#[test]
fn what_an_interrupted_backup_left_is_not_in_the_way_of_the_next_one() {
    let folder = tempdir().unwrap();
    assert!(usher(folder.path(), &["migrate"]).status.success());
    for left in ["", "-journal", "-wal", "-shm"].map(|suffix| format!(".copy.db.usher-copy{suffix}")) {
        std::fs::write(folder.path().join(left), [7; 5000]).unwrap();
    }
    let made = usher(folder.path(), &["backup", "copy.db"]);
    assert!(made.status.success(), "{}", complaint(&made));
    let left: Vec<String> = files(folder.path()).into_keys().collect();
    assert_eq!(left, ["copy.db", "usher.db", "usher.db.lock"]);
}

#[test]
fn a_copy_is_refused_by_commands_until_it_is_put_into_use_and_check_says_so() {
    let folder = tempdir().unwrap();
    assert!(usher(folder.path(), &["migrate"]).status.success());
    assert!(usher(folder.path(), &["backup", "copy.db"]).status.success());
    let on_copy = |arguments: &[&str]| usher(folder.path(), &[arguments, &["--database", "copy.db"]].concat());

    let refused = on_copy(&["user", "list"]);
    let check = on_copy(&["check"]);

    assert!(complaint(&refused).contains("run 'usher migrate' on it first"), "{}", complaint(&refused));
    assert_eq!((refused.status.code(), check.status.code()), (Some(1), Some(0)));
    assert!(String::from_utf8_lossy(&check.stdout).contains("this is a copy that is not in use yet"));
    assert!(on_copy(&["migrate"]).status.success() && on_copy(&["user", "list"]).status.success());
}

#[test]
fn a_backup_touches_no_file_of_somebody_else_and_takes_no_name_that_the_database_uses() {
    let folder = tempdir().unwrap();
    let on = |arguments: &[&str]| usher(folder.path(), &[arguments, &["--database", "x.db.part"]].concat());
    assert!(on(&["migrate"]).status.success());
    std::fs::write(folder.path().join("site.part"), "precious").unwrap();

    for target in ["x.db", "site"] {
        let made = on(&["backup", target]);
        assert!(made.status.success(), "{target}: {}", complaint(&made));
    }
    for suffix in ["-journal", "-wal", "-shm"] {
        let refused = on(&["backup", &format!("x.db.part{suffix}")]);
        assert!(complaint(&refused).contains("a name that the database uses itself"), "{}", complaint(&refused));
    }

    assert!(on(&["check"]).status.success());
    assert_eq!(std::fs::read_to_string(folder.path().join("site.part")).unwrap(), "precious");
}
