//! How a server ends: signals, requests in progress, and kills.

use super::{connect, rest_of};
use crate::support::{
    PASSWORD,
    binary::{Serving, command, files, status_of_registration, until},
    probes::Probes,
};
use serde_json::json;
use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tempfile::tempdir;

/// A registration of which the server has read the head and waits for the body, which is returned.
fn begin_registration(address: SocketAddr, name: &str) -> (BufReader<TcpStream>, String) {
    let body = json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD}).to_string();
    let head = format!(
        "POST /api/v1/users HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    let mut stream = connect(address, &head);
    for expected in ["HTTP/1.1 100 Continue\r\n", "\r\n"] {
        let mut line = String::new();
        stream.read_line(&mut line).expect("the server asks for the body");
        assert_eq!(line, expected);
    }
    (stream, body)
}

#[test]
fn either_signal_ends_it_with_status_0_and_everything_gathered_in_the_file() {
    for signal in ["TERM", "INT"] {
        // given: the idle timeout is so short that nearly each use is worth recording
        let folder = tempdir().unwrap();
        let serving = Serving::start(folder.path(), &["--session-idle-timeout", "1s"]);
        serving.register("ada").is(201, "");
        let ada = serving.sign_in("ada");
        let begun = Instant::now();
        let mut last_use = 0;
        while begun.elapsed() < Duration::from_millis(300) {
            last_use = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
            ada.get("/auth/me").is(200, "");
        }
        serving.client().login("ada@example.com", "a wrong password").is(401, "invalid_credentials");

        // when
        serving.signal(signal);
        let (status, log) = serving.wait();

        // then
        assert_eq!(status, Some(0), "{log}");
        assert!(log.contains("stopping") && log.lines().last().unwrap().contains("stopped"), "{log}");
        let left: Vec<String> = files(folder.path()).into_keys().collect();
        assert_eq!(left, ["usher.db", "usher.db.lock"], "the write-ahead log was not taken over");
        assert!(folder.last_used_at().as_millis() + 100 >= last_use, "the last use was lost");
        assert_eq!(folder.audit_count_of("session.sign_in_failed"), 1);
    }
}

#[test]
fn a_request_in_progress_is_answered_before_the_end() {
    // given: one waits for its body, the other is at its hash, which takes long
    let folder = tempdir().unwrap();
    let slow = ["--argon2-memory", "65536", "--argon2-iterations", "10", "--hash-threads", "1"];
    let serving = Serving::spawn(folder.path(), command(folder.path()).arg("serve").args(slow));
    let (mut hashing, body) = begin_registration(serving.address, "ada");
    hashing.get_mut().write_all(body.as_bytes()).unwrap();
    let (mut waiting, body) = begin_registration(serving.address, "bob");

    // when
    serving.signal("TERM");
    serving.until_logged("stopping");
    waiting.get_mut().write_all(body.as_bytes()).unwrap();

    // then
    for stream in [hashing, waiting] {
        let answer = rest_of(stream);
        assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
        assert!(answer.to_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
    }
    let (status, log) = serving.wait();
    assert_eq!(status, Some(0), "{log}");
    assert_eq!(folder.user_count(), 2);
}

#[test]
fn a_request_that_takes_longer_than_the_shutdown_timeout_is_given_up() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--shutdown-timeout", "1s"]);
    let (stream, _) = begin_registration(serving.address, "ada");
    serving.signal("TERM");
    let (status, log) = serving.wait();
    assert_eq!(status, Some(0), "{log}");
    assert!(log.contains("--shutdown-timeout"), "{log}");
    assert!(!rest_of(stream).contains(" 201 "));
}

#[test]
fn what_is_left_to_be_written_waits_for_another_process_no_longer_than_the_shutdown_timeout() {
    // given: something to write, and somebody who lets nobody write
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--shutdown-timeout", "1s"]);
    let _other = serving.hold_writes();
    serving.client().login("nobody@example.com", "a wrong password").is(401, "invalid_credentials");
    let file = serving.database_file();

    // when: the server is to end, and at the same time a third one begins to wait, for five seconds
    serving.signal("TERM");
    let waiting = std::thread::spawn(move || !file.can_write());
    let (status, log) = serving.wait();

    // then
    assert!(!waiting.is_finished(), "it was there longer than the third one: {log}");
    assert!(status == Some(0) && log.contains("could not be written"), "{log}");
    assert!(waiting.join().unwrap(), "nobody else could write");
}

