//! Settings, by flag and by variable, and how a bad one is refused.

use super::{ada, prepared, refused, stdout, succeeded, variable};
use crate::support::{
    binary::{command, files, output, usher},
    probes::Probes,
};
use tempfile::tempdir;

#[test]
fn a_command_line_that_is_not_understood_is_status_2_and_one_line_that_names_the_fault() {
    let folder = tempdir().unwrap();
    for (arguments, named) in [
        (&["--no-such-flag"][..], "--no-such-flag"),
        (&["serve", "--no-such-flag"], "--no-such-flag"),
        (&["serve", "surplus"], "surplus"),
        (&["no-such-command"], "no-such-command"),
        (&["serve", "--listen"], "--listen"),
        (&["migrate", "--status", "--status"], "--status"),
        (&["create-admin", "--username", "ada"], "--email"),
        (&["create-admin"], "--username"),
        (&["create-admin", "--username", "a", "--email", "b", "--password", "c"], "--password"),
    ] {
        let line = refused(&usher(folder.path(), arguments), 2);
        assert!(line.contains(named), "{line}");
    }
    assert!(files(folder.path()).is_empty());
}

#[test]
fn without_a_command_the_one_line_says_that_a_command_is_missing() {
    let folder = tempdir().unwrap();
    let line = refused(&usher(folder.path(), &[]), 2);
    assert!(line.contains("command") && line.contains("--help"), "{line}");
}

#[test]
fn a_bad_setting_is_refused_at_start_by_name_whether_flag_or_variable() {
    let folder = tempdir().unwrap();
    for (flag, value) in [
        ("--listen", "localhost"),
        ("--listen", "127.0.0.1"),
        ("--listen", "127.0.0.1:65536"),
        ("--trusted-proxy", "10.0.0.0/33"),
        ("--trusted-proxy", "127.0.0.1,localhost"),
        ("--max-connections", "0"),
        ("--max-connections", "many"),
        ("--shutdown-timeout", "10"),
        ("--shutdown-timeout", "0s"),
        ("--no-docs", "maybe"),
        ("--log-format", "xml"),
        ("--session-idle-timeout", "1w"),
        ("--session-lifetime", "-1d"),
        ("--session-lifetime", "99999999999999999999d"),
        ("--max-sessions-per-user", "0"),
        ("--max-sessions-per-user", "10001"),
        ("--reauthenticate-after", "1.5h"),
        ("--password-min-length", "7"),
        ("--password-min-length", "257"),
        ("--allow-weak-passwords", "perhaps"),
        ("--argon2-memory", "7"),
        ("--argon2-memory", "65537"),
        ("--argon2-iterations", "0"),
        ("--argon2-iterations", "11"),
        ("--argon2-parallelism", "0"),
        ("--argon2-parallelism", "5"),
        ("--hash-threads", "0"),
        ("--hash-queue", "0"),
        ("--hash-queue", "1000000"),
    ] {
        // when
        let by_flag = usher(folder.path(), &["serve", &format!("{flag}={value}")]);
        let by_variable = output(command(folder.path()).arg("serve").env(variable(flag), value));

        // then
        for tried in [by_flag, by_variable] {
            let line = refused(&tried, 2);
            assert!(line.contains(flag), "{flag} {value}: {line}");
        }
    }
    assert!(files(folder.path()).is_empty());
}

