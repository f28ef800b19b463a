//! One open connection: what it is waiting for, and what it holds of a request that has not come whole.

use super::in_flight::{InFlight, Share};
use crate::domain::Network;
use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// What hyper keeps to read into once a first read has not brought a whole request, roughly.
pub(super) const READ_BUFFER_BYTES: usize = 16 * 1024;
/// After a request with a larger head its connection is closed: hyper would keep the room for it as long as that is open.
const MAX_KEPT_HEAD_BYTES: usize = 8 * 1024;
const MAX_KEPT_HEADERS: usize = 32;

/// One open connection, as the rest of the server sees it.
#[derive(Debug)]
pub struct Connection {
    /// The other side, and its address as text, which every line of the log needs.
    peer: (IpAddr, String),
    opened: Instant,
    /// Milliseconds from `opened` to the last complete request, head and body.
    last_complete: AtomicU64,
    phase: AtomicU8,
    pub(super) close: Arc<Notify>,
    /// Whose share of the connections it counts for.
    pub(super) network: Option<Network>,
    /// What has arrived of a request that is not whole yet, in bytes.
    held: AtomicUsize,
    in_flight: Arc<InFlight>,
    /// What it has of that, once a request of it has not come whole at once.
    share: Mutex<Option<Share>>,
}

/// What a connection is waiting for. HTTP/1.1 answers one request at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
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
            in_flight,
            share: Mutex::default(),
        }
    }

    /// Ends the connection, whatever it is doing.
    pub(super) fn close(&self) {
        self.close.notify_one();
    }

    /// Notes that bytes of a request have arrived.
    pub(super) fn hold(&self, bytes: usize) {
        let held = self.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(share) = &*self.share() {
            share.grow_to(held);
        }
    }

    /// Counts a request with those in flight, with what is kept of it besides its bytes. The ones that come whole in one read,
    /// which nearly all do, are never counted.
    pub(super) fn hold_overhead(&self, bytes: usize) {
        self.share().get_or_insert_with(|| self.in_flight.begin(self.close.clone()));
        self.hold(bytes);
    }

    /// Notes that a request is read on that a first read has not brought whole.
    pub(super) fn read_on(&self) {
        if self.held.load(Ordering::Relaxed) > 0 && self.share().is_none() {
            self.hold_overhead(READ_BUFFER_BYTES);
        }
    }

    /// Whether the connection can stay open after a request whose head has just arrived, with so many headers.
    pub(super) fn is_kept_after(&self, headers: usize) -> bool {
        headers <= MAX_KEPT_HEADERS && self.held.load(Ordering::Relaxed) <= MAX_KEPT_HEAD_BYTES + READ_BUFFER_BYTES
    }

    /// Whether a request, or the rest of one, should come later.
    pub(super) fn must_wait(&self) -> bool {
        self.in_flight.is_crowded_for(self.held.load(Ordering::Relaxed) > 0)
    }

    /// Notes that a request is whole, or over.
    pub(super) fn release(&self) {
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
        self.release();
        self.touch();
    }

    /// An address as text, at no cost where it is the peer's.
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

    /// Ends when the connection has been quiet for `span` from now on: who was slow before has that long to go on.
    pub(super) async fn is_idle_for(&self, span: Duration) {
        let now = Instant::now();
        while !self.is_in(Phase::Quiet) || self.quiet_since().max(now).elapsed() < span {
            tokio::time::sleep(span / 4).await;
        }
    }
}
