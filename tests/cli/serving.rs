//! A server's life, as an operator sees it: how it starts, what it logs, whom it believes, and how it ends.

use crate::support::{
    Answer, PASSWORD,
    binary::{Serving, command, complaint, create_admin, files, output, until, usher},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, PipeReader, PipeWriter, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Output, Stdio},
    sync::Mutex,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tempfile::tempdir;

/// Asserts status 1 and one line that says why, after whatever was logged before. Returns the line.
#[track_caller]
fn could_not(output: &Output) -> String {
    let all = complaint(output);
    assert_eq!(output.status.code(), Some(1), "{all}");
    let own: Vec<&str> = all.lines().filter(|line| line.starts_with("usher: ")).collect();
    assert_eq!(own.len(), 1, "{all}");
    assert_eq!(all.lines().last(), Some(own[0]), "{all}");
    assert!(!all.contains("panic"), "{all}");
    own[0].to_owned()
}

/// Opens a connection and sends bytes on it.
fn connect(address: SocketAddr, bytes: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    stream.write_all(bytes.as_bytes()).expect("sent");
    BufReader::new(stream)
}

fn rest_of(mut stream: BufReader<TcpStream>) -> String {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest); // a reset ends it, too
    String::from_utf8_lossy(&rest).into_owned()
}

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

/// A log in JSON, line by line.
#[track_caller]
fn parsed(log: &str) -> Vec<Value> {
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The lines about requests, by the id of the request.
fn requests(log: &str) -> BTreeMap<String, Vec<Value>> {
    let mut requests = BTreeMap::<String, Vec<Value>>::new();
    for line in parsed(log).into_iter().filter(|line| line["target"] == "usher::request") {
        requests.entry(line["request_id"].as_str().expect("an id").to_owned()).or_default().push(line);
    }
    requests
}

#[test]
fn the_first_start_says_how_to_make_an_administrator_and_one_with_an_administrator_does_not() {
    // given
    let folder = tempdir().unwrap();

    // when
    let first = Serving::start(folder.path(), &[]);
    first.until_logged("usher create-admin");
    first.signal("TERM");
    let (_, first) = first.wait();
    assert!(create_admin(folder.path(), "ada").status.success());
    let second = Serving::start(folder.path(), &[]);
    second.signal("TERM");
    let (_, second) = second.wait();

    // then
    assert!(first.contains("a new database was created") && first.contains("no administrator"), "{first}");
    assert!(!second.contains("create-admin") && !second.contains("no administrator"), "{second}");
}

#[test]
fn the_start_names_the_page_unless_there_is_none() {
    let folder = tempdir().unwrap();
    let with = Serving::start(folder.path(), &[]);
    with.until_logged(&format!("the API is described at http://{}/docs", with.address));
    with.signal("TERM");
    with.wait();

    let without = Serving::start(folder.path(), &["--no-docs"]);
    without.signal("TERM");
    let (_, log) = without.wait();
    assert!(!log.contains("/docs"), "{log}");
}

#[test]
fn an_address_that_everyone_can_reach_is_warned_about_while_registration_is_open() {
    let folder = tempdir().unwrap();
    let everywhere = Serving::start(folder.path(), &["--listen", "0.0.0.0:0"]);
    everywhere.until_logged("registration is open");
    everywhere.signal("TERM");
    everywhere.wait();

    let here = Serving::start(folder.path(), &[]);
    here.signal("TERM");
    let (_, log) = here.wait();
    assert!(!log.contains("registration is open"), "{log}");
}

#[test]
fn a_port_that_is_taken_is_said_in_one_line_that_names_the_flag() {
    let folder = tempdir().unwrap();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let line = could_not(&usher(folder.path(), &["serve", "--listen", &taken]));
    assert!(line.contains(&taken) && line.contains("in use") && line.contains("--listen"), "{line}");
}

#[test]
fn a_start_that_is_refused_for_a_port_leaves_the_folder_as_it_was() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let old = include_str!("../storage/upgrade/version-1.sql");
    for (was, sql) in [("nothing", None), ("a database", Some("")), ("a database to be migrated", Some(old))] {
        // given
        let folder = tempdir().unwrap();
        match sql {
            Some("") => assert!(usher(folder.path(), &["migrate"]).status.success()),
            Some(sql) => {
                rusqlite::Connection::open(folder.path().join("usher.db")).unwrap().execute_batch(sql).unwrap();
            }
            None => {}
        }
        let before = files(folder.path());

        for flag in ["--listen", "--metrics-listen"] {
            // when
            let line = could_not(&usher(folder.path(), &["serve", flag, &taken]));

            // then
            assert!(line.contains("in use by another program") && line.contains(flag), "{line}");
            let after = files(folder.path());
            assert!(after == before, "{was}: {:?} became {:?}", before.keys(), after.keys());
        }
    }
}

