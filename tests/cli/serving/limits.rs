//! Limits of open files and of memory.

use super::could_not;
use crate::support::{
    PASSWORD,
    binary::{Serving, command, output, status_of_registration, until},
};
use std::{
    net::TcpStream,
    process::{Command, Stdio},
};
use tempfile::tempdir;

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
        until("a registration", || {
            matches!(status_of_registration(serving.address, &name), Some(201 | 409)).then_some(())
        });
    }
    assert!(serving.log().contains("could not be accepted"), "there were descriptors enough");
    drop(silent);
    serving.sign_in("user0").get("/auth/me").is(200, "");
    serving.client().get("//readyz").is(200, "");
}

/// The most memory that a process has had in use so far, in MiB.
fn peak_memory(pid: u32) -> u64 {
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
    let most = peak_memory(serving.child.id());
    assert!(most < 100, "{most} MiB");
}
