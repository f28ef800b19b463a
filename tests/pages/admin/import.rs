//! Many accounts at once, from a file.

use crate::support::{
    PASSWORD, Server, hang_up,
    import::{self, MIB, answer, line, plain},
    person::{Page, Person},
    probes::Probes,
};
use serde_json::json;
use std::{io::Write, net::TcpStream, time::Duration};

const PAGE: &str = "/admin/users/import";
const TYPE: &str = "multipart/form-data; boundary=----here";
const END: &[u8] = b"------here--\r\n";

fn scene() -> (Server, Person) {
    let server = Server::with_pages();
    server.admin("root");
    let person = server.signed_in_person("root");
    (server, person)
}

/// A field of a form, as a browser sends it.
fn part(name: &str, more: &str, value: &[u8]) -> Vec<u8> {
    let head = format!("------here\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n");
    [head.as_bytes(), value, b"\r\n"].concat()
}

fn file(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    part("file", "; filename=\"s3cret.jsonl\"\r\nContent-Type: application/octet-stream", bytes.as_ref())
}

fn form(parts: &[Vec<u8>]) -> Vec<u8> {
    [&parts.concat(), END].concat()
}

fn send(person: &Person, form: &[u8]) -> Page {
    person.send("POST", PAGE, &[("sec-fetch-site", "same-origin"), ("content-type", TYPE)], Some(form))
}

fn upload(person: &Person, bytes: impl AsRef<[u8]>) -> Page {
    send(person, &form(&[file(bytes)]))
}

fn dry_run(person: &Person, bytes: impl AsRef<[u8]>) -> Page {
    send(person, &form(&[file(bytes), part("dry-run", "", b"yes")]))
}

/// The lines that a page finds fault with, with the beginning of what is wrong.
fn lines(page: &Page) -> Vec<String> {
    let found = page.body.split("<li><strong>Line ").skip(1);
    found.map(|rest| rest.split("</li>").next().unwrap().replace(":</strong>", "")).collect()
}

/// What is reported, from the first number to the last.
fn reported(page: &Page) -> Vec<&str> {
    let numbers = page.body.split("<dd>").skip(1);
    numbers.map(|rest| rest.split('<').next().unwrap()).collect()
}

#[test]
fn a_file_is_looked_at_first_and_then_imported_whole() {
    let (server, person) = scene();
    let hash = server.password_hash();
    let accounts = [
        line("bob", &json!({"password_hash": hash})),
        "\n".to_owned(),
        line("cy", &json!({"password_hash": hash, "role": "admin"})),
        line("di", &json!({"disabled": true})),
    ]
    .concat();
    person.open("/admin/users").says(200, &format!("href=\"{PAGE}\""));
    assert!(person.open(PAGE).field("dry-run").contains(" checked"), "what is sent by mistake changes nothing");
    server.flush();
    let before = server.rows();

    let looked_at = dry_run(&person, &accounts);
    looked_at.says(200, "Nothing was changed yet");
    assert!(looked_at.field("dry-run").contains(" checked"));
    assert_eq!((reported(&looked_at), server.rows()), (vec!["3", "1", "1", "1"], before));

    let imported = upload(&person, &accounts);
    imported.says(200, "All accounts of the file were imported.");
    assert_eq!(reported(&imported), ["3", "1", "1", "1"]);
    assert!(imported.field("dry-run").contains(" checked"), "the next file is looked at first, too");
    assert!(!imported.body.contains("s3cret"), "{imported:?}");
    server.sign_in("cy").get("/users").is(200, "");
    server.anon().login("bob@example.com", PASSWORD).is(200, "");
    let recorded: Vec<_> = server.audit().into_iter().filter(|entry| entry.action == "user.imported").collect();
    assert_eq!((recorded.len(), recorded[0].count), (1, 3));
    assert_eq!(recorded[0].request_id.as_deref(), Some(imported.header("x-request-id")));

    let again = upload(&person, &accounts);
    again.says(400, "Nothing was imported. Correct these lines, then choose the file again.");
    assert_eq!(lines(&again).len(), 3);
    assert!(!again.field("dry-run").contains(" checked"));
}

