//! `usher create-admin`, as a script calls it.

use super::{ada, prepared, refused, succeeded};
use crate::support::{
    PASSWORD,
    binary::{Serving, command, complaint, create_admin, ended, files, usher, usher_reading},
    probes::Probes,
};
use std::process::{Output, Stdio};
use tempfile::tempdir;

#[test]
fn the_password_is_the_first_line_of_standard_input_and_nothing_is_cut_off_it() {
    // given
    let folder = prepared();
    let inputs = [
        ("a", "correct horse battery\n", "correct horse battery"),
        ("b", "correct horse battery\r\n", "correct horse battery"),
        ("c", "correct horse battery", "correct horse battery"),
        ("d", "correct horse battery\nanother line\n", "correct horse battery"),
        ("e", "  spaces and a tab\t \n", "  spaces and a tab\t "),
        ("f", "one carriage return stays\r\r\n", "one carriage return stays\r"),
        ("g", "pässwörter über alles\n", "pässwörter über alles"),
    ];

    // when
    for (name, input, _) in inputs {
        let email = format!("{name}@example.com");
        let arguments =
            ["create-admin", "--username", name, "--email", &email, "--argon2-memory", "64", "--password-stdin"];
        assert_eq!(succeeded(&usher_reading(folder.path(), &arguments, input)), "");
    }

    // then
    let serving = Serving::start(folder.path(), &[]);
    for (name, _, password) in inputs {
        let answer = serving.client().login(&format!("{name}@example.com"), password);
        assert_eq!((answer.status, answer.json()["user"]["role"].as_str()), (200, Some("admin")), "{name}");
    }
}

#[test]
fn a_standard_input_without_a_usable_password_is_refused() {
    // given
    let folder = prepared();
    let too_long = "x".repeat(257);

    for (input, reason) in [
        (&b""[..], "standard input"),
        (b"\n", "at least 8"),
        (b"\r\n", "at least 8"),
        (b"sev\xc3\xa9n c\n", "at least 8"),
        (b"caf\xe9 caf\xe9 caf\xe9\n", "UTF-8"),
        (b"nul\0in the middle\n", "NUL"),
        (too_long.as_bytes(), "at most 256"),
    ] {
        // when
        let line = refused(&usher_reading(folder.path(), &ada(&["--password-stdin"]), input), 1);

        // then
        assert!(line.contains(reason), "{input:?}: {line}");
        assert!(!line.contains("caf") && !line.contains("xxx"), "{line}");
    }
    assert_eq!(folder.user_count(), 0);
}

#[test]
fn a_generated_password_is_alone_on_standard_output_and_works() {
    // given
    let folder = prepared();

    // when
    let made = usher(folder.path(), &ada(&["--generate-password"]));

    // then
    let printed = succeeded(&made);
    let password = printed.strip_suffix('\n').expect("a line");
    assert!(password.len() >= 20 && password.bytes().all(|b| b.is_ascii_alphanumeric()), "{printed}");
    assert!(!complaint(&made).contains(password));
    let serving = Serving::start(folder.path(), &[]);
    assert_eq!(serving.client().login("ada@example.com", password).status, 200);
}

#[test]
fn no_two_generated_passwords_are_alike() {
    let folder = prepared();
    let first = succeeded(&usher(folder.path(), &ada(&["--generate-password"])));
    let bob = ["create-admin", "--username", "bob", "--email", "bob@example.com", "--argon2-memory", "64"];
    let second = succeeded(&usher(folder.path(), &[&bob[..], &["--generate-password"]].concat()));
    assert_ne!(first, second);
}

#[test]
fn a_password_has_one_source() {
    let folder = prepared();
    let line = refused(&usher(folder.path(), &ada(&["--generate-password", "--password-stdin"])), 2);
    assert!(line.contains("--generate-password") && line.contains("--password-stdin"), "{line}");
}

#[test]
fn a_weak_password_is_refused_unless_the_settings_allow_it() {
    // given
    let folder = prepared();
    std::fs::write(folder.path().join("list.txt"), "correct horse battery\n").unwrap();
    let try_with = |password: &str, more: &[&str]| {
        let arguments = [&ada(&["--password-stdin"]), more].concat();
        usher_reading(folder.path(), &arguments, format!("{password}\n"))
    };

    // when
    let tried = [
        try_with("password", &[]),
        try_with("PassWord", &[]),
        try_with("ADA@example.com", &[]),
        try_with(PASSWORD, &["--password-min-length", "30"]),
        try_with("Correct Horse BATTERY", &["--password-blocklist", "list.txt"]),
    ];

    // then
    for tried in tried {
        let line = refused(&tried, 1);
        assert!(line.contains("password "), "{line}");
    }
    assert_eq!(folder.user_count(), 0);
    succeeded(&try_with("password", &["--allow-weak-passwords"]));
}

