//! What clients do with connections rather than with requests: too many of them, none that speaks, half a request, and
//! leaving in between.

use crate::support::{PASSWORD, Server, probes::Probes};
use rustix::net;
use serde_json::json;
use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpStream},
    time::{Duration, Instant},
};

pub const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: usher\r\n\r\n";
const HALF_A_HEAD: &str = "GET /api/v1/auth/me HTTP/1.1\r\nHost: ush";
const HALF_A_BODY: &str = "POST /api/v1/auth/login HTTP/1.1\r\nHost: usher\r\nContent-Type: application/json\r\n\
                           Content-Length: 100\r\n\r\n{\"email\": ";
/// Many idle connections, with both ends in this process.
const IDLE: usize = 400;

/// A connection that stays open.
pub struct Connection(pub TcpStream);

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        Self::from(Ipv4Addr::LOCALHOST, address)
    }

    /// From one of this machine's IP addresses.
    fn from(source: Ipv4Addr, address: SocketAddr) -> Self {
        let socket = net::socket(net::AddressFamily::INET, net::SocketType::STREAM, None).expect("a socket");
        net::bind(&socket, &SocketAddrV4::new(source, 0)).expect("an address of this machine");
        net::connect(&socket, &address).expect("the server listens");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        Self(stream)
    }

    pub fn send(&mut self, text: &str) -> &mut Self {
        self.0.write_all(text.as_bytes()).expect("the server reads");
        self
    }

    /// Reads one answer, whose body has a length, and returns its status. `None` when the server has closed.
    fn status(&mut self) -> Option<u16> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match self.0.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                Ok(_) => return None,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&head)),
            }
        }
        let head = String::from_utf8(head).expect("a head is text").to_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        let mut body = vec![0; length.expect("a length").parse().expect("a number")];
        self.0.read_exact(&mut body).expect("a body");
        head.split(' ').nth(1).map(|status| status.parse().expect("a status"))
    }

    /// Leaves in a way that the other side hears of at once.
    fn reset(self) {
        crate::support::hang_up(self.0);
    }

    /// Whether a request on it is still answered.
    pub fn is_served(&mut self) -> bool {
        self.0.write_all(HEALTH.as_bytes()).is_ok() && self.status() == Some(200)
    }

    /// Whether the server has something to say within `patience`.
    fn has_answer_within(&self, patience: Duration) -> bool {
        self.0.set_read_timeout(Some(patience)).expect("a timeout");
        let spoken = self.0.peek(&mut [0]).is_ok();
        self.0.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        spoken
    }
}

/// Both ends of each connection are in this process, and tests run side by side.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

#[test]
fn beyond_the_limit_the_quietest_connection_is_closed_and_the_new_one_served() {
    let server = Server::with(|settings| {
        settings.http.max_connections = 20;
        settings.http.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]; // it may hold all
    });
    let mut open: Vec<Connection> = Vec::new();
    for _ in 0..19 {
        open.push(Connection::open(server.address));
        assert!(open.last_mut().expect("one").is_served());
    }
    // The first was used last, by more than the millisecond in which times are kept.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(5) {
        assert!(open[0].is_served());
    }
    open.push(Connection::open(server.address)); // it has asked for nothing yet

    let mut new = Connection::open(server.address);

    assert!(new.is_served());
    assert_eq!(open[1].status(), None, "the second has been quiet for longest");
    open.remove(1);
    assert!(open.iter_mut().all(Connection::is_served));
}

#[test]
fn a_site_with_a_quarter_of_the_connections_loses_its_own_quietest_one() {
    // given: two sites, one of them with its share
    let server = Server::with(|settings| settings.http.max_connections = 20);
    let from = |site: u8, host: u8| {
        let mut connection = Connection::from(Ipv4Addr::new(127, 1, site, host), server.address);
        assert!(connection.is_served());
        connection
    };
    let mut other = from(1, 1);
    let mut open: Vec<Connection> = (1..=5).map(|host| from(2, host)).collect();

    // when
    open.push(from(2, 6));

    // then
    assert_eq!(open[0].status(), None, "the first has been quiet for longest");
    open.remove(0);
    assert!(open.iter_mut().all(Connection::is_served));
    assert!(other.is_served(), "although it has been quiet for longer");

    // and what is closed makes room
    let end = |mut gone: Connection| {
        gone.0.shutdown(Shutdown::Write).unwrap();
        assert_eq!(gone.status(), None);
    };
    open.drain(1..).for_each(end);
    for host in 0..50 {
        end(from(2, host + 10));
    }
    assert!(open[0].is_served(), "nobody was there for whom it would have had to go");
    open.clear();
    let mut again: Vec<Connection> = (0..50).map(|host| from(2, host + 10)).collect();
    assert!(again[45..].iter_mut().all(Connection::is_served));
    assert!(other.is_served());
}

