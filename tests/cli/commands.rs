//! The command line, as admins and scripts meet it: help, exit statuses, settings, and the commands beside `serve`.

use crate::support::{
    PASSWORD,
    binary::{Serving, command, complaint, create_admin, ended, files, output, until, usher, usher_reading},
};
use rexpect::{
    process::WaitStatus,
    session::{PtySession, spawn_command},
};
use std::{
    path::Path,
    process::{Command, Output, Stdio},
};
use tempfile::{TempDir, tempdir};

/// Every setting of `serve`: its flag, what stands behind it in the help, and its default. Empty: it has none.
const SETTINGS: &[(&str, &str, &str)] = &[
    ("--listen", "<ADDRESS:PORT>", "127.0.0.1:8080"),
    ("--database", "<FILE>", "usher.db"),
    ("--registration", "", "open"),
    ("--session-idle-timeout", "<DURATION>", "7d"),
    ("--session-lifetime", "<DURATION>", "30d"),
    ("--max-sessions-per-user", "<COUNT>", "100"),
    ("--reauthenticate-after", "<DURATION>", "15m"),
    ("--reset-lifetime", "<DURATION>", "1h"),
    ("--invitation-lifetime", "<DURATION>", "7d"),
    ("--password-min-length", "<CHARACTERS>", "8"),
    ("--password-blocklist", "<FILE>", ""),
    ("--allow-weak-passwords", "", ""),
    ("--argon2-memory", "<KIB>", "19456"),
    ("--argon2-iterations", "<PASSES>", "2"),
    ("--argon2-parallelism", "<LANES>", "1"),
    ("--hash-threads", "<COUNT>", ""),
    ("--hash-queue", "<COUNT>", "128"),
    ("--trusted-proxy", "<CIDR>", ""),
    ("--throttle", "", "on"),
    ("--cors-origin", "<ORIGIN>", ""),
    ("--tls-cert", "<FILE>", ""),
    ("--tls-key", "<FILE>", ""),
    ("--metrics-listen", "<ADDRESS:PORT>", ""),
    ("--no-docs", "", ""),
    ("--max-connections", "<COUNT>", "4096"),
    ("--shutdown-timeout", "<DURATION>", "10s"),
    ("--audit-retention", "<DURATION>", "90d"),
    ("--audit-max-rows", "", "1000000"),
    ("--backup-to", "<DIR>", ""),
    ("--backup-every", "<DURATION>", "24h"),
    ("--backup-keep", "", "7"),
    ("--log-format", "", "text"),
];

/// `--session-lifetime` is also `USHER_SESSION_LIFETIME`.
fn variable(flag: &str) -> String {
    format!("USHER_{}", flag.trim_start_matches('-').replace('-', "_").to_uppercase())
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn in_words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The help of a command with no variable set, so that it shows what is so by default.
fn help(arguments: &[&str]) -> String {
    let folder = tempdir().unwrap();
    let shown = output(command(folder.path()).env_remove("USHER_LISTEN").args(arguments).arg("--help"));
    assert_eq!((shown.status.code(), complaint(&shown)), (Some(0), String::new()));
    stdout(&shown)
}

/// The entries of a help text: from one flag to the next, each in one line.
fn entries(help: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    let mut inside = false;
    for line in help.lines() {
        let flag = line.trim_start();
        let indent = line.len() - flag.len();
        if flag.starts_with('-') && (indent == 6 || indent == 2) {
            entries.push(String::new());
            inside = true;
        } else if indent == 0 && !flag.is_empty() {
            inside = false; // a heading, or what comes after
        }
        if let Some(entry) = entries.last_mut().filter(|_| inside) {
            *entry = in_words(&format!("{entry} {line}"));
        }
    }
    entries
}

/// Asserts an exit status, nothing on standard output, and one line on standard error, which is returned.
#[track_caller]
fn refused(output: &Output, status: i32) -> String {
    let line = complaint(output);
    assert_eq!(output.status.code(), Some(status), "{line}");
    assert_eq!(stdout(output), "");
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.starts_with("usher: "), "{line}");
    line
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", complaint(output));
    stdout(output)
}

/// A folder with a database in it.
fn prepared() -> TempDir {
    let folder = tempdir().unwrap();
    succeeded(&usher(folder.path(), &["migrate"]));
    folder
}

const ADA: [&str; 7] = ["create-admin", "--username", "ada", "--email", "ada@example.com", "--argon2-memory", "64"];

/// `create-admin` for `ada`, with a cheap hash and more arguments.
fn ada<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ADA.iter().chain(more).copied().collect()
}

