//! Bodies: their size, their kind, and JSON that is none.

use crate::support::{
    PASSWORD, Server,
    hostile::{CANARY, attack, json_request, refused, registration, request, statuses},
    probes::Probes,
};
use serde_json::json;
use std::time::Duration;

#[test]
fn a_body_that_ends_early_does_nothing() {
    let server = Server::start();
    let before = server.rows();
    let whole = String::from_utf8(json_request("POST /api/v1/users", registration(CANARY))).expect("text");
    for cut in [whole.len() - 1, whole.len() - 30, whole.find("\r\n\r\n").expect("a head") + 4] {
        let mut stream = std::net::TcpStream::connect(server.address).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");

        std::io::Write::write_all(&mut stream, &whole.as_bytes()[..cut]).expect("the server reads");
        stream.shutdown(std::net::Shutdown::Write).expect("it is open");
        let mut answer = String::new();
        let _ = std::io::Read::read_to_string(&mut stream, &mut answer);

        assert!(statuses(&answer).iter().all(|status| *status == 400), "{answer}");
        assert_eq!(server.rows(), before);
    }
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
fn an_operation_that_takes_no_body_refuses_one() {
    let server = Server::start();
    let (root, _ada) = (server.admin("root"), server.user("ada"));
    for path in ["/users/2/unlock", "/users/2/password-reset"] {
        for body in [&b"{}"[..], b"x", " ".repeat(65_536).as_bytes()] {
            root.send("POST", path, &[("content-type", "application/json")], Some(body)).is(400, "malformed_request");
        }
        root.send("POST", path, &[], Some(" ".repeat(65_537).as_bytes())).is(413, "payload_too_large");
    }
    let chunked =
        "POST /api/v1/users/2/unlock HTTP/1.1\r\nHost: usher\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n";
    let chunked = format!("{chunked}Authorization: Bearer {}\r\n\r\n", root.token.as_deref().unwrap());
    assert_eq!(statuses(&server.raw(format!("{chunked}1\r\n \r\n0\r\n\r\n"))), [400]);
    assert_eq!(server.reset_count(), 0);

    root.send("POST", "/users/2/unlock", &[], None).is(204, "");
    root.send("POST", "/users/2/password-reset", &[], None).is(201, "");
    assert_eq!(statuses(&server.raw(format!("{chunked}0\r\n\r\n"))), [204]);
}

#[test]
fn a_body_that_is_announced_as_too_long_is_refused_before_it_comes() {
    let server = Server::start();
    let announced = "POST /api/v1/auth/login HTTP/1.1\r\nHost: usher\r\nConnection: close\r\nContent-Type: application/json\r\n\
                     Content-Length: 10000000000\r\n\r\n{";

    refused(&server, vec![attack("ten gigabytes", announced, 413, "payload_too_large")]);
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
    let before = server.rows();
    for (body, faulty) in cases {
        let answer = server.anon().post("/users", body.clone());

        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.faulty(), faulty, "{body}");
        assert!(!String::from_utf8_lossy(&answer.body).contains(CANARY), "{body}");
        assert_eq!(server.rows(), before, "{body}");
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
