//! What the kernel holds of answers that clients do not take.

use crate::{
    connections::{Connection, HEALTH},
    support::Server,
};
use rustix::net;
use std::{
    io::Read,
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

const DOCS: &str = "GET /docs HTTP/1.1\r\nHost: usher\r\n\r\n";
const SPEC: &str = "GET /api/v1/openapi.json HTTP/1.1\r\nHost: usher\r\n\r\n";
/// Twice what is asked for, by which the kernel keeps its records.
const MAX_QUEUED: usize = 256 * 1024;

/// A connection that takes next to nothing, and has asked for something.
fn ask_and_read_nothing(server: &Server, request: &str) -> Connection {
    let socket = net::socket(net::AddressFamily::INET, net::SocketType::STREAM, None).expect("a socket");
    net::sockopt::set_socket_recv_buffer_size(&socket, 2048).expect("it can be small");
    net::connect(&socket, &server.address).expect("the server listens");
    let mut connection = Connection(TcpStream::from(socket));
    connection.0.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    connection.send(request);
    connection
}

/// How many bytes the server's side of a connection has written that its client has not taken. `None`: it is gone.
fn queued(server: &Server, client: SocketAddr) -> Option<usize> {
    let port = |field: &str| u16::from_str_radix(field.rsplit(':').next()?, 16).ok();
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the table of sockets");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_it = port(fields[1]) == Some(server.address.port()) && port(fields[2]) == Some(client.port());
        let queue = fields[4].split(':').next().expect("two queues");
        is_it.then(|| usize::from_str_radix(queue, 16).expect("a number"))
    })
}

/// Waits for what must come about.
fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn small_server() -> Server {
    Server::with(|settings| {
        settings.http.max_connections = 20;
        settings.http.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]; // it may hold all
    })
}

#[test]
fn a_client_that_reads_nothing_has_little_of_its_answer_held_by_the_kernel() {
    let server = Server::start();
    let connection = ask_and_read_nothing(&server, DOCS);
    let client = connection.0.local_addr().unwrap();

    until("the answer is not begun", || queued(&server, client) > Some(32 * 1024));
    for _ in 0..50 {
        assert!(server.anon().get("//healthz").status == 200 && queued(&server, client) <= Some(MAX_QUEUED));
    }
}

#[test]
fn nothing_of_an_answer_that_nobody_reads_outlives_its_connection() {
    // given: whole answers and begun ones, on connections that stay open and on some that end with the answer
    let server = small_server();
    let last = HEALTH.repeat(200) + "GET /healthz HTTP/1.1\r\nHost: usher\r\nConnection: close\r\n\r\n";
    let requests = [DOCS, SPEC, &last];
    let silent: Vec<Connection> =
        (0..18).map(|n| ask_and_read_nothing(&server, requests[n % requests.len()])).collect();
    let clients: Vec<SocketAddr> = silent.iter().map(|connection| connection.0.local_addr().unwrap()).collect();
    for client in &clients {
        until("the answer is not begun", || queued(&server, *client) > Some(16 * 1024));
    }

    // when: others come, for whom they have to go
    let mut others: Vec<Connection> = (0..20).map(|_| Connection::open(server.address)).collect();
    assert!(others.iter_mut().all(Connection::is_served));

    // then
    for client in clients {
        until("its socket is still there", || queued(&server, client).is_none());
    }
}

#[test]
fn a_client_that_reads_slowly_gets_the_whole_answer_and_an_end_in_order() {
    let server = Server::start();
    for path in ["/docs", "/api/v1/openapi.json", "/healthz"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: usher\r\nConnection: close\r\n\r\n");
        let mut slow = ask_and_read_nothing(&server, &request);
        let client = slow.0.local_addr().unwrap();
        until("the answer is not begun", || slow.0.peek(&mut [0]).is_ok_and(|read| read > 0));
        for _ in 0..20 {
            assert_eq!(server.anon().get("//healthz").status, 200);
        }

        let mut answer = Vec::new();
        slow.0.read_to_end(&mut answer).expect("no reset");

        let whole = server.anon().get(&format!("/{path}"));
        assert!(answer.ends_with(&whole.body), "{path}: {} of {}", answer.len(), whole.body.len());
        drop(slow);
        until("it does not end", || queued(&server, client).unwrap_or(0) == 0);
    }
}

#[test]
fn a_connection_whose_answer_was_taken_ends_in_order_where_others_need_its_place() {
    let server = small_server();
    let mut first = Connection::open(server.address);
    assert!(first.is_served());

    let mut others: Vec<Connection> = (0..20).map(|_| Connection::open(server.address)).collect();
    assert!(others.iter_mut().all(Connection::is_served));

    assert_eq!(first.0.read(&mut [0]).expect("no reset"), 0);
}
