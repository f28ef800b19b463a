//! Load from many connections at once, in one thread: requests as bytes over bare sockets, so that the client takes as
//! little as it can of the processors that it shares with the server.

use super::http::Connection;
use anyhow::{Context, Result, bail, ensure};
use std::{
    cell::RefCell,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::{JoinSet, LocalSet},
};

/// Writes the next request to what is to be sent.
pub type Requests = Box<dyn FnMut(&mut Vec<u8>)>;

/// What ends a load.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    Passed(Duration),
    /// So many answers, of all connections together.
    Answered(u64),
}

/// What a server did.
#[derive(Debug)]
pub struct Load {
    pub answered: u64,
    pub took: Duration,
}

impl Load {
    /// Answers a second.
    pub fn rate(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "fewer than 2^52")]
        let answered = self.answered as f64;
        answered / self.took.as_secs_f64()
    }
}

/// How long each read of a paced load took, from when it was due to its answer, whatever the server does: it waits for
/// a read that is late, and then so are those after it. One connection, one read `every` so often.
pub fn paced(server: SocketAddr, every: Duration, span: Duration, requests: &[Vec<u8>]) -> Result<Vec<Duration>> {
    let (mut connection, mut times) = (Connection::open(server)?, Vec::new());
    let start = Instant::now();
    for (number, request) in (0_u32..).zip(requests.iter().cycle()) {
        let due = every * number;
        if due >= span {
            break;
        }
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        connection.exchange(request)?.ok()?;
        times.push(start.elapsed().saturating_sub(due));
    }
    Ok(times)
}

/// What is answered when each connection sends a request as soon as the one before is answered. Anything but a success
/// fails.
pub fn run(server: SocketAddr, connections: usize, until: Until, requests: Requests) -> Result<Load> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let mut streams = Vec::with_capacity(connections);
        for _ in 0..connections {
            let stream = TcpStream::connect(server).await.context("the server does not listen")?;
            stream.set_nodelay(true)?;
            streams.push(stream);
        }
        let start = Instant::now();
        let shared = Rc::new(RefCell::new(Shared { requests, sent: 0, start, until }));
        let mut running = JoinSet::new();
        for stream in streams {
            running.spawn_local(drive(stream, Rc::clone(&shared)));
        }
        while let Some(ended) = running.join_next().await {
            ended??;
        }
        let (answered, took) = (shared.borrow().sent, start.elapsed());
        ensure!(answered > 0, "nothing was sent");
        Ok(Load { answered, took })
    })
}

/// What the connections share.
struct Shared {
    requests: Requests,
    sent: u64,
    start: Instant,
    until: Until,
}

impl Shared {
    /// Whether there is another request; it is written to `buffer`.
    fn next(&mut self, buffer: &mut Vec<u8>) -> bool {
        let ended = match self.until {
            Until::Passed(span) => self.start.elapsed() >= span,
            Until::Answered(count) => self.sent >= count,
        };
        if !ended {
            self.sent += 1;
            buffer.clear();
            (self.requests)(buffer);
        }
        !ended
    }
}

async fn drive(mut stream: TcpStream, shared: Rc<RefCell<Shared>>) -> Result<()> {
    let (mut request, mut answer) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let another = shared.borrow_mut().next(&mut request);
        if !another {
            return Ok(());
        }
        stream.write_all(&request).await?;
        let mut filled = 0;
        loop {
            ensure!(filled < answer.len(), "an answer of more than {} bytes", answer.len());
            let read = stream.read(&mut answer[filled..]).await?;
            ensure!(read > 0, "the server closed a connection");
            filled += read;
            match length(&answer[..filled])? {
                Some(length) if length < filled => bail!("more than the answer"),
                Some(length) if length == filled => break,
                _ => {}
            }
        }
    }
}

/// How long an answer is, if its head is there.
fn length(answer: &[u8]) -> Result<Option<usize>> {
    const FIELD: &[u8] = b"content-length:";
    let (mut line_start, mut body) = (0, None);
    while let Some(end) = answer[line_start..].iter().position(|byte| *byte == b'\n') {
        let line = &answer[line_start..line_start + end];
        line_start += end + 1;
        if line == b"\r" {
            let is_success = answer.get(9) == Some(&b'2');
            ensure!(is_success, "answered {}", String::from_utf8_lossy(answer));
            let empty = answer.get(9..12) == Some(b"204".as_slice());
            let body = body.or(empty.then_some(0)).context("an answer without a length")?;
            return Ok(Some(line_start + body));
        }
        if line.len() > FIELD.len() && line[..FIELD.len()].eq_ignore_ascii_case(FIELD) {
            body = Some(std::str::from_utf8(&line[FIELD.len()..])?.trim().parse()?);
        }
    }
    Ok(None)
}