/// How many accounts there are. Only while no other connection of this process is open.
fn accounts(folder: &Path) -> i64 {
    let database = rusqlite::Connection::open(folder.join("usher.db")).unwrap();
    database.query_row("SELECT count(*) FROM users", [], |row| row.get(0)).unwrap()
}

#[test]
fn the_help_names_every_setting_with_its_variable_unit_and_default() {
    // given
    let entries = entries(&help(&["serve"]));
    let folder = tempdir().unwrap();

    for (flag, unit, default) in SETTINGS {
        // when: a flag that is not known is what is complained of first
        let tried = usher(folder.path(), &["serve", &format!("{flag}="), "--no-such-flag"]);
        let exists = !refused(&tried, 2).contains(&format!("unexpected argument '{flag}'"));

        // then
        let named = |entry: &&String| **entry == *flag || entry.starts_with(&format!("{flag} "));
        let Some(entry) = entries.iter().find(named) else {
            assert!(!exists, "{flag} is accepted, and is not in the help");
            continue;
        };
        assert!(entry.starts_with(&in_words(&format!("{flag} {unit}"))), "{entry}");
        assert!(entry.contains(&format!("[env: {}=]", variable(flag))), "{entry}");
        assert!(default.is_empty() || entry.contains(&format!("[default: {default}]")), "{entry}");
    }
}

#[test]
fn every_flag_in_the_help_of_serve_is_a_setting_that_was_promised() {
    for entry in entries(&help(&["serve"])) {
        let flag = entry.split_whitespace().next().unwrap();
        let known = SETTINGS.iter().any(|(known, ..)| *known == flag) || ["-h,", "-V,"].contains(&flag);
        assert!(known, "{entry}");
        assert!(flag.starts_with("-h") || flag.starts_with("-V") || entry.contains("[env: USHER_"), "{entry}");
    }
}

#[test]
fn settings_that_commands_share_look_the_same_in_the_help_of_each() {
    let of_serve = entries(&help(&["serve"]));
    for subcommand in ["migrate", "create-admin", "openapi"] {
        let shared = entries(&help(&[subcommand])).into_iter().filter(|entry| entry.contains("[env: "));
        for entry in shared {
            // What the server was started with is the default of its own settings only.
            let (says, follows) = entry.split_once(" (default: what the server").unwrap_or((&entry, ""));
            let of_serve =
                of_serve.iter().any(|own| if follows.is_empty() { *own == entry } else { own.starts_with(says) });
            assert!(of_serve, "{subcommand}: {entry}");
        }
    }
}

#[test]
fn the_help_lists_the_commands_the_statuses_and_says_that_there_are_variables() {
    let help = help(&[]);
    for command in ["serve", "migrate", "create-admin", "audit", "check", "openapi"] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(&format!("{command} "))), "{help}");
    }
    let help = in_words(&help);
    assert!(help.contains("USHER_DATABASE") && help.contains("[default: usher.db]"), "{help}");
    assert!(help.contains("environment variable"), "{help}");
    let statuses = help.split_once("Exit status: ").unwrap().1;
    for (status, meaning) in
        [("0", "it is done"), ("1", "it could not be done"), ("2", "the command line"), ("130", "interrupted")]
    {
        assert!(statuses.contains(&format!("{status} {meaning}")), "{statuses}");
    }
}

#[test]
fn the_help_says_what_surprised_people() {
    for (command, facts) in [
        (&[][..], &["A DURATION is a whole number and s, m, h or d"][..]),
        (&["serve"], &["A DURATION is", "copied to FILE.vN first", "a second one ends it at once, with 1", "SIGHUP"]),
        (&["create-admin"], &["known to be valid and free", "not together with --generate-password"]),
        (&["user", "create"], &["known to be valid and free", "not together with --generate-password"]),
        (&["user", "set-password"], &["reset tokens no longer work"]),
        (&["user", "disable"], &["last enabled administrator", "Invitations and reset tokens"]),
        (&["user", "set-role"], &["last enabled administrator", "sessions go on"]),
        (&["user", "delete"], &["refuses without --yes", "last enabled administrator"]),
        (
            &["user", "import"],
            &[
                "reason in front, in a member \"refused\"",
                "a text in a member \"line\"",
                "The exit status is 0 whatever",
                "--dry-run",
            ],
        ),
        (&["session", "revoke"], &["'usher session list'"]),
        (&["invitation", "delete"], &["'usher invitation list'"]),
        (&["invite"], &["POST /users", "there is a warning"]),
        (&["check"], &["the accounts", "the policy that commands follow"]),
    ] {
        let help = in_words(&help(command));
        for fact in facts {
            assert!(help.contains(fact), "{command:?}: {fact}: {help}");
        }
    }
}

