//! The file: which ones are refused, and with how light a hand; what is private; and what happens when the file or its
//! disk is taken away.

#[cfg(feature = "system-tests")]
mod disk;
mod kept;
mod names;
mod refused;
mod replaced;
mod room;

use crate::support::{
    PASSWORD,
    binary::{Serving, command, complaint, create_admin, files, usher},
};
use rusqlite::Connection;
use serde_json::json;
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::tempdir;

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

/// Makes a database with an administrator.
fn create_admin_in_new(folder: &Path, name: &str) -> Output {
    assert!(usher(folder, &["migrate"]).status.success());
    create_admin(folder, name)
}

fn accounts(serving: &Serving) -> i64 {
    serving.sql().query_row("SELECT count(*) FROM users", [], |row| row.get(0)).unwrap()
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

/// Replaces a file with another one of the same bytes.
fn replace(path: &Path) {
    std::fs::write(beside(path, ".new"), std::fs::read(path).unwrap()).unwrap();
    std::fs::set_permissions(beside(path, ".new"), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(beside(path, ".new"), path).unwrap();
}