#[test]
fn a_server_is_started_again_at_once_on_the_port_of_one_that_closed_its_connections() {
    // given: the side that closes first keeps the port for a while
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    let address = serving.address;
    let mut idle = connect(address, "GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n");
    idle.read_line(&mut String::new()).unwrap();
    serving.signal("TERM");
    serving.wait();
    rest_of(idle);

    // when
    let again = Serving::start(folder.path(), &["--listen", &address.to_string()]);

    // then
    again.client().get("//healthz").is(200, "");
}

#[test]
fn an_address_of_another_machine_is_said_in_one_line_that_names_the_flag() {
    let folder = tempdir().unwrap();
    let line = could_not(&usher(folder.path(), &["serve", "--listen", "192.0.2.1:0"]));
    assert!(line.contains("does not have the IP address 192.0.2.1;") && line.contains("--listen"), "{line}");
}

#[test]
fn a_second_server_on_the_same_file_is_refused_and_the_command_line_works_beside_the_first() {
    // given
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);

    // when
    let second = usher(folder.path(), &["serve"]);
    let admin = create_admin(folder.path(), "ada");

    // then
    let line = could_not(&second);
    assert!(line.contains("usher.db") && line.contains("in use") && line.contains("stop"), "{line}");
    assert!(admin.status.success(), "{}", complaint(&admin));
    serving.sign_in("ada").get("/auth/me").is(200, "");
}

#[test]
fn a_database_by_another_name_for_the_same_file_is_not_served_twice() {
    // given
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    std::os::unix::fs::symlink(folder.path().join("usher.db"), folder.path().join("link.db")).unwrap();

    // when
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let second = usher(folder.path(), &["serve", "--database", "link.db", "--listen", &taken]);

    // then
    let line = could_not(&second);
    assert!(line.contains("in use by another 'usher"), "{line}");
    serving.client().get("//readyz").is(200, "");
}

#[test]
fn a_folder_that_is_not_there_or_no_folder_is_said_in_one_line() {
    // given
    let folder = tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let before = files(folder.path());

    for database in ["no/such/usher.db", "file/usher.db"] {
        for subcommand in ["serve", "migrate"] {
            // when
            let line = could_not(&usher(folder.path(), &[subcommand, "--database", database]));

            // then
            assert!(line.contains(database), "{subcommand}: {line}");
        }
    }
    assert_eq!(files(folder.path()), before);
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
        let database = rusqlite::Connection::open(folder.path().join("usher.db")).unwrap();
        let one = |sql: &str| -> i64 { database.query_row(sql, [], |row| row.get(0)).unwrap() };
        assert!(one("SELECT last_used_at FROM sessions") + 100 >= last_use, "the last use was lost");
        assert_eq!(one("SELECT count(*) FROM audit WHERE action = 'session.sign_in_failed'"), 1);
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
    let database = rusqlite::Connection::open(folder.path().join("usher.db")).unwrap();
    assert_eq!(database.query_row("SELECT count(*) FROM users", [], |row| row.get(0)), Ok(2));
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
    let other = serving.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    serving.client().login("nobody@example.com", "a wrong password").is(401, "invalid_credentials");
    let third = serving.sql();

    // when: the server is to end, and at the same time a third one begins to wait, for five seconds
    serving.signal("TERM");
    let waiting = std::thread::spawn(move || third.execute_batch("BEGIN IMMEDIATE").is_err());
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
        assert!(status.is_some_and(|status| status != 0), "{status:?} {log}");
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

/// Registers somebody, or reports that the server is gone.
fn try_to_register(address: SocketAddr, name: &str) -> Option<u16> {
    let body = json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD}).to_string();
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    write!(
        stream,
        "POST /api/v1/users HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    line.split(' ').nth(1)?.parse().ok()
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
                        match try_to_register(address, &name) {
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
        let verdict: String = again.sql().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
        again.signal("TERM");
        assert_eq!(again.wait().0, Some(0));
    }
}

