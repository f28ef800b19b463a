//! Password hashing: Argon2id (RFC 9106) on a few threads of its own.
//!
//! Each hash costs tens of milliseconds and megabytes, so how many run at a time and how many wait is bounded. A
//! `Place` is asked for first, before anything about an account is known; without one the answer is "overloaded". Each
//! thread keeps its memory between hashes, and gives it back when nobody has needed it for a while.

use crate::domain::{Error, Password, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use password_hash::phc;
use rand::{TryRng, rngs::SysRng};
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// What a new hash costs. The defaults are OWASP's (Password Storage Cheat Sheet, Argon2id).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// In KiB.
    pub memory: u32,
    pub iterations: u32,
    /// Lanes. They are computed one after the other.
    pub parallelism: u32,
}

impl Cost {
    /// The most that a stored hash, or a setting, may ask for: what is verified is paid for by everyone who waits.
    pub const MOST: Cost = Cost { memory: 65_536, iterations: 10, parallelism: 4 };
    pub const DEFAULT: Cost = Cost { memory: 19_456, iterations: 2, parallelism: 1 };

    fn params(self) -> Option<Params> {
        let most = Self::MOST;
        let bounded =
            self.memory <= most.memory && self.iterations <= most.iterations && self.parallelism <= most.parallelism;
        bounded.then(|| Params::new(self.memory, self.iterations, self.parallelism, Some(OUTPUT)).ok()).flatten()
    }

    /// Whether Argon2 can do this: at least 8 KiB a lane, one pass, one lane, and no more than `MOST`.
    pub fn is_possible(self) -> bool {
        self.params().is_some()
    }
}

/// Bytes of a hash and of its salt (RFC 9106, section 4).
const OUTPUT: usize = 32;
const SALT: usize = 16;

/// How long a thread keeps its memory while there is nothing to hash.
const MEMORY_KEPT: Duration = Duration::from_secs(30);
/// What is asked of the allocator at least. glibc maps what is larger than 32 MiB for itself and unmaps it when it is
/// freed; what is smaller it may keep for good. Memory that is not written to costs nothing.
const MAPPED_BLOCKS: usize = 33 * 1024 * 1024 / Block::SIZE;

/// Threads that hash, and the places to wait for them.
pub struct HashPool {
    shared: Arc<Shared>,
    places: Arc<Semaphore>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    kept: Duration,
    cost: Cost,
    /// A hash at the current cost that no password has: its output was drawn, not computed.
    nobody: PasswordHash,
    queue: Mutex<Queue>,
    changed: Condvar,
    hashes: AtomicU64,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    last_id: u64,
    closed: bool,
}

/// The permit belongs to the job: a caller who leaves frees his place only if his job is still in the queue.
struct Job {
    id: u64,
    work: Box<dyn FnOnce(&mut Hasher) + Send>,
    _place: OwnedSemaphorePermit,
}

impl HashPool {
    /// Starts `threads` threads; up to `waiting` more hashes may wait for one. The cost must be possible.
    pub fn start(cost: Cost, threads: usize, waiting: usize) -> std::io::Result<Self> {
        Self::start_keeping(MEMORY_KEPT, cost, threads, waiting)
    }

    /// The same, with another time after which a thread that has nothing to do gives its memory back.
    pub fn start_keeping(kept: Duration, cost: Cost, threads: usize, waiting: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            kept,
            cost,
            nobody: nobody(cost),
            queue: Mutex::default(),
            changed: Condvar::new(),
            hashes: AtomicU64::new(0),
        });
        let start = |n: usize| {
            let shared = shared.clone();
            std::thread::Builder::new().name(format!("usher-hash-{n}")).spawn(move || shared.run())
        };
        let handles = (0..threads).map(start).collect::<Result<_, _>>()?;
        Ok(Self { places: Arc::new(Semaphore::new(threads + waiting)), shared, threads: handles })
    }

    /// Takes a place in the queue, or fails at once with `Overloaded`.
    pub fn admit(&self) -> Result<Place, Error> {
        let permit = self.places.clone().try_acquire_owned().map_err(|_| Error::Overloaded)?;
        Ok(Place { shared: self.shared.clone(), permit })
    }

    /// How many hashes have been computed since the start.
    pub fn hashes(&self) -> u64 {
        self.shared.hashes.load(Ordering::Relaxed)
    }

    /// Whether a hash was made at another cost than a new one would be.
    pub fn is_outdated(&self, hash: &PasswordHash) -> bool {
        Stored::parse(hash).is_none_or(|stored| stored.cost != self.shared.cost)
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
    permit: OwnedSemaphorePermit,
}