#[test]
fn what_is_wrong_is_told_by_line_and_nothing_is_imported_or_shown_again() {
    let (server, person) = scene();
    server.flush();
    let before = server.rows();
    let accounts =
        [plain("ada"), "{\n".repeat(8), plain("ADA"), line("-s3cret", &json!({"s3cret value": 1})), plain("root")]
            .concat();

    for refused in [dry_run(&person, &accounts), upload(&person, &accounts)] {
        let lines = lines(&refused);
        let numbers: Vec<_> =
            lines.iter().map(|line| line.split(' ').next().unwrap().parse::<u64>().unwrap()).collect();
        assert_eq!(numbers, (2..=12).collect::<Vec<u64>>());
        assert_eq!(lines[0], "2 the line is not one JSON object");
        assert!(lines[8].contains("username is that of line 1, too"), "{lines:?}");
        assert!(lines[10].contains("username is taken by an account that is already there"), "{lines:?}");
        assert!(!refused.body.contains("s3cret") && !refused.body.contains("Only the first"), "{refused:?}");
        refused.says(400, "role=\"alert\"");
    }
    let many = upload(&person, "{\n".repeat(3_000));
    many.says(400, "Only the first 20 such lines stand here.");
    assert_eq!(lines(&many).len(), 20);
    assert_eq!(server.rows(), before);
}

#[test]
fn typical_mistakes_are_told_in_words() {
    let (server, person) = scene();
    server.flush();
    let before = server.rows();
    let account = plain("ada");
    let utf_16: Vec<u8> = account.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, words) in [
        ("username,email\nada,ada@example.com\n".as_bytes().to_vec(), "The file looks like CSV."),
        (b"\n\nusername;email\n".to_vec(), "The file looks like CSV."),
        (b"s3cret\n".to_vec(), "The file does not hold JSON lines"),
        (format!("[{account}]").into_bytes(), "The file is a JSON list."),
        ([b"\xef\xbb\xbf", account.as_bytes()].concat(), "The file begins with a byte order mark."),
        ([b"\xff\xfe".to_vec(), utf_16].concat(), "The file is not text in UTF-8."),
        (
            line("ada", &json!({"display_name": "x"})).replace('x', "\u{e9}").into_bytes().repeat(2),
            "Correct these lines",
        ),
        (b"{\"username\": \"s3cret \xe9\"}".to_vec(), "The file is not text in UTF-8."),
    ] {
        let refused = upload(&person, bytes);
        refused.says(400, &format!("Nothing was imported. {words}"));
        assert!(!lines(&refused).is_empty() && !refused.body.contains("s3cret"), "{refused:?}");
    }
    for nothing in [form(&[file("")]), form(&[part("dry-run", "", b"yes")]), END.to_vec()] {
        let refused = send(&person, &nothing);
        refused.says(400, "Nothing was imported: there is no file.");
        assert_eq!(refused.fault("file"), Some("File must be chosen, and must not be empty."));
    }
    assert_eq!(server.rows(), before);
}

#[test]
fn what_the_form_does_not_send_is_refused() {
    let (server, person) = scene();
    server.flush();
    let before = server.rows();
    let whole = form(&[file(plain("ada"))]);
    for unlike in [
        form(&[file(plain("ada")), file(plain("bob"))]),
        form(&[part("dry-run", "", b"yes"), file(plain("ada")), part("dry-run", "", b"yes")]),
        form(&[file(plain("ada")), part("other", "", b"")]),
        whole[..whole.len() - END.len()].to_vec(),
        whole[..whole.len() - END.len() - 9].to_vec(),
        b"nothing of this kind".to_vec(),
    ] {
        send(&person, &unlike).says(400, "The form did not arrive as this page sends it.");
    }
    for media_type in
        ["application/x-www-form-urlencoded", "multipart/form-data", "multipart/mixed; boundary=----here", ""]
    {
        let headers = [("sec-fetch-site", "same-origin"), ("content-type", media_type)];
        person.send("POST", PAGE, &headers, Some(&whole)).says(415, "The form did not arrive as this page sends it.");
    }
    assert_eq!(server.rows(), before);
}

/// A form with a file of so many bytes, of which the first lines are accounts.
fn large(name: &str, bytes: usize) -> Vec<u8> {
    let account = plain(name);
    let rest = "\n".repeat(bytes - account.len());
    form(&[file(account + &rest)])
}

