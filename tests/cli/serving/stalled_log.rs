//! A log that nobody reads.

use super::connect;
use crate::support::binary::{command, files, until};
use std::{
    io::{BufRead, BufReader, PipeReader, PipeWriter, Read, Write},
    net::{SocketAddr, TcpListener},
    process::{Child, Stdio},
};
use tempfile::tempdir;

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