impl Place {
    /// Hashes a new password with a fresh salt.
    pub async fn hash(self, password: Password) -> Result<PasswordHash, Error> {
        let cost = self.shared.cost;
        self.run(move |hasher| hasher.hash(&password, cost)).await?
    }

    /// Whether the password is the one that was hashed. A stored hash that can't be verified (foreign, damaged, or
    /// dearer than `Cost::MOST`) costs what any other does and is nobody's: `Ok(false)`, and a line in the log.
    pub async fn verify(self, password: Password, hash: PasswordHash) -> Result<bool, Error> {
        let nobody = self.shared.nobody.clone();
        self.run(move |hasher| {
            hasher.verify(&password, &hash).unwrap_or_else(|| {
                tracing::error!("a stored password hash can't be verified; set a new password for the account");
                hasher.verify(&password, &nobody); // for what it costs
                false
            })
        })
        .await
    }

    /// Costs what verifying costs, for someone who has no account.
    pub async fn verify_nobody(self, password: Password) -> Result<(), Error> {
        let nobody = self.shared.nobody.clone();
        self.verify(password, nobody).await.map(drop)
    }

    async fn run<T: Send + 'static>(self, work: impl FnOnce(&mut Hasher) -> T + Send + 'static) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let work = Box::new(move |hasher: &mut Hasher| drop(answer.send(work(hasher))));
        let _leaving = Waiting { id: self.shared.enqueue(work, self.permit), shared: self.shared };
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
        self.shared.lock().jobs.retain(|job| job.id != self.id);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, work: Box<dyn FnOnce(&mut Hasher) + Send>, place: OwnedSemaphorePermit) -> u64 {
        let mut queue = self.lock();
        queue.last_id += 1;
        let id = queue.last_id;
        queue.jobs.push_back(Job { id, work, _place: place });
        self.changed.notify_one();
        id
    }

    fn run(&self) {
        let mut hasher = Hasher { memory: Vec::new(), hashes: &self.hashes };
        while let Some(job) = self.next(&mut hasher) {
            // A panic loses one answer, not the thread.
            let _ = catch_unwind(AssertUnwindSafe(|| (job.work)(&mut hasher)));
        }
    }

    /// Waits for a job. `None` when the pool is closed, which also ends jobs that still wait.
    fn next(&self, hasher: &mut Hasher) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            let (again, waited) = self.changed.wait_timeout(queue, self.kept).unwrap_or_else(PoisonError::into_inner);
            queue = again;
            if waited.timed_out() {
                hasher.memory = Vec::new();
            }
        }
    }
}

/// What one thread hashes with.
struct Hasher<'p> {
    memory: Vec<Block>,
    hashes: &'p AtomicU64,
}

impl Hasher<'_> {
    fn hash(&mut self, password: &Password, cost: Cost) -> Result<PasswordHash, Error> {
        let failed = || Error::Internal("a password could not be hashed".into());
        let mut salt = [0u8; SALT];
        SysRng.try_fill_bytes(&mut salt).map_err(|_| failed())?;
        let params = cost.params().ok_or_else(failed)?;
        let output = self.compute(password, &salt, &params).ok_or_else(failed)?;
        Stored { cost, salt: salt.to_vec(), output: output.to_vec() }.to_phc().ok_or_else(failed)
    }

    /// `None` where the stored hash can't be verified.
    fn verify(&mut self, password: &Password, hash: &PasswordHash) -> Option<bool> {
        let stored = Stored::parse(hash)?;
        let output = self.compute(password, &stored.salt, &stored.cost.params()?)?;
        // Compared in constant time by the type.
        Some(phc::Output::new(&output).ok()? == phc::Output::new(&stored.output).ok()?)
    }

    fn compute(&mut self, password: &Password, salt: &[u8], params: &Params) -> Option<[u8; OUTPUT]> {
        let blocks = params.block_count();
        if self.memory.capacity() < blocks {
            self.memory = Vec::with_capacity(blocks.max(MAPPED_BLOCKS));
        }
        if self.memory.len() < blocks {
            self.memory.resize(blocks, Block::default());
        }
        self.hashes.fetch_add(1, Ordering::Relaxed);
        let mut output = [0u8; OUTPUT];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
            .hash_password_into_with_memory(password.as_str().as_bytes(), salt, &mut output, &mut self.memory[..blocks])
            .ok()?;
        Some(output)
    }
}

