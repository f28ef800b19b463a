//! Commands beside a server follow its rules, unless their own flags or environment say otherwise.

use crate::support::{
    PASSWORD,
    binary::{Serving, command, complaint, until, usher, usher_reading},
    damage::Damage,
    probes::Probes,
};
use serde_json::Value;
use std::{
    path::Path,
    process::{Output, Stdio},
};
use tempfile::{TempDir, tempdir};
use usher::domain::Timestamp;

/// Nothing of it is as it is by default.
const STRICT: [&str; 16] = [
    "--password-min-length",
    "15",
    "--argon2-iterations",
    "3",
    "--session-idle-timeout",
    "2m",
    "--session-lifetime",
    "1h",
    "--reset-lifetime",
    "5m",
    "--invitation-lifetime",
    "90s",
    "--reauthenticate-after",
    "0",
    "--max-sessions-per-user",
    "3",
];

/// A database on which a server ran with these settings, and stopped.
fn served(settings: &[&str]) -> TempDir {
    let folder = tempdir().unwrap();
    serve_once(folder.path(), settings);
    folder
}

fn serve_once(folder: &Path, settings: &[&str]) {
    let serving = Serving::start(folder, settings);
    serving.signal("TERM");
    assert_eq!(serving.wait().0, Some(0));
}

/// `user create` with a password.
fn create(folder: &Path, name: &str, password: &str, more: &[&str]) -> Output {
    let email = format!("{name}@example.com");
    let create = ["user", "create", "--username", name, "--email", &email, "--password-stdin"];
    usher_reading(folder, &[&create[..], more].concat(), format!("{password}\n"))
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", complaint(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn refused(output: &Output, status: i32, says: &str) {
    let line = complaint(output);
    assert_eq!(output.status.code(), Some(status), "{line}");
    assert!(line.contains(says) && line.lines().count() == 1, "{line}");
}

fn document(output: &Output) -> Value {
    serde_json::from_str(&succeeded(output)).unwrap()
}

fn seconds(from: &Value, to: &Value) -> u64 {
    let at = |time: &Value| Timestamp::parse(time.as_str().unwrap()).unwrap();
    at(to).since(at(from)).as_secs()
}

/// From now to a time, in minutes rounded to the nearest.
fn minutes_to(time: &Value) -> u64 {
    let end = Timestamp::parse(time.as_str().unwrap()).unwrap();
    (end.since(usher::clock::Clock::System.now()).as_secs() + 30) / 60
}

#[test]
fn commands_follow_the_server_that_runs() {
    // given
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &STRICT);
    let path = folder.path();

    // when
    refused(&create(path, "ada", "fourteen chars", &[]), 1, "at least 15 characters");
    succeeded(&create(path, "ada", PASSWORD, &[]));

    // then
    let hash = serving.password_hash();
    assert!(hash.starts_with("$argon2id$v=19$m=64,t=3,p=1$"), "{hash}");
    assert_eq!(minutes_to(&document(&usher(path, &["user", "reset-token", "ada", "--json"]))["expires_at"]), 5);
    let invitation = document(&usher(path, &["invite", "--json"]));
    assert_eq!(seconds(&invitation["created_at"], &invitation["expires_at"]), 90);
    serving.sign_in("ada");
    let session = &document(&usher(path, &["session", "list", "ada", "--json"]))["sessions"][0];
    assert_eq!(seconds(&session["last_used_at"], &session["idle_expires_at"]), 120);
}

#[test]
fn commands_follow_the_server_that_was_started_last_also_when_it_has_stopped() {
    let folder = served(&STRICT);
    refused(&create(folder.path(), "ada", "fourteen chars", &[]), 1, "at least 15 characters");
    refused(&usher_reading(folder.path(), &support_admin("root"), "fourteen chars\n"), 1, "at least 15 characters");

    serve_once(folder.path(), &["--password-min-length", "9"]);

    refused(&create(folder.path(), "ada", "8 chars.", &[]), 1, "at least 9 characters");
    succeeded(&create(folder.path(), "ada", "fourteen chars", &[]));
    refused(
        &usher_reading(folder.path(), &["user", "set-password", "ada", "--password-stdin"], "8 chars.\n"),
        1,
        "at least 9 characters",
    );
    assert_eq!(
        minutes_to(&document(&usher(folder.path(), &["user", "reset-token", "ada", "--json"]))["expires_at"]),
        60,
        "what is not set is as it is by default again"
    );
}

