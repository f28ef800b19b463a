//! A client that adds as little as it can to what is measured: one connection, one write, no library in between.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// A connection that is kept open.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, read whole.
pub struct Answer {
    pub status: u16,
    /// The status line and the headers, as they came.
    pub head: String,
    pub body: Vec<u8>,
    /// From before the request was written until the last byte had been read.
    pub took: Duration,
}

impl Connection {
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).context("the server does not listen")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_mins(2)))?;
        Ok(Self { stream, buffer: Vec::with_capacity(64 * 1024) })
    }

    /// `path` is below `/api/v1`.
    pub fn get(&mut self, path: &str, token: Option<&str>) -> Result<Answer> {
        let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        self.exchange(format!("GET /api/v1{path} HTTP/1.1\r\nHost: localhost\r\n{authorization}\r\n").as_bytes())
    }

    pub fn post(&mut self, path: &str, body: &Value) -> Result<Answer> {
        self.exchange(post(path, body).as_bytes())
    }

    /// Sends a request as it is, and reads the answer to it.
    pub fn exchange(&mut self, request: &[u8]) -> Result<Answer> {
        self.buffer.clear();
        let start = Instant::now();
        self.stream.write_all(request)?;
        let head = loop {
            if let Some(at) = self.buffer.windows(4).position(|end| end == b"\r\n\r\n") {
                break at + 4;
            }
            self.read_more()?;
        };
        let text = String::from_utf8(self.buffer[..head].to_vec())?;
        let length: usize = header(&text, "content-length").context("an answer without a length")?.parse()?;
        while self.buffer.len() < head + length {
            self.read_more()?;
        }
        let took = start.elapsed();
        let status = text.split(' ').nth(1).context("an answer without a status")?.parse()?;
        Ok(Answer { status, head: text, body: self.buffer[head..].to_vec(), took })
    }

    fn read_more(&mut self) -> Result<()> {
        let filled = self.buffer.len();
        self.buffer.resize(filled + 16 * 1024, 0);
        let read = self.stream.read(&mut self.buffer[filled..])?;
        self.buffer.truncate(filled + read);
        if read == 0 {
            bail!("the server closed the connection");
        }
        Ok(())
    }
}

/// A request as it is sent; `path` is below `/api/v1`.
pub fn post(path: &str, body: &Value) -> String {
    String::from_utf8(json_request("POST", &format!("/api/v1{path}"), None, body)).expect("made of text")
}

/// A request with a JSON body.
pub fn json_request(method: &str, path: &str, token: Option<&str>, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}");
    format!("{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    fields
        .map(|(field, value)| (field, value.trim()))
        .find(|(field, _)| field.eq_ignore_ascii_case(name))
        .map(|(_, v)| v)
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// The cookie that it sets and that begins so: name, `=` and value.
    pub fn cookie(&self, beginning: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut set = fields.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")).map(|(_, value)| value);
        set.find(|value| value.starts_with(beginning))?.split(';').next()
    }

    pub fn json(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    /// Fails unless the answer is a success.
    pub fn ok(self) -> Result<Self> {
        if self.status / 100 != 2 {
            bail!("answered {} {}", self.head.trim(), String::from_utf8_lossy(&self.body));
        }
        Ok(self)
    }
}
