//! Framing and headers: what is refused, and what cannot be smuggled past the server.

use crate::support::{
    Server,
    hostile::{CANARY, attack, code, refused, registration, request, statuses},
    probes::Probes,
};
use std::fmt::Write as _;

/// Sends what the HTTP library may refuse by itself, with a bare status or by hanging up.
fn refused_by_http(server: &Server, attacks: Vec<(&str, Vec<u8>, &[u16])>) {
    let mut wrong = String::new();
    for (what, bytes, allowed) in attacks {
        let before = server.rows();
        let answer = server.raw(&bytes);
        let got = statuses(&answer);
        if got.len() > 1 || !got.iter().all(|status| allowed.contains(status)) || answer.contains(CANARY) {
            let _ = writeln!(wrong, "{what}: expected one of {allowed:?} at most once, got {got:?}: {answer:.600}");
        }
        if server.rows() != before {
            let _ = writeln!(wrong, "{what}: changed the database");
        }
        assert_eq!(server.anon().get("//healthz").status, 200, "{what}");
    }
    assert!(wrong.is_empty(), "{wrong}");
}

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
            ("a host with a space and a slash", me("Host: a b/c\r\n"), &[400]),
            ("a host with a user", me("Host: somebody@usher\r\n"), &[400]),
            ("a host beyond ASCII", me("Host: \u{fc}sher\r\n"), &[400]),
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
    let before = server.rows();
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
        assert_eq!(server.rows(), before, "{header}");
    }
}
