//! Help, usage errors, completions and the manual page.

use super::{refused, stdout, succeeded, variable};
use crate::support::binary::{command, complaint, files, output, usher};
use std::{path::Path, process::Command};
use tempfile::tempdir;

/// Every setting of `serve`: its flag, what stands behind it in the help, and its default. Empty: it has none.
const SETTINGS: &[(&str, &str, &str)] = &[
    ("--listen", "<ADDRESS:PORT>", "127.0.0.1:8080"),
    ("--database", "<FILE>", "usher.db"),
    ("--public-url", "<URL>", ""),
    ("--instance-name", "<TEXT>", "usher"),
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
            let (says, follows) = entry.split_once(" (default: the value of the last").unwrap_or((&entry, ""));
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
    for (status, meaning) in [("0", "success"), ("1", "failure"), ("2", "the command line"), ("130", "interrupted")] {
        assert!(statuses.contains(&format!("{status} {meaning}")), "{statuses}");
    }
}

#[test]
fn the_help_says_what_surprised_people() {
    for (command, facts) in [
        (&[][..], &["A DURATION is a whole number and s, m, h or d"][..]),
        (
            &["serve"],
            &["A DURATION is", "copied to FILE.vN first", "A second signal stops it at once, with status 1", "SIGHUP"],
        ),
        (&["create-admin"], &["are valid and free", "Not together with --generate-password"]),
        (&["user", "create"], &["are valid and free", "not together with --generate-password"]),
        (&["user", "set-password"], &["reset tokens stop working"]),
        (&["user", "disable"], &["last enabled administrator", "Invitations and reset tokens"]),
        (&["user", "set-role"], &["last enabled administrator", "sessions continue"]),
        (&["user", "delete"], &["refuses, unless --yes is given", "last enabled administrator"]),
        (
            &["user", "import"],
            &[
                "reason as its first member, \"refused\"",
                "as text in a member \"line\"",
                "Replace the whole object by the corrected one",
                "The exit status is 0, even if lines were refused",
                "--dry-run",
            ],
        ),
        (&["session", "revoke"], &["'usher session list'"]),
        (&["invitation", "delete"], &["'usher invitation list'"]),
        (&["invite"], &["field `invitation` of POST /api/v1/users", "prints a warning"]),
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
    assert!(plain.contains("PBKDF2") && plain.contains("Exit status:\n  0    success"), "what help says at its end");
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
