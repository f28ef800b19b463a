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

/// How long a thread keeps its memory while there is nothing to hash.
const MEMORY_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Threads that hash, and the places to wait for them.
pub struct HashPool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    kept: Duration,
    cost: Cost,
    /// Of the places in the queue, how many slow hashes may take: they wait for each other, and others must not.
    slow_places: usize,
    /// A hash at the current cost that no password has: its output was drawn, not computed.
    decoy: PasswordHash,
    places: Arc<Places>,
    queue: Mutex<Queue>,
    changed: Condvar,
    hashes: AtomicU64,
    slow_hashes: AtomicU64,
    waits: WaitCounts,
}

impl HashPool {
    /// Starts `threads` threads; up to `waiting` more hashes may wait for one. The cost must be possible.
    pub fn start(cost: Cost, threads: usize, waiting: usize) -> std::io::Result<Self> {
        Self::start_with_idle_timeout(MEMORY_IDLE_TIMEOUT, cost, threads, waiting)
    }

    /// The same, with another time after which a thread that has nothing to do gives its memory back.
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

    /// Takes a place in the queue for a caller from a network, or fails at once with `Overloaded`: all places are taken, or
    /// a quarter of them by this network. Callers whose IP address is unknown (`None`) are one network.
    pub fn admit(&self, network: Option<Network>) -> Result<Place, Error> {
        let permit = self.shared.places.take(network).ok_or(Error::Overloaded)?;
        Ok(Place { shared: self.shared.clone(), permit })
    }

    /// A hash that no password has, for an account that needs a new one. Verifying it costs what a new one does.
    pub fn unusable(&self) -> PasswordHash {
        argon::decoy(self.shared.cost)
    }

    /// How the pool is doing now.
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

    /// How many hashes have been computed since the start.
    pub fn hashes(&self) -> u64 {
        self.shared.hashes.load(Ordering::Relaxed)
    }

    /// Whether a hash was computed in another way, or at another cost, than a new one would be.
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

/// The right to have one hash computed.
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

    /// Whether the password is the one that was hashed. A stored hash that can't be verified (in an unknown form,
    /// damaged, or one that costs more than is allowed) costs what a new one does and is nobody's: `Ok(false)`, and a line
    /// in the log. Fails with `Overloaded` where too many slow hashes wait already.
    pub async fn verify(self, password: Password, hash: PasswordHash) -> Result<bool, Error> {
        let verified = self.find_out(password, hash).await?;
        Ok(verified.unwrap_or_else(|| {
            tracing::error!("a stored password hash can't be verified; set a new password for the account");
            false
        }))
    }

    /// Costs what verifying costs, for someone who has no account: another account's hash stands in where there is one.
    pub async fn verify_decoy(self, password: Password, decoy: Option<PasswordHash>) -> Result<(), Error> {
        let hash = decoy.unwrap_or_else(|| self.shared.decoy.clone());
        self.find_out(password, hash).await.map(drop)
    }

    /// `None` where it can't be found out; that costs what it costs with a new hash.
    async fn find_out(self, password: Password, hash: PasswordHash) -> Result<Option<bool>, Error> {
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
                memory.verify(&password, &hash); // for what it costs
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
            drop(permit); // before the answer, so that its caller can have the next place
            drop(answer.send(done));
        });
        let id = self.shared.enqueue(network, slow, work)?;
        let _leaving = Waiting { id, shared: self.shared };
        answered.await.map_err(|_| Error::Internal("a password hash was not computed".into()))
    }
}

/// Takes a job out of the queue when nobody waits for its answer any more.
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
            // A panic loses one answer, not the thread.
            let _ = catch_unwind(AssertUnwindSafe(|| (job.work)(&mut memory)));
            if job.slow {
                memory.release(); // before the next one: each may have needed much more than ours do
                self.lock().slow_runs = false;
                self.changed.notify_one(); // this thread may take another job than the one that waited for this
            }
        }
    }

    /// Waits for a job. `None` when the pool is closed, which also ends jobs that still wait.
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
