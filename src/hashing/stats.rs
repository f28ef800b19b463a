//! Statistics of the pool, counted as it runs.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Statistics of the pool. Counters count from the start.
#[derive(Debug, Clone)]
pub struct HashStats {
    pub computed: u64,
    /// How many of them were slow ones.
    pub slow: u64,
    /// How many were refused as "overloaded": there was no place, or none for the caller's network or for a slow hash.
    pub refused: u64,
    /// Hashes that no thread has begun.
    pub queued: usize,
    /// Places taken by hashes that wait or are being computed, and by callers that are about to request one.
    pub places_taken: usize,
    pub places: usize,
    pub waits: Waits,
}

/// How long hashes waited for a thread.
#[derive(Debug, Clone)]
pub struct Waits {
    /// Upper bounds, and how many waits lie between each bound and the one before.
    pub up_to: Vec<(Duration, u64)>,
    /// How many waits were longer than the last bound.
    pub longer: u64,
    pub total: Duration,
}

const MILLISECONDS: [u64; 11] = [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000];

/// Counts waits by their length.
#[derive(Debug, Default)]
pub(super) struct WaitCounts {
    counts: [AtomicU64; MILLISECONDS.len() + 1],
    nanos: AtomicU64,
}

impl WaitCounts {
    pub(super) fn record(&self, waited: Duration) {
        let bound = MILLISECONDS.iter().position(|bound| waited <= Duration::from_millis(*bound));
        self.counts[bound.unwrap_or(MILLISECONDS.len())].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Waits {
        let counts: Vec<u64> = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Waits {
            up_to: MILLISECONDS.map(Duration::from_millis).into_iter().zip(counts.iter().copied()).collect(),
            longer: counts[MILLISECONDS.len()],
            total: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_counted_once_at_the_least_bound_that_it_does_not_exceed() {
        let counts = WaitCounts::default();
        for millis in [0, 1, 2, 5, 11_000] {
            counts.record(Duration::from_millis(millis));
        }
        let waits = counts.read();
        assert_eq!(waits.up_to[..3].iter().map(|(_, count)| *count).collect::<Vec<_>>(), [2, 2, 0]);
        assert_eq!((waits.longer, waits.total), (1, Duration::from_millis(11_008)));
    }
}
