//! `usher check`: a database that is sound, damaged or not one of ours.

use super::{broken, check, copy_of, folder_of, proven, stdout, twelve_entries};
use crate::support::{
    binary::{Serving, command, complaint, create_admin, files, output, usher},
    damage::{Damage, Harm, Tampering},
};
use serde_json::{Value, json};
use std::{os::unix::fs::PermissionsExt, path::Path};
use tempfile::tempdir;

#[test]
fn the_check_works_beside_a_server_and_without_one_and_changes_nothing() {
    let folder = tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let serving = Serving::start(folder.path(), &[]);
    serving.register("ada");
    let beside = proven(folder.path(), &[]);
    assert_eq!(serving.register("bob").status, 201, "the server's own locks are still there");
    serving.signal("TERM");
    serving.wait();

    let before = files(folder.path());
    let lines = proven(folder.path(), &[]);

    assert_eq!(files(folder.path()), before);
    for subject in
        ["file", "schema", "integrity", "audit", "audit head", "modes", "clock", "disk", "version", "settings"]
    {
        for report in [&beside, &lines] {
            let found = report.lines().filter(|line| line[9..].starts_with(&format!("{subject:<11} "))).count();
            assert_eq!(found, 1, "{subject}: {report}");
        }
    }
    assert!(!(beside + &lines).contains("audit time"), "{lines}");
}

#[test]
fn what_a_killed_server_left_is_checked_and_left_as_it_is() {
    let folder = tempdir().unwrap();
    let mut serving = Serving::start(folder.path(), &[]);
    serving.register("ada");
    serving.child.kill().unwrap();
    serving.child.wait().unwrap();
    let shown =
        |folder: &Path| files(folder).into_iter().filter(|(name, _)| !name.ends_with("-shm")).collect::<Vec<_>>();
    let before = shown(folder.path());

    assert!(proven(folder.path(), &[]).contains("2 entries"));
    assert_eq!(shown(folder.path()), before);
}

