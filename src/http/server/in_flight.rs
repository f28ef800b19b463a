//! Requests in flight: how much memory incomplete requests use, over all connections.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::Notify;

/// The maximum for all requests together: heads, bodies, and overhead. An honest request is complete within
/// milliseconds.
pub const MAX_BYTES: usize = 12 * 1024 * 1024;
/// While more connections than this are closing, no new request is read: their memory is not free yet. They close
/// within milliseconds.
const MAX_CLOSING: usize = 128;

/// The requests in flight, oldest first.
#[derive(Debug, Default)]
pub struct InFlight {
    requests: Mutex<Requests>,
    /// How many connections were told to close, and still hold memory.
    closing: AtomicUsize,
}

#[derive(Debug, Default)]
struct Requests {
    last: u64,
    /// The bytes of the requests that may continue.
    bytes: usize,
    by_age: BTreeMap<u64, Held>,
    /// The requests whose connections were told to close, and have not yet.
    closing: BTreeSet<u64>,
}

#[derive(Debug)]
struct Held {
    bytes: usize,
    close: Arc<Notify>,
}

impl InFlight {
    fn lock(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether reading must wait until other connections have closed. `has_begun`: it is the rest of a request, not a
    /// new one.
    pub fn is_crowded_for(&self, has_begun: bool) -> bool {
        self.closing.load(Ordering::Relaxed) > if has_begun { 0 } else { MAX_CLOSING }
    }

    /// Counts a request until the share is dropped. `close` tells its connection to close.
    pub fn begin(self: &Arc<Self>, close: Arc<Notify>) -> Share {
        let mut requests = self.lock();
        requests.last += 1;
        let number = requests.last;
        requests.by_age.insert(number, Held { bytes: 0, close });
        Share { of: self.clone(), number }
    }
}

/// The memory of one request.
#[derive(Debug)]
pub struct Share {
    of: Arc<InFlight>,
    number: u64,
}

impl Share {
    /// Updates the number of bytes. If all requests together hold too many, the oldest are closed, because they are the
    /// slowest.
    pub fn grow_to(&self, bytes: usize) {
        let mut requests = self.of.lock();
        let Some(held) = requests.by_age.get_mut(&self.number) else { return };
        let more = bytes - std::mem::replace(&mut held.bytes, bytes);
        requests.bytes += more;
        while requests.bytes > MAX_BYTES
            && let Some((number, slowest)) = requests.by_age.pop_first()
        {
            requests.bytes -= slowest.bytes;
            requests.closing.insert(number);
            slowest.close.notify_one();
        }
        self.of.closing.store(requests.closing.len(), Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut requests = self.of.lock();
        if let Some(held) = requests.by_age.remove(&self.number) {
            requests.bytes -= held.bytes;
        } else if requests.closing.remove(&self.number) {
            self.of.closing.store(requests.closing.len(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        pin::pin,
        task::{Context, Waker},
    };

    /// Whether it was told, which it forgets.
    fn is_told(close: &Notify) -> bool {
        pin!(close.notified()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn beyond_what_all_may_hold_the_ones_that_began_first_are_closed() {
        let in_flight = Arc::<InFlight>::default();
        let closes: [Arc<Notify>; 4] = Default::default();
        let shares = closes.each_ref().map(|close| in_flight.begin(close.clone()));
        let told = || closes.each_ref().map(|close| is_told(close));

        shares[1].grow_to(MAX_BYTES / 2);
        shares[0].grow_to(MAX_BYTES / 4);
        shares[0].grow_to(MAX_BYTES / 2);
        assert_eq!(told(), [false; 4]);

        shares[2].grow_to(1);
        assert_eq!(told(), [true, false, false, false]);

        shares[3].grow_to(MAX_BYTES);
        assert_eq!(told(), [false, true, true, false]);

        // Until they have, nobody should go on.
        let [first, second, third, _last] = shares;
        for share in [first, third, second] {
            assert!(in_flight.is_crowded_for(true));
            assert!(!in_flight.is_crowded_for(false));
            drop(share);
        }
        assert!(!in_flight.is_crowded_for(true));
    }

    #[test]
    fn while_many_are_about_to_close_no_request_is_begun() {
        let in_flight = Arc::<InFlight>::default();
        let begin = || {
            let share = in_flight.begin(Arc::default());
            share.grow_to(MAX_BYTES);
            share
        };
        let mut shares: Vec<_> = (0..=MAX_CLOSING).map(|_| begin()).collect();
        assert!(!in_flight.is_crowded_for(false));
        shares.push(begin());
        assert!(in_flight.is_crowded_for(false));
        shares.remove(0);
        assert!(!in_flight.is_crowded_for(false));
    }

    #[test]
    fn what_ended_is_given_back() {
        let (in_flight, close) = (Arc::<InFlight>::default(), Arc::<Notify>::default());
        for _ in 0..5 {
            in_flight.begin(close.clone()).grow_to(MAX_BYTES);
        }
        assert!(!is_told(&close));

        // Also by one that was told to close, and went on.
        let (first, second) = (in_flight.begin(close.clone()), in_flight.begin(close));
        first.grow_to(MAX_BYTES);
        second.grow_to(1);
        first.grow_to(2 * MAX_BYTES);
        drop(first);
        assert_eq!(in_flight.lock().bytes, 1);
        drop(second);
        assert_eq!(in_flight.lock().bytes, 0);
    }
}
