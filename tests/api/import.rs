//! Accounts that an administrator uploads.

use crate::support::{Answer, Client, PASSWORD, Server, hang_up, probes::Probes};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

const MIB: usize = 1024 * 1024;

fn line(name: &str, more: &Value) -> String {
    let mut line = json!({"username": name, "email": format!("{name}@example.com"), "password_hash": "!"});
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    line.to_string() + "\n"
}

fn plain(name: &str) -> String {
    line(name, &json!({}))
}

fn upload(client: &Client, query: &str, file: impl AsRef<[u8]>) -> Answer {
    let headers = [("content-type", "application/x-ndjson")];
    client.send("POST", &format!("/users/import{query}"), &headers, Some(file.as_ref()))
}

#[test]
fn a_file_is_imported_whole_and_its_owners_sign_in() {
    // given
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let hash = server.password_hash();
    let file = [
        line("bob", &json!({"password_hash": hash, "email_verified": true, "display_name": "Bob"})),
        "\n".to_owned(),
        line("cy", &json!({"password_hash": hash, "role": "admin"})),
        line("di", &json!({"disabled": true})),
    ]
    .concat();
    let report =
        |dry_run: bool| json!({"dry_run": dry_run, "accounts": 3, "admins": 1, "disabled": 1, "without_password": 1});
    let before = server.rows();

    // when, then
    assert_eq!(upload(&root, "?dry_run=true", &file).is(200, "").json(), report(true));
    assert_eq!(server.rows(), before);
    let imported = upload(&root, "?dry_run=false", &file);
    assert_eq!(imported.is(200, "").json(), report(false));
    let cy = server.sign_in("cy");
    server.anon().login("bob@example.com", PASSWORD).is(200, "");
    cy.get("/users").is(200, "");
    ada.get("/users").is(403, "forbidden");
    let recorded: Vec<_> = server.audit().into_iter().filter(|entry| entry.action == "user.imported").collect();
    assert_eq!(recorded.len(), 1);
    assert_eq!((recorded[0].actor, recorded[0].count), (Some(root.id), 3));
    assert_eq!(recorded[0].request_id.as_deref(), Some(imported.header("x-request-id")));
    let last = server.audit().into_iter().rfind(|entry| entry.action == "user.role_changed");
    let administrator = last.map(|entry| (entry.actor, entry.subject, entry.count, entry.request_id));
    let expected = (Some(root.id), Some(cy.id), 1, recorded[0].request_id.clone());
    assert_eq!(administrator, Some(expected), "the log says who became an administrator");

    // and once more nothing is imported, because the names are taken
    assert_eq!(upload(&root, "", &file).faulty(), ["line 1", "line 3", "line 4"]);
    assert_eq!(upload(&root, "", "").is(200, "").json()["accounts"], 0);
}

#[test]
fn what_is_wrong_is_named_by_line_and_nothing_is_imported_or_repeated() {
    let server = Server::start();
    let root = server.admin("root");
    let before = server.rows();
    let file =
        [plain("ada"), "\n{\n".to_owned(), plain("ADA"), line("-s3cret", &json!({"s3cret value": 1})), plain("root")]
            .concat();

    let refused = upload(&root, "", &file);

    assert_eq!(refused.faulty(), ["line 3", "line 4", "line 5", "line 6"]);
    let details = refused.json()["error"]["details"].clone();
    assert_eq!(details["line 3"], "the line is not one JSON object");
    assert!(details["line 4"].as_str().unwrap().contains("is that of line 1, too"), "{details}");
    assert!(!refused.json().to_string().contains("s3cret"), "{details}");
    let many = upload(&root, "", "{\n".repeat(3_000));
    let mut first: Vec<String> = (1..=20).map(|number| format!("line {number}")).collect();
    first.sort_unstable();
    assert_eq!(many.faulty(), first);
    assert_eq!(upload(&root, "?dry_run=true", &file).is(400, "validation_failed").json()["error"]["details"], details);
    assert_eq!(upload(&root, "?dry_run=1", &file).faulty(), ["dry_run"]);
    assert_eq!(server.rows(), before);
}

#[test]
fn a_file_of_another_type_or_of_more_than_sixteen_mib_is_refused() {
    let server = Server::start();
    let root = server.admin("root");
    for media_type in ["application/json", "text/plain", "application/x-ndjson; charset=latin1", ""] {
        let headers = [("content-type", media_type)];
        root.send("POST", "/users/import", &headers, Some(b"{}")).is(415, "unsupported_media_type");
    }
    let lines = [("content-type", "application/jsonl; charset=utf-8")];
    root.send("POST", "/users/import", &lines, Some(plain("ada").as_bytes())).is(200, "");

    let most = format!("{}{}", plain("bob"), "\n".repeat(16 * MIB - plain("bob").len()));
    assert_eq!(upload(&root, "", &most).is(200, "").json()["accounts"], 1);
    assert!(announced(&server, &root, 16 * MIB + 1).contains("payload_too_large"));
    let before = server.user_count();
    let mut stream = begun(&server, &root, "Transfer-Encoding: chunked");
    let chunk = [format!("{MIB:x}\r\n").as_bytes(), &vec![b'\n'; MIB], b"\r\n"].concat();
    for _ in 0..17 {
        let _ = stream.write_all(&chunk); // the server may close before it has read all
    }
    assert!(answer(stream).contains("payload_too_large"));
    assert_eq!(server.user_count(), before);
}

/// A request whose body has not been sent.
fn begun(server: &Server, client: &Client, framing: &str) -> TcpStream {
    let authorization =
        client.token.as_ref().map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        "POST /api/v1/users/import HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n{authorization}{framing}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// The first part of an answer.
fn answer(mut stream: TcpStream) -> String {
    let mut text = [0; 4096];
    let count = stream.read(&mut text).unwrap();
    String::from_utf8_lossy(&text[..count]).into_owned()
}

/// The answer to a request that announces so many bytes, and sends none of them.
fn announced(server: &Server, client: &Client, bytes: usize) -> String {
    answer(begun(server, client, &format!("Content-Length: {bytes}")))
}

#[test]
fn nothing_is_read_of_what_people_upload_who_are_no_administrators() {
    let server = Server::start();
    let (_root, ada) = (server.admin("root"), server.user("ada"));
    assert!(announced(&server, &ada, 16 * MIB).starts_with("HTTP/1.1 403 "));
    assert!(announced(&server, &server.anon(), 16 * MIB).starts_with("HTTP/1.1 401 "));
}

#[test]
fn one_file_is_uploaded_at_a_time_and_other_requests_go_on() {
    let server = Server::start();
    let (root, other) = (server.admin("root"), server.admin("other"));
    let mut first = begun(&server, &root, &format!("Content-Length: {}", 15 * MIB));
    first.write_all(&vec![b'\n'; 14 * MIB]).unwrap();

    // the first has its turn once its head has been read
    let refused = (0..200).find_map(|_| {
        let answer = upload(&other, "?dry_run=true", plain("bob"));
        (answer.status == 503).then_some(answer)
    });
    refused.expect("the first one has its turn").is(503, "overloaded");
    server.anon().get("/service").is(200, "");
    first.write_all(&vec![b'\n'; MIB]).unwrap();
    assert!(answer(first).starts_with("HTTP/1.1 200 "), "fourteen MiB that waited were not too many in flight");

    hang_up(begun(&server, &root, "Content-Length: 9"));
    let again = (0..200).map(|_| upload(&other, "", plain("bob"))).find(|answer| answer.status != 503);
    again.expect("the turn is over").is(200, "");
}
