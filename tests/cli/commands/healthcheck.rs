//! `usher healthcheck`.

use super::{refused, succeeded};
use crate::support::binary::{Serving, command, complaint, files, output, usher};
use std::process::Output;
use tempfile::tempdir;

#[test]
fn a_server_that_is_ready_is_healthy_however_it_is_named() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    let address = serving.address.to_string();
    let elsewhere = tempdir().unwrap();

    let by_url = usher(elsewhere.path(), &["healthcheck", "--url", &format!("http://{address}")]);
    let by_flag = usher(elsewhere.path(), &["healthcheck", "--listen", &address]);
    let by_variable = output(command(elsewhere.path()).env("USHER_LISTEN", &address).arg("healthcheck"));
    let everywhere = format!("0.0.0.0:{}", serving.address.port());
    let everywhere = output(command(elsewhere.path()).env("USHER_LISTEN", everywhere).arg("healthcheck"));

    for healthy in [by_url, by_flag, by_variable, everywhere] {
        assert_eq!(succeeded(&healthy), format!("http://{address}/readyz is ready\n"));
        assert_eq!(complaint(&healthy), "");
    }
    assert!(files(elsewhere.path()).is_empty(), "no database is needed, and none is made");
}

#[test]
fn a_server_that_is_not_ready_is_unhealthy_and_one_line_says_why() {
    // given
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    let ask = |url: &str| refused(&usher(folder.path(), &["healthcheck", "--url", url]), 1);
    let url = format!("http://{}", serving.address);

    // when, then
    let line = ask(&format!("{url}/no/such/prefix"));
    assert!(line.ends_with("/no/such/prefix/readyz answers 404"), "{line}");
    std::fs::rename(folder.path().join("usher.db"), folder.path().join("gone.db")).unwrap();
    let line = ask(&url);
    assert!(line.contains(" answers 503: "), "{line}");
    drop(serving);
    let line = ask(&url);
    assert!(line.contains("can't be reached: Connection refused"), "{line}");
    assert!(line.ends_with("; is the server running there? Name its --listen or --url"), "{line}");
}

#[test]
fn what_does_not_answer_as_a_server_does_is_unhealthy() {
    use std::io::{Read, Write};

    // given
    let folder = tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let ask = || refused(&usher(folder.path(), &["healthcheck", "--url", &url]), 1);

    // when: nobody accepts the connection
    let silent = ask();
    // when: something else listens
    let other = std::thread::spawn(move || {
        listener.accept().unwrap();
        let (mut connection, _) = listener.accept().unwrap();
        connection.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").unwrap();
        let asked = connection.read(&mut [0; 1024]).unwrap(); // what is left unread would reset the connection
        assert!(asked > 0);
    });
    let foreign = ask();
    other.join().unwrap();

    // then
    assert!(silent.contains("does not answer within 5 seconds"), "{silent}");
    assert!(foreign.contains("does not answer in HTTP"), "{foreign}");
}

/// What `healthcheck` says of a server that takes the question and does this with its connection.
fn asked(serve: impl FnOnce(std::net::TcpStream) + Send + 'static) -> Output {
    let folder = tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || serve(listener.accept().unwrap().0));
    let said = usher(folder.path(), &["healthcheck", "--url", &url]);
    server.join().unwrap();
    said
}

#[test]
fn of_an_answer_that_does_not_end_what_came_of_it_counts() {
    use std::io::{Read, Write};

    let stalled = asked(|mut connection| {
        connection.write_all(b"HTTP/1.1 503 Service Unavailable\r\n").unwrap();
        while connection.read(&mut [0; 1024]).is_ok_and(|length| length > 0) {}
    });
    assert!(refused(&stalled, 1).contains("answers 503"), "{stalled:?}");

    let long = asked(|mut connection| {
        let (line, body) = ("HTTP/1.1 503 Service Unavailable\r\nX: ", r#"{"error":{"message":"the disk is full"}}"#);
        connection.write_all(format!("{line}{}\r\n\r\n{body}", "x".repeat(8_000)).as_bytes()).unwrap();
        connection.shutdown(std::net::Shutdown::Write).unwrap();
        while connection.read(&mut [0; 1024]).is_ok_and(|length| length > 0) {}
    });
    assert!(refused(&long, 1).contains("the disk is full"), "{long:?}");

    let endless = asked(|mut connection| {
        connection.write_all(b"HTTP/1.1 503 Service Unavailable\r\nX: ").unwrap();
        let part = vec![b'x'; 64 * 1024];
        let taken = (0..1024).take_while(|_| connection.write_all(&part).is_ok()).count();
        assert!(taken < 1024, "it reads on and on");
    });
    assert!(refused(&endless, 1).contains("answers 503"), "{endless:?}");
}

#[test]
fn a_connection_that_is_reset_is_not_said_to_be_late() {
    let reset = asked(|connection| assert_eq!(connection.peek(&mut [0]).unwrap(), 1)); // what is left unread resets it
    let line = refused(&reset, 1);
    assert!(line.contains("does not answer: ") && !line.contains("within"), "{line}");
}

#[test]
fn a_server_that_cannot_be_asked_is_a_usage_error_or_says_what_to_name() {
    let folder = tempdir().unwrap();
    let line = refused(&usher(folder.path(), &["healthcheck", "--url", "https://accounts.example.com"]), 2);
    assert!(line.contains("https is not supported"), "{line}");
    let line = refused(&usher(folder.path(), &["healthcheck"]), 1);
    assert!(line.contains("--listen names no port") && line.contains("--url"), "{line}");
}
