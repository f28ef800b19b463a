//! Connections: HTTP/1.1 over hyper, with a deadline for everything a client may take its time about.
//!
//! A head that does not arrive, a body that drips (see `body`), an answer that nobody reads: each ends the connection
//! after `PATIENCE`. There are no upgrades and there is no HTTP/2; a proxy in front may speak what it likes.

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::{
    Endpoint, Request, Response,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use std::{
    borrow::Cow,
    collections::HashMap,
    convert::Infallible,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc, watch},
    time::Sleep,
};

/// How long a client may take to send the head of a request, or to take any part of an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Beyond this, hyper answers `431`.
const MOST_HEAD_BYTES: usize = 64 * 1024;
const MOST_HEADERS: usize = 100;
/// How long connections without a request in progress stay while the server drains.
const DRAIN_IDLE: Duration = Duration::from_secs(1);
/// How long accepting rests after it failed, as it does when file descriptors run out.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// One open connection, as the rest of the server sees it.
#[derive(Debug)]
pub(super) struct Connection {
    /// The other side, and its address as text, which every line of the log needs.
    peer: (IpAddr, String),
    opened: Instant,
    /// Milliseconds from `opened` to the last complete request, head and body.
    last_complete: AtomicU64,
    phase: AtomicU8,
    close: Notify,
}

/// What a connection is waiting for. HTTP/1.1 answers one request at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    /// The head of a request, or the client's taking of an answer.
    Quiet,
    /// The rest of a request's body.
    Receiving,
    /// Us: the request is complete.
    Answering,
}

impl Default for Connection {
    fn default() -> Self {
        Self::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

impl Connection {
    fn from(peer: IpAddr) -> Self {
        let peer = peer.to_canonical();
        Self {
            peer: (peer, peer.to_string()),
            opened: Instant::now(),
            last_complete: AtomicU64::new(0),
            phase: AtomicU8::new(Phase::Quiet as u8),
            close: Notify::new(),
        }
    }
}

impl Connection {
    /// Notes that a request has arrived whole.
    pub fn has_complete_request(&self) {
        self.enter(Phase::Answering);
        self.touch();
    }

    /// An address as text, at no cost where it is the peer's.
    pub fn text_of(&self, address: IpAddr) -> Cow<'_, str> {
        if address == self.peer.0 { Cow::Borrowed(&self.peer.1) } else { Cow::Owned(address.to_string()) }
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn is_in(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Relaxed) == phase as u8
    }

    fn touch(&self) {
        let since_opened = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_complete.store(since_opened, Ordering::Relaxed);
    }

    /// When the last complete request arrived, or the connection was opened.
    fn quiet_since(&self) -> Instant {
        self.opened + Duration::from_millis(self.last_complete.load(Ordering::Relaxed))
    }
}

/// All open connections, by number.
#[derive(Default)]
struct Open {
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    last: AtomicU64,
}

impl Open {
    /// Adds a connection, and closes the quietest of the others where there are more than `most`.
    fn add(self: &Arc<Self>, peer: IpAddr, most: usize) -> Entry {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection::from(peer));
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if connections.len() >= most {
            close_quietest(&mut connections);
        }
        connections.insert(number, connection.clone());
        drop(connections);
        Entry { open: self.clone(), number, connection }
    }

    fn close_quietest(&self) {
        close_quietest(&mut self.connections.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn close_quietest(connections: &mut HashMap<u64, Arc<Connection>>) {
    // Who waits for an answer is not cut off by others who only open connections.
    let rank = |connection: &Connection| (connection.is_in(Phase::Answering), connection.quiet_since());
    let quietest = connections.iter().min_by_key(|(_, connection)| rank(connection));
    if let Some(number) = quietest.map(|(number, _)| *number)
        && let Some(connection) = connections.remove(&number)
    {
        connection.close.notify_one();
    }
}

/// A connection's place among the open ones, given up when dropped.
struct Entry {
    open: Arc<Open>,
    number: u64,
    connection: Arc<Connection>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.open.connections.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

/// Serves until `stopping` turns true, and then until what has been taken is answered. The caller bounds that time.
pub(super) async fn serve<E>(listener: TcpListener, endpoint: Arc<E>, most: usize, mut stopping: watch::Receiver<bool>)
where
    E: Endpoint<Output = Response> + 'static,
{
    let open = Arc::<Open>::default();
    // Each connection holds a sender; when the last one is gone the receiver ends.
    let (alive, mut all_gone) = mpsc::channel::<Infallible>(1);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop(&mut stopping) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (entry, alive, stopping) = (open.add(peer.ip(), most), alive.clone(), stopping.clone());
                let endpoint = endpoint.clone();
                tokio::spawn(async move {
                    serve_connection(stream, peer, endpoint, &entry.connection, stopping).await;
                    drop((entry, alive));
                });
            }
            // Whoever called has left already.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted; the quietest one is closed");
                open.close_quietest();
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
    drop((listener, alive));
    all_gone.recv().await;
}

/// Ends when the server stops.
async fn stop(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await; // an error means that the sender is gone: stop, too
}

async fn serve_connection<E>(
    stream: TcpStream,
    peer: SocketAddr,
    endpoint: Arc<E>,
    connection: &Arc<Connection>,
    mut stopping: watch::Receiver<bool>,
) where
    E: Endpoint<Output = Response> + 'static,
{
    let local = stream.local_addr().unwrap_or(peer);
    let _ = stream.set_nodelay(true); // answers are written whole; waiting for more would only delay them
    let service = hyper::service::service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let (endpoint, connection) = (endpoint.clone(), connection.clone());
        async move {
            let whole = hyper::body::Body::is_end_stream(request.body());
            let _in_progress = InProgress::begin(&connection, whole);
            let addresses = (LocalAddr(local.into()), RemoteAddr(peer.into()));
            let mut request = Request::from((request, addresses.0, addresses.1, Scheme::HTTP));
            request.set_data(connection.clone());
            Ok::<_, Infallible>(hyper::Response::from(endpoint.get_response(request).await))
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(MOST_HEAD_BYTES).max_headers(MOST_HEADERS);
    let served = http.serve_connection(TokioIo::new(Impatient::new(stream)), service);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = connection.close.notified() => return,
        () = stop(&mut stopping) => {
            served.as_mut().graceful_shutdown();
            tokio::select! {
                ended = served => ended,
                () = connection.is_idle_for(DRAIN_IDLE) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// A request from its head to its answer, also when it is given up in between.
struct InProgress<'c>(&'c Connection);

impl<'c> InProgress<'c> {
    fn begin(connection: &'c Connection, whole: bool) -> Self {
        if whole {
            connection.has_complete_request();
        } else {
            connection.enter(Phase::Receiving);
        }
        Self(connection)
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.0.enter(Phase::Quiet);
        self.0.touch();
    }
}

impl Connection {
    /// Ends when the connection has been quiet for `span` from now on: who was slow before has that long to go on.
    async fn is_idle_for(&self, span: Duration) {
        let now = Instant::now();
        while !self.is_in(Phase::Quiet) || self.quiet_since().max(now).elapsed() < span {
            tokio::time::sleep(span / 4).await;
        }
    }
}

/// A socket whose writes fail when the other side takes nothing for `PATIENCE`.
struct Impatient {
    stream: TcpStream,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    fn new(stream: TcpStream) -> Self {
        Self { stream, stalled: None }
    }

    /// Starts the deadline at the first write that waits, and stops it at the next that does not.
    fn watch<T>(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.stalled = None;
            return wrote;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Impatient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