#[test]
fn beyond_what_all_may_hold_the_requests_that_have_been_coming_for_longest_are_closed() {
    // given: requests that have begun one after the other
    const COUNT: usize = 300;
    raise_file_limit();
    let server = Server::start();
    let (head, _) = HALF_A_BODY.split_once("\r\n\r\n").expect("a head");
    let head = format!("{}\r\nExpect: 100-continue\r\n\r\n", head.replace("100", "65536"));
    let begin = || {
        let mut connection = Connection::open(server.address);
        let mut asked_for = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
        connection.send(&head).0.read_exact(&mut asked_for).expect("the server asks for the body");
        connection
    };
    let mut open: Vec<Connection> = (0..COUNT).map(|_| begin()).collect();

    // when: nearly all of the bodies arrives, more than 16 MiB together
    let (part, rest) = (" ".repeat(65_000), " ".repeat(536));
    for connection in &mut open {
        let _ = connection.0.write_all(part.as_bytes()); // it may be closed already
    }

    // then
    assert!(open[..30].iter_mut().all(|connection| connection.status().is_none()));
    assert!(open[COUNT - 30..].iter_mut().all(|connection| connection.send(&rest).status() == Some(400)));
    assert_eq!(server.anon().login("ada@example.com", PASSWORD).status, 401);

    // and all of it is free again when they have left
    drop(open);
    let mut open: Vec<Connection> = (0..COUNT / 3).map(|_| begin()).collect();
    for connection in &mut open {
        connection.send(&part);
    }
    assert!(open.iter_mut().all(|connection| connection.send(&rest).status() == Some(400)));
}

#[test]
fn clients_that_send_half_requests_cannot_keep_others_out() {
    let server = Server::with(|settings| settings.http.max_connections = 20);
    let mut hoarders: Vec<Connection> = Vec::new();
    for n in 0..100 {
        let mut connection = Connection::open(server.address);
        let _ = connection.0.write_all([HALF_A_HEAD, HALF_A_BODY, ""][n % 3].as_bytes()); // it may be closed already
        hoarders.push(connection);
    }

    for _ in 0..30 {
        assert!(Connection::open(server.address).is_served());
    }
}

