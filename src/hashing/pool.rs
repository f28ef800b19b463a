//! The threads that hash, and the places to wait for them.

use super::{
    argon::{self, Memory},
    queue::{Job, Permit, Places, Queue},
    scheme::Cost,
    stats::{HashStats, WaitCounts},
    stored::Stored,
};
use crate::domain::{Error, Network, Password, PasswordHash};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// How long an idle thread keeps its memory.
const MEMORY_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Threads that hash, and the places to wait for them.
pub struct HashPool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    kept: Duration,
    cost: Cost,
    /// How many places slow hashes may take: they wait for each other, and others must not wait for them.
    slow_places: usize,
    /// A random hash at the current cost that matches no password.
    decoy: PasswordHash,
    places: Arc<Places>,
    queue: Mutex<Queue>,
    changed: Condvar,
    hashes: AtomicU64,
    slow_hashes: AtomicU64,
    waits: WaitCounts,
}

impl HashPool {
    /// Starts `threads` threads; up to `waiting` more hashes may wait for one. The cost must be valid.
    pub fn start(cost: Cost, threads: usize, waiting: usize) -> std::io::Result<Self> {
        Self::start_with_idle_timeout(MEMORY_IDLE_TIMEOUT, cost, threads, waiting)
    }

    /// The same, with another time after which idle threads free their memory.
    pub fn start_with_idle_timeout(
        kept: Duration,
        cost: Cost,
        threads: usize,
        waiting: usize,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            kept,
            cost,
            slow_places: (waiting / 2).max(1),
            decoy: argon::decoy(cost),
            places: Arc::new(Places::new(threads + waiting)),
            queue: Mutex::default(),
            changed: Condvar::new(),
            hashes: AtomicU64::new(0),
            slow_hashes: AtomicU64::new(0),
            waits: WaitCounts::default(),
        });
        let start = |n: usize| {
            let shared = shared.clone();
            std::thread::Builder::new().name(format!("usher-hash-{n}")).spawn(move || shared.run())
        };
        let handles = (0..threads).map(start).collect::<Result<_, _>>()?;
        Ok(Self { shared, threads: handles })
    }

    /// Takes a place in the queue for a caller from a network. Fails at once with `Overloaded` if all places are taken,
    /// or a quarter of them by this network. Callers with unknown IP addresses (`None`) count as one network.
    pub fn admit(&self, network: Option<Network>) -> Result<Place, Error> {
        let permit = self.shared.places.take(network).ok_or(Error::Overloaded)?;
        Ok(Place { shared: self.shared.clone(), permit })
    }

    /// A hash that no password matches, for an account without a password. Verifying it costs as much as a new one.
    pub fn unusable(&self) -> PasswordHash {
        argon::decoy(self.shared.cost)
    }

    /// The current statistics.
    pub fn stats(&self) -> HashStats {
        HashStats {
            computed: self.hashes(),
            slow: self.shared.slow_hashes.load(Ordering::Relaxed),
            refused: self.shared.places.refused(),
            queued: self.shared.lock().jobs().count(),
            places_taken: self.shared.places.taken(),
            places: self.shared.places.all,
            waits: self.shared.waits.read(),
        }
    }

    /// The number of hashes computed since the start.
    pub fn hashes(&self) -> u64 {
        self.shared.hashes.load(Ordering::Relaxed)
    }

    /// Whether a hash has another algorithm or cost than a new one would have.
    pub fn is_outdated(&self, hash: &PasswordHash) -> bool {
        match Stored::parse(hash) {
            Ok(Stored::Argon2 { hash, library: None }) => !hash.is_current_at(self.shared.cost),
            _ => true,
        }
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// A place in the queue: the right to compute one hash.
pub struct Place {
    shared: Arc<Shared>,
    permit: Permit,
}

impl Place {
    /// Hashes a new password with a fresh salt.
    pub async fn hash(self, password: Password) -> Result<PasswordHash, Error> {
        let cost = self.shared.cost;
        self.run(false, move |memory| memory.hash(&password, cost)).await?
    }

    /// Does the work of a verification for an account that does not exist, with another account's hash if there is one.
    pub async fn verify_decoy(self, password: Password, decoy: Option<PasswordHash>) -> Result<(), Error> {
        let hash = decoy.unwrap_or_else(|| self.shared.decoy.clone());
        self.verify(password, hash).await.map(drop)
    }

    /// Whether the password matches the hash. Returns `None` if the hash can't be verified (unknown, damaged or too
    /// expensive), after the same work as for a new hash. Fails with `Overloaded` if too many slow hashes are waiting.
    pub async fn verify(self, password: Password, hash: PasswordHash) -> Result<Option<bool>, Error> {
        let stored = Stored::parse(&hash);
        let decoy = self.shared.decoy.clone();
        let slow = match &stored {
            Ok(Stored::Foreign(_)) => true,
            Ok(Stored::Argon2 { hash, .. }) => hash.is_far_more_expensive_than(self.shared.cost),
            Err(_) => false,
        };
        self.run(slow, move |memory| {
            let verified = match &stored {
                Ok(Stored::Argon2 { hash, .. }) => memory.verify(&password, hash),
                Ok(Stored::Foreign(foreign)) => foreign.verify(&password),
                Err(_) => None,
            };
            if let (None, Ok(Stored::Argon2 { hash, .. })) = (verified, Stored::parse(&decoy)) {
                memory.verify(&password, &hash); // only for its cost
            }
            verified
        })
        .await
    }

    async fn run<T: Send + 'static>(
        self,
        slow: bool,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let (network, permit) = (self.permit.network, self.permit);
        let work = Box::new(move |memory: &mut Memory| {
            let done = work(memory);
            drop(permit); // before the answer, so that the caller can take the next place
            drop(answer.send(done));
        });
        let id = self.shared.enqueue(network, slow, work)?;
        let _leaving = Waiting { id, shared: self.shared };
        answered.await.map_err(|_| Error::Internal("a password hash was not computed".into()))
    }
}