#[test]
fn help_is_a_command_too() {
    let folder = tempdir().unwrap();
    for (asked, command) in [
        (&["help"][..], &[][..]),
        (&["help", "serve"], &["serve"]),
        (&["help", "user"], &["user"]),
        (&["help", "user", "create"], &["user", "create"]),
        (&["user", "help", "create"], &["user", "create"]),
        (&["user", "help"], &["user"]),
    ] {
        let shown = succeeded(&output(command_without_settings(folder.path()).args(asked)));
        assert_eq!(shown, help(command), "{asked:?}");
    }
    let line = refused(&usher(folder.path(), &["help", "no-such-command"]), 2);
    assert!(line.contains("'no-such-command'"), "{line}");
    assert!(files(folder.path()).is_empty());
}

fn command_without_settings(folder: &Path) -> Command {
    let mut command = command(folder);
    command.env_remove("USHER_LISTEN");
    command
}

#[test]
fn a_usage_error_names_the_help_of_the_command_that_was_meant() {
    let folder = tempdir().unwrap();
    for (arguments, named) in [
        (&[][..], "usher --help"),
        (&["--no-such-flag"], "usher --help"),
        (&["no-such-command"], "usher --help"),
        (&["serve", "--listen", "nowhere"], "usher serve --help"),
        (&["serve", "--listen"], "usher serve --help"),
        (&["--database", "x.db", "user"], "usher user --help"),
        (&["user", "--database", "x.db"], "usher user --help"),
        (&["user", "no-such-command"], "usher user --help"),
        (&["user", "create"], "usher user create --help"),
        (&["--database", "user", "user", "create", "--no-such-flag"], "usher user create --help"),
        (&["user", "create", "--username"], "usher user create --help"),
        (&["user", "set-role", "ada", "king"], "usher user set-role --help"),
        (&["session", "revoke"], "usher session revoke --help"),
        (&["invitation", "delete", "x"], "usher invitation delete --help"),
        (&["healthcheck", "--url", "nowhere"], "usher healthcheck --help"),
    ] {
        let line = refused(&usher(folder.path(), arguments), 2);
        assert!(line.ends_with(&format!(" (see '{named}')")), "{arguments:?}: {line}");
    }
}

#[test]
fn without_a_command_the_commands_are_named_and_a_mistyped_one_is_recognized() {
    let folder = tempdir().unwrap();
    let line = refused(&usher(folder.path(), &["user"]), 2);
    assert!(line.contains("'usher user' needs a command: list, show, create, "), "{line}");
    let line = refused(&usher(folder.path(), &["user", "lst"]), 2);
    assert!(line.contains("'lst'") && line.contains("similar") && line.contains("'list'"), "{line}");
    let line = refused(&usher(folder.path(), &["serve", "--listn", "x"]), 2);
    assert!(line.contains("'--listen'"), "{line}");
}

/// The commands that do something, as the help of each level lists them.
fn every_command() -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut left = vec![Vec::new()];
    while let Some(command) = left.pop() {
        let shown = help(&command.iter().map(String::as_str).collect::<Vec<_>>());
        let listed = shown.split_once("Commands:\n").map_or("", |(_, rest)| rest.split("\n\n").next().unwrap());
        let names = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let names: Vec<&str> = names.filter_map(|line| line.split_whitespace().next()).collect();
        if names.is_empty() {
            found.push(command);
            continue;
        }
        left.extend(
            names.into_iter().filter(|name| *name != "help").map(|name| [&command[..], &[name.to_owned()]].concat()),
        );
    }
    found
}

#[test]
fn completions_for_each_shell_know_every_command() {
    let folder = tempdir().unwrap();
    let commands = every_command();
    assert!(commands.len() > 20, "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = succeeded(&usher(folder.path(), &["completions", shell]));
        for name in commands.iter().flatten().map(String::as_str).chain(["--password-stdin", "--skip-refused"]) {
            assert!(name == "--skip-refused" || script.contains(name.trim_start_matches('-')), "{shell}: {name}");
        }
    }
    let line = refused(&usher(folder.path(), &["completions", "ksh"]), 2);
    assert!(line.contains("'ksh'") && line.contains("fish"), "{line}");
    assert!(files(folder.path()).is_empty());
}

