//! `usher create-admin` on a terminal, which asks for the password.

use super::{ada, prepared, succeeded};
use crate::support::{
    PASSWORD,
    binary::{Serving, command, create_admin, until},
    probes::Probes,
};
use rexpect::{
    process::WaitStatus,
    session::{PtySession, spawn_command},
};
use std::{
    path::Path,
    process::{Command, Stdio},
};

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
    assert_eq!(folder.user_count(), 0);
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
    assert_eq!(folder.user_count(), 0);
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
        assert_eq!(folder.user_count(), 0);
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
    assert_eq!(folder.user_count(), 1);
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
    assert_eq!(folder.user_count(), 1);
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
    assert_eq!(folder.user_count(), 1);
}
