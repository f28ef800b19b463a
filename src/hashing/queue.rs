//! The queue of hashes: networks take turns, and none of them holds more than a quarter of the places.
//!
//! A network that sends more than its share, with right or wrong passwords, is refused while others get through. Callers
//! with unknown IP addresses count as one network.

use super::argon::Memory;
use crate::domain::Network;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// The places of hashes that wait, are being computed, or are about to be requested.
pub(super) struct Places {
    pub all: usize,
    per_network: usize,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    taken: HashMap<Option<Network>, usize>,
    refused: u64,
}

impl Places {
    pub fn new(all: usize) -> Self {
        Self { all, per_network: (all / 4).max(1), counts: Mutex::default() }
    }

    /// Takes a place for a caller from a network. Returns `None` and counts a refusal if all places are taken, or the
    /// network has its share.
    pub fn take(self: &Arc<Self>, network: Option<Network>) -> Option<Permit> {
        let mut counts = self.counts();
        let of_network = counts.taken.get(&network).copied().unwrap_or_default();
        // The last places are reserved for networks that have none, so that a few busy networks leave room for others.
        let open = if of_network == 0 { self.all } else { self.all - self.all / 8 };
        if counts.all_taken() >= open || of_network >= self.per_network {
            counts.refused += 1;
            return None;
        }
        counts.taken.insert(network, of_network + 1);
        Some(Permit { places: self.clone(), network })
    }

    /// Counts a refusal that has another reason than missing places.
    pub fn count_refusal(&self) {
        self.counts().refused += 1;
    }

    pub fn refused(&self) -> u64 {
        self.counts().refused
    }

    pub fn taken(&self) -> usize {
        self.counts().all_taken()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn all_taken(&self) -> usize {
        self.taken.values().sum()
    }
}

/// A taken place, freed when dropped.
pub(super) struct Permit {
    places: Arc<Places>,
    pub network: Option<Network>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.places.counts();
        let left = counts.taken.get(&self.network).map_or(0, |taken| taken.saturating_sub(1));
        if left == 0 {
            counts.taken.remove(&self.network);
        } else {
            counts.taken.insert(self.network, left);
        }
    }
}

/// A hash in the queue. Its work owns its permit: if the caller disconnects, the place is freed only while the job is
/// still waiting.
pub(super) struct Job {
    pub id: u64,
    pub network: Option<Network>,
    pub slow: bool,
    pub asked: Instant,
    pub work: Box<dyn FnOnce(&mut Memory) + Send>,
}

/// The waiting jobs, with one line for each network. The first line is next.
#[derive(Default)]
pub(super) struct Queue {
    lines: VecDeque<VecDeque<Job>>,
    pub slow_runs: bool,
    pub last_id: u64,
    pub closed: bool,
}

impl Queue {
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.lines.iter().flatten()
    }

    /// Appends a job to the line of its network. A new line goes to the end.
    pub fn push(&mut self, job: Job) {
        match self.lines.iter_mut().find(|line| line.front().is_some_and(|first| first.network == job.network)) {
            Some(line) => line.push_back(job),
            None => self.lines.push_back(VecDeque::from([job])),
        }
    }

    /// Takes the first job that may run, and moves its line to the end. Only one slow job runs at a time: others
    /// overtake waiting slow jobs, which keep their place.
    pub fn take(&mut self) -> Option<Job> {
        let runs = self.slow_runs;
        let may_run = |line: &VecDeque<Job>| line.iter().position(|job| !(job.slow && runs));
        let (turn, at) = self.lines.iter().enumerate().find_map(|(turn, line)| Some((turn, may_run(line)?)))?;
        let mut line = self.lines.remove(turn)?;
        let job = line.remove(at)?;
        if !line.is_empty() {
            self.lines.push_back(line);
        }
        self.slow_runs |= job.slow;
        Some(job)
    }

    /// Removes a job whose caller no longer waits.
    pub fn forget(&mut self, id: u64) {
        self.lines.iter_mut().for_each(|line| line.retain(|job| job.id != id));
        self.lines.retain(|line| !line.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gives_one_place_up_still_holds_the_others() {
        let places = Arc::new(Places::new(12));
        let mut held: Vec<_> = (0..3).map_while(|_| places.take(None)).collect();
        assert_eq!(held.len(), 3);
        assert!(places.take(None).is_none());

        held.pop();

        assert_eq!(places.taken(), 2);
        assert!(places.take(None).is_some_and(|_again| places.take(None).is_none()));
        held.clear();
        assert!(places.counts().taken.is_empty());
    }
}