#[test]
fn nobody_new_is_let_in_after_the_signal() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    let (_held, _) = begin_registration(serving.address, "ada");
    serving.signal("TERM");
    until("the port is closed", || TcpStream::connect(serving.address).is_err().then_some(()));
}

#[test]
fn without_a_terminal_sighup_reads_the_list_of_passwords_again_and_keeps_it_where_it_is_faulty() {
    // given
    let folder = tempdir().unwrap();
    let list = folder.path().join("refused.txt");
    std::fs::write(&list, format!("{PASSWORD}\n")).unwrap();
    let mut detached = Command::new("setsid");
    detached.current_dir(folder.path()).env_clear().stdin(Stdio::null()).arg(env!("CARGO_BIN_EXE_usher"));
    detached.args(["serve", "--listen", "127.0.0.1:0", "--argon2-memory", "64", "--password-blocklist", "refused.txt"]);
    let serving = Serving::spawn(folder.path(), &mut detached);
    serving.register("ada").is(400, "validation_failed");

    // when
    std::fs::write(&list, "something else\n").unwrap();
    serving.signal("HUP");
    serving.until_logged("was read again");

    // then
    serving.register("ada").is(201, "");

    // when: it is not text
    std::fs::write(&list, [0xff, 0xfe]).unwrap();
    serving.signal("HUP");
    serving.until_logged("stays as it was");

    // then
    let other = json!({"username": "bob", "email": "bob@example.com", "password": "Something Else"});
    serving.client().post("/users", other).is(400, "validation_failed");
    serving.signal("TERM");
    let (status, log) = serving.wait();
    assert_eq!(status, Some(0), "{log}");
    assert!(log.contains(" ERROR ") && log.contains("refused.txt"), "{log}");
}

#[test]
fn a_list_that_never_ends_keeps_nobody_from_ending_the_server() {
    let folder = tempdir().unwrap();
    let list = folder.path().join("refused.txt");
    std::fs::write(&list, "something\n").unwrap();
    let mut detached = Command::new("setsid");
    detached.current_dir(folder.path()).env_clear().stdin(Stdio::null()).arg(env!("CARGO_BIN_EXE_usher"));
    detached.args(["serve", "--listen", "127.0.0.1:0", "--argon2-memory", "64", "--password-blocklist", "refused.txt"]);
    let serving = Serving::spawn(folder.path(), &mut detached);
    std::fs::remove_file(&list).unwrap();
    assert!(Command::new("mkfifo").arg(&list).status().unwrap().success());

    serving.signal("HUP");
    serving.signal("TERM");

    assert_eq!(serving.wait().0, Some(0));
}

/// A server at a terminal of its own, started by a shell.
struct AtTerminal {
    terminal: rexpect::session::PtySession,
    server: rustix::process::Pid,
    address: SocketAddr,
}

impl AtTerminal {
    fn start(folder: &std::path::Path, prepare: &str) -> Self {
        let script = format!("echo pid=$$; {prepare} \"$0\" serve --listen 127.0.0.1:0 --argon2-memory 64");
        let mut shell = Command::new("/bin/sh");
        shell.current_dir(folder).env_clear().args(["-c", &script, env!("CARGO_BIN_EXE_usher")]);
        let mut terminal = rexpect::session::spawn_command(shell, Some(30_000)).unwrap();
        terminal.exp_string("pid=").unwrap();
        let pid = terminal.read_line().unwrap().trim().parse().unwrap();
        terminal.exp_string("listening on http://").unwrap();
        let rest = terminal.read_line().unwrap();
        let address = rest.split_whitespace().next().unwrap().parse().unwrap();
        Self { terminal, server: rustix::process::Pid::from_raw(pid).unwrap(), address }
    }

    fn hang_up(&self) {
        rustix::process::kill_process(self.server, rustix::process::Signal::HUP).unwrap();
    }
}

