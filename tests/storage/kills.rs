//! A kill at every write: what it leaves is never taken for damage, and the next start has everything that was
//! acknowledged. `EVERY_KILL=1` also tries every write of a server's checkpoint, instead of some.

use crate::support::binary::{Serving, command, complaint, create_admin, files, status_of_registration, usher};
use rusqlite::Connection;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs::Permissions,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::Path,
    process::Command,
};
use tempfile::{TempDir, tempdir};

/// Every way in which a file or a folder is changed.
const CHANGES: &str = "pwrite64,write,fsync,fdatasync,ftruncate,fallocate,fchmod,chmod,link,linkat,rename,renameat,renameat2,unlink,unlinkat";

/// The program, killed just before it makes the `n`th of its changes. `of` names the system calls that count, and `on` the
/// only file.
fn killed_at(n: u32, of: &str, on: Option<&Path>, folder: &Path, arguments: &[&str]) -> Command {
    let plain = command(folder);
    let mut traced = Command::new("strace");
    traced.current_dir(folder).env_clear().stdin(std::process::Stdio::null());
    traced.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    traced.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={of}:signal=KILL:when={n}")]);
    traced.args(on.map(|path| ["-P".as_ref(), path.as_os_str()]).into_iter().flatten());
    traced.arg(plain.get_program()).args(arguments);
    traced
}

/// Runs a command that is killed before the `n`th change, and returns whether it came to that.
#[track_caller]
fn is_killed_at(n: u32, folder: &Path, arguments: &[&str]) -> bool {
    let ended = killed_at(n, CHANGES, None, folder, arguments).output().expect("strace runs");
    let killed = ended.status.signal() == Some(9);
    assert!(killed || ended.status.success(), "{n}: {}", complaint(&ended));
    killed
}

/// No command may call what a kill left damaged, whatever else it says of it, and so nobody is told to restore or delete.
#[track_caller]
fn nothing_is_called_damaged(n: u32, folder: &Path) {
    for arguments in [&["check"][..], &["migrate", "--status"], &["user", "list"]] {
        let ended = usher(folder, arguments);
        let told = format!("{}{}", String::from_utf8_lossy(&ended.stdout), complaint(&ended));
        for word in ["damaged", "malformed", "restore", "recover", "panic"] {
            assert!(!told.contains(word), "{n}: {arguments:?}: {told}");
        }
    }
}

/// Starts again, finds nothing wrong, and returns who has an account.
#[track_caller]
fn after_another_start(n: u32, folder: &Path) -> BTreeSet<String> {
    for arguments in [&["migrate"][..], &["check"]] {
        let ended = usher(folder, arguments);
        let told = format!("{}{}", String::from_utf8_lossy(&ended.stdout), complaint(&ended));
        assert!(ended.status.success(), "{n}: {arguments:?}: {told}");
    }
    names(folder)
}

