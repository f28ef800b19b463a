//! What the tests of imports share, by the API and on a page: lines of a file, and requests whose body is yet to be sent.

use super::Server;
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

pub const MIB: usize = 1024 * 1024;

/// A line of an account without a password, with something added.
pub fn line(name: &str, more: &Value) -> String {
    let mut line = json!({"username": name, "email": format!("{name}@example.com"), "password_hash": "!"});
    line.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    line.to_string() + "\n"
}

pub fn plain(name: &str) -> String {
    line(name, &json!({}))
}

/// A `POST` whose body has not been sent.
pub fn begun(server: &Server, path: &str, headers: &[&str]) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let head = format!("POST {path} HTTP/1.1\r\n{}\r\n\r\n", headers.join("\r\n"));
    stream.write_all(head.as_bytes()).expect("it can be sent");
    stream
}

/// The same of a caller who was let in: the server asks for the body.
pub fn let_in(server: &Server, path: &str, headers: &[&str]) -> TcpStream {
    const ASKED: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let (mut stream, mut said) =
        (begun(server, path, &[headers, &["Expect: 100-continue"]].concat()), [0; ASKED.len()]);
    stream.read_exact(&mut said).expect("it is asked for");
    assert_eq!(said, ASKED);
    stream
}

/// The first part of an answer.
pub fn answer(mut stream: TcpStream) -> String {
    let mut text = [0; 4096];
    let count = stream.read(&mut text).expect("an answer");
    String::from_utf8_lossy(&text[..count]).into_owned()
}