/// Everything that people paste where it does not belong. Returns the secrets, and the answers.
fn leave_secrets_everywhere(serving: &Serving) -> (BTreeSet<String>, Vec<Answer>) {
    let canary = |place: &str| format!("canary-{place}-q7Zx");
    let json_type = ("content-type", "application/json");
    let body = |fields: Value| fields.to_string().into_bytes();
    let (first, second) = (canary("first-password"), canary("second-password"));
    let mut answers = Vec::new();

    let anon = serving.client();
    answers.push(anon.post("/users", json!({"username": "ada", "email": "ada@example.com", "password": first})));
    let signed_in = anon.login("ada@example.com", &first);
    let token = signed_in.json()["token"].as_str().expect("a token").to_owned();
    answers.push(signed_in);
    let ada = anon.with_token(&token);
    let basic = ("authorization", format!("Basic {}", canary("basic")));
    let (bare, bearer) = (("authorization", token.clone()), ("authorization", format!("Bearer {}", canary("bearer"))));
    let key = ("x-api-key", canary("header"));
    let cookie = ("cookie", format!("session={}", canary("cookie")));
    let agent = ("user-agent", canary("agent"));
    answers.extend([
        ada.put("/users/1", json!({"password": second, "current_password": canary("current")})),
        ada.put("/users/1", json!({"password": second, "current_password": first})),
        anon.login("ada@example.com", &canary("wrong-password")),
        anon.login(&canary("unknown-address"), &canary("other-password")),
        anon.login(&format!("{}@example.com", canary("unknown")), &canary("other-password")),
        anon.post(
            "/users",
            json!({"username": canary("twin"), "email": "ada@example.com", "password": canary("password")}),
        ),
        anon.post(
            "/users",
            json!({"username": "b", "email": "b@example.com", "password": PASSWORD, canary("field"): canary("value")}),
        ),
        anon.send("POST", "/users", &[json_type], Some(canary("no-json").as_bytes())),
        anon.send("POST", "/auth/login", &[json_type], Some(&body(json!({"email": 1, "password": [canary("type")]})))),
        anon.send("POST", "/auth/login", &[("content-type", &canary("type"))], Some(b"{}")),
        ada.get(&format!("/auth/me?access_token={token}")),
        anon.get(&format!("/users?token={}", canary("query"))),
        ada.get(&format!("/users/{}", canary("path"))),
        ada.get(&format!("/users/{token}")),
        anon.get(&format!("/{token}/{}", canary("unmatched"))),
        anon.get(&format!("//{}", canary("root"))),
        anon.send("GET", "/auth/me", &[(basic.0, &basic.1)], None),
        anon.send("GET", "/auth/me", &[(bearer.0, &bearer.1)], None),
        anon.send(
            "GET",
            "/auth/me",
            &[(bare.0, &bare.1), (key.0, &key.1), (cookie.0, &cookie.1), (agent.0, &agent.1)],
            None,
        ),
        ada.send("CANARY-METHOD-Q7ZX", "/users", &[], None),
        ada.send("DELETE", "/auth/me", &[("if-match", &canary("if-match"))], None),
        ada.send("GET", "/auth/me", &[("x-request-id", &canary("request-id"))], None),
        ada.post("/auth/logout", json!({})),
        ada.get("/auth/me"),
    ]);
    // The halves, too: a log that cuts a secret in two has not kept it.
    let (front, back) = token.split_at(25);
    let secrets = [front, back, "canary", "CANARY", "q7Zx"].map(str::to_owned);
    (secrets.into(), answers)
}

#[track_caller]
fn found_nowhere(secrets: &BTreeSet<String>, place: &str, bytes: &[u8]) {
    for secret in secrets {
        let at = bytes.windows(secret.len()).position(|window| window == secret.as_bytes());
        let around = |at: usize| String::from_utf8_lossy(&bytes[at.saturating_sub(150)..(at + 150).min(bytes.len())]);
        assert!(at.is_none(), "{secret} is in {place}: {}", at.map(around).unwrap_or_default());
    }
}