#[track_caller]
fn names(folder: &Path) -> BTreeSet<String> {
    let listed = usher(folder, &["user", "list", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("a list");
    let users = listed["users"].as_array().expect("users").iter();
    users.map(|user| user["username"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_kill_at_any_write_of_the_creation_leaves_what_the_next_start_makes_whole() {
    for n in 1.. {
        // given
        let folder = tempdir().unwrap();
        if !is_killed_at(n, folder.path(), &["migrate"]) {
            assert!(n > 40, "it was killed {n} times only");
            break;
        }

        // when
        nothing_is_called_damaged(n, folder.path());
        let found = after_another_start(n, folder.path());

        // then
        assert!(found.is_empty());
        assert!(create_admin(folder.path(), "root").status.success(), "{n}");
        let left: Vec<String> = files(folder.path()).into_keys().collect();
        assert_eq!(left, ["usher.db", "usher.db.lock"], "{n}");
    }
}

/// A folder whose database lacks much of what was acknowledged: it is in the log beside.
fn with_a_log() -> (TempDir, BTreeSet<String>) {
    let folder = tempdir().unwrap();
    let mut serving = Serving::start(folder.path(), &["--throttle", "off"]);
    let made: BTreeSet<String> = (0..30).map(|n| format!("user{n}")).collect();
    for name in &made {
        serving.register(name).is(201, "");
    }
    serving.child.kill().unwrap();
    serving.child.wait().unwrap();
    (folder, made)
}

fn copy_of(folder: &Path) -> TempDir {
    let copy = tempdir().unwrap();
    for (name, bytes) in files(folder) {
        std::fs::write(copy.path().join(&name), bytes).unwrap();
        std::fs::set_permissions(copy.path().join(&name), Permissions::from_mode(0o600)).unwrap();
    }
    copy
}

#[test]
fn a_kill_at_any_write_of_a_checkpoint_loses_nothing() {
    let (original, made) = with_a_log();
    for n in 1.. {
        // given: a start takes the log over
        let folder = copy_of(original.path());
        if !is_killed_at(n, folder.path(), &["migrate"]) {
            assert!(n > 20, "it was killed {n} times only");
            break;
        }

        // when
        nothing_is_called_damaged(n, folder.path());
        let found = after_another_start(n, folder.path());

        // then
        assert_eq!(found, made, "{n}");
    }
}

/// Registers accounts with a server that is killed before the `n`th time that it writes to the database file itself, which
/// it does in a checkpoint only. Returns those that were confirmed; `None` where it was not killed.
fn confirmed_until_killed(n: u32, folder: &Path) -> Option<BTreeSet<String>> {
    const MAX: u32 = 200;
    let arguments = ["serve", "--argon2-memory", "64", "--throttle", "off"];
    let database = folder.join("usher.db");
    let serving = Serving::spawn(folder, &mut killed_at(n, "pwrite64", Some(&database), folder, &arguments));
    let mut confirmed = BTreeSet::new();
    for name in (0..MAX).map(|n| format!("user{n}")) {
        match status_of_registration(serving.address, &name) {
            Some(status) => assert_eq!(status, 201),
            None => return Some(confirmed),
        }
        confirmed.insert(name);
    }
    // strace would let the server go on without it.
    let tracer = serving.child.id();
    let traced = std::fs::read_to_string(format!("/proc/{tracer}/task/{tracer}/children")).unwrap();
    assert!(Command::new("kill").arg("-KILL").args(traced.split_whitespace()).status().unwrap().success());
    None
}

#[test]
fn a_server_killed_in_a_checkpoint_loses_nothing_that_it_confirmed() {
    let every = std::env::var_os("EVERY_KILL").is_some();
    let original = tempdir().unwrap();
    assert!(usher(original.path(), &["migrate"]).status.success());
    let (mut n, mut kills) = (1, 0);
    loop {
        // given
        let folder = copy_of(original.path());
        let Some(confirmed) = confirmed_until_killed(n, folder.path()) else { break };
        kills += 1;

        // when
        nothing_is_called_damaged(n, folder.path());
        let found = after_another_start(n, folder.path());

        // then: the one whose answer did not come may be there or not
        let more: Vec<_> = found.difference(&confirmed).collect();
        assert!(found.is_superset(&confirmed) && more.len() <= 1, "{n}: {more:?}");
        n += if every { 1 } else { n };
    }
    assert!(kills > 4, "it was killed {kills} times only");
}

#[test]
fn a_kill_at_any_write_of_a_migration_loses_nothing() {
    let version_1 = tempdir().unwrap();
    let path = version_1.path().join("usher.db");
    Connection::open(&path).unwrap().execute_batch(include_str!("upgrade/version-1.sql")).unwrap();
    for n in 1.. {
        // given
        let folder = copy_of(version_1.path());
        if !is_killed_at(n, folder.path(), &["migrate"]) {
            assert!(n > 50, "it was killed {n} times only");
            break;
        }

        // when
        nothing_is_called_damaged(n, folder.path());
        let found = after_another_start(n, folder.path());

        // then
        let old = BTreeSet::from(["ada", "root"].map(str::to_owned));
        assert_eq!(found, old, "{n}");
        let copy = Connection::open(folder.path().join("usher.db.v1")).unwrap();
        let read = |sql: &str| copy.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
        assert_eq!(read("SELECT user_version || '' FROM pragma_user_version"), "1", "{n}");
        assert_eq!(read("SELECT group_concat(username) FROM (SELECT username FROM users ORDER BY 1)"), "ada,root");
        assert_eq!(read("PRAGMA integrity_check"), "ok", "{n}");
        assert!(!folder.path().join(".usher.db.v1.usher-copy").exists(), "{n}");
    }
}

#[test]
fn a_kill_at_any_write_of_a_backup_leaves_a_whole_copy_or_none() {
    let original = tempdir().unwrap();
    assert!(usher(original.path(), &["migrate"]).status.success());
    assert!(create_admin(original.path(), "root").status.success());
    for n in 1.. {
        // given
        let folder = copy_of(original.path());
        if !is_killed_at(n, folder.path(), &["backup", "copy.db"]) {
            assert!(n > 20, "it was killed {n} times only");
            break;
        }

        // when
        let is_there = folder.path().join("copy.db").exists();
        let again = usher(folder.path(), &["backup", "copy.db"]);

        // then
        assert_eq!(again.status.success(), !is_there, "{n}: {}", complaint(&again));
        let check = usher(folder.path(), &["check", "--database", "copy.db"]);
        assert!(check.status.success(), "{n}: {}", String::from_utf8_lossy(&check.stdout));
        let left: Vec<String> = files(folder.path()).into_keys().filter(|name| name.starts_with("copy.db")).collect();
        assert_eq!(left, ["copy.db"], "{n}");
    }
}
