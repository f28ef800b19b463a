//! Connections: HTTP/1.1 over hyper, with a deadline for everything a client may take its time about.
//!
//! A head that does not arrive, a body that drips (see `body`), an answer that nobody reads: each ends the connection
//! after `PATIENCE`. There are no upgrades and there is no HTTP/2; a proxy in front may speak what it likes. What strangers
//! can make it hold is bounded: see `Limits`, `MAX_HEAD_BYTES` and `in_flight`.

use super::{
    in_flight::{InFlight, Share},
    proxies::Proxies,
};
use crate::domain::{Site, Subscriber};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::{
    Endpoint, Request, Response,
    http::{HeaderValue, header, uri::Scheme},
    web::{LocalAddr, RemoteAddr},
};
use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::Entry::Occupied},
    convert::Infallible,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
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
/// Beyond this, hyper answers `431`. It also reads no more than this ahead.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 100;
/// What is kept of a header besides its text, and of a request whose body is read besides that, roughly.
const BYTES_OF_A_HEADER: usize = 100;
const BYTES_OF_A_REQUEST: usize = 24 * 1024;
/// What hyper keeps to read into once a first read has not brought a whole request, roughly.
const BYTES_OF_A_BUFFER: usize = 16 * 1024;
/// After a request with a larger head its connection is closed: hyper would keep the room for it as long as that is open.
const MAX_KEPT_HEAD_BYTES: usize = 8 * 1024;
const MAX_KEPT_HEADERS: usize = 32;
/// So much is read at a time, so that little is held of what a client sends ahead.
const MAX_READ_BYTES: usize = 4 * 1024;
/// How long connections without a request in progress stay while the server drains.
const DRAIN_IDLE: Duration = Duration::from_secs(1);
/// How long accepting rests after it failed, as it does when file descriptors run out.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// One open connection, as the rest of the server sees it.
#[derive(Debug)]
pub struct Connection {
    /// The other side, and its address as text, which every line of the log needs.
    peer: (IpAddr, String),
    opened: Instant,
    /// Milliseconds from `opened` to the last complete request, head and body.
    last_complete: AtomicU64,
    phase: AtomicU8,
    close: Arc<Notify>,
    /// Whose share of the connections it counts for.
    site: Option<Site>,
    /// What has arrived of a request that is not whole yet, in bytes.
    held: AtomicUsize,
    in_flight: Arc<InFlight>,
    /// What it has of that, once a request of it has not come whole at once.
    share: Mutex<Option<Share>>,
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
        Self::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), None, Arc::default())
    }
}

impl Connection {
    fn new(peer: IpAddr, site: Option<Site>, in_flight: Arc<InFlight>) -> Self {
        let peer = peer.to_canonical();
        Self {
            peer: (peer, peer.to_string()),
            opened: Instant::now(),
            last_complete: AtomicU64::new(0),
            phase: AtomicU8::new(Phase::Quiet as u8),
            close: Arc::default(),
            site,
            held: AtomicUsize::new(0),
            in_flight,
            share: Mutex::default(),
        }
    }
}

impl Connection {
    /// Ends the connection, whatever it is doing.
    fn close(&self) {
        self.close.notify_one();
    }

    /// Notes that bytes of a request have arrived.
    fn hold(&self, bytes: usize) {
        let held = self.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(share) = &*self.share() {
            share.grow_to(held);
        }
    }

    /// Counts a request with those in flight, with what is kept of it besides its bytes. The ones that come whole in one read,
    /// which nearly all do, are never counted.
    fn hold_besides(&self, bytes: usize) {
        self.share().get_or_insert_with(|| self.in_flight.begin(self.close.clone()));
        self.hold(bytes);
    }

    /// Notes that a request is read on that a first read has not brought whole.
    fn read_on(&self) {
        if self.held.load(Ordering::Relaxed) > 0 && self.share().is_none() {
            self.hold_besides(BYTES_OF_A_BUFFER);
        }
    }

    /// Whether the connection can stay open after a request whose head has just arrived, with so many headers.
    fn is_kept_after(&self, headers: usize) -> bool {
        headers <= MAX_KEPT_HEADERS && self.held.load(Ordering::Relaxed) <= MAX_KEPT_HEAD_BYTES + BYTES_OF_A_BUFFER
    }

    /// Whether a request, or the rest of one, should come later.
    fn must_wait(&self) -> bool {
        self.in_flight.is_crowded_for(self.held.load(Ordering::Relaxed) > 0)
    }