#[test]
fn no_secret_reaches_the_log_or_the_files_even_when_everything_is_logged() {
    for format in ["text", "json"] {
        // given
        let folder = tempdir().unwrap();
        let mut traced = command(folder.path());
        traced.env("RUST_LOG", "trace").args(["serve", "--argon2-memory", "64", "--log-format", format]);
        let serving = Serving::spawn(folder.path(), &mut traced);

        // when
        let (secrets, _) = leave_secrets_everywhere(&serving);
        let no_http =
            ["canary-q7Zx\r\n\r\n", "GET / canary/q7Zx\r\n\r\n", "GET / HTTP/1.1\r\ncanary q7Zx: canary\r\n\r\n"];
        assert!(no_http.iter().all(|bytes| crate::support::raw(serving.address, bytes).starts_with("HTTP/1.1 400 ")));
        let open = files(folder.path());
        serving.signal("TERM");
        let (_, log) = serving.wait();

        // then
        assert!(open.contains_key("usher.db-wal") && open.contains_key("usher.db-shm"));
        assert!(log.contains("DEBUG"), "the log holds more than it does by default: {log}");
        found_nowhere(&secrets, "the log", log.as_bytes());
        assert!(!log.contains("$argon2"), "a hash is in the log");
        for (name, bytes) in open.into_iter().chain(files(folder.path())) {
            found_nowhere(&secrets, &name, &bytes);
        }
    }
}

#[test]
fn each_request_is_one_line_of_json_with_its_template_and_no_path() {
    // given
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--log-format", "json"]);

    // when
    let (_, answers) = leave_secrets_everywhere(&serving);
    let id = |answer: &Answer| answer.header("x-request-id").to_owned();
    let of_user = id(&serving.client().get("/users/7"));
    let of_nothing = id(&serving.client().get("/nothing/here"));
    let of_health = id(&serving.client().get("//healthz"));
    serving.signal("TERM");
    let (_, log) = serving.wait();

    // then
    let requests = requests(&log);
    assert_eq!(requests.len(), answers.len() + 3);
    for answer in &answers {
        let lines = requests.get(&id(answer)).unwrap_or_else(|| panic!("no line for {answer:?}"));
        assert_eq!(lines.len(), 1, "{lines:?}");
        let line = &lines[0];
        assert_eq!(line["status"], answer.status, "{line}");
        assert!(line["method"].is_string() && line["micros"].is_u64() && line["timestamp"].is_string(), "{line}");
        assert_eq!(line["client"], "127.0.0.1", "{line}");
        let templates = [
            "/api/v1/users",
            "/api/v1/users/{user_id}",
            "/api/v1/auth/login",
            "/api/v1/auth/logout",
            "/api/v1/auth/me",
            "unmatched",
        ];
        assert!(templates.iter().any(|template| line["route"] == *template), "{line}");
    }
    assert_eq!(requests[&of_user][0]["route"], "/api/v1/users/{user_id}");
    assert_eq!(requests[&of_nothing][0]["route"], "unmatched");
    assert_eq!(requests[&of_health][0]["route"], "/healthz");
    assert!(!log.contains("/users/7") && !log.contains("/nothing"), "{log}");
    assert!(requests.values().flatten().any(|line| line["method"] == "other"), "{log}");
    assert!(requests.values().flatten().any(|line| line["user"] == 1), "the user's id is missing: {log}");
}