#[cfg(feature = "system-tests")]
#[test]
fn bash_completes_with_the_script() {
    let folder = tempdir().unwrap();
    let complete = |words: &str, at: &str| {
        let mut bash = Command::new("bash");
        bash.current_dir(folder.path()).args(["-c", r#"source <("$0" completions bash); COMP_WORDS=($1); COMP_CWORD=$2; _usher usher "${COMP_WORDS[$2]}" "${COMP_WORDS[$2-1]}"; echo "${COMPREPLY[@]}""#]);
        bash.args([env!("CARGO_BIN_EXE_usher"), words, at]);
        succeeded(&bash.output().unwrap()).trim().to_owned()
    };
    assert_eq!(complete("usher heal", "1"), "healthcheck");
    assert_eq!(complete("usher user set-p", "2"), "set-password");
    assert_eq!(complete("usher user reset-token --reset", "3"), "--reset-lifetime");
}

#[test]
fn the_manual_page_describes_every_command_and_flag() {
    let folder = tempdir().unwrap();
    let page = succeeded(&usher(folder.path(), &["man"]));
    assert!(page.lines().any(|line| line.starts_with(".TH USHER 1 ")), "{page}");
    let plain = page.replace("\\-", "-").replace("\\fB", "").replace("\\fR", "").replace("\\fI", "");
    for command in every_command() {
        let heading = format!("\n.SH \"USHER {}\"\n", command.join(" ").to_uppercase());
        let section = plain.split_once(&heading).unwrap_or_else(|| panic!("{heading}")).1;
        let section = section.split("\n.SH ").next().unwrap();
        for entry in entries(&help(&command.iter().map(String::as_str).collect::<Vec<_>>())) {
            let flag = entry.split([' ', ',', '=']).next().unwrap();
            let shared = ["--database", "-h", "-V"].contains(&flag);
            assert_eq!(section.contains(&format!("\n{flag}")), !shared, "{command:?}: {flag}\n{section}");
        }
    }
    assert!(plain.contains("PBKDF2") && plain.contains("Exit status:\n  0    it is done"), "what help says at its end");
    assert!(files(folder.path()).is_empty());
}

#[test]
fn the_version_is_printed_on_standard_output() {
    let folder = tempdir().unwrap();
    for arguments in [&["--version"][..], &["-V"], &["serve", "--version"]] {
        let printed = succeeded(&usher(folder.path(), arguments));
        assert!(printed.trim_end().ends_with(env!("CARGO_PKG_VERSION")), "{printed}");
        assert!(printed.starts_with("usher") && printed.lines().count() == 1, "{printed}");
    }
    assert!(files(folder.path()).is_empty());
}

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
        (&["audit", "--limit", "ten"][..], "expected a whole number from 0 to 4294967295"),
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
    assert_eq!(accounts(folder.path()), 0);
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

#[test]
fn openapi_prints_the_committed_spec_and_touches_no_file() {
    let folder = tempdir().unwrap();
    let printed = usher(folder.path(), &["openapi"]);
    assert!(
        succeeded(&printed) == include_str!("../../openapi/openapi.json"),
        "openapi/openapi.json is not what it prints"
    );
    assert_eq!(complaint(&printed), "");
    assert!(files(folder.path()).is_empty());
}

/// Runs a command with a standard output, or error, at whose other end nobody reads.
fn unread(folder: &Path, arguments: &[&str], put: impl FnOnce(&mut Command, Stdio)) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = command(folder);
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    put(&mut command, writer.into());
    ended(command.spawn().unwrap())
}

#[test]
fn a_closed_standard_output_makes_nothing_panic() {
    let folder = prepared();
    let generate = ada(&["--generate-password"]);
    for arguments in [
        &["openapi"][..],
        &["--help"],
        &["--version"],
        &["serve", "--help"],
        &["migrate"],
        &["migrate", "--status"],
        &generate,
    ] {
        let ended = unread(folder.path(), arguments, |command, closed| {
            command.stdout(closed);
        });
        let line = complaint(&ended);
        assert!(matches!(ended.status.code(), Some(0 | 1)), "{arguments:?}: {line}");
        assert!(!line.contains("panic"), "{arguments:?}: {line}");
    }
}

#[test]
fn a_spec_or_password_that_could_not_be_printed_is_status_1() {
    let folder = prepared();
    for arguments in [&["openapi"][..], &ada(&["--generate-password"])] {
        let ended = unread(folder.path(), arguments, |command, closed| {
            command.stdout(closed);
        });
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}");
        let line = complaint(&ended);
        assert!(line.lines().last().is_some_and(|line| line.starts_with("usher: ")), "{line}");
    }
}

