//! What `examples/` shows is so, against the real executable.

use crate::support::{
    binary::{Serving, complaint},
    raw,
};
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
};

/// One of the examples, in the shape that all `notes` have: `serve` and `demo`.
struct Example {
    program: PathBuf,
    script: Option<PathBuf>,
}

impl Example {
    /// `examples/notes.rs`. Cargo has no variable for where it puts examples, but it is next to the tests.
    fn rust() -> Self {
        let this_test = std::env::current_exe().expect("a path");
        let profile = this_test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
        let program = profile.join("examples/notes");
        let changed = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
        assert!(
            changed(&program) >= changed(&example("notes.rs")),
            "`cargo test` builds the examples first, but not with --test: run `cargo build --example notes`"
        );
        Self { program, script: None }
    }

    #[cfg(feature = "system-tests")]
    fn python() -> Self {
        Self { program: "python3".into(), script: Some(example("notes.py")) }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        // Nothing here is to go through a proxy that the tests' own environment may name.
        command.args(&self.script).args(arguments).env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        command
    }

    /// The app, asking the usher at an address.
    fn serve(&self, folder: &Path, usher: SocketAddr) -> Serving {
        let mut command = self.command(&["serve", "--usher", &url(usher), "--listen", "127.0.0.1:0"]);
        Serving::spawn(folder, &mut command)
    }

    /// Runs the demo, and returns its exit status, what it says, and what it complains about.
    fn demo(&self, usher: SocketAddr, notes: SocketAddr) -> (Option<i32>, String, String) {
        run(&mut self.command(&["demo", "--usher", &url(usher), "--notes", &url(notes)]))
    }
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), complaint(&output))
}

/// An address where nobody listens.
fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}

fn each_sees_their_own_notes(notes: &Example) {
    let folder = tempfile::tempdir().expect("a folder");
    let usher = Serving::start(folder.path(), &[]);
    let app = notes.serve(folder.path(), usher.address);

    let (status, said, complaint) = notes.demo(usher.address, app.address);

    assert_eq!((status, complaint.as_str()), (Some(0), ""), "{said}");
    let said: Vec<&str> = said.lines().map(|line| line.split_once(' ').expect("who and what").1).collect();
    for fact in ["a token nobody is let in", "sees [\"buy figs\"]", "sees [\"call home\"]", "token is refused"] {
        assert!(said.contains(&fact), "{fact}: {said:?}");
    }
}

fn without_usher_nobody_is_let_in(notes: &Example) {
    let folder = tempfile::tempdir().expect("a folder");
    let app = notes.serve(folder.path(), nowhere());

    for headers in ["", "Authorization: Bearer anything\r\n"] {
        let answer =
            raw(app.address, format!("GET /notes HTTP/1.1\r\nHost: notes\r\nConnection: close\r\n{headers}\r\n"));
        assert_eq!(answer.split(' ').nth(1), Some("503"), "{answer}");
    }
}

fn the_demo_notices_what_is_no_notes_app(notes: &Example) {
    let folder = tempfile::tempdir().expect("a folder");
    let usher = Serving::start(folder.path(), &[]);

    let (status, _, complaint) = notes.demo(usher.address, usher.address);

    assert_eq!(status, Some(1));
    assert!(complaint.contains("not so: without a token nobody is let in"), "{complaint}");
}

#[test]
fn behind_the_rust_app_each_sees_their_own_notes() {
    each_sees_their_own_notes(&Example::rust());
}

#[test]
fn the_rust_app_lets_nobody_in_without_usher() {
    without_usher_nobody_is_let_in(&Example::rust());
}

#[test]
fn the_rust_demo_notices_what_is_no_notes_app() {
    the_demo_notices_what_is_no_notes_app(&Example::rust());
}

#[cfg(feature = "system-tests")]
mod with_bash_curl_and_python {
    use super::*;

    fn tour(usher: SocketAddr) -> (Option<i32>, String, String) {
        run(Command::new(example("tour.sh")).arg(url(usher)).env("no_proxy", "127.0.0.1"))
    }

    #[test]
    fn behind_the_python_app_each_sees_their_own_notes() {
        each_sees_their_own_notes(&Example::python());
    }

    #[test]
    fn the_python_app_lets_nobody_in_without_usher() {
        without_usher_nobody_is_let_in(&Example::python());
    }

    #[test]
    fn the_python_demo_notices_what_is_no_notes_app() {
        the_demo_notices_what_is_no_notes_app(&Example::python());
    }

    #[test]
    fn the_tour_can_be_taken_twice() {
        let folder = tempfile::tempdir().expect("a folder");
        let usher = Serving::start(folder.path(), &[]);

        for _ in 0..2 {
            let (status, said, complaint) = tour(usher.address);

            assert_eq!((status, complaint.as_str()), (Some(0), ""), "{said}");
            for line in ["HTTP/1.1 201 Created", "HTTP/1.1 412 Precondition Failed", "HTTP/1.1 204 No Content"] {
                assert!(said.lines().any(|said| said == line), "{line}: {said}");
            }
        }
    }

    #[test]
    fn the_tour_shows_no_whole_secret() {
        let folder = tempfile::tempdir().expect("a folder");
        let usher = Serving::start(folder.path(), &[]);

        let (_, said, _) = tour(usher.address);

        // A token and a generated password are both longer runs of letters and digits than anything else shown.
        let longest = said.split(|c: char| !c.is_ascii_alphanumeric()).max_by_key(|run| run.len());
        assert!(said.contains("Bearer ush_"), "{said}");
        assert!(longest.is_some_and(|run| run.len() < 24), "{longest:?}: {said}");
    }

    #[test]
    fn the_tour_says_in_one_line_what_differs() {
        let (status, _, complaint) = tour(nowhere());
        assert_eq!((status, complaint.lines().count()), (Some(1), 1), "{complaint}");

        let folder = tempfile::tempdir().expect("a folder");
        let usher = Serving::start(folder.path(), &["--password-min-length", "64"]);
        let (status, _, complaint) = tour(usher.address);
        assert_eq!((status, complaint.as_str()), (Some(1), "tour: POST /users: status should be '201', but is '400'"));
    }
}
