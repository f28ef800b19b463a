//! Input from people who mean harm. Nothing of it gets a `5xx`, a refusal changes nothing and repeats nothing that was
//! sent, and the next caller is served.

use crate::support::{PASSWORD, Server};
use serde_json::json;
use std::{fmt::Write as _, time::Duration};
use usher::domain::SessionToken;

/// In every hostile request, and in no answer.
const CANARY: &str = "Canary7Zq";
const DAY: Duration = Duration::from_hours(24);

/// Every row that an attacker would like to change.
fn rows(server: &Server) -> Vec<String> {
    let sql = server.sql();
    let mut rows = Vec::new();
    for table in ["users", "sessions", "password_resets", "invitations"] {
        let mut statement = sql.prepare(&format!("SELECT * FROM {table} ORDER BY 1")).expect(table);
        let columns = statement.column_count();
        let mut found = statement.query([]).expect(table);
        while let Some(row) = found.next().expect(table) {
            let values = (0..columns).map(|n| row.get_unwrap::<_, rusqlite::types::Value>(n));
            rows.push(format!("{table} {:?}", values.collect::<Vec<_>>()));
        }
    }
    rows
}

/// A request as bytes, after which the server closes. A body brings its length along.
fn request(line: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Vec<u8> {
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
fn json_request(line: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    request(line, &["Content-Type: application/json"], body)
}

/// The status of each answer on a connection.
fn statuses(answers: &str) -> Vec<u16> {
    answers.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().expect("a status")).collect()
}

/// The error code in an answer, or an empty text.
fn code(answer: &str) -> &str {
    let rest = answer.split_once("\"code\":\"").map_or("", |(_, rest)| rest);
    rest.split('"').next().unwrap_or_default()
}

/// What `POST /users` takes.
fn registration(name: &str) -> String {
    json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD}).to_string()
}