#[test]
fn a_closed_standard_error_does_not_cost_the_generated_password() {
    // given
    let folder = prepared();

    // when
    let generate = ada(&["--generate-password"]);
    let ended = unread(folder.path(), &generate, |command, closed| {
        command.stderr(closed);
    });

    // then
    assert_eq!((ended.status.code(), stdout(&ended).lines().count()), (Some(0), 1));
    assert_eq!(accounts(folder.path()), 1);
}

#[test]
fn migrate_makes_a_private_database_and_is_up_to_date_the_second_time() {
    use std::os::unix::fs::PermissionsExt;

    // given
    let folder = tempdir().unwrap();

    // when
    let first = usher(folder.path(), &["migrate"]);
    let made = files(folder.path());
    let second = usher(folder.path(), &["migrate"]);

    // then
    assert!(succeeded(&first).contains("created"));
    assert!(succeeded(&second).contains("up to date"));
    assert_eq!((complaint(&first), complaint(&second)), (String::new(), String::new()));
    assert_eq!(made.keys().collect::<Vec<_>>(), ["usher.db", "usher.db.lock"]);
    for name in made.keys() {
        let mode = folder.path().join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{name}");
    }
    assert!(files(folder.path()) == made, "the second run changed a byte");
}

#[test]
fn the_status_of_the_schema_is_told_without_writing() {
    // given
    let folder = tempdir().unwrap();

    // when
    let before = usher(folder.path(), &["migrate", "--status"]);
    let nothing = files(folder.path());
    succeeded(&usher(folder.path(), &["migrate"]));
    let made = files(folder.path());
    let after = usher(folder.path(), &["migrate", "--status"]);

    // then
    assert!(succeeded(&before).contains("no database"));
    assert!(succeeded(&after).contains("up to date"));
    assert!(nothing.is_empty(), "{:?}", nothing.keys());
    assert!(files(folder.path()) == made, "the status wrote something");
}

#[test]
fn a_database_is_not_migrated_under_a_running_server_but_its_status_is_told() {
    let folder = tempdir().unwrap();
    let _serving = Serving::start(folder.path(), &[]);
    let line = refused(&usher(folder.path(), &["migrate"]), 1);
    assert!(line.contains("in use") && line.contains("stop"), "{line}");
    assert!(succeeded(&usher(folder.path(), &["migrate", "--status"])).contains("up to date"));
}

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
    assert_eq!(accounts(folder.path()), 0);
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
    assert_eq!(accounts(folder.path()), 0);
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
    assert_eq!(accounts(folder.path()), 1);
}

#[test]
fn without_a_terminal_and_without_a_flag_it_says_which_flags_there_are() {
    let folder = prepared();
    let line = refused(&usher_reading(folder.path(), &ada(&[]), format!("{PASSWORD}\n{PASSWORD}\n")), 1);
    assert!(line.contains("--password-stdin") && line.contains("--generate-password"), "{line}");
    assert_eq!(accounts(folder.path()), 0);
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
    assert_eq!(accounts(folder.path()), 1);
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
    assert_eq!(accounts(folder.path()), 8);
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

#[test]
fn a_server_that_is_ready_is_healthy_however_it_is_named() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    let address = serving.address.to_string();
    let elsewhere = tempdir().unwrap();

    let by_url = usher(elsewhere.path(), &["healthcheck", "--url", &format!("http://{address}")]);
    let by_flag = usher(elsewhere.path(), &["healthcheck", "--listen", &address]);
    let by_variable = output(command(elsewhere.path()).env("USHER_LISTEN", &address).arg("healthcheck"));
    let everywhere = format!("0.0.0.0:{}", serving.address.port());
    let everywhere = output(command(elsewhere.path()).env("USHER_LISTEN", everywhere).arg("healthcheck"));

    for healthy in [by_url, by_flag, by_variable, everywhere] {
        assert_eq!(succeeded(&healthy), format!("http://{address}/readyz is ready\n"));
        assert_eq!(complaint(&healthy), "");
    }
    assert!(files(elsewhere.path()).is_empty(), "no database is needed, and none is made");
}

