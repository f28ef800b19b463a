//! Accounts that an administrator uploads.

use crate::support::{
    Answer, Client, PASSWORD, Server, hang_up,
    import::{self, MIB, answer, line, plain},
    probes::Probes,
};
use serde_json::json;
use std::{io::Write, net::TcpStream};

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

const PATH: &str = "/api/v1/users/import";

/// The head of a request.
fn head(client: &Client, framing: &str) -> [String; 4] {
    let authorization =
        client.token.as_ref().map_or_else(|| "X: x".to_owned(), |token| format!("Authorization: Bearer {token}"));
    ["Host: x".to_owned(), "Content-Type: application/x-ndjson".to_owned(), authorization, framing.to_owned()]
}

fn begun(server: &Server, client: &Client, framing: &str) -> TcpStream {
    import::begun(server, PATH, &head(client, framing).each_ref().map(String::as_str))
}

fn let_in(server: &Server, client: &Client, bytes: usize) -> TcpStream {
    import::let_in(server, PATH, &head(client, &format!("Content-Length: {bytes}")).each_ref().map(String::as_str))
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
    let mut first = let_in(&server, &root, 15 * MIB);
    first.write_all(&vec![b'\n'; 14 * MIB]).unwrap();

    upload(&other, "?dry_run=true", plain("bob")).is(503, "overloaded");
    server.anon().get("/service").is(200, "");
    first.write_all(&vec![b'\n'; MIB]).unwrap();
    assert!(answer(first).starts_with("HTTP/1.1 200 "), "fourteen MiB that waited were not too many in flight");

    hang_up(let_in(&server, &root, 9));
    let again = (0..200).map(|_| upload(&other, "", plain("bob"))).find(|answer| answer.status != 503);
    again.expect("the turn is over").is(200, "");
}

#[test]
fn a_session_that_ends_while_its_file_is_sent_imports_nothing() {
    let server = Server::start();
    server.admin("root");
    server.admin("other");
    let file = line("eve", &json!({"role": "admin"}));
    let ends: [fn(&Client) -> Answer; 2] =
        [|root| root.post("/auth/logout", json!({})), |root| root.put(&root.me(), json!({"role": "user"}))];
    for end in ends {
        let root = server.sign_in("root");
        let mut sending = let_in(&server, &root, file.len());
        assert!(end(&root).status < 300);

        sending.write_all(file.as_bytes()).unwrap();

        assert!(answer(sending).starts_with("HTTP/1.1 40"));
        assert_eq!(server.user_count(), 2);
    }
}

#[test]
fn one_account_that_can_not_be_stored_keeps_out_all_the_others() {
    let server = Server::start();
    let root = server.admin("root");
    let (before, recorded) = (server.rows(), server.audit_count());
    let file = [plain("ada"), line("bob", &json!({"role": "admin"})), plain("cy")].concat();
    let no_room = server.without_room("INSERT ON users WHEN NEW.username = 'cy'");

    upload(&root, "", &file).is(500, "internal_error");

    assert_eq!((server.rows(), server.audit_count()), (before, recorded));
    drop(no_room);
    upload(&root, "", &file).is(200, "");
}