#[test]
fn at_a_terminal_sighup_ends_the_server_as_sigterm_does() {
    let folder = tempdir().unwrap();
    // What runs the tests may ignore the signal, which programs inherit.
    let mut at = AtTerminal::start(folder.path(), "exec env --default-signal=HUP");
    let (mut waiting, body) = begin_registration(at.address, "ada");
    at.hang_up();
    at.terminal.exp_string("stopping").unwrap();
    at.hang_up(); // a terminal that closes may send two
    waiting.get_mut().write_all(body.as_bytes()).unwrap();
    let answer = rest_of(waiting);
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
    at.terminal.exp_string("stopped").unwrap();
    let status = format!("{:?}", at.terminal.process().wait().unwrap());
    assert!(status.starts_with("Exited(") && status.ends_with(", 0)"), "{status}");
}

#[test]
fn a_server_that_was_started_to_survive_its_terminal_does() {
    let folder = tempdir().unwrap();
    let mut at = AtTerminal::start(folder.path(), "trap '' HUP; exec");
    at.hang_up();
    at.terminal.exp_string("SIGHUP reads --password-blocklist again").unwrap();
}

#[test]
fn a_second_signal_ends_it_at_once_with_another_status() {
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("TERM", "INT")] {
        // given
        let folder = tempdir().unwrap();
        let serving = Serving::start(folder.path(), &["--shutdown-timeout", "1h"]);
        let (_held, _) = begin_registration(serving.address, "ada");
        serving.signal(first);
        serving.until_logged("stopping");

        // when
        serving.signal(second);

        // then
        let (status, log) = serving.wait();
        assert_eq!(status, Some(1), "{log}");
        assert!(log.lines().last().unwrap().contains("stopped at once by a second signal"), "{log}");
        let again = Serving::start(folder.path(), &[]);
        again.register("ada").is(201, "");
    }
}

#[test]
fn the_probes_say_in_json_that_it_is_alive_and_ready() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    for (path, status) in [("//healthz", "ok"), ("//readyz", "ready")] {
        let answer = serving.client().get(path);
        assert_eq!((answer.status, answer.json()), (200, serde_json::json!({"status": status})));
        assert_eq!(answer.header("content-type"), "application/json");
    }
}

#[test]
fn a_draining_server_says_that_it_is_not_ready() {
    // given: half a request; the server has taken its connection, for it has answered a later one
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    let mut half = connect(serving.address, "GET /readyz HTTP/1.1\r\nHost: here\r\n");
    serving.client().get("//readyz").is(200, "");

    // when
    serving.signal("TERM");
    serving.until_logged("stopping");
    half.get_mut().write_all(b"\r\n").unwrap();

    // then
    let answer = rest_of(half);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains(r#""code":"overloaded""#), "{answer}");
    assert_eq!(serving.wait().0, Some(0));
}

#[test]
fn an_account_that_was_confirmed_is_there_after_a_kill() {
    let folder = tempdir().unwrap();
    let made = Mutex::new(Vec::<String>::new());
    for round in 0..3 {
        // given
        let mut serving = Serving::start(folder.path(), &["--throttle", "off"]);
        let address = serving.address;
        let enough = made.lock().unwrap().len() + 40;

        // when
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let made = &made;
                scope.spawn(move || {
                    for n in 0.. {
                        let name = format!("r{round}w{writer}n{n}");
                        match status_of_registration(address, &name) {
                            Some(201) => made.lock().unwrap().push(name),
                            Some(other) => panic!("{other}"),
                            None => return,
                        }
                    }
                });
            }
            until("enough accounts", || (made.lock().unwrap().len() >= enough).then_some(()));
            serving.child.kill().unwrap();
        });

        // then
        assert_eq!(serving.child.wait().unwrap().signal(), Some(9));
        let again = Serving::start(folder.path(), &[]);
        for name in made.lock().unwrap().iter() {
            again.sign_in(name);
        }
        assert_eq!(again.integrity(), "ok");
        again.signal("TERM");
        assert_eq!(again.wait().0, Some(0));
    }
}