#[test]
fn a_request_id_is_kept_from_a_trusted_proxy_only_and_only_a_harmless_one() {
    // given
    let folder = tempdir().unwrap();
    let longest = "x".repeat(64);
    let ask = |serving: &Serving, given: &str| {
        let answer = serving.client().send("GET", "//healthz", &[("x-request-id", given)], None);
        answer.header("x-request-id").to_owned()
    };

    // when
    let trusting = Serving::start(folder.path(), &["--trusted-proxy", "127.0.0.0/8", "--log-format", "json"]);
    let kept = ["req-1", "A.b_c-9", &longest].map(|given| (given, ask(&trusting, given)));
    let replaced = ["two words", "a;b", "\"quoted\"", &format!("{longest}x")]
        .map(|given| (given.to_owned(), ask(&trusting, given)));
    trusting.signal("TERM");
    let (_, log) = trusting.wait();
    let wary = Serving::start(folder.path(), &["--trusted-proxy", "10.0.0.0/8"]);
    let (first, second) = (ask(&wary, "req-1"), ask(&wary, "req-1"));

    // then
    let requests = requests(&log);
    for (given, answered) in kept {
        assert_eq!(given, answered);
        assert_eq!(requests[given].len(), 1);
    }
    for (given, answered) in replaced {
        assert!(given != answered && !answered.is_empty() && requests.contains_key(&answered), "{given}");
    }
    assert!(first != "req-1" && second != "req-1" && first != second);
}

/// Signs `ada` in with `X-Forwarded-For` lines, also with a wrong password.
fn sign_in_through(serving: &Serving, lines: &[&str]) {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(lines.iter().map(|line| ("x-forwarded-for", *line)));
    for (password, status) in [(PASSWORD, 200), ("a wrong password", 401)] {
        let body = json!({"email": "ada@example.com", "password": password}).to_string();
        assert_eq!(serving.client().send("POST", "/auth/login", &headers, Some(body.as_bytes())).status, status);
    }
}

/// The addresses of the sign-ins, good ones and bad ones, oldest first, once there are so many.
fn audited(serving: &Serving, count: usize) -> Vec<Option<String>> {
    let database = serving.sql();
    until("the attempts are in the audit log", || {
        let mut query =
            database.prepare("SELECT ip FROM audit WHERE action LIKE 'session.sign%in%' ORDER BY id").unwrap();
        let found: Vec<_> = query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        (found.len() >= count).then_some(found)
    })
}

#[test]
fn behind_a_trusted_proxy_the_clients_address_is_in_the_log_the_audit_table_and_the_session() {
    // given
    let folder = tempdir().unwrap();
    let arguments = ["--trusted-proxy", "127.0.0.1,10.0.0.0/8", "--log-format", "json"];
    let serving = Serving::start(folder.path(), &arguments);
    serving.register("ada").is(201, "");

    for (lines, expected) in [
        (&["203.0.113.7"][..], "203.0.113.7"),
        (&["6.6.6.6, 203.0.113.8", "10.1.2.3"], "203.0.113.8"),
        (&["[2001:db8::1]:4711"], "2001:db8::1"),
        (&["::ffff:203.0.113.9"], "203.0.113.9"),
        (&["203.0.113.7, nonsense"], "127.0.0.1"),
        (&[], "127.0.0.1"),
    ] {
        // when
        let before = audited(&serving, 0).len();
        sign_in_through(&serving, lines);

        // then
        let addresses = audited(&serving, before + 2);
        assert!(addresses[before..].iter().all(|ip| ip.as_deref() == Some(expected)), "{expected}: {addresses:?}");
        let session: String = serving
            .sql()
            .query_row("SELECT ip FROM sessions ORDER BY rowid DESC LIMIT 1", [], |row| row.get(0))
            .unwrap();
        assert_eq!(session, expected);
        let logged = until("both are logged", || {
            let log = serving.log();
            let of = |line: &&str| line.contains("/auth/login") && line.contains(&format!("\"{expected}\""));
            (log.lines().filter(of).count() >= 2).then_some(log)
        });
        assert!(requests(&logged).values().flatten().any(|line| line["client"] == expected));
    }
}

#[test]
fn a_proxy_that_is_declared_in_ipv6_form_is_trusted_in_ipv4_too() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--trusted-proxy", "::ffff:127.0.0.1,::ffff:10.0.0.0/104"]);
    serving.register("ada").is(201, "");
    sign_in_through(&serving, &["203.0.113.7, 10.1.2.3"]);
    let session: String = serving.sql().query_row("SELECT max(ip) FROM sessions", [], |row| row.get(0)).unwrap();
    assert_eq!(session, "203.0.113.7");
}