fn support_admin(name: &str) -> Vec<&str> {
    vec!["create-admin", "--username", name, "--email", "root@example.com", "--password-stdin"]
}

#[test]
fn a_flag_wins_over_a_variable_and_that_over_the_server() {
    // given
    let folder = served(&STRICT);
    succeeded(&create(folder.path(), "ada", "8 chars.", &["--password-min-length", "8", "--argon2-iterations", "1"]));
    let lifetime = |flag: &[&str]| {
        let mut command = command(folder.path());
        command.env("USHER_RESET_LIFETIME", "20m").args(["user", "reset-token", "ada", "--json"]).args(flag);
        minutes_to(&document(&command.output().unwrap())["expires_at"])
    };

    // when, then
    assert_eq!(lifetime(&[]), 20);
    assert_eq!(lifetime(&["--reset-lifetime", "40m"]), 40);
    let hash = folder.password_hash();
    assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
}

#[test]
fn a_database_that_was_never_served_has_the_usual_rules() {
    let folder = tempdir().unwrap();
    succeeded(&usher(folder.path(), &["migrate"]));
    refused(&create(folder.path(), "ada", "7 chars", &[]), 1, "at least 8 characters");
    succeeded(&create(folder.path(), "ada", "8 chars.", &["--argon2-memory", "64"]));
    let check = succeeded(&usher(folder.path(), &["check"]));
    assert!(check.contains("ok       policy      no server has been started"), "{check}");
}

#[test]
fn the_servers_list_of_passwords_is_found_from_every_folder() {
    // given
    let folder = tempdir().unwrap();
    std::fs::write(folder.path().join("list.txt"), "a word of our own\n").unwrap();
    serve_once(folder.path(), &["--password-blocklist", "list.txt"]);
    let elsewhere = tempdir().unwrap();
    let database = folder.path().join("usher.db");
    let from_elsewhere = |name: &str, more: &[&str]| {
        let more = [&["--database", database.to_str().unwrap()], more].concat();
        create(elsewhere.path(), name, "a word of our own", &more)
    };

    // when, then
    refused(&from_elsewhere("ada", &[]), 1, "password is on a list of common passwords; choose another");
    std::fs::write(elsewhere.path().join("other.txt"), "another word\n").unwrap();
    succeeded(&from_elsewhere("ada", &["--password-blocklist", "other.txt"]));
    succeeded(&from_elsewhere("bob", &["--allow-weak-passwords"]));
    std::fs::remove_file(folder.path().join("list.txt")).unwrap();
    refused(
        &from_elsewhere("eve", &[]),
        1,
        "list.txt, the list of passwords that 'usher serve' refuses, can't be read",
    );
    succeeded(&from_elsewhere("cy", &["--password-blocklist", "other.txt"]));
}

#[test]
fn weak_passwords_are_accepted_as_the_server_accepts_them_unless_a_list_is_given() {
    let folder = served(&["--allow-weak-passwords"]);
    std::fs::write(folder.path().join("list.txt"), "password\n").unwrap();
    succeeded(&create(folder.path(), "ada", "password", &[]));
    refused(
        &create(folder.path(), "bob", "password", &["--password-blocklist", "list.txt"]),
        1,
        "on a list of common passwords",
    );
    let strict = command(folder.path())
        .env("USHER_ALLOW_WEAK_PASSWORDS", "false")
        .args(["user", "set-password", "ada", "--password-stdin"])
        .stdin(Stdio::from(std::fs::File::open(folder.path().join("list.txt")).unwrap()))
        .output()
        .unwrap();
    refused(&strict, 1, "on a list of common passwords");
}

