//! One open connection: what it is waiting for, and how much of an incomplete request it holds.

use super::in_flight::{InFlight, Share};
use crate::domain::Network;
use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// The approximate size of hyper's read buffer, once a request did not arrive in one read.
pub(super) const READ_BUFFER_BYTES: usize = 16 * 1024;
/// After a request with a larger head, the connection is closed: hyper would keep that memory for as long as it is
/// open.
const MAX_KEPT_HEAD_BYTES: usize = 8 * 1024;
const MAX_KEPT_HEADERS: usize = 32;

/// One open connection, as the rest of the server sees it.
#[derive(Debug)]
pub struct Connection {
    /// The peer's IP address, also as text for the access log.
    peer: (IpAddr, String),
    opened: Instant,
    /// Milliseconds from `opened` to the last complete request, head and body.
    last_complete: AtomicU64,
    phase: AtomicU8,
    pub(super) close: Arc<Notify>,
    /// The network whose share of connections it counts towards.
    pub(super) network: Option<Network>,
    /// How many bytes of an incomplete request have arrived.
    held: AtomicUsize,
    in_flight: Arc<InFlight>,
    /// Whether the caller is known and trusted with as much memory as the handler allows.
    is_vouched_for: AtomicBool,
    /// Its share of the memory of requests in flight, once a request did not arrive in one read.
    share: Mutex<Option<Share>>,
}

/// What a connection is waiting for. HTTP/1.1 answers one request at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// The head of a request, or the client to read an answer.
    Quiet,
    /// The rest of a request's body.
    Receiving,
    /// The server: the request is complete.
    Answering,
    /// Nothing: its client is told that it has ended, and it is about to be removed.
    Closed,
}

impl Default for Connection {
    fn default() -> Self {
        Self::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), None, Arc::default())
    }
}

impl Connection {
    pub(super) fn new(peer: IpAddr, network: Option<Network>, in_flight: Arc<InFlight>) -> Self {
        let peer = peer.to_canonical();
        Self {
            peer: (peer, peer.to_string()),
            opened: Instant::now(),
            last_complete: AtomicU64::new(0),
            phase: AtomicU8::new(Phase::Quiet as u8),
            close: Arc::default(),
            network,
            held: AtomicUsize::new(0),
            is_vouched_for: AtomicBool::new(false),
            in_flight,
            share: Mutex::default(),
        }
    }

    /// Closes the connection, whatever it is doing.
    pub(super) fn close(&self) {
        self.close.notify_one();
    }

    /// Counts received bytes of a request.
    pub(super) fn hold(&self, bytes: usize) {
        if self.is_vouched_for.load(Ordering::Relaxed) {
            return;
        }
        let held = self.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(share) = &*self.share() {
            share.grow_to(held);
        }
    }

    /// Counts a request among those in flight, with its memory besides the received bytes. Requests that arrive in one
    /// read, which nearly all do, are never counted.
    pub(super) fn hold_overhead(&self, bytes: usize) {
        self.share().get_or_insert_with(|| self.in_flight.begin(self.close.clone()));
        self.hold(bytes);
    }

    /// Counts a request that did not arrive in one read.
    pub(super) fn read_on(&self) {
        if self.held.load(Ordering::Relaxed) > 0 && self.share().is_none() {
            self.hold_overhead(READ_BUFFER_BYTES);
        }
    }

    /// Whether the connection can stay open after a request with this many headers, whose head has just arrived.
    pub(super) fn is_kept_after(&self, headers: usize) -> bool {
        headers <= MAX_KEPT_HEADERS && self.held.load(Ordering::Relaxed) <= MAX_KEPT_HEAD_BYTES + READ_BUFFER_BYTES
    }

    /// Takes the rest of a request out of the memory that strangers share: its caller is trusted, and the code that reads
    /// the body limits it. Until the request is over.
    pub fn vouch(&self) {
        self.is_vouched_for.store(true, Ordering::Relaxed);
        self.has_complete_request();
    }

    /// Ends what began with a request.
    pub(super) fn has_ended_request(&self) {
        self.is_vouched_for.store(false, Ordering::Relaxed);
        self.enter(Phase::Quiet);
        self.release();
        self.touch();
    }

    /// Whether reading must wait, because other connections must close first.
    pub(super) fn must_wait(&self) -> bool {
        !self.is_vouched_for.load(Ordering::Relaxed)
            && self.in_flight.is_crowded_for(self.held.load(Ordering::Relaxed) > 0)
    }

    /// Releases the memory of a request that is complete or over.
    pub(super) fn release(&self) {
        if self.held.swap(0, Ordering::Relaxed) > 0 {
            self.share().take();
        }
    }

    fn share(&self) -> MutexGuard<'_, Option<Share>> {
        self.share.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a complete request has arrived.
    pub fn has_complete_request(&self) {
        self.enter(Phase::Answering);
        self.release();
        self.touch();
    }

    /// An IP address as text, without an allocation for the peer's.
    pub fn text_of(&self, address: IpAddr) -> Cow<'_, str> {
        if address == self.peer.0 { Cow::Borrowed(&self.peer.1) } else { Cow::Owned(address.to_string()) }
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub(super) fn is_in(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Relaxed) == phase as u8
    }

    pub(super) fn touch(&self) {
        let since_opened = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_complete.store(since_opened, Ordering::Relaxed);
    }

    /// When the last complete request arrived, or the connection was opened.
    pub(super) fn quiet_since(&self) -> Instant {
        self.opened + Duration::from_millis(self.last_complete.load(Ordering::Relaxed))
    }

    /// Completes when the connection has been quiet for `span` from now on. Connections that were quiet before get the
    /// same time.
    pub(super) async fn is_idle_for(&self, span: Duration) {
        let now = Instant::now();
        while !self.is_in(Phase::Quiet) || self.quiet_since().max(now).elapsed() < span {
            tokio::time::sleep(span / 4).await;
        }
    }
}