#[test]
fn a_file_of_more_than_sixteen_mib_is_refused_to_a_browser_that_sends_it_whole() {
    let (server, person) = scene();
    send(&person, &large("bob", 16 * MIB)).says(200, "All accounts of the file were imported.");
    let accounts = server.user_count();

    // A little more, which the server begins to read, and much more, of which it keeps nothing.
    for bytes in [16 * MIB + 1, 40 * MIB] {
        let refused = send(&person, &large("cy", bytes));
        refused.says(413, "Nothing was imported. Split the file");
        assert_eq!(refused.fault("file"), Some("File is larger than 16 MiB."));
    }
    // Without a length; also where no field begins.
    for body in [large("cy", 17 * MIB), vec![b'\n'; 17 * MIB]] {
        let mut stream = begun(&server, &person, "Transfer-Encoding: chunked\r\nSec-Fetch-Site: same-origin");
        for piece in body.chunks(MIB) {
            let _ = stream.write_all(&[format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
        }
        assert!(answer(stream).starts_with("HTTP/1.1 413 "));
    }
    // A client that asks first need not send it.
    let asking = format!("Content-Length: {}\r\nSec-Fetch-Site: same-origin\r\nExpect: 100-continue", 17 * MIB);
    assert!(answer(begun(&server, &person, &asking)).starts_with("HTTP/1.1 413 "));
    assert_eq!(server.user_count(), accounts);
}

/// The head of a request.
fn head(person: &Person, headers: &str) -> [String; 4] {
    let cookies: Vec<String> = person.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let cookies = format!("Cookie: {}", cookies.join("; "));
    [format!("Host: {}", person.host), format!("Content-Type: {TYPE}"), cookies, headers.to_owned()]
}

fn begun(server: &Server, person: &Person, headers: &str) -> TcpStream {
    import::begun(server, PAGE, &head(person, headers).each_ref().map(String::as_str))
}

fn let_in(server: &Server, person: &Person, headers: &str) -> TcpStream {
    import::let_in(server, PAGE, &head(person, headers).each_ref().map(String::as_str))
}

#[test]
fn nothing_is_read_of_what_others_than_administrators_send() {
    let (server, root) = scene();
    server.user("ada");
    let (ada, nobody) = (server.signed_in_person("ada"), server.person());
    let refused = |person: &Person, site: &str| {
        answer(begun(&server, person, &format!("Content-Length: {}\r\nSec-Fetch-Site: {site}", 16 * MIB)))
    };
    let led = refused(&nobody, "same-origin").to_lowercase();
    assert!(led.starts_with("http/1.1 303 ") && led.contains("location: /sign-in\r\n"), "{led}");
    assert!(refused(&ada, "same-origin").starts_with("HTTP/1.1 403 "));
    let cross_site = refused(&root, "cross-site");
    assert!(cross_site.starts_with("HTTP/1.1 403 "), "{cross_site}");
    ada.open(PAGE).says(403, "You may not do this");
}

#[test]
fn one_file_is_uploaded_at_a_time() {
    let (server, root) = scene();
    server.admin("other");
    let other = server.signed_in_person("other");
    let body = large("bob", 15 * MIB);
    let length = format!("Content-Length: {}\r\nSec-Fetch-Site: same-origin", body.len());
    let mut first = let_in(&server, &root, &length);
    first.write_all(&body[..14 * MIB]).unwrap();

    // A browser sends all before it reads that it has to wait.
    let refused = send(&other, &form(&[file("\n".repeat(15 * MIB)), part("dry-run", "", b"yes")]));
    refused.says(503, "Nothing was imported. Another file is being imported");
    other.open(PAGE).says(200, "Dry run");
    first.write_all(&body[14 * MIB..]).unwrap();
    assert!(answer(first).starts_with("HTTP/1.1 200 "), "fourteen MiB that waited were not too many in flight");

    hang_up(let_in(&server, &root, &length));
    let again = (0..200).map(|_| upload(&other, plain("cy"))).find(|page| page.status != 503);
    again.expect("the turn is over").says(200, "All accounts of the file were imported.");
}

#[test]
fn an_old_sign_in_is_asked_for_the_password_and_led_back_to_the_form() {
    let (server, person) = scene();
    server.clock.advance(Duration::from_mins(16));

    person.open(PAGE).says(403, "Confirm that it is you");
    server.flush();
    let before = server.rows();
    // Also where the form was opened in time, and whatever is sent with it.
    let sent = upload(&person, "\n".repeat(3 * MIB) + &plain("ada"));
    sent.says(403, "Confirm that it is you");
    dry_run(&person, plain("ada")).says(403, "Confirm that it is you");
    assert_eq!(server.rows(), before);
    assert!(!sent.body.contains("ada@example.com"), "{sent:?}");
    let fields = [("confirm-to", sent.value("confirm-to")), ("confirm-password", PASSWORD)];
    person.submit("/confirm", &fields).leads_to(PAGE);

    person.open(PAGE).says(200, "Dry run");
    upload(&person, plain("ada")).says(200, "All accounts of the file were imported.");
}
