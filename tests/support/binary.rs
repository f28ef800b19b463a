//! The real executable, as an admin meets it.

use rustix::{
    event::{PollFd, PollFlags, poll},
    time::Timespec,
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// The executable, with no setting taken over from the tests' own environment.
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_usher"));
    command.current_dir(folder).env_clear().env("USHER_LISTEN", "127.0.0.1:0").stdin(Stdio::null());
    command
}

/// Runs a command to its end.
#[track_caller]
pub fn usher(folder: &Path, arguments: &[&str]) -> Output {
    output(command(folder).args(arguments))
}

/// Runs a prepared command to its end.
#[track_caller]
pub fn output(command: &mut Command) -> Output {
    ended(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("usher runs"))
}

/// The end of a command. One that goes on for more than a minute is killed, and fails the test.
#[track_caller]
pub fn ended(child: Child) -> Output {
    let id = child.id().to_string();
    let (end, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || end.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(Duration::from_mins(1)) else {
        let _ = Command::new("kill").args(["-KILL", &id]).status();
        panic!("it does not end");
    };
    output.expect("usher ends")
}

/// The next line of a pipe; nothing at its end, or when none comes within half a minute.
pub fn next_line<R: Read + AsFd>(pipe: &mut BufReader<R>) -> Option<String> {
    if pipe.buffer().is_empty() {
        let patience = Timespec { tv_sec: 30, tv_nsec: 0 };
        poll(&mut [PollFd::new(pipe.get_ref(), PollFlags::IN)], Some(&patience)).ok().filter(|ready| *ready > 0)?;
    }
    pipe.lines().next().map(|line| line.expect("text"))
}

/// Runs a command to its end, with something on its standard input.
#[track_caller]
pub fn usher_reading(folder: &Path, arguments: &[&str], input: impl AsRef<[u8]>) -> Output {
    let mut child = command(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("usher runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let _ = stdin.write_all(input.as_ref()); // it may have ended before it reads
    drop(stdin);
    ended(child)
}

/// Makes an administrator `NAME` with the address `NAME@example.com` and the tests' password.
pub fn create_admin(folder: &Path, name: &str) -> Output {
    let email = format!("{name}@example.com");
    let arguments =
        ["create-admin", "--username", name, "--email", &email, "--argon2-memory", "64", "--password-stdin"];
    usher_reading(folder, &arguments, format!("{}\n", super::PASSWORD))
}

/// Asks again and again until there is an answer, for half a minute at most.
#[track_caller]
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Every file of a folder, by name, with its bytes; a folder in it counts as a file without any.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let read = |path: PathBuf| std::fs::read(path).unwrap_or_default();
    entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), read(entry.path()))).collect()
}

/// Standard error, trimmed.
pub fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// `usher serve`, until dropped.
pub struct Serving {
    pub address: SocketAddr,
    pub child: Child,
    pub folder: PathBuf,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Serving {
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::spawn(folder, command(folder).arg("serve").args(["--argon2-memory", "64"]).args(arguments))
    }

    /// Starts a prepared command, and waits for the line that says where it listens.
    pub fn spawn(folder: &Path, command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("usher runs");
        let mut said = BufReader::new(child.stderr.take().expect("a pipe"));
        let log = Arc::<Mutex<String>>::default();
        let keep = |log: &Mutex<String>, line: &str| *log.lock().expect("a log") += &format!("{line}\n");
        let address = loop {
            let Some(line) = next_line(&mut said) else {
                let _ = child.kill();
                panic!("it did not start: {}", log.lock().expect("a log"));
            };
            keep(&log, &line);
            if let Some((_, rest)) = line.split_once("listening on http://") {
                let end = rest.find(|c: char| !(c.is_ascii_digit() || ".:[]".contains(c))).unwrap_or(rest.len());
                break rest[..end].parse().expect("an address");
            }
        };
        let shared = log.clone();
        let reader =
            std::thread::spawn(move || said.lines().map_while(Result::ok).for_each(|line| keep(&shared, &line)));
        Self { address, child, folder: folder.to_owned(), log, reader: Some(reader) }
    }

    /// Waits until something has been logged.
    #[track_caller]
    pub fn until_logged(&self, text: &str) {
        until(&format!("{text:?} in the log"), || self.log().contains(text).then_some(()));
    }

    /// Signs in with the address `NAME@example.com` and the tests' password.
    #[track_caller]
    pub fn sign_in(&self, name: &str) -> super::Client {
        let answer = self.client().login(&format!("{name}@example.com"), super::PASSWORD);
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = answer.json();
        let id = body["user"]["id"].as_i64().expect("an id");
        super::Client::new(self.address, body["token"].as_str().map(str::to_owned), id)
    }

    /// Registers `NAME` with the address `NAME@example.com` and the tests' password.
    pub fn register(&self, name: &str) -> super::Answer {
        let email = format!("{name}@example.com");
        self.client().post("/users", serde_json::json!({"username": name, "email": email, "password": super::PASSWORD}))
    }

    /// A connection of the test's own to the database, to see what is stored.
    pub fn sql(&self) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(self.folder.join("usher.db")).expect("the database opens");
        connection.busy_timeout(Duration::from_secs(5)).expect("a timeout");
        connection
    }

    pub fn client(&self) -> super::Client {
        super::Client::new(self.address, None, 0)
    }

    /// Sends a signal by name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for the end, and returns the exit status and everything that was logged.
    pub fn wait(mut self) -> (Option<i32>, String) {
        let status = until("it ends", || self.child.try_wait().expect("a status"));
        self.reader.take().expect("not waited for yet").join().expect("the log is read");
        let log = self.log.lock().expect("a log").clone();
        (status.code(), log)
    }

    /// What has been logged so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("a log").clone()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Registers somebody over a connection of its own, and returns the status; `None` where the server is gone.
pub fn status_of_registration(address: SocketAddr, name: &str) -> Option<u16> {
    let body =
        json!({"username": name, "email": format!("{name}@example.com"), "password": super::PASSWORD}).to_string();
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let head = "POST /api/v1/users HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Type: application/json";
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    line.split(' ').nth(1)?.parse().ok()
}
