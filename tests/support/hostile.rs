//! Input from people who mean harm. Nothing of it gets a `5xx`, a refusal changes nothing and repeats nothing that was
//! sent, and the next caller is served.

use super::{PASSWORD, Server, probes::Probes};
use serde_json::json;
use std::fmt::Write as _;

/// In every hostile request, and in no answer.
pub const CANARY: &str = "Canary7Zq";

/// A request as bytes, after which the server closes. A body brings its length along.
pub fn request(line: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut head = format!("{line} HTTP/1.1\r\nHost: usher\r\nConnection: close\r\n");
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    if !body.as_ref().is_empty() || line.starts_with('P') {
        let _ = write!(head, "Content-Length: {}\r\n", body.as_ref().len());
    }
    head.push_str("\r\n");
    [head.as_bytes(), body.as_ref()].concat()
}

/// A request with a JSON body.
pub fn json_request(line: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    request(line, &["Content-Type: application/json"], body)
}

/// The status of each answer on a connection.
pub fn statuses(answers: &str) -> Vec<u16> {
    answers.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().expect("a status")).collect()
}

/// The error code in an answer, or an empty text.
pub fn code(answer: &str) -> &str {
    let rest = answer.split_once("\"code\":\"").map_or("", |(_, rest)| rest);
    rest.split('"').next().unwrap_or_default()
}

/// What `POST /users` takes.
pub fn registration(name: &str) -> String {
    json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD}).to_string()
}

/// One thing that somebody sends, with the answer they get: a status and the code of its error, `""` for none.
pub struct Attack {
    what: String,
    bytes: Vec<u8>,
    expected: (u16, &'static str),
}

pub fn attack(what: impl Into<String>, bytes: impl Into<Vec<u8>>, status: u16, code: &'static str) -> Attack {
    Attack { what: what.into(), bytes: bytes.into(), expected: (status, code) }
}

/// Sends each, and asserts the answer, that nothing has changed or is repeated, and that the next request is served.
/// All that went otherwise is reported at once.
pub fn refused(server: &Server, attacks: Vec<Attack>) {
    let mut wrong = String::new();
    for Attack { what, bytes, expected } in attacks {
        let before = server.rows();
        let answer = server.raw(&bytes);
        let got = (statuses(&answer), code(&answer));
        let mut fault = |fault: &str| {
            let _ = writeln!(wrong, "{what}: {fault}; expected {expected:?}, got {got:?}: {answer:.600}");
        };
        if got != (vec![expected.0], expected.1) {
            fault("another answer");
        }
        if answer.contains(CANARY) {
            fault("repeats what was sent");
        }
        if server.rows() != before {
            fault("changed the database");
        }
        if server.anon().get("//healthz").status != 200 {
            fault("the next request fails");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