#[test]
fn a_document_says_the_same_to_a_program() {
    let folder = tempdir().unwrap();
    let output = check(folder.path(), &["--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["audit_head"]), (Some(1), &Value::Null));
    assert_eq!(
        (&report["findings"][0]["subject"], &report["findings"][0]["verdict"]),
        (&json!("file"), &json!("error"))
    );

    usher(folder.path(), &["migrate"]);
    create_admin(folder.path(), "ada");
    let report: Value = serde_json::from_slice(&check(folder.path(), &["--json"]).stdout).unwrap();
    assert!(report["audit_head"].as_str().unwrap().starts_with("1:"), "{report}");
    assert!(report["findings"].as_array().unwrap().iter().all(|finding| finding["verdict"] != "error"), "{report}");
}

type Make<'m> = &'m dyn Fn(&Path);

#[test]
fn files_that_are_none_of_ours_are_told_and_left_untouched() {
    let text = |path: &Path| std::fs::write(path, "a letter, and no database at all").unwrap();
    let foreign = |path: &Path| path.make_foreign_database();
    let folder = |path: &Path| std::fs::create_dir(path).unwrap();
    let newer = |path: &Path| {
        usher(path.parent().unwrap(), &["migrate"]);
        path.set_schema_version(99);
    };
    let cases: [(Make<'_>, &str); 5] = [
        (&|_| {}, "there is no database"),
        (&text, "not an SQLite database"),
        (&foreign, "another program"),
        (&folder, "not a regular file"),
        (&newer, "newer usher"),
    ];
    for (make, told) in cases {
        let folder = tempdir().unwrap();
        make(&folder.path().join("usher.db"));
        let before = files(folder.path());
        let found = broken(folder.path(), &[]);
        assert!(found.contains(told), "{told}: {found}");
        assert_eq!(files(folder.path()), before, "{told}");
    }
}

#[test]
fn damage_a_changed_schema_and_orphans_are_told() {
    let server = twelve_entries();
    for (harm, told) in [
        (Harm::DropIndex, "index audit_by_action is missing"),
        (Harm::AddTrigger, "trigger spy was added"),
        (Harm::AddColumn, "table users was changed"),
        (Harm::AddOrphan, "1 rows of password_resets refer to rows of users that don't exist"),
        (Harm::SetHostileUsername, "the account 1 is damaged: username must"),
        (Harm::BreakConstraint, "CHECK constraint failed in users"),
    ] {
        let folder = copy_of(&server);
        folder.harm(harm);
        let found = broken(folder.path(), &[]);
        assert!(found.contains(told), "{told}: {found}");
    }

    let folder = copy_of(&server);
    folder.overwrite_index();
    let found = broken(folder.path(), &[]);
    assert!(found.contains("integrity") && found.contains("restore a backup"), "{found}");
}

#[test]
fn files_that_others_may_use_and_settings_that_cannot_be_used_are_told() {
    let folder = tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    usher(folder.path(), &["migrate"]);
    let warned = proven(folder.path(), &[]);
    assert!(warned.contains("warning  modes ") && warned.contains("chmod 700"), "{warned}");

    std::fs::set_permissions(folder.path().join("usher.db"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let found = broken(folder.path(), &[]);
    assert!(found.contains("usher.db has mode 644, so other users may access it: chmod 600 "), "{found}");
    std::fs::set_permissions(folder.path().join("usher.db"), std::fs::Permissions::from_mode(0o600)).unwrap();

    for (name, value, told, status) in [
        ("USHER_LISTEN", "nowhere", "--listen", 1),
        ("USHER_SESSION_LIFETIME", "1d", "--session-idle-timeout is longer", 1),
        ("USHER_PASSWORD_BLOCKLIST", "/nothing/here", "--password-blocklist", 1),
        ("USHER_AUDIT_MAX_ROWS", "0", "--audit-max-rows", 1),
        ("USHER_LISTEM", "127.0.0.1:80", "USHER_LISTEM is not a setting", 0),
    ] {
        let output = output(command(folder.path()).env(name, value).arg("check"));
        assert_eq!(output.status.code(), Some(status), "{name}");
        assert!(stdout(&output).contains(told), "{name}: {}", stdout(&output));
    }
}

#[test]
fn modes_are_told_of_files_that_are_there_with_one_command_for_all() {
    // given
    let folder = tempdir().unwrap();
    usher(folder.path(), &["migrate"]);
    let open = |names: &[&str]| {
        for name in names {
            let mode = std::fs::Permissions::from_mode(0o644);
            std::fs::set_permissions(folder.path().join(name), mode).unwrap();
        }
    };
    let advice = |names: &[&str]| {
        let path = folder.path().canonicalize().unwrap();
        let names: Vec<String> = names.iter().map(|name| path.join(name).display().to_string()).collect();
        format!("so other users may access them: chmod 600 {}", names.join(" "))
    };

    // when: SQLite gives its own files the mode of the database, and the check takes them away with it
    open(&["usher.db", "usher.db.lock"]);
    let stopped = broken(folder.path(), &[]);

    // then
    assert!(stopped.contains(&advice(&["usher.db", "usher.db.lock"])) && !stopped.contains("-wal"), "{stopped}");

    // when
    let _serving = Serving::start(folder.path(), &[]);
    open(&["usher.db", "usher.db-wal", "usher.db-shm", "usher.db.lock"]);
    let running = broken(folder.path(), &[]);

    // then
    assert!(running.contains(&advice(&["usher.db", "usher.db-wal", "usher.db-shm", "usher.db.lock"])), "{running}");
    assert_eq!(running.matches("chmod 600").count(), 1, "{running}");
}

#[test]
fn a_check_does_not_promise_what_its_lines_do_not_say() {
    let server = twelve_entries();
    server.tamper(&Tampering::SetCount(5, 7));
    let output = check(&folder_of(&server), &[]);
    let told = stdout(&output);
    assert!(told.contains("this can't be repaired: compare the log with that of a backup"), "{told}");
    assert_eq!(complaint(&output), "usher: one thing is wrong: see the line that begins with 'error'");
}