/// Removes a job from the queue when its caller disconnects.
struct Waiting {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.shared.lock().forget(self.id);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(
        &self,
        network: Option<Network>,
        slow: bool,
        work: Box<dyn FnOnce(&mut Memory) + Send>,
    ) -> Result<u64, Error> {
        let mut queue = self.lock();
        if slow && queue.jobs().filter(|job| job.slow).count() >= self.slow_places {
            self.places.count_refusal();
            return Err(Error::Overloaded);
        }
        queue.last_id += 1;
        let id = queue.last_id;
        queue.push(Job { id, network, slow, asked: Instant::now(), work });
        self.changed.notify_one();
        Ok(id)
    }

    fn run(&self) {
        let mut memory = Memory::default();
        while let Some(job) = self.next(&mut memory) {
            self.hashes.fetch_add(1, Ordering::Relaxed);
            self.slow_hashes.fetch_add(job.slow.into(), Ordering::Relaxed);
            // A panic loses one answer, but not the thread.
            let _ = catch_unwind(AssertUnwindSafe(|| (job.work)(&mut memory)));
            if job.slow {
                memory.release(); // slow hashes may need much more memory than new ones
                self.lock().slow_runs = false;
                self.changed.notify_one(); // a waiting slow job can run now, perhaps on another thread
            }
        }
    }

    /// Waits for a job. Returns `None` when the pool is closed, which also drops waiting jobs.
    fn next(&self, memory: &mut Memory) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(job) = queue.take() {
                self.waits.record(job.asked.elapsed());
                return Some(job);
            }
            let (again, waited) = self.changed.wait_timeout(queue, self.kept).unwrap_or_else(PoisonError::into_inner);
            queue = again;
            if waited.timed_out() {
                memory.release();
            }
        }
    }
}

#[cfg(test)]
mod tests;
