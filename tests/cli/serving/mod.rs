//! A server's life, as an operator sees it: how it starts, what it logs, whom it believes, and how it ends.

mod end;
mod limits;
mod log;
mod proxies;
mod stalled_log;
mod start;

use crate::support::binary::complaint;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::{BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::Output,
    time::Duration,
};

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