#[test]
fn a_bad_value_is_refused_with_what_is_expected_and_the_variable_that_it_came_from() {
    let folder = prepared();
    let serve = &["serve"][..];
    let (socket, whole) =
        ("expected an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080", "expected a whole number");
    let duration = "expected a whole number and s, m, h or d, such as 90s or 30d, from 1s to 36500d";
    for (command, flag, value, expected) in [
        (serve, "--listen <ADDRESS:PORT>", "localhost:80", socket),
        (serve, "--metrics-listen <ADDRESS:PORT>", "9000", socket),
        (&["healthcheck"], "--listen <ADDRESS:PORT>", "::1", socket),
        (
            serve,
            "--trusted-proxy <CIDR>",
            "10.0.0.0/33",
            "expected an IP address or a network in CIDR form, such as 127.0.0.1",
        ),
        (serve, "--no-docs", "maybe", "expected true or false (or yes or no, on or off, 1 or 0)"),
        (serve, "--allow-weak-passwords", "2", "expected true or false"),
        (serve, "--shutdown-timeout <DURATION>", "10", duration),
        (serve, "--reauthenticate-after <DURATION>", "1.5h", &format!("{duration}, or 0")),
        (&["user", "reset-token", "ada"], "--reset-lifetime <DURATION>", "0s", duration),
        (serve, "--max-connections <COUNT>", "many", &format!("{whole} from 1 to 4294967295")),
        (serve, "--audit-max-rows <COUNT>", "0", &format!("{whole} from 1 to 4294967295")),
        (serve, "--max-sessions-per-user <COUNT>", "10001", &format!("{whole} from 1 to 10000")),
        (serve, "--hash-threads <COUNT>", "257", &format!("{whole} from 1 to 256")),
        (serve, "--hash-queue <COUNT>", "65536", &format!("{whole} from 1 to 65535")),
        (serve, "--password-min-length <CHARACTERS>", "7", &format!("{whole} from 8 to 256")),
        (serve, "--argon2-memory <KIB>", "64MB", &format!("{whole} from 8 to 65536")),
        (serve, "--argon2-iterations <PASSES>", "11", &format!("{whole} from 1 to 10")),
        (serve, "--argon2-parallelism <LANES>", "0", &format!("{whole} from 1 to 4")),
        (serve, "--throttle <ON|OFF>", "maybe", "[possible values: on, off]"),
    ] {
        // when: the flag wins over the variable, and takes the blame
        let name = flag.split(' ').next().unwrap();
        let mut with_variable = self::command(folder.path());
        with_variable.args(command).env(variable(name), value);
        let by_variable = output(&mut with_variable);
        let by_flag = output(with_variable.arg(format!("{name}={value}")));

        // then
        let line = refused(&by_variable, 2);
        let (fault, from) = (format!("invalid value '{value}' for '{flag}'"), format!(" (from {})", variable(name)));
        let separator = if expected.starts_with('[') { " " } else { ": " };
        assert!(line.contains(&format!("{fault}{from}{separator}{expected}")), "{line}");
        if flag != name {
            let line = refused(&by_flag, 2);
            assert!(line.contains(&format!("{fault}{separator}{expected}")), "{line}");
        }
    }
    for (arguments, expected) in [
        (
            &["serve", "--argon2-memory", "8", "--argon2-parallelism", "4"][..],
            "--argon2-memory 8 is too little for --argon2-parallelism 4: it must be at least 32 (8 KiB for each lane)",
        ),
        (&["audit", "--limit", "ten"], "expected a whole number from 0 to 4294967295"),
        (&["user", "list", "--disabled", "yes"], "[possible values: true, false]"),
        (&["serve", "--registration", "all"], "[possible values: open, invite, closed]"),
    ] {
        let line = refused(&usher(folder.path(), arguments), 2);
        assert!(line.contains(expected), "{line}");
    }
    let listen = output(self::command(folder.path()).arg("check").env("USHER_LISTEN", "nowhere"));
    let found = format!("'nowhere' for '--listen <ADDRESS:PORT>' (from USHER_LISTEN): {socket}");
    assert!(stdout(&listen).contains(&found), "{}", stdout(&listen));
}

#[test]
fn a_switch_that_a_variable_sets_is_read_in_every_usual_spelling() {
    let folder = prepared();
    std::fs::write(folder.path().join("list.txt"), "").unwrap();
    for (spellings, is_on) in
        [(["true", "T", "Yes", "y", "ON", "1"], true), (["false", "F", "No", "n", "OFF", "0"], false)]
    {
        for spelling in spellings {
            let mut checked = command(folder.path());
            checked
                .arg("check")
                .env("USHER_ALLOW_WEAK_PASSWORDS", spelling)
                .env("USHER_PASSWORD_BLOCKLIST", "list.txt");
            let text = stdout(&output(&mut checked));
            assert!(!text.contains("invalid value"), "{spelling}: {text}");
            assert_eq!(text.contains("exclude each other"), is_on, "{spelling}: {text}");
        }
    }
}

