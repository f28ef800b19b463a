//! Writes for which there is no room.

use super::{answers_without_writing, through_shell};
use crate::support::binary::{Serving, create_admin, status_of_registration};
use serde_json::json;
use tempfile::{TempDir, tempdir};

/// Registers accounts until one is refused, and returns how many were made. Then signs out until that is refused, too,
/// which takes less room.
#[track_caller]
fn fill(serving: &Serving) -> i64 {
    let spare: Vec<_> = (0..4).map(|_| serving.sign_in("ada")).collect();
    let refused =
        (0..20_000).map(|n| (n, serving.register(&format!("filler{n}")))).find(|(_, made)| made.status != 201);
    let (held, answer) = refused.expect("the disk is full at last");
    answer.is(503, "storage_unavailable");
    let answers = spare.iter().map(|client| client.post("/auth/logout", json!({})));
    let refused = answers.into_iter().find(|answer| answer.status != 200).expect("no room is left");
    refused.is(503, "storage_unavailable");
    held
}

/// A server whose files may have one or two mebibytes at most (the unit is up to the shell).
fn limited(script: &str) -> (TempDir, Serving, crate::support::Client) {
    let folder = tempdir().unwrap();
    let serving = Serving::spawn(folder.path(), &mut through_shell(folder.path(), script));
    serving.register("ada").is(201, "");
    let ada = serving.sign_in("ada");
    (folder, serving, ada)
}

#[test]
fn while_files_cannot_grow_writes_are_refused_and_all_else_answers_as_ever() {
    // given: a limit on the size of files does what a full disk does, without one
    let (folder, serving, ada) = limited("trap '' XFSZ; ulimit -f 2048");

    // when
    let held = fill(&serving);

    // then
    assert!(held > 0);
    answers_without_writing(&serving, &ada, held + 1);
    serving.signal("TERM");
    let (status, log) = serving.wait();
    assert_eq!(status, Some(0), "{log}");
    let again = Serving::start(folder.path(), &[]);
    again.register("bob").is(201, "");
    again.sign_in("filler0");
}

#[test]
fn what_fails_again_and_again_is_said_once_and_so_is_that_it_works_again() {
    // given: no file of the server may grow any more
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    assert!(create_admin(folder.path(), "root").status.success());
    let root = serving.sign_in("root");
    let limit_files = |bytes| {
        let pid = rustix::process::Pid::from_child(&serving.child);
        let limit = rustix::process::Rlimit { current: bytes, maximum: None };
        rustix::process::prlimit(Some(pid), rustix::process::Resource::Fsize, limit).unwrap();
    };
    limit_files(Some(0));

    // when: who reads the log has what was gathered written at once
    let gather = || {
        for _ in 0..3 {
            serving.client().login("root@example.com", "a wrong password").is(401, "invalid_credentials");
            root.get("/audit");
        }
    };
    gather();
    serving.until_logged("writing session uses and refused attempts failed");
    limit_files(None);
    serving.until_logged("writing session uses and refused attempts works again");
    gather();

    // then
    let log = serving.log();
    let said = ["failed; nothing is lost", "works again"].map(|text| log.matches(text).count());
    assert_eq!(said, [1, 1], "{log}");
}

#[test]
fn a_limit_on_the_size_of_files_does_not_end_the_server() {
    // given: nobody has told the system to ignore the signal that comes with the limit
    let (_folder, serving, ada) = limited("ulimit -f 2048");

    // when
    let last =
        (0..2_000).map(|n| status_of_registration(serving.address, &format!("filler{n}"))).find(|s| *s != Some(201));

    // then: no answer at all is what a server that was killed gives
    assert_eq!(last, Some(Some(503)));
    ada.get("/auth/me").is(200, "");
}
