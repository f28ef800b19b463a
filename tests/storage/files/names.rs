//! A file with two names, and what stands where its log or its lock should be.

use super::{beside, is_refused_untouched, make_database, refused, replace};
use crate::support::binary::{Serving, create_admin, usher};
use std::{path::Path, process::Command};
use tempfile::tempdir;

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