    /// Notes that a request is whole, or over.
    fn hold_nothing(&self) {
        if self.held.swap(0, Ordering::Relaxed) > 0 {
            self.share().take();
        }
    }

    fn share(&self) -> MutexGuard<'_, Option<Share>> {
        self.share.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a request has arrived whole.
    pub fn has_complete_request(&self) {
        self.enter(Phase::Answering);
        self.hold_nothing();
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

/// How many connections may be open.
pub struct Limits {
    pub all: usize,
    /// From one site, unless it is one of the proxies: those speak for many.
    pub of_a_site: usize,
    pub proxies: Proxies,
}

impl Limits {
    /// With a share for each site: a quarter of all.
    pub fn shared(all: usize, proxies: Proxies) -> Self {
        Self { all, of_a_site: all.div_ceil(4), proxies }
    }

    /// Without shares.
    pub fn unshared(all: usize) -> Self {
        Self { all, of_a_site: all, proxies: Proxies::new(Vec::new()) }
    }
}

/// All open connections.
struct Open {
    limits: Limits,
    last: AtomicU64,
    table: Mutex<Table>,
    in_flight: Arc<InFlight>,
}

#[derive(Default)]
struct Table {
    by_number: HashMap<u64, Arc<Connection>>,
    of_site: HashMap<Site, usize>,
}

impl Open {
    fn new(limits: Limits) -> Self {
        Self { limits, last: AtomicU64::new(0), table: Mutex::default(), in_flight: Arc::default() }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection. Where its site has its share already, that site's quietest one is closed; where there are too many
    /// in all, the quietest of all.
    fn add(self: &Arc<Self>, peer: IpAddr) -> Entry {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let site = Some(Subscriber::of(peer).site()).filter(|_| !self.limits.proxies.trusts(peer));
        let connection = Arc::new(Connection::new(peer, site, self.in_flight.clone()));
        let mut table = self.table();
        if let Some(site) = site.filter(|site| table.count(*site) >= self.limits.of_a_site) {
            table.close_quietest(|connection| connection.site == Some(site));
        } else if table.by_number.len() >= self.limits.all {
            table.close_quietest(|_| true);
        }
        table.insert(number, connection.clone());
        drop(table);
        Entry { open: self.clone(), number, connection }
    }

    fn close_quietest(&self) {
        self.table().close_quietest(|_| true);
    }
}

impl Table {
    fn count(&self, site: Site) -> usize {
        self.of_site.get(&site).copied().unwrap_or(0)
    }

    fn insert(&mut self, number: u64, connection: Arc<Connection>) {
        if let Some(site) = connection.site {
            *self.of_site.entry(site).or_default() += 1;
        }
        self.by_number.insert(number, connection);
    }

    fn remove(&mut self, number: u64) -> Option<Arc<Connection>> {
        let connection = self.by_number.remove(&number)?;
        if let Some(Occupied(mut count)) = connection.site.map(|site| self.of_site.entry(site)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        Some(connection)
    }

    /// Closes the quietest connection of some.
    fn close_quietest(&mut self, is_one: impl Fn(&Connection) -> bool) {
        // Who waits for an answer is not cut off by others who only open connections.
        let rank = |connection: &Connection| (connection.is_in(Phase::Answering), connection.quiet_since());
        let some = self.by_number.iter().filter(|(_, connection)| is_one(connection));
        let quietest = some.min_by_key(|(_, connection)| rank(connection)).map(|(number, _)| *number);
        if let Some(connection) = quietest.and_then(|number| self.remove(number)) {
            connection.close();
        }
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
        self.open.table().remove(self.number);
        self.connection.hold_nothing();
    }
}

/// Serves until `stopping` turns true, and then until what has been taken is answered. The caller bounds that time.
pub async fn serve<E>(listener: TcpListener, endpoint: Arc<E>, limits: Limits, mut stopping: watch::Receiver<bool>)
where
    E: Endpoint<Output = Response> + 'static,
{
    let open = Arc::new(Open::new(limits));
    // Each connection holds a sender; when the last one is gone the receiver ends.
    let (alive, mut all_gone) = mpsc::channel::<Infallible>(1);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop(&mut stopping) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (entry, alive, stopping) = (open.add(peer.ip()), alive.clone(), stopping.clone());
                let endpoint = endpoint.clone();
                tokio::spawn(async move {
                    serve_connection(stream, peer, endpoint, &entry.connection, stopping).await;
                    drop((entry, alive));
                });
            }
            // The caller has left already.
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
        // Boxed, because hyper keeps room for it from the first byte of a connection.
        Box::pin(async move {
            let whole = hyper::body::Body::is_end_stream(request.body());
            let is_kept = connection.is_kept_after(request.headers().len());
            let _in_progress = InProgress::begin(&connection, whole, request.headers().len());
            let addresses = (LocalAddr(local.into()), RemoteAddr(peer.into()));
            let mut request = Request::from((request, addresses.0, addresses.1, Scheme::HTTP));
            request.set_data(connection.clone());
            let mut response = hyper::Response::from(endpoint.get_response(request).await);
            if !is_kept {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        })
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(MAX_HEAD_BYTES).max_headers(MAX_HEADERS);
    http.half_close(true); // who sends nothing more may still want the answer
    let served = http.serve_connection(TokioIo::new(Impatient::new(stream, connection.clone())), service);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = connection.close.notified() => return,
        () = stop(&mut stopping) => {
            served.as_mut().graceful_shutdown();
            tokio::select! {
                ended = served => ended,
                () = connection.close.notified() => return,
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
    fn begin(connection: &'c Connection, whole: bool, headers: usize) -> Self {
        if whole {
            connection.has_complete_request();
        } else {
            connection.enter(Phase::Receiving);
            connection.hold_besides(BYTES_OF_A_REQUEST + headers * BYTES_OF_A_HEADER);
        }
        Self(connection)
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.0.enter(Phase::Quiet);
        self.0.hold_nothing();
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

/// A socket whose writes fail when the other side takes nothing for `PATIENCE`, and that notices a reset while a request
/// is being answered.
struct Impatient {
    stream: TcpStream,
    connection: Arc<Connection>,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        Self { stream, connection, stalled: None }
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
        self.connection.read_on();
        ready!(self.stream.poll_read_ready(cx))?; // memory that nothing is read into is not touched
        if self.connection.must_wait() {
            cx.waker().wake_by_ref(); // behind those that are about to close
            return Poll::Pending;
        }
        let room = buffer.remaining().min(MAX_READ_BYTES);
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(room));
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        let count = part.filled().len();
        buffer.advance(count);
        self.connection.hold(count);
        Poll::Ready(Ok(()))
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

    /// hyper flushes whenever the connection has something to do, and reads nothing while a request is being answered: it
    /// would not hear of a client who is gone. One who sends nothing more is not gone, as far as anyone can tell.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.connection.is_in(Phase::Answering)
            && let Poll::Ready(Err(error)) = self.stream.poll_peek(cx, &mut ReadBuf::new(&mut [0]))
        {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::server::in_flight::MAX_BYTES;
    use std::{io::Write, task::Waker};
    use tokio::io::AsyncReadExt;

    /// A connection as the server reads it, and its client.
    async fn connected(in_flight: &Arc<InFlight>) -> (Impatient, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        (Impatient::new(stream, Arc::new(Connection::new(peer.ip(), None, in_flight.clone()))), client)
    }

    #[tokio::test]
    async fn a_request_that_does_not_come_whole_is_counted_with_the_room_that_is_kept_for_it() {
        let in_flight = Arc::<InFlight>::default();
        let (mut reading, mut client) = connected(&in_flight).await;
        let others = in_flight.begin(Arc::default());
        others.grow_to(MAX_BYTES - BYTES_OF_A_BUFFER);
        let mut byte = [0; 1];

        client.write_all(b"a").unwrap();
        reading.read_exact(&mut byte).await.unwrap();
        assert!(!in_flight.is_crowded_for(true), "one that comes whole in one read is not counted");

        let mut rest = Box::pin(reading.read_exact(&mut byte));
        assert!(rest.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert!(in_flight.is_crowded_for(true));
    }

    #[tokio::test]
    async fn while_others_have_to_close_a_request_may_begin_and_its_rest_comes_later() {
        // given
        let in_flight = Arc::<InFlight>::default();
        let (mut reading, mut client) = connected(&in_flight).await;
        let mut byte = [0; 1];

        // when
        let crowd = in_flight.begin(Arc::default());
        crowd.grow_to(usize::MAX / 2);
        client.write_all(b"ab").unwrap();

        // then
        assert_eq!(reading.read_exact(&mut byte).await.map(|_| byte).unwrap(), *b"a");
        let mut rest = Box::pin(reading.read_exact(&mut byte));
        for _ in 0..10 {
            assert!(rest.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        drop(crowd);
        rest.await.unwrap();
        assert_eq!(byte, *b"b");
    }
}