#[test]
fn all_that_is_wrong_with_a_new_account_is_said_at_once_in_one_line() {
    let folder = prepared();
    let arguments = ["create-admin", "--username=-ada", "--email=ada", "--argon2-memory", "64", "--password-stdin"];
    let line = refused(&usher_reading(folder.path(), &arguments, "short\n"), 1);
    for field in ["username", "email", "password"] {
        assert!(line.contains(field), "{line}");
    }
    assert!(!line.contains("short\n") && !line.contains("'short'"), "{line}");
}

#[test]
fn a_name_or_address_that_is_taken_is_refused_and_no_password_is_printed() {
    // given
    let folder = prepared();
    succeeded(&create_admin(folder.path(), "ada"));

    for (username, email, taken) in [
        ("ADA", "other@example.com", "username"),
        ("other", "Ada@Example.COM", "address"),
        ("Ada", "ADA@example.com", "username"),
    ] {
        // when
        let arguments = ["create-admin", "--username", username, "--email", email, "--argon2-memory", "64"];
        let line = refused(&usher(folder.path(), &[&arguments[..], &["--generate-password"]].concat()), 1);

        // then
        assert!(line.contains(taken) && line.contains("taken"), "{line}");
    }
    assert_eq!(folder.user_count(), 1);
}

#[test]
fn without_a_terminal_and_without_a_flag_it_says_which_flags_there_are() {
    let folder = prepared();
    let line = refused(&usher_reading(folder.path(), &ada(&[]), format!("{PASSWORD}\n{PASSWORD}\n")), 1);
    assert!(line.contains("--password-stdin") && line.contains("--generate-password"), "{line}");
    assert_eq!(folder.user_count(), 0);
}

#[test]
fn without_a_database_it_says_how_to_make_one_and_makes_none() {
    let folder = tempdir().unwrap();
    let line = refused(&usher(folder.path(), &ada(&["--generate-password"])), 1);
    assert!(line.contains("usher.db") && line.contains("usher migrate") && line.contains("--database"), "{line}");
    assert!(files(folder.path()).is_empty());
}

#[test]
fn of_two_who_claim_one_name_at_once_one_gets_it() {
    // given
    let folder = prepared();
    let start = || {
        let mut command = command(folder.path());
        command.args(ada(&["--generate-password"])).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };

    // when
    let both = [start(), start()].map(ended);

    // then
    let mut statuses = both.each_ref().map(|ended| ended.status.code());
    statuses.sort_unstable();
    assert_eq!(statuses, [Some(0), Some(1)]);
    let loser = both.iter().find(|ended| ended.status.code() == Some(1)).unwrap();
    assert!(refused(loser, 1).contains("taken"));
    assert_eq!(folder.user_count(), 1);
}

#[test]
fn many_who_make_different_accounts_at_once_all_succeed() {
    // given
    let folder = prepared();
    let start = |n: usize| {
        let (name, email) = (format!("admin{n}"), format!("admin{n}@example.com"));
        let mut command = command(folder.path());
        command.args(["create-admin", "--username", &name, "--email", &email, "--argon2-memory", "64"]);
        command.arg("--generate-password").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };

    // when
    let ended: Vec<Output> = (0..8).map(start).collect::<Vec<_>>().into_iter().map(ended).collect();

    // then
    for ended in &ended {
        succeeded(ended);
    }
    assert_eq!(folder.user_count(), 8);
}

#[test]
fn an_administrator_made_beside_a_running_server_signs_in_at_once() {
    // given
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    serving.client().login("ada@example.com", PASSWORD).is(401, "invalid_credentials");

    // when
    succeeded(&create_admin(folder.path(), "ada"));

    // then
    let ada = serving.sign_in("ada").get("/auth/me").json();
    assert_eq!((ada["role"].as_str(), ada["email_verified"].as_bool()), (Some("admin"), Some(true)));
}
