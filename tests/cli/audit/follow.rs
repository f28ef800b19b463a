//! `usher audit --follow`.

use super::{DAY, folder_of, keeping_a_day, left, prune};
use crate::support::{
    PASSWORD,
    binary::{Serving, command, next_line, until, usher},
};
use serde_json::{Value, json};
use std::{
    io::BufReader,
    path::Path,
    process::{Child, Stdio},
};
use tempfile::tempdir;

/// `usher audit --follow`, until dropped.
struct Following {
    child: Child,
    printed: BufReader<std::process::ChildStdout>,
}

impl Following {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = command(folder);
        command.args(["audit", "--follow"]).args(arguments).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let printed = BufReader::new(child.stdout.take().unwrap());
        Self { child, printed }
    }

    fn line(&mut self) -> String {
        next_line(&mut self.printed).expect("a line")
    }

    fn signal(&self, name: &str) {
        let sent = std::process::Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    fn status(&mut self) -> Option<i32> {
        until("it ends", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn following_prints_what_happens_while_it_happens_until_it_is_interrupted() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    (0..11).for_each(|n| drop(serving.register(&format!("user{n}"))));
    let mut following = Following::start(folder.path(), &[]);
    assert!(following.line().contains("ACTION"));
    for id in 3..=12 {
        assert!(following.line().trim_start().starts_with(&format!("{id} ")), "the newest ten come first");
    }

    serving.register("ada");
    let registered = following.line();
    serving.sign_in("ada");
    let signed_in = following.line();

    assert!(registered.contains("user.registered"), "{registered}");
    assert!(signed_in.contains("session.signed_in"), "{signed_in}");
    following.signal("INT");
    assert_eq!(following.status(), Some(0));
}

#[test]
fn following_as_json_is_one_object_a_line_and_a_filter_holds() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    let mut following = Following::start(folder.path(), &["--json", "--limit", "1", "--action", "session.signed_in"]);
    serving.register("ada");
    serving.sign_in("ada");

    let event: Value = serde_json::from_str(&following.line()).unwrap();

    assert_eq!((&event["id"], &event["action"]), (&json!(3), &json!("session.signed_in")));
    following.signal("TERM");
    assert_eq!(following.status(), Some(0));
}

#[test]
fn following_from_a_time_on_begins_there_and_never_ends_by_itself() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    (0..11).for_each(|n| drop(serving.register(&format!("user{n}"))));
    let mut following = Following::start(folder.path(), &["--json", "--since", "2000-01-01T00:00:00Z"]);
    for id in 1..=12 {
        let event: Value = serde_json::from_str(&following.line()).unwrap();
        assert_eq!(event["id"], id);
    }
    serving.register("ada");
    assert!(following.line().contains("user.registered"));
    assert_eq!(usher(folder.path(), &["audit", "--follow", "--until", "2000-01-01T00:00:00Z"]).status.code(), Some(2));
}

#[test]
fn following_ends_when_nobody_reads_it_any_more() {
    let folder = tempdir().unwrap();
    usher(folder.path(), &["migrate"]);
    let mut following = Following::start(folder.path(), &[]);
    following.line();
    let Following { child, printed } = &mut following;
    let mut other = command(folder.path()).arg("--version").stdout(Stdio::piped()).spawn().unwrap();
    drop(std::mem::replace(printed, BufReader::new(other.stdout.take().unwrap())));
    other.wait().unwrap();
    assert_eq!(until("it ends", || child.try_wait().unwrap()).code(), Some(0));
}

#[test]
fn following_goes_on_over_entries_that_retention_takes_away_meanwhile() {
    let server = keeping_a_day();
    let ada = server.user("ada");
    let mut following = Following::start(&folder_of(&server), &[]);
    (0..3).for_each(|_| drop(following.line()));
    server.clock.advance(2 * DAY);
    prune(&server);
    assert_eq!(left(&server), (0, 0));
    ada.put(&ada.me(), json!({"username": "countess", "current_password": PASSWORD})).is(200, "");

    let line = following.line();
    assert!(line.contains("user.updated") && line.trim_start().starts_with("3 "), "{line}");
}

#[test]
fn following_a_file_that_was_replaced_ends_and_says_so() {
    let folder = tempdir().unwrap();
    usher(folder.path(), &["migrate"]);
    let mut following = Following::start(folder.path(), &[]);
    following.line();
    std::fs::rename(folder.path().join("usher.db"), folder.path().join("old.db")).unwrap();
    assert_eq!(following.status(), Some(1));
}