#[test]
fn a_proxy_on_this_machine_that_nobody_declared_is_warned_about_once_and_its_clients_are_unknown() {
    // given
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--trusted-proxy", "10.0.0.0/8"]);
    serving.register("ada").is(201, "");

    // when
    for _ in 0..3 {
        sign_in_through(&serving, &["203.0.113.7"]);
    }

    // then
    until("it is noted", || {
        let noted = serving.sql().query_row("SELECT count(*) FROM undeclared_proxy", [], |row| row.get::<_, i64>(0));
        (noted.unwrap() == 1).then_some(())
    });
    let addresses = audited(&serving, 6);
    assert_eq!(addresses, vec![None; 6]);
    let sessions: i64 = serving.sql().query_row("SELECT count(ip) FROM sessions", [], |row| row.get(0)).unwrap();
    assert_eq!(sessions, 0);
    serving.signal("TERM");
    let (_, log) = serving.wait();
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("--trusted-proxy")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    assert!(warnings[0].contains("WARN") && !log.contains("203.0.113.7"), "{log}");
    let weaker = ["--trusted-proxy 127.0.0.1", "share one budget against guessing", "keep an owner out"];
    assert!(weaker.iter().all(|text| warnings[0].contains(text)), "{log}");

    // then: the same is in the report, until a server is started again
    let check = || String::from_utf8(usher(folder.path(), &["check"]).stdout).unwrap();
    let report = check();
    let line = report.lines().find(|line| line.starts_with("warning  proxy ")).unwrap_or_else(|| panic!("{report}"));
    assert!(weaker.iter().all(|text| line.contains(text)), "{line}");
    drop(Serving::start(folder.path(), &["--trusted-proxy", "127.0.0.1"]));
    assert!(!check().contains("--trusted-proxy"), "{}", check());
}

#[test]
fn the_documentation_page_is_there_unless_the_settings_say_no() {
    let folder = tempdir().unwrap();
    for (arguments, status) in [(&[][..], 200), (&["--no-docs"], 404)] {
        let serving = Serving::start(folder.path(), arguments);
        assert_eq!(serving.client().get("//docs").status, status, "{arguments:?}");
        serving.client().get("/openapi.json").is(200, "");
    }
}

#[test]
fn a_log_that_nobody_reads_stops_no_request() {
    // given: the log goes into a pipe that is read up to the line with the address, and then is full, or broken
    let folder = tempdir().unwrap();
    for broken in [false, true] {
        let mut traced = command(folder.path());
        traced.env("RUST_LOG", "trace").args(["serve", "--argon2-memory", "64"]);
        let mut child = traced.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let address = address_in(&mut log);
        let log = (!broken).then_some(log);

        // when
        let client = crate::support::Client::new(address, None, 0);
        let answered = (0..2_000).all(|_| client.get("//healthz").status == 200);

        // then
        let _ = child.kill();
        let _ = child.wait();
        drop(log);
        assert!(answered);
    }
}

/// A server whose log goes into a pipe that is read up to the line with the address, and then no more until it is full.
/// Each answer is a line of about 160 bytes.
fn stalled_log(folder: &std::path::Path, answers: usize) -> (Child, BufReader<PipeReader>) {
    let (reader, writer) = std::io::pipe().unwrap();
    stalled_log_in(folder, answers, reader, writer)
}

fn stalled_log_in(
    folder: &std::path::Path,
    answers: usize,
    reader: PipeReader,
    writer: PipeWriter,
) -> (Child, BufReader<PipeReader>) {
    const AT_ONCE: usize = 100;
    let mut serve = command(folder);
    serve.args(["serve", "--argon2-memory", "64"]).stderr(writer).stdout(Stdio::null());
    let child = serve.spawn().unwrap();
    drop(serve);
    let mut log = BufReader::new(reader);
    let address = address_in(&mut log);
    let mut requests = connect(address, "");
    for _ in 0..answers / AT_ONCE {
        let ask = "GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n".repeat(AT_ONCE);
        requests.get_mut().write_all(ask.as_bytes()).unwrap();
        let (mut line, mut answered) = (String::new(), 0);
        while answered < AT_ONCE {
            line.clear();
            requests.read_line(&mut line).unwrap();
            answered += usize::from(line.contains("HTTP/1.1 200 OK"));
        }
    }
    (child, log)
}

fn terminate(child: &Child) {
    rustix::process::kill_process(rustix::process::Pid::from_child(child), rustix::process::Signal::TERM).unwrap();
}

