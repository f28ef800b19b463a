//! A small app behind a proxy, or whatever else answers, which keeps what reaches it.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

pub const HEADERS: [&str; 4] = ["remote-user", "remote-user-id", "remote-email", "remote-role"];

/// A request, as it reached the app.
#[derive(Debug, Clone)]
pub struct Reached {
    pub method: String,
    pub target: String,
    pub version: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reached {
    /// Every value of the headers that an app behind CGI or WSGI reads under a name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let read = |name: &str| name.replace(|c: char| !c.is_ascii_alphanumeric(), "_").to_ascii_lowercase();
        self.headers.iter().filter(|(given, _)| read(given) == read(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// User, id, address and role, each of which must be there once.
    #[track_caller]
    pub fn caller(&self) -> [&str; 4] {
        HEADERS.map(|name| match self.all(name).as_slice() {
            [value] => *value,
            values => panic!("{name}: {values:?} in {self:?}"),
        })
    }

    pub fn is_anonymous(&self) -> bool {
        HEADERS.iter().chain(&["authorization", "remote-name", "remote-groups"]).all(|name| self.all(name).is_empty())
    }
}

/// An HTTP server that says `200` to everything, or whatever it is told to, and keeps what it is asked.
pub struct Small {
    pub address: SocketAddr,
    reached: Arc<Mutex<Vec<Reached>>>,
    pub connections: Arc<AtomicUsize>,
}

impl Small {
    pub fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let small = Self { address, reached: Arc::default(), connections: Arc::default() };
        let (reached, connections) = (small.reached.clone(), small.connections.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                connections.fetch_add(1, Ordering::SeqCst);
                let reached = reached.clone();
                std::thread::spawn(move || serve(stream, &reached, answer));
            }
        });
        small
    }

    pub fn app() -> Self {
        Self::start("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nreached")
    }

    /// What has reached it since it was asked last.
    pub fn take(&self) -> Vec<Reached> {
        std::mem::take(&mut *self.reached.lock().expect("a list"))
    }
}

/// Answers the requests of one connection. One that asks for another protocol gets it, which is an echo.
fn serve(mut stream: TcpStream, keep: &Mutex<Vec<Reached>>, answer: &str) {
    while let Some(request) = read_request(&mut stream) {
        let switches = !request.all("upgrade").is_empty();
        let last = request.version == "HTTP/1.0" || request.all("connection").contains(&"close");
        keep.lock().expect("a list").push(request);
        let answer = if switches {
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        } else {
            answer
        };
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
        if switches {
            let mut read = stream.try_clone().expect("a second handle");
            let _ = std::io::copy(&mut read, &mut stream);
        }
        if switches || last {
            return;
        }
    }
}

pub fn read_line(stream: &mut impl Read) -> Option<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        line.push(byte[0]);
    }
    line.truncate(line.len() - 2);
    Some(String::from_utf8_lossy(&line).into_owned())
}

pub fn read_bytes(stream: &mut impl Read, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn read_request(stream: &mut impl Read) -> Option<Reached> {
    let line = read_line(stream)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request = Reached { method, target, version, headers, body: Vec::new() };
    if let Some(length) = request.all("content-length").first() {
        request.body = read_bytes(stream, length.parse().ok()?)?;
    } else if !request.all("transfer-encoding").is_empty() {
        while let Some(length) = usize::from_str_radix(&read_line(stream)?, 16).ok().filter(|length| *length > 0) {
            request.body.extend(read_bytes(stream, length)?);
            read_line(stream)?;
        }
        read_line(stream)?;
    }
    Some(request)
}