#[test]
fn silent_newcomers_do_not_cut_off_a_request_that_is_being_answered() {
    // Nobody hashes, so that those who sign in wait.
    let server = Server::with(|settings| {
        settings.http.max_connections = 20;
        (settings.hash_threads, settings.hash_queue) = (0, 4);
    });
    let body = json!({"email": "ada@example.com", "password": PASSWORD}).to_string();
    let mut waiting = Connection::open(server.address);
    waiting.send(&format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: usher\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert!(!waiting.has_answer_within(Duration::from_millis(300)));

    let silent: Vec<Connection> = (0..20).map(|_| Connection::open(server.address)).collect();

    assert!(!waiting.has_answer_within(Duration::from_millis(300)), "closed for {} silent ones", silent.len());
}

#[test]
fn silent_connections_keep_nobody_waiting() {
    raise_file_limit();
    let server = Server::start();
    let ada = server.user("ada");
    let silent: Vec<Connection> = (0..IDLE).map(|_| Connection::open(server.address)).collect();

    assert_eq!(server.anon().get("//healthz").status, 200);
    assert_eq!(ada.get("/auth/me").status, 200);
    assert_eq!(server.sign_in("ada").get("/auth/me").status, 200);

    assert_eq!(silent.len(), IDLE);
}

#[test]
fn half_a_request_does_nothing_when_its_sender_leaves() {
    let server = Server::start();
    let body = json!({"username": "ada", "email": "ada@example.com", "password": PASSWORD}).to_string();
    let whole = format!(
        "POST /api/v1/users HTTP/1.1\r\nHost: usher\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    for cut in (1..whole.len()).step_by(7) {
        Connection::open(server.address).send(&whole[..cut]);
    }
    Connection::open(server.address);

    assert_eq!(server.anon().get("//healthz").status, 200);
    assert_eq!(server.user_count(), 0);
    assert_eq!(Connection::open(server.address).send(&whole).status(), Some(201));
}

#[test]
fn a_connection_serves_many_requests_sent_ahead() {
    let server = Server::start();
    let ada = server.user("ada");
    let token = ada.token.as_deref().expect("a token");
    let me = format!("GET /api/v1/auth/me HTTP/1.1\r\nHost: usher\r\nAuthorization: Bearer {token}\r\n\r\n");
    let anonymous = "GET /api/v1/auth/me HTTP/1.1\r\nHost: usher\r\n\r\n";
    let nowhere = "GET /nowhere HTTP/1.1\r\nHost: usher\r\n\r\n";
    let mut connection = Connection::open(server.address);

    connection.send(&[HEALTH, nowhere, &me, anonymous].concat().repeat(10));

    for _ in 0..10 {
        let answers: Vec<u16> = (0..4).filter_map(|_| connection.status()).collect();
        assert_eq!(answers, [200, 404, 200, 401], "a token counts for its own request only");
    }
    assert!(connection.is_served());
}

#[test]
fn a_connection_ends_after_a_request_whose_head_takes_much_to_keep() {
    let server = Server::start();
    let health = |headers: &str| format!("GET /healthz HTTP/1.1\r\nHost: usher\r\n{headers}\r\n");
    let many = |count: usize| (0..count).map(|n| format!("x-{n}: x\r\n")).collect::<Vec<_>>().concat();
    let large = |size: usize| format!("Cookie: {}\r\n", "x".repeat(size));

    for small in [many(31), large(7_000)] {
        let mut connection = Connection::open(server.address);
        assert_eq!(connection.send(&health(&small)).status(), Some(200));
        assert!(connection.is_served());
    }
    for great in [many(32), large(9_000), large(16_000)] {
        let mut connection = Connection::open(server.address);
        let mut answer = String::new();
        connection.send(&health(&great)).0.read_to_string(&mut answer).expect("the connection ends");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
}

#[test]
fn a_connection_survives_a_refused_body() {
    let server = Server::start();
    let post = |kind: &str, body: &str| {
        let head = "POST /api/v1/auth/login HTTP/1.1\r\nHost: usher\r\n";
        format!("{head}Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let mut connection = Connection::open(server.address);

    assert_eq!(connection.send(&post("application/json", "{")).status(), Some(400));
    assert_eq!(connection.send(&post("application/json", "{}")).status(), Some(400));

    assert!(connection.is_served());
}

#[test]
fn a_caller_who_resets_the_connection_while_waiting_for_a_hash_frees_the_place() {
    // Nobody hashes, and one may wait.
    let server = Server::with(|settings| (settings.hash_threads, settings.hash_queue) = (0, 1));
    let body = json!({"email": "ada@example.com", "password": PASSWORD}).to_string();
    let login = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: usher\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let ask = || {
        let mut connection = Connection::open(server.address);
        connection.send(&login);
        connection
    };
    // Who gets no answer has the place.
    let waits = |connection: &Connection| !connection.has_answer_within(Duration::from_millis(300));
    let first = ask();
    assert!(waits(&first));
    assert_eq!(ask().status(), Some(503));

    first.reset();

    let second = (0..50).map(|_| ask()).find(waits);
    assert!(second.is_some(), "the place was never free again");
    assert_eq!(ask().status(), Some(503));
    assert_eq!(server.anon().get("//healthz").status, 200);
    assert_eq!(server.app.hashes(), 0);
}

#[test]
fn a_client_that_sends_nothing_more_still_gets_its_answers() {
    // given: hashes that take longer than the end of the stream takes to arrive
    let server = Server::with(|settings| {
        settings.cost = usher::hashing::Cost { memory: 19_456, iterations: 3, parallelism: 1 };
    });
    let body = json!({"email": "ada@example.com", "password": PASSWORD}).to_string();
    let login = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: usher\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connection = Connection::open(server.address);

    // when
    connection.send(&[&login, HEALTH, &login].concat());
    connection.0.shutdown(Shutdown::Write).expect("it can");

    // then
    assert_eq!([(); 3].map(|()| connection.status()), [Some(401), Some(200), Some(401)]);
    assert_eq!(connection.status(), None);
}

/// The deadlines are real ones, of half a minute.
#[cfg(feature = "system-tests")]
mod deadlines {
    use super::*;
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    /// Half a minute, and what a busy machine may need besides.
    const CLOSED_BY: Duration = Duration::from_secs(45);

    /// What has been read until the server closed; `None` while it has not.
    fn ended(stream: &mut TcpStream, heard: &mut Vec<u8>) -> bool {
        let mut bytes = [0; 4096];
        loop {
            match stream.read(&mut bytes) {
                Ok(0) => return true,
                Ok(read) => heard.extend(&bytes[..read]),
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
        }
    }

    #[test]
    fn a_client_that_sends_nothing_or_half_a_request_is_closed_within_45_seconds_and_keeps_nobody_waiting() {
        raise_file_limit();
        let server = Server::start();
        let kinds = [
            "",
            HALF_A_HEAD,
            HALF_A_BODY,
            "POST /api/v1/auth/logout HTTP/1.1\r\nHost: usher\r\nContent-Length: 9\r\n\r\n",
        ];
        let begun = Instant::now();
        let mut open: Vec<(usize, TcpStream, Vec<u8>)> = (0..IDLE)
            .map(|n| {
                let mut connection = Connection::open(server.address);
                connection.send(kinds[n % kinds.len()]);
                connection.0.set_nonblocking(true).expect("it can");
                (n % kinds.len(), connection.0, Vec::new())
            })
            .collect();
        let done = AtomicBool::new(false);

        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let asked = Instant::now();
                    assert_eq!(server.anon().get("//healthz").status, 200);
                    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
                    thread::sleep(Duration::from_millis(100));
                }
            });
            let mut left = IDLE;
            while left > 0 && begun.elapsed() < CLOSED_BY {
                thread::sleep(Duration::from_millis(200));
                open.retain_mut(|(kind, stream, heard)| {
                    let ended = ended(stream, heard);
                    if ended && *kind == 2 {
                        let heard = String::from_utf8_lossy(heard);
                        assert!(heard.starts_with("HTTP/1.1 408") && heard.contains("request_timeout"), "{heard}");
                    }
                    !ended
                });
                left = open.len();
            }
            done.store(true, Ordering::Relaxed);
            let mut kinds: Vec<usize> = open.iter().map(|(kind, ..)| *kind).collect();
            kinds.dedup();
            assert_eq!(left, 0, "still open after {CLOSED_BY:?}, of the kinds {kinds:?}");
        });
    }

    #[test]
    fn a_body_that_drips_is_refused_after_half_a_minute_however_it_drips() {
        let server = Server::start();
        let mut connection = Connection::open(server.address);
        connection.send(&HALF_A_BODY.replace("100", "60000"));
        connection.0.set_nonblocking(true).expect("it can");
        let (begun, mut heard) = (Instant::now(), Vec::new());

        while !ended(&mut connection.0, &mut heard) && begun.elapsed() < CLOSED_BY {
            let _ = connection.0.write_all(b" ");
            thread::sleep(Duration::from_millis(500));
        }

        assert!(begun.elapsed() < CLOSED_BY);
        assert!(heard.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&heard));
    }

    #[test]
    fn a_reader_who_never_reads_is_closed() {
        let server = Server::start();
        let mut connection = Connection::open(server.address);
        // More than any socket's buffers hold.
        connection.send(&"GET /docs HTTP/1.1\r\nHost: usher\r\n\r\n".repeat(40));
        let begun = Instant::now();

        // The server reads nothing more until its answer is gone; bytes are refused once it has closed.
        while connection.0.write_all(b"G").is_ok() && begun.elapsed() < CLOSED_BY {
            thread::sleep(Duration::from_millis(500));
        }

        assert!(begun.elapsed() < CLOSED_BY, "still open after {CLOSED_BY:?}");
        assert_eq!(server.anon().get("//healthz").status, 200);
    }
}