#[test]
fn a_log_that_nobody_reads_does_not_keep_the_server_from_ending() {
    // given: more lines than a pipe holds
    let folder = tempdir().unwrap();
    let (mut child, _unread) = stalled_log(folder.path(), 1_000);

    // when
    terminate(&child);

    // then
    let status = until("it ends", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    let left: Vec<String> = files(folder.path()).into_keys().collect();
    assert_eq!(left, ["usher.db", "usher.db.lock"]);
}

#[test]
fn an_error_behind_a_log_that_nobody_reads_does_not_keep_the_server_from_ending() {
    // given: a pipe that has no room left when the program starts
    let folder = tempdir().unwrap();
    let (reader, mut writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();

    // when
    let mut child = command(folder.path()).args(["serve", "--listen", &taken]).stderr(writer).spawn().unwrap();

    // then
    let status = until("it ends", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(1));
    drop(reader);
}

#[test]
fn a_log_that_another_program_made_non_blocking_loses_nothing() {
    // given: more lines than the pipe holds
    let folder = tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    let (mut child, mut log) = stalled_log_in(folder.path(), 2_000, reader, writer);

    // when
    terminate(&child);
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();

    // then
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(rest.lines().filter(|line| line.contains("usher::request")).count(), 2_000);
    assert!(rest.lines().last().unwrap().contains("stopped"), "{:?}", rest.lines().last());
}

#[test]
fn lines_that_were_lost_are_counted_in_the_log_once_it_is_read_again() {
    // given: more lines than the pipe and memory hold
    let folder = tempdir().unwrap();
    let (mut child, mut log) = stalled_log(folder.path(), 20_000);

    // when
    let mut lines = Vec::<String>::new();
    while !lines.last().is_some_and(|line| line.contains("lines of the log were lost")) {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "not said within {} lines", lines.len());
        lines.push(line);
    }
    terminate(&child);

    // then
    let told = lines.pop().unwrap();
    let lost = told.trim().split_once("lost=").unwrap().1.parse::<usize>().unwrap();
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    let answered = |line: &&str| line.contains("usher::request");
    let kept = lines.iter().map(String::as_str).chain(rest.lines()).filter(answered).count();
    assert!(told.contains(" WARN ") && lost > 0, "{told}");
    assert_eq!(kept + lost, 20_000, "{told}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!rest.contains("were lost"), "{rest}");
    assert!(rest.lines().last().unwrap().contains("stopped"), "{:?}", rest.lines().last());
}

fn address_in(log: &mut impl BufRead) -> SocketAddr {
    loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).expect("text") > 0, "it did not start");
        if let Some((_, rest)) = line.split_once("listening on http://") {
            let end = rest.find(|c: char| !(c.is_ascii_digit() || ".:".contains(c))).unwrap_or(rest.len());
            return rest[..end].parse().expect("an address");
        }
    }
}

/// A server under a limit of open files.
fn limited(folder: &std::path::Path, files: u32) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.current_dir(folder).env_clear().stdin(Stdio::null());
    shell.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_usher"), "serve"]);
    shell.args(["--listen", "127.0.0.1:0", "--argon2-memory", "64"]);
    shell
}

#[test]
fn a_limit_of_open_files_that_is_too_low_is_said_in_one_line() {
    for files in [10, 20, 40] {
        let folder = tempdir().unwrap();
        let line = could_not(&output(&mut limited(folder.path(), files)));
        assert!(line.contains(&format!("is {files},")) && line.contains("ulimit -n"), "{line}");
        assert_eq!(crate::support::binary::files(folder.path()).len(), 0, "{line}");
    }
}

#[test]
fn a_limit_of_open_files_is_raised_as_far_as_it_goes_and_enough_is_what_is_said_to_be_needed() {
    // Two for each connection to the database, of which there are two more than processors; 40 besides, and 8 callers.
    let needed = 48 + 2 * (2 + u32::try_from(std::thread::available_parallelism().unwrap().get()).unwrap());
    let folder = tempdir().unwrap();
    let line = could_not(&output(&mut limited(folder.path(), needed - 1)));
    assert!(line.contains(&format!("at least {needed} are needed")), "{line}");
    let serving = Serving::spawn(folder.path(), &mut limited(folder.path(), needed));
    serving.until_logged("--max-connections is 8 instead of 4096");
    drop(serving);

    let mut soft = Command::new("/bin/sh");
    let script = format!("ulimit -S -n {needed}; exec \"$0\" \"$@\"");
    soft.current_dir(folder.path()).env_clear().args(["-c", &script, env!("CARGO_BIN_EXE_usher"), "serve"]);
    let serving = Serving::spawn(folder.path(), soft.args(["--listen", "127.0.0.1:0", "--max-connections", "100"]));
    assert!(!serving.log().contains("--max-connections is"), "{}", serving.log());
}

