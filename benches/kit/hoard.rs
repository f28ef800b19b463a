//! Clients that make the service hold as much as they can: each sends all that it may of a request, and never its end.

use anyhow::{Context, Result};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
    time::{Duration, Instant},
};

/// What a client sends again and again, on one connection after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A head without its end.
    Head,
    /// A small head, and a body without its end.
    Body,
    /// As large a head as is taken, and a body without its end.
    Both,
    /// The same to an operation that does not read it.
    Unread,
    /// Requests for the largest page, and no answer is read.
    Pages,
    /// A whole request with as large a head as is taken, and then nothing more.
    Kept,
}

impl Kind {
    pub const ALL: [Self; 6] = [Self::Head, Self::Body, Self::Both, Self::Unread, Self::Pages, Self::Kept];

    fn bytes(self, head: usize) -> Vec<u8> {
        let post = |path: &str, kind: &str| format!("POST {path} HTTP/1.1\r\nHost: usher\r\nContent-Type: {kind}\r\n");
        let login = post("/api/v1/auth/login", "application/json");
        let body = || "x".repeat(64 * 1024 - 1);
        let text = match self {
            Self::Head => filled(&login, head - 1),
            Self::Body => format!("{login}Content-Length: 65536\r\n\r\n{}", body()),
            Self::Both | Self::Unread => {
                let begin = if self == Self::Both { login } else { post("/nowhere", "text/plain") };
                format!("{}\r\n{}", filled(&format!("{begin}Content-Length: 65536\r\n"), head - 2), body())
            }
            Self::Pages => "GET /docs HTTP/1.1\r\nHost: usher\r\n\r\n".repeat(1_000),
            Self::Kept => filled("GET /healthz HTTP/1.1\r\nHost: usher\r\n", head - 2) + "\r\n",
        };
        text.into_bytes()
    }
}

/// Lines of headers up to an exact length: as many as are taken, for each weighs more than its text.
fn filled(begin: &str, length: usize) -> String {
    const LINES: usize = 95;
    let mut text = begin.to_owned();
    let each = (length - text.len()) / LINES;
    for n in 0..LINES {
        let size = if n + 1 == LINES { length - text.len() } else { each };
        let name = format!("x-{n}: ");
        text.push_str(&format!("{name}{}\r\n", "x".repeat(size - name.len() - 2)));
    }
    text
}

struct Hoarder {
    stream: TcpStream,
    kind: usize,
    sent: usize,
}

/// Many clients, each with a connection, that open another one as soon as theirs is closed.
pub struct Hoard {
    server: SocketAddr,
    /// What each kind sends.
    bytes: Vec<Vec<u8>>,
    hoarders: Vec<Hoarder>,
    /// How many connections were closed by the server.
    pub closed: usize,
}

impl Hoard {
    /// `head` is how many bytes of a head the service takes. The clients come from so many networks.
    pub fn open(server: SocketAddr, count: usize, networks: usize, kinds: &[Kind], head: usize) -> Result<Self> {
        let bytes = kinds.iter().map(|kind| kind.bytes(head)).collect();
        let mut hoard = Self { server, bytes, hoarders: Vec::with_capacity(count), closed: 0 };
        for n in 0..count {
            let stream = connect_from(source(n % networks), server)?;
            hoard.hoarders.push(Hoarder { stream, kind: n / networks % kinds.len(), sent: 0 });
        }
        Ok(hoard)
    }

    /// Sends what can be sent, for so long.
    pub fn go_on_for(&mut self, span: Duration) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < span {
            for hoarder in &mut self.hoarders {
                if !hoarder.go_on(&self.bytes[hoarder.kind]) {
                    let source = hoarder.stream.local_addr().context("no address")?;
                    let SocketAddr::V4(source) = source else { continue };
                    hoarder.stream = connect_from(*source.ip(), self.server)?;
                    hoarder.sent = 0;
                    self.closed += 1;
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Hoarder {
    /// Whether the connection is still open.
    fn go_on(&mut self, bytes: &[u8]) -> bool {
        let is_open = |error: &std::io::Error| error.kind() == ErrorKind::WouldBlock;
        while self.sent < bytes.len() {
            match self.stream.write(&bytes[self.sent..]) {
                Ok(sent) => self.sent += sent,
                Err(error) if is_open(&error) => break,
                Err(_) => return false,
            }
        }
        // Who is refused has to send again; who is answered with a page must not read it.
        let mut answer = [0; 12];
        match self.stream.peek(&mut answer) {
            Ok(0) => false,
            Ok(_) if answer.starts_with(b"HTTP/1.1 200") => true,
            Ok(_) => self.stream.read(&mut [0; 4096]).is_ok(),
            Err(error) => is_open(&error),
        }
    }
}

/// One IP address in each of many networks of 24 bits, all of this machine.
pub fn source(network: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 1, u8::try_from(network % 250).expect("below 250"), 1)
}

/// A connection from an IP address of this machine.
pub fn connect_from(source: Ipv4Addr, server: SocketAddr) -> Result<TcpStream> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddrV4::new(source, 0))?;
    connect(&socket, &server).context("the server does not listen")?;
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// How long an answer takes for somebody of another network.
pub fn ask_for_health(server: SocketAddr) -> Result<Duration> {
    let begun = Instant::now();
    let mut stream = connect_from(source(249), server)?;
    stream.set_nonblocking(false)?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: usher\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "answered {answer:?}");
    Ok(begun.elapsed())
}