/// One thing that somebody sends, with the answer they get: a status and the code of its error, `""` for none.
struct Attack {
    what: String,
    bytes: Vec<u8>,
    expected: (u16, &'static str),
}

fn attack(what: impl Into<String>, bytes: impl Into<Vec<u8>>, status: u16, code: &'static str) -> Attack {
    Attack { what: what.into(), bytes: bytes.into(), expected: (status, code) }
}

/// Sends each, and asserts the answer, that nothing has changed or is repeated, and that the next request is served.
/// All that went otherwise is reported at once.
fn refused(server: &Server, attacks: Vec<Attack>) {
    let mut wrong = String::new();
    for Attack { what, bytes, expected } in attacks {
        let before = rows(server);
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
        if rows(server) != before {
            fault("changed the database");
        }
        if server.anon().get("//healthz").status != 200 {
            fault("the next request fails");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Sends what the HTTP library may refuse by itself, with a bare status or by hanging up.
fn refused_by_http(server: &Server, attacks: Vec<(&str, Vec<u8>, &[u16])>) {
    let mut wrong = String::new();
    for (what, bytes, allowed) in attacks {
        let before = rows(server);
        let answer = server.raw(&bytes);
        let got = statuses(&answer);
        if got.len() > 1 || !got.iter().all(|status| allowed.contains(status)) || answer.contains(CANARY) {
            let _ = writeln!(wrong, "{what}: expected one of {allowed:?} at most once, got {got:?}: {answer:.600}");
        }
        if rows(server) != before {
            let _ = writeln!(wrong, "{what}: changed the database");
        }
        assert_eq!(server.anon().get("//healthz").status, 200, "{what}");
    }
    assert!(wrong.is_empty(), "{wrong}");
}

// Framing

#[test]
fn a_request_with_broken_framing_is_refused_and_does_nothing() {
    let server = Server::start();
    let body = registration(CANARY);
    let framed = |headers: &str| {
        let head = "POST /api/v1/users HTTP/1.1\r\nHost: usher\r\nContent-Type: application/json\r\n";
        format!("{head}{headers}\r\n{body}").into_bytes()
    };
    let length = body.len();
    let chunked = |chunks: &str| {
        let head = "POST /api/v1/users HTTP/1.1\r\nHost: usher\r\nContent-Type: application/json\r\n";
        format!("{head}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}").into_bytes()
    };

    refused_by_http(
        &server,
        vec![
            ("two lengths", framed(&format!("Content-Length: {length}\r\nContent-Length: 5\r\n")), &[400]),
            ("two lengths in a list", framed(&format!("Content-Length: {length}, 5\r\n")), &[400]),
            ("a negative length", framed("Content-Length: -1\r\n"), &[400]),
            ("a length with a sign", framed(&format!("Content-Length: +{length}\r\n")), &[400]),
            ("a length in hexadecimal", framed("Content-Length: 0x10\r\n"), &[400]),
            ("a length beyond 64 bits", framed("Content-Length: 18446744073709551616\r\n"), &[400]),
            ("the largest length of 64 bits", framed("Content-Length: 18446744073709551615\r\n"), &[400, 413, 431]),
            ("an empty length", framed("Content-Length: \r\n"), &[400]),
            ("an unknown coding", framed("Transfer-Encoding: canary\r\n"), &[400, 501]),
            ("chunked, but not last", framed("Transfer-Encoding: chunked, gzip\r\n"), &[400, 501]),
            ("chunked with something before it", framed("Transfer-Encoding: xchunked\r\n"), &[400, 501]),
            ("chunks without a size", chunked("zz\r\n{}\r\n0\r\n\r\n"), &[400]),
            ("a chunk size beyond 64 bits", chunked("fffffffffffffffff\r\n{}\r\n0\r\n\r\n"), &[400, 413]),
            ("a chunk longer than its size", chunked("1\r\n{}\r\n0\r\n\r\n"), &[400]),
            ("a folded header", framed(&format!("X-A: a\r\n b\r\nContent-Length: {length}\r\n")), &[400]),
            ("a space before the colon", framed(&format!("Content-Length : {length}\r\n")), &[400]),
            ("a header without a name", framed(&format!(": x\r\nContent-Length: {length}\r\n")), &[400]),
            ("a NUL in a header", framed(&format!("X-A: a\0b\r\nContent-Length: {length}\r\n")), &[400]),
            ("a bare CR in a header", framed(&format!("X-A: a\rb\r\nContent-Length: {length}\r\n")), &[400]),
            ("no version", b"GET /healthz\r\n\r\n".to_vec(), &[400]),
            ("an unknown version", b"GET /healthz HTTP/1.9\r\nHost: usher\r\n\r\n".to_vec(), &[400, 505]),
            ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(), &[400, 505]),
            ("a greeting in TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03Canary7Zq\r\n\r\n".to_vec(), &[400]),
            ("a method that is no token", b"G(T /healthz HTTP/1.1\r\nHost: usher\r\n\r\n".to_vec(), &[400]),
            ("raw bytes in the path", b"GET /\xff\xfe HTTP/1.1\r\nHost: usher\r\n\r\n".to_vec(), &[400]),
        ],
    );
}

#[test]
fn a_request_whose_coding_is_not_plain_chunked_is_refused() {
    let server = Server::start();
    let body = registration(CANARY);
    let coded = |codings: &str| {
        let head =
            "POST /api/v1/users HTTP/1.1\r\nHost: usher\r\nConnection: close\r\nContent-Type: application/json\r\n";
        format!("{head}{codings}\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).into_bytes()
    };

    refused_by_http(
        &server,
        vec![
            ("gzip within chunked", coded("Transfer-Encoding: gzip, chunked\r\n"), &[400, 501]),
            ("identity within chunked", coded("Transfer-Encoding: identity, chunked\r\n"), &[400, 501]),
            (
                "an unknown one on a line before",
                coded("Transfer-Encoding: canary\r\nTransfer-Encoding: chunked\r\n"),
                &[400, 501],
            ),
            ("chunked twice", coded("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), &[400, 501]),
        ],
    );
}

#[test]
fn a_request_with_a_length_and_chunks_is_the_last_on_its_connection() {
    let server = Server::start();
    let smuggled = "GET /healthz HTTP/1.1\r\nHost: usher\r\n\r\n";
    for lengths_first in [true, false] {
        let (length, coding) = ("Content-Length: 6\r\n", "Transfer-Encoding: chunked\r\n");
        let headers = if lengths_first { [length, coding] } else { [coding, length] }.concat();
        let head = "POST /api/v1/auth/login HTTP/1.1\r\nHost: usher\r\nContent-Type: application/json\r\n";

        let answers = server.raw(format!("{head}{headers}\r\n0\r\n\r\n{smuggled}"));

        assert_eq!(statuses(&answers), [400], "{answers}");
    }
}

#[test]
fn a_request_names_its_host_once() {
    let server = Server::start();
    let me = |hosts: &str| format!("GET /api/v1/auth/me HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n").into_bytes();

    refused_by_http(
        &server,
        vec![
            ("no host (RFC 9112, section 3.2)", me(""), &[400]),
            ("two hosts (RFC 9112, section 3.2)", me("Host: usher\r\nHost: canary.example\r\n"), &[400]),
        ],
    );
    let old = server.raw("GET /healthz HTTP/1.0\r\n\r\n");
    assert!(old.starts_with("HTTP/1.0 200"), "HTTP/1.0 has no Host: {old}");
}

#[test]
fn a_foreign_host_is_never_repeated() {
    let server = Server::start();
    let name = "hosted";
    let body = registration(name);
    let foreign = format!(
        "POST http://Canary7Zq.example/api/v1/users HTTP/1.1\r\nHost: Canary7Zq.example\r\nConnection: close\r\n\
         X-Forwarded-Host: Canary7Zq.example\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );

    let answer = server.raw(foreign);

    assert_eq!(statuses(&answer), [201], "absolute-form must be accepted (RFC 9112, section 3.2.2): {answer}");
    assert!(answer.to_lowercase().contains("location: /api/v1/users/"), "{answer}");
    assert!(!answer.contains(CANARY), "{answer}");
}

#[test]
fn requests_that_want_another_protocol_or_a_tunnel_get_neither() {
    let server = Server::start();
    let bare = |text: &str| text.as_bytes().to_vec();
    let upgrade = |protocol: &str| {
        let upgrade = format!("Upgrade: {protocol}");
        let headers =
            ["Connection: Upgrade", &upgrade, "HTTP2-Settings: AAMAAABkAAQAAP__", "Sec-WebSocket-Version: 13"];
        request("GET /api/v1/auth/me", &headers, "")
    };

    refused(
        &server,
        vec![
            attack(
                "CONNECT",
                bare("CONNECT canary.example:443 HTTP/1.1\r\nHost: canary.example\r\nConnection: close\r\n\r\n"),
                404,
                "not_found",
            ),
            attack("OPTIONS *", request("OPTIONS *", &[], ""), 404, "not_found"),
            attack("TRACE", request("TRACE /healthz", &["X-Canary: Canary7Zq"], ""), 405, "method_not_allowed"),
            attack("a made-up method", request("CANARY /api/v1/users", &[], ""), 405, "method_not_allowed"),
            attack("HTTP/2 in clear text", upgrade("h2c"), 401, "authentication_required"),
            attack("a web socket", upgrade("websocket"), 401, "authentication_required"),
        ],
    );
}

#[test]
fn a_body_that_ends_early_does_nothing() {
    let server = Server::start();
    let before = rows(&server);
    let whole = String::from_utf8(json_request("POST /api/v1/users", registration(CANARY))).expect("text");
    for cut in [whole.len() - 1, whole.len() - 30, whole.find("\r\n\r\n").expect("a head") + 4] {
        let mut stream = std::net::TcpStream::connect(server.address).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");

        std::io::Write::write_all(&mut stream, &whole.as_bytes()[..cut]).expect("the server reads");
        stream.shutdown(std::net::Shutdown::Write).expect("it is open");
        let mut answer = String::new();
        let _ = std::io::Read::read_to_string(&mut stream, &mut answer);

        assert!(statuses(&answer).iter().all(|status| *status == 400), "{answer}");
        assert_eq!(rows(&server), before);
    }
}

#[test]
fn pipelined_requests_are_answered_in_order_and_one_cannot_hide_in_anothers_body() {
    let server = Server::start();
    let hidden = format!("DELETE /api/v1/users/1 HTTP/1.1\r\nHost: {CANARY}\r\n\r\n");
    let first = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: usher\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{hidden}",
        hidden.len()
    );
    let second = "GET /nowhere HTTP/1.1\r\nHost: usher\r\n\r\n";
    let last = "GET /healthz HTTP/1.1\r\nHost: usher\r\nConnection: close\r\n\r\n";

    let answers = server.raw([&first, second, last].concat());

    assert_eq!(statuses(&answers), [400, 404, 200], "{answers}");
    assert_eq!(code(&answers), "malformed_request");
}

#[test]
fn a_body_over_64_kib_is_refused_by_its_length_and_in_chunks() {
    let server = Server::start();
    let fits = format!("{{\"email\": \"{CANARY}\"{}}}", " ".repeat(65_536 - 22));
    assert_eq!(fits.len(), 65_536);
    let long = format!("{fits} ");
    let chunks: String = std::iter::repeat_n(format!("1000\r\n{}\r\n", " ".repeat(4096)), 17).collect();
    let chunked = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: usher\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
    );

    refused(
        &server,
        vec![
            attack("64 KiB to the byte", json_request("POST /api/v1/auth/login", &fits), 400, "validation_failed"),
            attack("one byte more", json_request("POST /api/v1/auth/login", &long), 413, "payload_too_large"),
            attack("too much, in chunks", chunked, 413, "payload_too_large"),
        ],
    );
}

#[test]
fn a_body_that_is_announced_as_too_long_is_refused_before_it_comes() {
    let server = Server::start();
    let announced = "POST /api/v1/auth/login HTTP/1.1\r\nHost: usher\r\nConnection: close\r\nContent-Type: application/json\r\n\
                     Content-Length: 10000000000\r\n\r\n{";

    refused(&server, vec![attack("ten gigabytes", announced, 413, "payload_too_large")]);
}

// Headers

#[test]
fn too_many_or_too_large_headers_are_refused() {
    let server = Server::start();
    let many = |count: usize| {
        let lines: Vec<String> = (0..count).map(|n| format!("X-{n}: {CANARY}")).collect();
        request("GET /healthz", &lines.iter().map(String::as_str).collect::<Vec<_>>(), "")
    };
    let large = |bytes: usize| request("GET /healthz", &[&format!("X-Large: {}", CANARY.repeat(bytes / 9))], "");
    let address = |bytes: usize| request(&format!("GET /{}", "a".repeat(bytes)), &[], "");

    assert_eq!(statuses(&server.raw(many(98))), [200]);
    assert_eq!(statuses(&server.raw(large(16_000))), [200]);
    refused_by_http(
        &server,
        vec![
            ("99 headers and two more", many(99), &[431]),
            ("hundreds of headers", many(500), &[431]),
            ("a little more than 16 KiB of headers", large(16_500), &[431]),
            ("500 KB of headers", large(500_000), &[431]),
            ("500 KB in a thousand headers", many(50_000), &[431]),
            ("100 KB of address", address(100_000), &[414, 431]),
        ],
    );
    refused(&server, vec![attack("15 KB of address", address(15_000), 404, "not_found")]);
}

#[test]
fn headers_change_neither_method_nor_path_nor_the_answer() {
    let server = Server::start();
    let ada = server.user("ada");
    let authorization = format!("Authorization: Bearer {}", ada.token.as_deref().expect("a token"));
    let me = format!("GET /api/v1{}", ada.me());
    let before = rows(&server);
    for header in [
        "X-HTTP-Method-Override: DELETE",
        "X-HTTP-Method: DELETE",
        "X-Method-Override: DELETE",
        "X-Original-URL: /Canary7Zq",
        "X-Rewrite-URL: /Canary7Zq",
        "X-Forwarded-Prefix: /Canary7Zq",
        "X-Forwarded-For: Canary7Zq, 127.0.0.1, ,,, \u{7f}",
        "X-Forwarded-Proto: Canary7Zq",
        "X-Request-Id: Canary7Zq",
        "Forwarded: for=Canary7Zq;host=Canary7Zq",
        "Accept: Canary7Zq/x",
        "Accept-Encoding: Canary7Zq, gzip",
        "Accept-Charset: utf-7",
        "Origin: https://Canary7Zq.example",
        "Range: bytes=0-0",
        "If-None-Match: *",
        "TE: Canary7Zq",
        "Expect: 100-continue",
        "Cookie: token=Canary7Zq",
    ] {
        let answer = server.raw(request(&me, &[&authorization, header], ""));

        assert!(statuses(&answer).iter().all(|status| [100, 200, 400].contains(status)), "{header}: {answer}");
        assert!(!answer.contains(CANARY), "{header}: {answer}");
        assert!(!answer.to_lowercase().contains("access-control-allow"), "{header}: {answer}");
        assert_eq!(rows(&server), before, "{header}");
    }
}

#[test]
fn a_body_must_be_plain_json_in_utf8_and_say_so_once() {
    let server = Server::start();
    let with = |headers: &[&str]| request("POST /api/v1/users", headers, registration(CANARY));
    let json = "Content-Type: application/json";
    let unsupported: Vec<Vec<&str>> = vec![
        vec![],
        vec!["Content-Type:"],
        vec!["Content-Type: text/plain"],
        vec!["Content-Type: application/x-www-form-urlencoded"],
        vec!["Content-Type: multipart/form-data; boundary=x"],
        vec!["Content-Type: application/jsonp"],
        vec!["Content-Type: application/json+Canary7Zq"],
        vec!["Content-Type: application/json, text/plain"],
        vec!["Content-Type: application/json; charset=utf-16"],
        vec!["Content-Type: application/json; charset=iso-8859-1"],
        vec!["Content-Type: application/json; charset=utf-7"],
        vec!["Content-Type: application/json; charset=utf-8; charset=utf-16"],
        vec!["Content-Type: application/json; charset=\"\""],
        vec![json, json],
        vec![json, "Content-Type: text/plain"],
        vec![json, "Content-Encoding: gzip"],
        vec![json, "Content-Encoding: identity", "Content-Encoding: br"],
        vec![json, "Content-Encoding: Canary7Zq"],
    ];
    let attacks = unsupported
        .into_iter()
        .map(|headers| attack(format!("{headers:?}"), with(&headers), 415, "unsupported_media_type"));

    refused(&server, attacks.collect());

    for (n, kind) in ["APPLICATION/JSON", "application/json; charset=UTF-8", "application/json ;charset=\"utf-8\""]
        .iter()
        .enumerate()
    {
        let header = format!("Content-Type: {kind}");
        let answer = server.raw(request("POST /api/v1/users", &[&header], registration(&format!("fine{n}"))));
        assert_eq!(statuses(&answer), [201], "{kind}: {answer}");
    }
}

// JSON

#[test]
fn what_is_not_one_json_object_is_malformed() {
    let server = Server::start();
    let whole = registration(CANARY);
    let with_name = |name: &[u8]| {
        let (head, tail) =
            (br#"{"username": ""#.as_slice(), br#"", "email": "a@example.com", "password": "Canary7Zq99"}"#);
        [head, name, tail].concat()
    };
    let deep = |open: &str, close: &str, levels: usize| {
        format!("{{\"username\": {}1{}}}", open.repeat(levels), close.repeat(levels)).into_bytes()
    };
    let malformed: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", b"".to_vec()),
        ("white space", b" \r\n\t ".to_vec()),
        ("a byte order mark", [b"\xef\xbb\xbf", whole.as_bytes()].concat()),
        ("UTF-16", whole.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("UTF-8 that is none", with_name(b"a\xff\xfe")),
        ("an overlong encoding", with_name(b"a\xc0\xaf")),
        ("a surrogate in UTF-8", with_name(b"a\xed\xa0\x80")),
        ("half a character", with_name(b"a\xe2\x82")),
        ("UTF-8 that is none, in a key", b"{\"\xff\": 1}".to_vec()),
        ("a lone surrogate", with_name(br"a\ud800")),
        ("a lone low surrogate", with_name(br"a\udc00")),
        ("surrogates in the wrong order", with_name(br"a\udc00\ud800")),
        ("an unknown escape", with_name(br"a\x41")),
        ("a raw line break in a string", with_name(b"a\nb")),
        ("a raw NUL in a string", with_name(b"a\0b")),
        ("a NUL behind", [whole.as_bytes(), b"\0"].concat()),
        ("something behind", format!("{whole}x").into_bytes()),
        ("a second object", format!("{whole}{whole}").into_bytes()),
        ("a comment", format!("/* {CANARY} */{whole}").into_bytes()),
        ("a comma too many", whole.replace('}', ",}").into_bytes()),
        ("single quotes", whole.replace('"', "'").into_bytes()),
        ("cut off", whole.as_bytes()[..whole.len() - 1].to_vec()),
        ("an array", format!("[{whole}]").into_bytes()),
        ("an empty array", b"[]".to_vec()),
        ("a string", b"\"Canary7Zq\"".to_vec()),
        ("a number", b"1".to_vec()),
        ("true", b"true".to_vec()),
        ("null", b"null".to_vec()),
        ("NaN", b"{\"username\": NaN}".to_vec()),
        ("a number out of range", b"{\"username\": 1e999}".to_vec()),
        ("arrays 30,000 deep", deep("[", "]", 30_000)),
        ("objects 9,000 deep", deep("{\"a\":", "}", 9_000)),
        ("a form", b"username=Canary7Zq&email=a%40example.com".to_vec()),
    ];
    let attacks = ["POST /api/v1/users", "POST /api/v1/auth/login"].into_iter().flat_map(|line| {
        malformed.iter().map(move |(what, body)| {
            attack(format!("{line}: {what}"), json_request(line, body), 400, "malformed_request")
        })
    });

    refused(&server, attacks.collect());

    let deepest = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let keys: Vec<String> = (0..100_000).map(|n| format!("\"k{n}\":0")).collect();
    let keys = format!("{{{}}}", keys.join(","));
    refused(
        &server,
        vec![
            attack("200,000 levels", json_request("POST /api/v1/users", deepest), 413, "payload_too_large"),
            attack("100,000 keys", json_request("POST /api/v1/users", keys), 413, "payload_too_large"),
        ],
    );
}

#[test]
fn every_wrong_field_is_named_and_none_of_them_repeated() {
    let server = Server::start();
    let (name, email) = (CANARY, "Canary7Zq@example.com");
    let body = |changes: &[(&str, serde_json::Value)]| {
        let mut body = json!({"username": name, "email": email, "password": PASSWORD});
        for (field, value) in changes {
            body[*field] = value.clone();
        }
        body
    };
    let long = "a".repeat(65);
    let cases: Vec<(serde_json::Value, &[&str])> = vec![
        (json!({}), &["email", "password", "username"]),
        (body(&[("role", json!("admin"))]), &["role"]),
        (body(&[("id", json!(1))]), &["id"]),
        (body(&[("password_hash", json!("$argon2id$Canary7Zq"))]), &["password_hash"]),
        (body(&[("disabled", json!(false)), ("email_verified", json!(true))]), &["disabled", "email_verified"]),
        (body(&[("current_password", json!(PASSWORD))]), &["current_password"]),
        (body(&[("__proto__", json!({"role": "admin"}))]), &["__proto__"]),
        (body(&[("Role", json!("admin")), ("USERNAME", json!("x"))]), &["Role", "USERNAME"]),
        (body(&[("Canary7Zq<script>", json!(1))]), &["(unknown)"]),
        (body(&[("", json!(1)), ("a b", json!(1)), (&long, json!(1)), ("\u{202e}", json!(1))]), &["(unknown)"]),
        (body(&[("username", json!(null))]), &["username"]),
        (body(&[("email", json!(null)), ("password", json!(null))]), &["email", "password"]),
        (
            body(&[("username", json!(1)), ("email", json!(true)), ("password", json!(1.5))]),
            &["email", "password", "username"],
        ),
        (body(&[("username", json!(["a"])), ("email", json!({"a": 1}))]), &["email", "username"]),
        (body(&[("username", json!("a\0b"))]), &["username"]),
        (body(&[("username", json!("a\r\nSet-Cookie: Canary7Zq"))]), &["username"]),
        (body(&[("username", json!("a\n"))]), &["username"]),
        (body(&[("email", json!("a@example.com\r\nBcc: b@example.com"))]), &["email"]),
        (body(&[("email", json!("a\0@example.com"))]), &["email"]),
        (body(&[("password", json!("Canary7Zq\0Canary7Zq"))]), &["password"]),
        (body(&[("password", json!("p".repeat(257)))]), &["password"]),
        (body(&[("password", json!("\u{1F600}".repeat(7)))]), &["password"]),
        (body(&[("password", json!(name)), ("role", json!("user"))]), &["password", "role"]),
        (body(&[("password", json!(email))]), &["password"]),
    ];
    let before = rows(&server);
    for (body, faulty) in cases {
        let answer = server.anon().post("/users", body.clone());

        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.faulty(), faulty, "{body}");
        assert!(!String::from_utf8_lossy(&answer.body).contains(CANARY), "{body}");
        assert_eq!(rows(&server), before, "{body}");
    }
}

#[test]
fn a_key_that_comes_twice_is_refused_whatever_its_values() {
    let server = Server::start();
    let twice = |first: &str, second: &str| {
        format!(
            "{{{first}, \"username\": \"{CANARY}\", \"email\": \"a@example.com\", \"password\": \"{PASSWORD}\", {second}}}"
        )
    };
    let line = "POST /api/v1/users";

    refused(
        &server,
        vec![
            attack(
                "the same twice",
                json_request(line, twice("\"username\": \"b\"", "\"email\": \"a@example.com\"")),
                400,
                "validation_failed",
            ),
            attack(
                "spelled with escapes",
                json_request(line, twice(r#""usern\u0061me": "b""#, r#""x": 1"#)),
                400,
                "validation_failed",
            ),
            attack("an unknown one twice", json_request(line, twice("\"x\": 1", "\"x\": 2")), 400, "validation_failed"),
        ],
    );
}

#[test]
fn thousands_of_unknown_keys_are_refused_and_twenty_named() {
    let server = Server::start();
    let keys: Vec<String> = (0..6000).map(|n| format!("\"k{n}\":0")).collect();

    let answer = server.anon().send(
        "POST",
        "/users",
        &[("content-type", "application/json")],
        Some(format!("{{{}}}", keys.join(",")).as_bytes()),
    );

    assert_eq!(answer.faulty().len(), 20);
}

#[test]
fn a_sign_in_with_anything_but_two_strings_is_a_fault_of_form() {
    let server = Server::start();
    for (body, faulty) in [
        (json!({}), vec!["email", "password"]),
        (json!({"email": null, "password": null}), vec!["email", "password"]),
        (json!({"email": 1, "password": true}), vec!["email", "password"]),
        (json!({"email": {"$gt": ""}, "password": {"$gt": ""}}), vec!["email", "password"]),
        (json!({"email": ["a@example.com"], "password": [CANARY]}), vec!["email", "password"]),
        (json!({"email": "a@example.com", "password": CANARY, "username": "a"}), vec!["username"]),
    ] {
        let answer = server.anon().post("/auth/login", body.clone());
        assert_eq!(answer.faulty(), faulty, "{body}");
    }
}

#[test]
fn a_sign_in_with_any_two_strings_is_simply_wrong() {
    let server = Server::start();
    server.user("ada");
    let hashes = server.app.hashes();
    let before = rows(&server);
    let mut bodies = Vec::new();
    for (email, password) in [
        ("", ""),
        ("ada@example.com", ""),
        ("ada@example.com", "correct horse battery "),
        ("ada@example.com", "Correct horse battery"),
        ("ada@example.com", "correct horse battery\0"),
        (" ada@example.com", PASSWORD),
        ("ada@example.com ", PASSWORD),
        ("ada@example.com\0", PASSWORD),
        ("ada@example.com\n", PASSWORD),
        ("ada@example.com.", PASSWORD),
        ("a\u{200b}da@example.com", PASSWORD),
        ("%", PASSWORD),
        ("' OR 1=1 --", PASSWORD),
        ("ada", PASSWORD),
        ("a\u{430}da@example.com", PASSWORD),
    ] {
        let answer = server.anon().login(email, password);
        answer.is(401, "invalid_credentials");
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{email:?}");
        bodies.push(answer.body);
    }
    let long = server.anon().login("ada@example.com", &"p".repeat(257));
    long.is(401, "invalid_credentials");
    bodies.push(long.body);
    let longest = server.anon().login(&"a".repeat(60_000), PASSWORD);
    longest.is(401, "invalid_credentials");
    bodies.push(longest.body);

    assert!(bodies.iter().all(|body| *body == bodies[0]), "told apart");
    assert_eq!(rows(&server), before);
    // The one with a NUL and the one that is too long can be no account's.
    assert_eq!(server.app.hashes() - hashes, bodies.len() as u64 - 2);
    assert_eq!(server.anon().login("ADA@EXAMPLE.COM", PASSWORD).status, 200);
}

// Identity

#[test]
fn names_that_only_look_different_or_alike_do_not_get_by() {
    let server = Server::start();
    server.user("kim");
    server.user("ilse");
    let before = rows(&server);
    let try_name = |name: &str, email: &str| {
        server.anon().post("/users", json!({"username": name, "email": email, "password": PASSWORD}))
    };

    for name in ["KIM", "Kim", "kIM"] {
        try_name(name, "new@example.com").is(409, "username_taken");
    }
    for email in ["KIM@example.com", "kim@EXAMPLE.COM", "Kim@Example.Com"] {
        try_name("new", email).is(409, "email_taken");
    }
    try_name("KIM", "ILSE@EXAMPLE.COM").is(409, "username_taken");

    let names = [
        "\u{212a}im",
        "k\u{131}m",
        "\u{130}lse",
        "k\u{456}m",
        "kim\u{200b}",
        "k\u{200d}im",
        "\u{202e}mik",
        "kim\u{feff}",
        "\u{ff4b}im",
        "kim\u{301}",
        "kim\u{ad}",
        " kim",
        "kim ",
        "\tkim",
        "kim\u{a0}",
        "",
        " ",
        ".",
        "..",
        "-",
        "_",
        "a b",
        "a/b",
        "a@b",
        "a:b",
        "a%41",
        "<b>",
    ];
    for name in names {
        let answer = try_name(name, "new@example.com");
        assert_eq!(answer.faulty(), ["username"], "{name:?}");
    }
    let (long, longer) = (format!("{}@example.com", "a".repeat(65)), format!("a@{}.com", "b".repeat(64)));
    let whole = format!("{}@{}.com", "a".repeat(64), ["b".repeat(62), "c".repeat(62), "d".repeat(62)].join("."));
    assert!(whole.len() > 254);
    let emails = [
        "\u{212a}im@example.com",
        "k\u{131}m@example.com",
        "kim@example\u{3002}com",
        "kim\u{200b}@example.com",
        "kim@ex\u{ad}ample.com",
        "\u{202e}kim@example.com",
        " kim@example.com",
        "kim@example.com ",
        "kim@example.com\u{a0}",
        "a@b@c",
        "a@",
        "@b",
        "a",
        "a@b..c",
        "a@-b.c",
        "a@b_c.d",
        "a@[127.0.0.1]",
        "\"a b\"@c.d",
        "a(b)@c.d",
        "Kim <kim@example.com>",
        "a@b,c@d",
        "a@\u{4f8b}.jp",
        &long,
        &longer,
        &whole,
    ];
    for email in emails {
        let answer = try_name("new", email);
        assert_eq!(answer.faulty(), ["email"], "{email:?}");
    }
    assert_eq!(rows(&server), before);
}

#[test]
fn a_name_at_its_longest_is_accepted() {
    let server = Server::start();
    let email = format!("{}@example.com", "a".repeat(64));
    let body = json!({"username": "u".repeat(64), "email": email, "password": "\u{1F600}".repeat(256)});

    let answer = server.anon().post("/users", body);

    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.json()["email"], email);
}

#[test]
fn changing_a_name_into_a_twin_is_refused() {
    let server = Server::start();
    server.user("kim");
    let ada = server.user("ada");
    let before = rows(&server);

    ada.put(&ada.me(), json!({"username": "KIM"})).is(409, "username_taken");
    ada.put(&ada.me(), json!({"email": "KIM@EXAMPLE.COM"})).is(409, "email_taken");
    ada.put(&ada.me(), json!({"email": "kim@example.com", "username": "kim"})).is(409, "username_taken");
    ada.put(&ada.me(), json!({"role": "admin"})).is(403, "forbidden");
    ada.put(&ada.me(), json!({"disabled": false})).is(403, "forbidden");
    ada.put(&ada.me(), json!({"role": "root"})).is(400, "validation_failed");
    ada.put(&ada.me(), json!({"id": 1})).is(400, "validation_failed");
    ada.put(&ada.me(), json!({"email_verified": true})).is(400, "validation_failed");
    ada.put(&ada.me(), json!({"revision": 1})).is(400, "validation_failed");
    ada.put(&ada.me(), json!({"username": null})).is(400, "validation_failed");

    assert_eq!(rows(&server), before);
    assert_eq!(ada.put(&ada.me(), json!({"username": "ADA"})).json()["username"], "ADA");
}

// Authorization

/// Everything that needs a session, with a body where one is needed.
fn protected(id: i64) -> Vec<(String, &'static str)> {
    let user = format!("/api/v1/users/{id}");
    vec![
        (format!("GET {user}"), ""),
        (format!("PUT {user}"), r#"{"username": "Canary7Zq"}"#),
        (format!("DELETE {user}"), ""),
        ("GET /api/v1/auth/me".into(), ""),
        ("POST /api/v1/auth/logout".into(), ""),
    ]
}

#[test]
fn only_a_living_sessions_own_token_opens_anything() {
    let server = Server::start();
    let ada = server.user("ada");
    let token = ada.token.clone().expect("a token");
    let stored: Vec<u8> = server.query("SELECT token_hash FROM sessions");
    let session: String = server.query("SELECT id FROM sessions");
    let password_hash: String = server.query("SELECT password_hash FROM users");
    let hexadecimal = stored.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let unknown = SessionToken::generate();
    let none = "authentication_required";
    let bad = "invalid_token";
    let mut sent: Vec<(String, &str)> = vec![
        (String::new(), none),
        ("Authorization:".into(), none),
        ("Authorization:   ".into(), none),
        (format!("Authorization: Basic {token}"), none),
        (format!("Authorization: Token {token}"), none),
        (format!("Authorization: Digest username={token}"), none),
        (format!("Authorization: BearerX {token}"), none),
        (format!("Proxy-Authorization: Bearer {token}"), none),
        (format!("X-Authorization: Bearer {token}"), none),
        (format!("X-Api-Key: {token}"), none),
        (format!("Cookie: token={token}; Authorization=Bearer {token}"), none),
        ("Authorization: Bearer".into(), bad),
        (format!("Authorization: {token} x"), bad),
        (format!("Authorization: {token}  {token}"), bad),
        (format!("Authorization: {token}\tx"), bad),
        ("Authorization: ush_ x".into(), bad),
        ("Authorization: Bearer Canary7Zq".into(), bad),
        ("Authorization: Canary7Zq".into(), bad),
        (format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}"), bad),
        (format!("Authorization: Bearer {token}\r\nAuthorization: Basic eDp5"), bad),
        (format!("Authorization: Basic eDp5\r\nAuthorization: Bearer {token}"), bad),
        (format!("Authorization: Bearer {token}, Bearer {token}"), bad),
        (format!("Authorization: Bearer Bearer {token}"), bad),
        (format!("Authorization: Bearer {token} x"), bad),
        (format!("Authorization: Bearer \"{token}\""), bad),
        (format!("Authorization: Bearer {token}\u{e9}"), bad),
        ("Authorization: Bearer \u{442}\u{43e}\u{43a}\u{435}\u{43d}".into(), bad),
        (format!("Authorization: Bearer {}", "a".repeat(8192)), bad),
        (format!("Authorization: Bearer {token}{}", "a".repeat(8192)), bad),
        (format!("Authorization: Bearer {}", token.to_uppercase()), bad),
        (format!("Authorization: Bearer {}", &token[4..]), bad),
        (format!("Authorization: Bearer {}", token.replacen("ush_", "ushr_", 1)), bad),
        (format!("Authorization: Bearer {}", token.replacen("ush_", "ushi_", 1)), bad),
        (format!("Authorization: Bearer {}", &token[..token.len() - 1]), bad),
        (format!("Authorization: Bearer {token}0"), bad),
        (format!("Authorization: Bearer {hexadecimal}"), bad),
        (format!("Authorization: Bearer ush_{}", &hexadecimal[..49]), bad),
        (format!("Authorization: Bearer {session}"), bad),
        (format!("Authorization: Bearer {password_hash}"), bad),
        (format!("Authorization: Bearer {}", unknown.reveal()), bad),
        ("Authorization: Bearer null".into(), bad),
        ("Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.".into(), bad),
    ];
    for at in 0..token.len() {
        let mut flipped = token.clone().into_bytes();
        flipped[at] = if flipped[at] == b'a' { b'b' } else { b'a' };
        sent.push((format!("Authorization: Bearer {}", String::from_utf8(flipped).expect("ASCII")), bad));
    }
    let mut attacks = Vec::new();
    for (header, code) in &sent {
        let headers: Vec<&str> =
            [header.as_str(), "Content-Type: application/json"].into_iter().filter(|h| !h.is_empty()).collect();
        let all = protected(ada.id);
        let lines =
            if header.len() < 200 && header.contains("ush_") && attacks.len() > 150 { &all[3..4] } else { &all[..] };
        for (line, body) in lines {
            attacks.push(attack(format!("{line} with {header:.90}"), request(line, &headers, body), 401, code));
        }
    }
    let with_query = format!("GET /api/v1/auth/me?token={token}&access_token={token}&authorization=Bearer%20{token}");
    attacks.push(attack("a token in the query", request(&with_query, &[], ""), 401, none));
    let in_body = json!({"token": token, "access_token": token}).to_string();
    attacks.push(attack("a token in the body", json_request("POST /api/v1/auth/logout", in_body), 401, none));

    refused(&server, attacks);

    for header in [format!("Bearer {token}"), format!("bEARER   {token}"), token.clone()] {
        assert_eq!(server.anon().send("GET", "/auth/me", &[("authorization", &header)], None).status, 200, "{header}");
    }
}

#[test]
fn an_invalid_token_is_not_the_same_as_none_where_none_is_needed() {
    let server = Server::start();
    let ada = server.user("ada");
    let token = ada.token.clone().expect("a token");
    ada.post("/auth/logout", json!({}));
    let login = json!({"email": "ada@example.com", "password": PASSWORD}).to_string();
    let hashes = server.app.hashes();
    let mut attacks = Vec::new();
    for header in
        [format!("Authorization: Bearer {token}"), "Authorization: Canary7Zq".into(), "Authorization: \u{e9}".into()]
    {
        for (line, body) in [("POST /api/v1/users", registration(CANARY)), ("POST /api/v1/auth/login", login.clone())] {
            let bytes = request(line, &[&header, "Content-Type: application/json"], body);
            attacks.push(attack(format!("{line} with {header}"), bytes, 401, "invalid_token"));
        }
    }

    refused(&server, attacks);

    assert_eq!(server.app.hashes(), hashes, "refused before any hash");
}

#[test]
fn a_401_says_which_scheme_and_whether_the_token_was_bad() {
    let server = Server::start();

    let (none, bad) = (server.anon().get("/auth/me"), server.anon().with_token("x").get("/auth/me"));

    assert_eq!(none.is(401, "authentication_required").header("www-authenticate"), "Bearer");
    assert_eq!(bad.is(401, "invalid_token").header("www-authenticate"), "Bearer error=\"invalid_token\"");
}

#[test]
fn a_session_that_is_not_used_ends_at_its_idle_timeout() {
    let server = Server::start();
    let ada = server.user("ada");

    server.clock.advance(7 * DAY - Duration::from_millis(1));
    assert_eq!(ada.get("/auth/me").status, 200);
    server.flush();
    server.clock.advance(7 * DAY);

    for (line, body) in protected(ada.id) {
        let header = format!("Authorization: Bearer {}", ada.token.as_deref().expect("a token"));
        let answer = server.raw(request(&line, &[&header, "Content-Type: application/json"], body));
        assert_eq!((statuses(&answer), code(&answer)), (vec![401], "invalid_token"), "{line}: {answer}");
    }
}

#[test]
fn a_session_ends_at_its_absolute_end_however_much_it_is_used() {
    let server = Server::start();
    let ada = server.user("ada");
    for _ in 0..5 {
        server.clock.advance(6 * DAY - Duration::from_millis(1));
        assert_eq!(ada.get("/auth/me").status, 200);
        server.flush();
    }

    server.clock.advance(Duration::from_millis(5));

    ada.get("/auth/me").is(401, "invalid_token");
    server.flush();
    ada.get("/auth/me").is(401, "invalid_token");
}

#[test]
fn a_use_that_has_been_gathered_does_not_revive_a_session_after_its_end() {
    let server = Server::start();
    let ada = server.user("ada");
    server.clock.advance(6 * DAY);
    assert_eq!(ada.get("/auth/me").status, 200);

    assert_eq!(ada.post("/auth/logout", json!({})).status, 200);
    server.flush();

    ada.get("/auth/me").is(401, "invalid_token");
    assert_eq!(server.query::<i64>("SELECT count(*) FROM sessions"), 0);
}

#[test]
fn a_token_dies_with_logout_with_disabling_and_with_its_account() {
    let server = Server::start();
    let root = server.admin("root");
    let (out, disabled, deleted) = (server.user("out"), server.user("disabled"), server.user("deleted"));

    assert_eq!(out.post("/auth/logout", json!({})).status, 200);
    assert_eq!(root.put(&disabled.me(), json!({"disabled": true})).status, 200);
    assert_eq!(root.delete(&deleted.me()).status, 204);

    for dead in [&out, &disabled, &deleted] {
        let before = rows(&server);
        dead.get("/auth/me").is(401, "invalid_token");
        dead.get(&dead.me()).is(401, "invalid_token");
        dead.put(&dead.me(), json!({})).is(401, "invalid_token");
        dead.delete(&dead.me()).is(401, "invalid_token");
        dead.post("/auth/logout", json!({})).is(401, "invalid_token");
        assert_eq!(rows(&server), before);
    }
    assert_eq!(root.put(&disabled.me(), json!({"disabled": false})).status, 200);
    disabled.get("/auth/me").is(401, "invalid_token");
    assert!(server.user("after").id > deleted.id, "ids are not used twice");
}

#[test]
fn strangers_cannot_tell_an_account_that_exists_from_one_that_does_not() {
    let server = Server::start();
    let (root, ada, eve) = (server.admin("root"), server.user("ada"), server.user("eve"));
    let before = rows(&server);
    for body in
        [json!({}), json!({"role": "admin"}), json!({"password": "another long one", "current_password": PASSWORD})]
    {
        let answers: Vec<_> = [ada.me(), root.me(), "/users/99999".into(), "/users/0".into(), "/users/abc".into()]
            .map(|path| {
                let put = eve.put_if(&path, Some("\"1.1\""), body.clone());
                [eve.get(&path), put, eve.delete(&path)].map(|answer| (answer.status, answer.body))
            })
            .into();

        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert_eq!(answers[0][0].0, 404);
    }
    assert_eq!(rows(&server), before);
}

// Ids and paths

#[test]
fn an_id_that_is_not_canonical_names_nobody() {
    let server = Server::start();
    let root = server.admin("root");
    assert_eq!(root.id, 1);
    let header = format!("Authorization: Bearer {}", root.token.as_deref().expect("a token"));
    let ids = "0 -1 +1 01 1e3 1.0 0x1 1_000 9223372036854775807 9223372036854775808 18446744073709551617 \
        99999999999999999999999999999999999999 %00 1%00 %D9%A1 %EF%BC%91 %20%31 1%20 1%0A 1%2F %2F1 %2e%2e 1;x 1,2 * \
        me null abc ' 1'-- % %zz 1% %u0031";
    let attacks = ids.split(' ').flat_map(|id| {
        let (header, user) = (header.clone(), format!("/api/v1/users/{id}"));
        [("GET", ""), ("PUT", r#"{"username": "Canary7Zq"}"#), ("DELETE", "")].map(|(method, body)| {
            let line = format!("{method} {user}");
            let bytes = request(&line, &[&header, "Content-Type: application/json"], body);
            attack(line, bytes, 404, "user_not_found")
        })
    });

    refused(&server, attacks.collect());
}

#[test]
fn an_escape_of_ascii_stands_for_its_character() {
    let server = Server::start();
    let root = server.admin("root");
    assert_eq!(root.get("/users/%31").json()["username"], "root");
}

#[test]
fn an_id_that_is_no_utf8_names_nobody_and_is_told_so_only_to_who_is_signed_in() {
    let server = Server::start();
    let root = server.admin("root");
    let header = format!("Authorization: Bearer {}", root.token.as_deref().expect("a token"));
    let attacks = ["%FF", "%C0%B1", "1%FF"].into_iter().flat_map(|id| {
        let line = format!("GET /api/v1/users/{id}");
        [
            attack(format!("{line}, signed in"), request(&line, &[&header], ""), 404, "user_not_found"),
            attack(format!("{line}, without a token"), request(&line, &[], ""), 401, "authentication_required"),
        ]
    });

    refused(&server, attacks.collect());
}

#[test]
fn a_path_has_one_spelling() {
    let server = Server::start();
    let root = server.admin("root");
    let header = format!("Authorization: Bearer {}", root.token.as_deref().expect("a token"));
    let paths = "// /api /api/v1 /api/v1/ /api/v1//users/1 /api//v1/users/1 //api/v1/users/1 /api/v1/./users/1 \
        /api/v1/users/../users/1 /api/v1/users//1 /api/v1/users/1/ /api/v1/users/1// /api/v1/users%2F1 \
        /api%2Fv1%2Fusers%2F1 /API/v1/users/1 /api/v1/Users/1 /api/v1/users/ /api/v1/auth/me/ /api/v1/auth//me \
        /api/v1/auth /healthz/ //healthz /./healthz /HEALTHZ /readyz/ /docs// /docs/index.html /api/v1/openapi.json/ \
        /api/v1/openapi.yaml /api/v1/../../healthz /healthz%00 /.env /metrics /Canary7Zq?q=Canary7Zq \
        /api/v1/Canary7Zq /api/v1/auth/me;a=b /* /:param0 /api/v1/*--poem-rest /..%2f..%2fetc/passwd /\\\\example";
    let attacks =
        paths.split(' ').map(|path| attack(path, request(&format!("GET {path}"), &[&header], ""), 404, "not_found"));

    refused(&server, attacks.collect());
}

#[test]
fn a_method_that_a_path_does_not_have_is_answered_with_those_it_has() {
    let server = Server::start();
    for (method, path, allow) in [
        ("PATCH", "/users/1", "DELETE, GET, HEAD, PUT"),
        ("POST", "/users/1", "DELETE, GET, HEAD, PUT"),
        ("PUT", "/users", "GET, HEAD, POST"),
        ("DELETE", "/users", "GET, HEAD, POST"),
        ("GET", "/auth/login", "POST"),
        ("GET", "/auth/logout", "POST"),
        ("DELETE", "/auth/me", "GET, HEAD"),
        ("OPTIONS", "/users", "GET, HEAD, POST"),
        ("POST", "//healthz", "GET, HEAD"),
        ("PUT", "//readyz", "GET, HEAD"),
        ("DELETE", "//docs", "GET, HEAD"),
        ("POST", "//", "GET, HEAD"),
        ("PUT", "//docs/", "GET, HEAD"),
        ("POST", "//api/v1/openapi.json", "GET, HEAD"),
    ] {
        let line = format!(
            "{method} {}",
            path.strip_prefix('/')
                .filter(|rest| rest.starts_with('/'))
                .map_or_else(|| format!("/api/v1{path}"), str::to_owned)
        );
        let answer = server.raw(request(&line, &[], ""));

        assert_eq!((statuses(&answer), code(&answer)), (vec![405], "method_not_allowed"), "{line}: {answer}");
        assert!(
            answer.to_lowercase().contains(&format!("\r\nallow: {}\r\n", allow.to_lowercase())),
            "{line}: {answer}"
        );
    }
}

#[test]
fn head_answers_as_get_does_without_a_body() {
    let server = Server::start();
    let root = server.admin("root");
    let header = format!("Authorization: Bearer {}", root.token.as_deref().expect("a token"));
    for path in ["/healthz", "/readyz", "/docs", "/api/v1/openapi.json", "/api/v1/auth/me", "/api/v1/users/1"] {
        let answer = server.raw(request(&format!("HEAD {path}"), &[&header], ""));

        assert_eq!(statuses(&answer), [200], "{path}: {answer:.600}");
        assert!(answer.ends_with("\r\n\r\n"), "{path}: {answer:.600}");
    }
}

#[test]
fn what_stands_beside_the_api_needs_no_token_and_minds_no_query() {
    let server = Server::start();
    let before = rows(&server);
    for path in ["/healthz", "/readyz", "/docs", "/api/v1/openapi.json"] {
        for line in [format!("GET {path}"), format!("GET {path}?Canary7Zq=%00%ff&Canary7Zq")] {
            let answer = server.raw(request(&line, &["Authorization: Bearer Canary7Zq"], "a body that nobody reads"));

            assert_eq!(statuses(&answer), [200], "{line}: {answer:.600}");
            assert!(!answer.contains(CANARY), "{line}");
        }
    }
    assert_eq!(rows(&server), before);
}

#[test]
fn an_if_match_that_is_no_list_of_our_tags_matches_nothing() {
    let server = Server::start();
    let ada = server.user("ada");
    let header = format!("Authorization: Bearer {}", ada.token.as_deref().expect("a token"));
    let mut attacks = Vec::new();
    for tag in [
        "",
        "\"\"",
        "W/\"1.1\"",
        "1.1",
        "\"1.1",
        "\"1\"",
        "\"1.2\"",
        "\"2.1\"",
        "\"-1.1\"",
        "\"1.1.1\"",
        "\"+1.1\"",
        "\"1.99999999999999999999\"",
        "\u{e9}",
        "Canary7Zq",
        "\"**\"",
        ",,",
    ] {
        let if_match = format!("If-Match: {tag}");
        for (line, body) in [("PUT /api/v1/users/1", r#"{"username": "Canary7Zq"}"#), ("DELETE /api/v1/users/1", "")] {
            let bytes = request(line, &[&header, &if_match, "Content-Type: application/json"], body);
            attacks.push(attack(format!("{line} with {if_match}"), bytes, 412, "precondition_failed"));
        }
    }

    refused(&server, attacks);
}

// Chance

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 8, failure_persistence: None, ..Default::default() })]

    #[test]
    fn bodies_and_paths_made_by_chance_never_get_a_5xx(
        bodies in proptest::collection::vec("(\\{?(\"(username|email|password|role|\\PC{0,3})\":?,?|[0-9eE+.-]{1,4},?|\\[|\\]|null|\\\\u[0-9a-f]{4}|[\"{}:, ]){0,12}\\}?)", 24),
        paths in proptest::collection::vec("/(api/v1|healthz|docs|readyz)?/?(users|auth|me|login|openapi.json)?/?[!$-;=@-Z_a-z~]{0,12}(%[0-9a-fA-F]{2}){0,4}", 24),
    ) {
        let server = Server::start();
        let root = server.admin("root");
        let header = format!("Authorization: Bearer {}", root.token.as_deref().expect("a token"));
        let before = rows(&server);
        for (body, path) in bodies.iter().zip(&paths) {
            let requests = [
                json_request("POST /api/v1/users", body),
                json_request("POST /api/v1/auth/login", body),
                request("PUT /api/v1/users/1", &[&header, "If-Match: \"1.0\"", "Content-Type: application/json"], body),
                request(&format!("GET {path}"), &[&header], ""),
                request(&format!("OPTIONS {path}"), &[], ""),
            ];
            for bytes in requests {
                let answer = server.raw(&bytes);
                let got = statuses(&answer);
                proptest::prop_assert!(got.len() == 1 && got[0] < 500, "{:?}: {answer:.400}", String::from_utf8_lossy(&bytes));
            }
        }
        proptest::prop_assert_eq!(rows(&server), before);
    }
}