#[test]
fn under_a_low_limit_of_open_files_there_are_fewer_connections_and_all_requests_are_answered() {
    let processors = std::thread::available_parallelism().unwrap().get();
    for files in [60 + 2 * processors, 256] {
        // given
        let folder = tempdir().unwrap();
        let serving = Serving::spawn(folder.path(), &mut limited(folder.path(), u32::try_from(files).unwrap()));
        let log = serving.log();
        assert!(log.contains("--max-connections is") && log.contains(&format!("files is {files}")), "{log}");

        // when
        let silent: Vec<_> = (0..300).map(|_| TcpStream::connect(serving.address).unwrap()).collect();

        // then
        assert_eq!(serving.register("ada").status, 201);
        serving.sign_in("ada").get("/auth/me").is(200, "");
        drop(silent);
    }
}

#[test]
fn when_file_descriptors_run_out_the_quietest_connections_go_and_requests_are_answered() {
    // given: a limit that is lowered while the server runs
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    let few = Rlimit { current: Some(80), maximum: Some(80) };
    prlimit(Some(Pid::from_child(&serving.child)), Resource::Nofile, few).unwrap();

    // when
    let silent: Vec<_> = (0..200).map(|_| TcpStream::connect(serving.address).unwrap()).collect();

    // then: everyone who asks is answered, if not at the first attempt
    for n in 0..20 {
        let name = format!("user{n}");
        until("a registration", || matches!(try_to_register(serving.address, &name), Some(201 | 409)).then_some(()));
    }
    assert!(serving.log().contains("could not be accepted"), "there were descriptors enough");
    drop(silent);
    serving.sign_in("user0").get("/auth/me").is(200, "");
    serving.client().get("//readyz").is(200, "");
}

#[test]
fn the_lock_of_a_server_that_was_killed_does_not_keep_the_next_one_out() {
    let folder = tempdir().unwrap();
    let mut serving = Serving::start(folder.path(), &[]);
    serving.child.kill().unwrap();
    serving.child.wait().unwrap();
    let again = Serving::start(folder.path(), &[]);
    again.client().get("//readyz").is(200, "");
}

/// The most memory that a process has had in use so far, in MiB.
fn most_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[cfg(target_os = "linux")]
#[test]
fn two_hundred_sign_ins_at_once_are_all_answered_within_100_mib() {
    let folder = tempdir().unwrap();
    // The default cost, on two threads as on a machine with two processors.
    let serving = Serving::spawn(folder.path(), command(folder.path()).args(["serve", "--hash-threads", "2"]));
    assert_eq!(serving.register("ada").status, 201);

    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let sign_in = |n: u32| {
            let password = if n.is_multiple_of(2) { PASSWORD } else { "wrong horse battery" };
            serving.client().login("ada@example.com", password).status
        };
        let attempts: Vec<_> = (0..200_u32).map(|n| scope.spawn(move || sign_in(n))).collect();
        attempts.into_iter().map(|attempt| attempt.join().unwrap()).collect()
    });

    assert!(statuses.iter().all(|status| [200, 401, 429, 503].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&200) && statuses.contains(&401));
    let most = most_memory(serving.child.id());
    assert!(most < 100, "{most} MiB");
}

#[test]
fn a_misspelled_variable_is_named_at_the_start() {
    let folder = tempdir().unwrap();
    let mut serve = command(folder.path());
    serve.args(["serve", "--argon2-memory", "64"]).env("USHER_REGISTRATON", "closed");
    let serving = Serving::spawn(folder.path(), &mut serve);
    assert!(serving.log().contains("USHER_REGISTRATON is not a setting"), "{}", serving.log());
}