#[test]
fn an_answer_that_comes_before_the_body_does_is_not_lost_with_the_connection() {
    let server = Server::start();
    for length in [10, 20_000, 200_000] {
        // given: an answer is there although the body is not
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let head = format!(
            "POST /api/v1/auth/logout HTTP/1.1\r\nhost: usher\r\nauthorization: Bearer x\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).unwrap();
        assert!(buffer[..read].starts_with(b"HTTP/1.1 401"));

        // when: the client goes on writing
        let sent = stream.write_all(&vec![b'x'; length]);

        // then: nothing breaks, and the connection can be used again
        sent.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: usher\r\n\r\n").unwrap();
        let read = stream.read(&mut buffer).unwrap();
        assert!(buffer[..read].starts_with(b"HTTP/1.1 200"), "{length}: {}", String::from_utf8_lossy(&buffer[..read]));
    }
}

#[test]
fn a_body_that_nobody_reads_and_that_does_not_end_ends_the_connection() {
    let server = Server::start();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let head = "POST /nothing HTTP/1.1\r\nhost: usher\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer);
    assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset));
    assert!(answer.starts_with(b"HTTP/1.1 404"), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn what_follows_a_body_that_was_never_asked_for_is_not_taken_for_it() {
    let server = Server::start();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let next = "GET /healthz HTTP/1.1\r\nhost: usher\r\n\r\n";
    let head = format!(
        "POST /nothing HTTP/1.1\r\nhost: usher\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        next.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut buffer = [0; 4096];
    let read = stream.read(&mut buffer).unwrap();
    assert!(buffer[..read].starts_with(b"HTTP/1.1 404"));

    // The connection is over, and so the client knows that its next request was not read.
    let _ = stream.write_all(next.as_bytes());
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
}