#[test]
fn a_stored_value_that_cannot_be_read_is_named_and_a_flag_is_the_way_round_it() {
    // given
    let folder = served(&[]);
    succeeded(&create(folder.path(), "ada", PASSWORD, &[]));
    folder.set_policy("reset-lifetime", "a fortnight");
    folder.set_policy("of-a-later-version", "x");

    // when, then
    refused(&usher(folder.path(), &["user", "reset-token", "ada"]), 1, "--reset-lifetime");
    succeeded(&usher(folder.path(), &["user", "reset-token", "ada", "--reset-lifetime", "1h"]));
    succeeded(&usher(folder.path(), &["invite"]));
    let check = usher(folder.path(), &["check"]);
    assert_eq!(check.status.code(), Some(1));
    let told = String::from_utf8(check.stdout).unwrap();
    assert!(told.lines().any(|line| line.starts_with("error    policy ") && line.contains("a fortnight")), "{told}");
}

#[test]
fn check_shows_the_policy_and_warns_where_its_own_environment_differs() {
    let folder = served(&STRICT);
    let check = |variable: &str, value: &str| {
        let check = command(folder.path()).env(variable, value).arg("check").output().unwrap();
        let told = succeeded(&check);
        told.lines().find(|line| line.contains(" policy ")).expect("a line about the policy").to_owned()
    };

    let same = check("USHER_RESET_LIFETIME", "300s");
    assert!(same.starts_with("ok       policy      as 'usher serve' was last started: "), "{same}");
    for setting in ["password-min-length 15", "argon2-memory 64", "session-lifetime 1h", "reauthenticate-after 0"] {
        assert!(same.contains(setting), "{same}");
    }
    let differs = check("USHER_RESET_LIFETIME", "1h");
    assert!(differs.starts_with("warning  policy "), "{differs}");
    assert!(differs.contains("USHER_RESET_LIFETIME is 1h here") && differs.contains("5m"), "{differs}");
}

#[test]
fn the_help_of_a_command_says_that_it_follows_the_server() {
    let folder = tempdir().unwrap();
    for (arguments, flag, otherwise) in [
        (&["create-admin"][..], "--password-min-length", "8"),
        (&["user", "create"], "--argon2-memory", "19456"),
        (&["user", "reset-token"], "--reset-lifetime", "1h"),
        (&["invite"], "--invitation-lifetime", "7d"),
        (&["session", "list"], "--session-idle-timeout", "7d"),
    ] {
        let help = succeeded(&usher(folder.path(), &[arguments, &["--help"]].concat()));
        let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
        let from = words.find(&format!("{flag} <")).expect("the flag");
        let says = format!(" (default: the value of the last 'usher serve', else {otherwise}) [env: ");
        assert!(words[from..].split_once(&says).is_some_and(|(before, _)| !before.contains("[env")), "{flag}: {words}");
        assert_eq!(
            words.matches("[default: ").count(),
            words.matches("[default: usher.db]").count() + words.matches("[default: user]").count(),
            "{words}"
        );
    }
}

#[test]
fn a_policy_that_cannot_be_stored_at_the_start_is_stored_once_it_can() {
    // given
    let folder = served(&[]);
    let held = folder.hold_writes();

    // when
    let serving = Serving::start(folder.path(), &["--password-min-length", "15"]);
    serving.until_logged("the policy could not be stored");
    drop(held);

    // then
    until("the policy is stored", || (serving.policy("password-min-length") == "15").then_some(()));
}

#[test]
fn a_database_of_another_version_or_none_is_told_as_ever() {
    let folder = tempdir().unwrap();
    refused(&create(folder.path(), "ada", PASSWORD, &[]), 1, "there is no database");
    succeeded(&usher(folder.path(), &["migrate"]));
    folder.set_schema_version(1);
    refused(&create(folder.path(), "ada", PASSWORD, &[]), 1, "run 'usher migrate'");
    succeeded(&usher(folder.path(), &["user", "create", "--help"]));
}