#[test]
fn a_server_that_is_not_ready_is_unhealthy_and_one_line_says_why() {
    // given
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    let ask = |url: &str| refused(&usher(folder.path(), &["healthcheck", "--url", url]), 1);
    let url = format!("http://{}", serving.address);

    // when, then
    let line = ask(&format!("{url}/no/such/prefix"));
    assert!(line.ends_with("/no/such/prefix/readyz answers 404: there is nothing at this path"), "{line}");
    std::fs::rename(folder.path().join("usher.db"), folder.path().join("gone.db")).unwrap();
    let line = ask(&url);
    assert!(line.contains(" answers 503: "), "{line}");
    drop(serving);
    let line = ask(&url);
    assert!(line.contains("can't be reached"), "{line}");
}

#[test]
fn what_does_not_answer_as_a_server_does_is_unhealthy() {
    use std::io::{Read, Write};

    // given
    let folder = tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let ask = || refused(&usher(folder.path(), &["healthcheck", "--url", &url]), 1);

    // when: nobody accepts the connection
    let silent = ask();
    // when: something else listens
    let other = std::thread::spawn(move || {
        listener.accept().unwrap();
        let (mut connection, _) = listener.accept().unwrap();
        connection.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").unwrap();
        let asked = connection.read(&mut [0; 1024]).unwrap(); // what is left unread would reset the connection
        assert!(asked > 0);
    });
    let foreign = ask();
    other.join().unwrap();

    // then
    assert!(silent.contains("does not answer within 5 seconds"), "{silent}");
    assert!(foreign.contains("does not answer in HTTP"), "{foreign}");
}

/// What `healthcheck` says of a server that takes the question and does this with its connection.
fn asked(serve: impl FnOnce(std::net::TcpStream) + Send + 'static) -> Output {
    let folder = tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || serve(listener.accept().unwrap().0));
    let said = usher(folder.path(), &["healthcheck", "--url", &url]);
    server.join().unwrap();
    said
}