/// A PHC string of Argon2id, taken apart.
struct Stored {
    cost: Cost,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Stored {
    /// `None` for another algorithm or version, for a cost beyond `Cost::MOST`, and for what is no PHC string.
    fn parse(hash: &PasswordHash) -> Option<Self> {
        let parsed = phc::PasswordHash::new(hash.as_str()).ok()?;
        let known = parsed.algorithm.as_str() == Algorithm::Argon2id.as_str() && parsed.version == Some(0x13);
        let param = |name: &str| parsed.params.get_decimal(name);
        let cost = Cost { memory: param("m")?, iterations: param("t")?, parallelism: param("p")? };
        let (salt, output) = (parsed.salt?, parsed.hash?);
        let usable = known && cost.is_possible() && output.as_bytes().len() == OUTPUT;
        usable.then(|| Self { cost, salt: salt.as_ref().to_vec(), output: output.as_bytes().to_vec() })
    }

    fn to_phc(&self) -> Option<PasswordHash> {
        let mut params = phc::ParamsString::new();
        let Cost { memory, iterations, parallelism } = self.cost;
        for (name, value) in [("m", memory), ("t", iterations), ("p", parallelism)] {
            params.add_decimal(name, value).ok()?;
        }
        let hash = phc::PasswordHash {
            algorithm: phc::Ident::new(Algorithm::Argon2id.as_str()).ok()?,
            version: Some(Version::V0x13.into()),
            params,
            salt: Some(phc::Salt::new(&self.salt).ok()?),
            hash: Some(phc::Output::new(&self.output).ok()?),
        };
        Some(PasswordHash::from_phc(hash.to_string()))
    }
}

/// To find a password for it would be to invert Argon2id.
fn nobody(cost: Cost) -> PasswordHash {
    let mut drawn = [0u8; SALT + OUTPUT];
    SysRng.try_fill_bytes(&mut drawn).expect("the operating system's random generator answers");
    let (salt, output) = drawn.split_at(SALT);
    let stored = Stored { cost, salt: salt.to_vec(), output: output.to_vec() };
    stored.to_phc().expect("salt, output and parameters have the lengths of the format")
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_executor::block_on;

    const CHEAP: Cost = Cost { memory: 64, iterations: 1, parallelism: 1 };

    fn password(text: &str) -> Password {
        Password::attempt(text).unwrap()
    }

    fn pool() -> HashPool {
        HashPool::start(CHEAP, 1, 4).unwrap()
    }

    #[test]
    fn a_hash_verifies_its_password_and_no_other() {
        let pool = pool();
        let hash = block_on(pool.admit().unwrap().hash(password("right"))).unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        assert_eq!(block_on(pool.admit().unwrap().verify(password("right"), hash.clone())), Ok(true));
        assert_eq!(block_on(pool.admit().unwrap().verify(password("wrong"), hash)), Ok(false));
        assert_eq!(pool.hashes(), 3);
    }

    #[test]
    fn a_hash_made_elsewhere_verifies() {
        // Made with the reference implementation, through Python's argon2-cffi.
        const HASH: &str =
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$iPOQ5f2O21FsjnBvo1AiFcDuSXciCnKUrXFO+yfgNoM";
        let (pool, hash) = (pool(), PasswordHash::from_phc(HASH.into()));
        let verified = pool.admit().unwrap().verify(password("correct horse battery"), hash.clone());
        assert_eq!(block_on(verified), Ok(true));
        assert!(pool.is_outdated(&hash), "it has another cost than this pool's");
    }

    #[test]
    fn what_cannot_be_verified_costs_one_hash_and_is_nobodys() {
        let pool = pool();
        let foreign = [
            "",
            "plain",
            "$2b$12$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzabcdefg",
            "$argon2id$v=19$m=1048576,t=2,p=1$c2FsdHNhbHRzYWx0$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI",
            "$argon2id$v=19$m=64,t=4000000000,p=1$c2FsdHNhbHRzYWx0$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI",
            "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI",
        ];
        for (n, hash) in foreign.into_iter().enumerate() {
            let verified = pool.admit().unwrap().verify(password("x"), PasswordHash::from_phc(hash.into()));
            assert_eq!(block_on(verified), Ok(false), "{hash}");
            assert_eq!(pool.hashes(), n as u64 + 1);
        }
        block_on(pool.admit().unwrap().verify_nobody(password("x"))).unwrap();
        assert_eq!(pool.hashes(), foreign.len() as u64 + 1);
    }

    #[test]
    fn places_are_bounded_and_a_caller_who_leaves_frees_his() {
        let pool = HashPool::start(CHEAP, 0, 2).unwrap();
        let first = pool.admit().unwrap().verify_nobody(password("x"));
        let second = pool.admit().unwrap();
        assert_eq!(pool.admit().err(), Some(Error::Overloaded));

        let mut first = Box::pin(first);
        let waker = std::task::Waker::noop();
        assert!(Future::poll(first.as_mut(), &mut std::task::Context::from_waker(waker)).is_pending());
        drop(first);

        assert!(pool.admit().is_ok());
        drop(second);
    }
}