#[test]
fn an_idle_timeout_above_the_lifetime_is_refused() {
    let folder = tempdir().unwrap();
    let line = refused(&usher(folder.path(), &["serve", "--session-lifetime", "6d"]), 2);
    assert!(line.contains("--session-idle-timeout") && line.contains("--session-lifetime"), "{line}");
    assert!(files(folder.path()).is_empty());
}

#[test]
fn a_rust_log_that_says_nothing_is_refused() {
    let folder = tempdir().unwrap();
    for nonsense in ["usher=shout", "usher=info=debug", "[{"] {
        let line = refused(&output(command(folder.path()).arg("serve").env("RUST_LOG", nonsense)), 2);
        assert!(line.contains("RUST_LOG"), "{line}");
    }
    assert!(files(folder.path()).is_empty());
}

#[test]
fn a_variable_that_is_no_text_is_refused_by_name() {
    use std::os::unix::ffi::OsStrExt;

    // given
    let folder = tempdir().unwrap();
    let no_text = std::ffi::OsStr::from_bytes(b"\xff\xfe");

    for variable in ["USHER_SESSION_LIFETIME", "RUST_LOG"] {
        // when: should it start nevertheless, it ends at once, for the port can't be had
        let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = holder.local_addr().unwrap().to_string();
        let tried = output(command(folder.path()).args(["serve", "--listen", &taken]).env(variable, no_text));

        // then
        let line = refused(&tried, 2);
        assert!(line.contains(variable), "{line}");
    }
}

#[test]
fn a_blocklist_that_cannot_be_read_is_refused_by_name() {
    // given
    let folder = prepared();
    std::fs::write(folder.path().join("latin1.txt"), b"caf\xe9 caf\xe9").unwrap();

    for file in ["no-such-list.txt", "latin1.txt", "."] {
        for subcommand in [&["serve"][..], &ada(&["--generate-password"])] {
            // when
            let arguments = [subcommand, &["--password-blocklist", file]].concat();
            let line = refused(&usher(folder.path(), &arguments), 2);

            // then
            assert!(line.contains("--password-blocklist") && line.contains(file), "{line}");
        }
    }
    assert_eq!(folder.user_count(), 0);
}

#[test]
fn a_blocklist_and_weak_passwords_together_are_refused() {
    let folder = tempdir().unwrap();
    let arguments = ["serve", "--password-blocklist", "list.txt", "--allow-weak-passwords"];
    let line = refused(&usher(folder.path(), &arguments), 2);
    assert!(line.contains("--password-blocklist") && line.contains("--allow-weak-passwords"), "{line}");
}

#[test]
fn the_database_is_named_before_or_after_the_command_or_by_variable_and_the_flag_wins() {
    // given
    let folder = tempdir().unwrap();

    // when
    let by_variable = |name| {
        let mut command = command(folder.path());
        command.env("USHER_DATABASE", name);
        command
    };
    succeeded(&usher(folder.path(), &["migrate"]));
    succeeded(&usher(folder.path(), &["--database", "before.db", "migrate"]));
    succeeded(&usher(folder.path(), &["migrate", "--database", "after.db"]));
    succeeded(&output(by_variable("variable.db").arg("migrate")));
    succeeded(&output(by_variable("loses.db").args(["migrate", "--database", "wins.db"])));

    // then
    let made: Vec<String> = files(folder.path()).into_keys().filter(|name| !name.contains(".lock")).collect();
    assert_eq!(made, ["after.db", "before.db", "usher.db", "variable.db", "wins.db"]);
}

#[test]
fn a_name_that_looks_like_a_uri_or_has_spaces_is_a_name() {
    let folder = tempdir().unwrap();
    for name in ["file:odd?mode=memory", "with space.db", ":memory:", "täglich.db"] {
        succeeded(&usher(folder.path(), &["migrate", "--database", name]));
        assert!(folder.path().join(name).metadata().unwrap().len() > 0, "{name}");
        assert!(succeeded(&usher(folder.path(), &["migrate", "--database", name])).contains("up to date"), "{name}");
    }
}