#[test]
fn of_an_answer_that_does_not_end_what_came_of_it_counts() {
    use std::io::{Read, Write};

    let stalled = asked(|mut connection| {
        connection.write_all(b"HTTP/1.1 503 Service Unavailable\r\n").unwrap();
        while connection.read(&mut [0; 1024]).is_ok_and(|length| length > 0) {}
    });
    assert!(refused(&stalled, 1).contains("answers 503"), "{stalled:?}");

    let long = asked(|mut connection| {
        let (line, body) = ("HTTP/1.1 503 Service Unavailable\r\nX: ", r#"{"error":{"message":"the disk is full"}}"#);
        connection.write_all(format!("{line}{}\r\n\r\n{body}", "x".repeat(8_000)).as_bytes()).unwrap();
        connection.shutdown(std::net::Shutdown::Write).unwrap();
        while connection.read(&mut [0; 1024]).is_ok_and(|length| length > 0) {}
    });
    assert!(refused(&long, 1).contains("the disk is full"), "{long:?}");

    let endless = asked(|mut connection| {
        connection.write_all(b"HTTP/1.1 503 Service Unavailable\r\nX: ").unwrap();
        let part = vec![b'x'; 64 * 1024];
        let taken = (0..1024).take_while(|_| connection.write_all(&part).is_ok()).count();
        assert!(taken < 1024, "it reads on and on");
    });
    assert!(refused(&endless, 1).contains("answers 503"), "{endless:?}");
}

#[test]
fn a_connection_that_is_reset_is_not_said_to_be_late() {
    let reset = asked(|connection| assert_eq!(connection.peek(&mut [0]).unwrap(), 1)); // what is left unread resets it
    let line = refused(&reset, 1);
    assert!(line.contains("does not answer: ") && !line.contains("within"), "{line}");
}

#[test]
fn a_server_that_cannot_be_asked_is_a_usage_error_or_says_what_to_name() {
    let folder = tempdir().unwrap();
    let line = refused(&usher(folder.path(), &["healthcheck", "--url", "https://accounts.example.com"]), 2);
    assert!(line.contains("https is not supported"), "{line}");
    let line = refused(&usher(folder.path(), &["healthcheck"]), 1);
    assert!(line.contains("--listen names no port") && line.contains("--url"), "{line}");
}

/// `create-admin` on a terminal of its own, which echoes what is typed until it is told not to.
fn on_a_terminal(folder: &Path) -> PtySession {
    let mut shell = Command::new("/bin/sh");
    shell.current_dir(folder).env_clear();
    // The line that is read before shows in the transcript: the terminal does echo.
    shell.args(["-c", r#"stty echo; echo ready; read line; exec "$0" "$@""#, env!("CARGO_BIN_EXE_usher")]);
    shell.args(ada(&[]));
    let mut terminal = spawn_command(shell, Some(30_000)).expect("a terminal");
    terminal.exp_string("ready").expect("the shell is there");
    terminal.send_line("seen").expect("typed");
    terminal.exp_string("seen").expect("the terminal echoes");
    terminal
}

/// Waits for a prompt and for the terminal to be silent, and types a line. Returns what showed before the prompt.
fn answer(terminal: &mut PtySession, prompt: &str, line: &str) -> String {
    let shown = terminal.exp_string(prompt).expect("a prompt");
    let device = terminal.process().get_file_handle().expect("the terminal");
    until("the terminal stops to echo", || {
        let settings = Command::new("stty").arg("-a").stdin(device.try_clone().unwrap()).output().unwrap();
        String::from_utf8_lossy(&settings.stdout).split([' ', ';', '\n']).any(|word| word == "-echo").then_some(())
    });
    terminal.send_line(line).expect("typed");
    shown
}

/// What showed until the end, and the exit status.
fn end(terminal: &mut PtySession) -> (String, Option<i32>) {
    let shown = terminal.exp_eof().expect("it ends");
    match until("it ends", || terminal.process().status().filter(|status| *status != WaitStatus::StillAlive)) {
        WaitStatus::Exited(_, status) => (shown, Some(status)),
        _ => (shown, None),
    }
}

#[test]
fn the_password_is_asked_for_twice_on_the_terminal_and_never_shown() {
    // given
    let folder = prepared();
    let mut terminal = on_a_terminal(folder.path());

    // when
    let first = answer(&mut terminal, "Password: ", PASSWORD);
    let second = answer(&mut terminal, "Password again: ", PASSWORD);
    let (last, status) = end(&mut terminal);

    // then
    assert_eq!(status, Some(0), "{last}");
    let transcript = [first, second, last].concat();
    assert!(!transcript.contains("correct") && !transcript.contains("battery"), "{transcript}");
    let serving = Serving::start(folder.path(), &[]);
    serving.sign_in("ada");
}

#[test]
fn two_passwords_that_differ_make_no_account() {
    // given
    let folder = prepared();
    let mut terminal = on_a_terminal(folder.path());

    // when
    let first = answer(&mut terminal, "Password: ", PASSWORD);
    let second = answer(&mut terminal, "Password again: ", "correct horse batterie");
    let (last, status) = end(&mut terminal);

    // then
    assert_eq!(status, Some(1), "{last}");
    assert!(last.contains("usher: ") && last.contains("differ") && last.contains("again"), "{last}");
    let transcript = [first, second, last].concat();
    assert!(!transcript.contains("correct") && !transcript.contains("batter"), "{transcript}");
    assert_eq!(accounts(folder.path()), 0);
}

#[test]
fn a_weak_password_typed_on_the_terminal_is_refused() {
    let folder = prepared();
    let mut terminal = on_a_terminal(folder.path());
    answer(&mut terminal, "Password: ", "iloveyou");
    answer(&mut terminal, "Password again: ", "iloveyou");
    let (last, status) = end(&mut terminal);
    assert_eq!(status, Some(1), "{last}");
    assert!(last.contains("password ") && !last.contains("iloveyou"), "{last}");
    assert_eq!(accounts(folder.path()), 0);
}

/// A shell with job control that runs `create-admin` and then what is given, on a terminal of its own. Prompts of the
/// command are waited for until its terminal is silent.
fn in_a_shell(folder: &Path, then: &str) -> PtySession {
    in_a_shell_with_its_id(folder, then).0
}

fn in_a_shell_with_its_id(folder: &Path, then: &str) -> (PtySession, String) {
    let mut shell = Command::new("/bin/sh");
    shell.current_dir(folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    shell
        .args(["-c", &format!("stty echo; echo shell $$; set -m; \"$0\" \"$@\"; {then}"), env!("CARGO_BIN_EXE_usher")])
        .args(ada(&[]));
    let mut terminal = spawn_command(shell, Some(30_000)).expect("a terminal");
    let id = terminal.exp_regex("shell [0-9]+").expect("its id").1;
    terminal.exp_string("Password: ").expect("a prompt");
    (terminal, id.trim_start_matches("shell ").to_owned())
}

/// What the shell says afterwards: the exit status, and whether the terminal echoes.
const SAY: &str = "echo status $?; stty -a";

#[test]
fn an_interrupted_prompt_leaves_a_terminal_that_echoes() {
    for (key, status) in [('c', 130), ('\\', 131)] {
        // given
        let folder = prepared();
        let mut terminal = in_a_shell(folder.path(), SAY);

        // when: in the middle of the second password
        terminal.send_line(PASSWORD).unwrap();
        terminal.exp_string("Password again: ").unwrap();
        terminal.send("corr").unwrap();
        terminal.send_control(key).unwrap();

        // then
        let said = terminal.exp_string(&format!("status {status}")).unwrap();
        assert!(said.contains("usher: interrupted; nothing was done") && !said.contains("corr"), "{said}");
        let settings = terminal.exp_eof().unwrap();
        assert!(settings.split([' ', ';', '\n']).any(|word| word == "echo"), "{settings}");
        assert_eq!(accounts(folder.path()), 0);
    }
}

#[test]
fn a_prompt_whose_program_is_told_to_end_leaves_a_terminal_that_echoes() {
    for (signal, status) in [("TERM", 143), ("HUP", 129), ("INT", 130)] {
        let folder = prepared();
        let (mut terminal, shell) = in_a_shell_with_its_id(folder.path(), SAY);
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
        let sent = Command::new("kill").args([&format!("-{signal}"), children.trim()]).status();
        assert!(sent.unwrap().success());
        terminal.exp_string(&format!("status {status}")).unwrap();
        let settings = terminal.exp_eof().unwrap();
        assert!(settings.split([' ', ';', '\n']).any(|word| word == "echo"), "{settings}");
    }
}

#[test]
fn a_prompt_that_is_stopped_echoes_for_the_shell_and_asks_again_when_it_goes_on() {
    // given
    let folder = prepared();
    let mut terminal = in_a_shell(folder.path(), &format!("{SAY}; echo back; fg; {SAY}"));

    // when
    terminal.send("half a pass").unwrap();
    terminal.send_control('z').unwrap();
    let stopped = terminal.exp_string("back").unwrap();
    let prompt = terminal.exp_string("Password: ").unwrap();
    terminal.send_line(PASSWORD).unwrap();
    terminal.exp_string("Password again: ").unwrap();
    terminal.send_line(PASSWORD).unwrap();

    // then
    assert!(stopped.split([' ', ';', '\n']).any(|word| word == "echo"), "{stopped}");
    let end = terminal.exp_string("status 0").unwrap();
    let settings = terminal.exp_eof().unwrap();
    assert!(settings.split([' ', ';', '\n']).any(|word| word == "echo"), "{settings}");
    let transcript = [stopped, prompt, end].concat();
    assert!(!transcript.contains("half") && !transcript.contains("battery"), "{transcript}");
    assert_eq!(accounts(folder.path()), 1);
}

#[test]
fn an_account_that_cannot_be_created_is_refused_before_its_password_is_asked_for() {
    // given
    let folder = prepared();
    succeeded(&create_admin(folder.path(), "ada"));

    for (username, email, says) in [
        ("-bob", "bob", "email must be an e-mail address such as name@example.com; username must consist of"),
        ("bob", "bob@", "email must be an e-mail address"),
        ("ADA", "bob@example.com", "this username is taken"),
        ("bob", "Ada@Example.com", "this e-mail address is taken"),
    ] {
        for command in [&["create-admin"][..], &["user", "create"]] {
            // when
            let mut asked = self::command(folder.path());
            asked.stdin(Stdio::inherit()).args(command).args([&format!("--username={username}"), "--email", email]);
            let mut terminal = spawn_command(asked, Some(30_000)).expect("a terminal");
            let (said, status) = end(&mut terminal);

            // then
            assert_eq!(status, Some(1), "{said}");
            assert!(said.contains(says) && !said.contains("Password"), "{said}");
        }
    }
    assert_eq!(accounts(folder.path()), 1);
}

#[test]
fn the_end_of_what_is_typed_is_no_password() {
    let folder = prepared();
    let mut terminal = in_a_shell(folder.path(), SAY);
    terminal.send_control('d').unwrap();
    let said = terminal.exp_string("status 1").unwrap();
    assert!(said.contains("usher: nothing was typed; nothing was done"), "{said}");
    let settings = terminal.exp_eof().unwrap();
    assert!(settings.split([' ', ';', '\n']).any(|word| word == "echo"), "{settings}");
}

#[test]
fn what_is_typed_at_the_prompts_is_never_shown_however_fast_it_comes() {
    let folder = prepared();
    let mut terminal = in_a_shell(folder.path(), SAY);
    terminal.send(&format!("{PASSWORD}\n{PASSWORD}\n")).unwrap();
    let shown = terminal.exp_string("status 0").unwrap();
    assert!(!shown.contains("correct") && !shown.contains("battery"), "{shown}");
    assert_eq!(accounts(folder.path()), 1);
}
