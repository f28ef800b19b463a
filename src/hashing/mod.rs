//! Password hashing: Argon2id (RFC 9106) on a few threads of its own.
//!
//! Each hash costs tens of milliseconds and megabytes, so how many run at a time and how many wait is bounded. A
//! `Place` is asked for first, before anything about an account is known; without one the answer is "overloaded". Each
//! thread keeps its memory between hashes, and gives it back when nobody has needed it for a while.
//!
//! Hashes that another service left behind are verified here, too. Those that cost much more than ours, in whatever form,
//! are slow ones: they run one at a time, and others pass them in the queue.

mod argon;
mod foreign;
mod measures;
mod queue;

pub use measures::{HashMeasures, Waits};

use crate::domain::{Error, Password, PasswordHash, Site};
use argon::Memory;
use foreign::Foreign;
use measures::WaitCounts;
use password_hash::phc;
use queue::{Job, Permit, Places, Queue};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

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
    /// The most that a setting may ask for: everyone who waits pays for what is hashed.
    pub const MAX: Cost = Cost { memory: 65_536, iterations: 10, parallelism: 4 };
    /// The most that a stored hash may ask for, which leaves room for those of Django (100 MiB, 8 lanes). Beyond `MAX` it
    /// is a slow one.
    pub const MAX_STORED: Cost = Cost { memory: 131_072, iterations: 10, parallelism: 8 };
    pub const DEFAULT: Cost = Cost { memory: 19_456, iterations: 2, parallelism: 1 };

    fn is_within(self, most: Cost) -> bool {
        self.memory <= most.memory && self.iterations <= most.iterations && self.parallelism <= most.parallelism
    }

    /// Whether new hashes can cost this: at least 8 KiB a lane, one pass, one lane, and no more than `MAX`.
    pub fn is_possible(self) -> bool {
        self.is_within(Self::MAX) && self.params(argon::OUTPUT).is_some()
    }
}

/// What computes a stored hash, and whose form that has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheme {
    pub algorithm: &'static str,
    /// The library whose form this is; `None` for one that many share.
    pub maker: Option<&'static str>,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.algorithm)?;
        self.maker.map_or(Ok(()), |maker| write!(f, " ({maker})"))
    }
}

/// Why a stored hash can't be verified. The text goes after the name of the field; it repeats nothing of the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unverifiable {
    #[error("is not a hash in a known form")]
    Unknown,
    #[error("begins like a hash that is known here, and is cut off, damaged or of a variant that is not")]
    Damaged,
    #[error("asks for more than {0}")]
    TooExpensive(&'static str),
}

/// Finds out what a hash is, and whether it can be verified here at a cost that is allowed.
pub fn recognize(hash: &PasswordHash) -> Result<Scheme, Unverifiable> {
    Stored::parse(hash).map(|stored| stored.scheme())
}

/// Whether what another service stored says that the account has no password: nothing, or `!` and what follows it, as
/// Django writes. No form of a hash begins like that.
pub fn is_unusable(hash: &PasswordHash) -> bool {
    hash.as_str().is_empty() || hash.as_str().starts_with('!')
}

/// A stored hash that can be verified.
enum Stored {
    Argon2 { hash: argon::Stored, maker: Option<&'static str> },
    Foreign(Foreign),
}

impl Stored {
    fn parse(hash: &PasswordHash) -> Result<Self, Unverifiable> {
        let text = hash.as_str();
        // Django puts a name of its own before the PHC string.
        let (argon2, maker) =
            text.strip_prefix("argon2$argon2").map_or((text, None), |_| (&text["argon2".len()..], Some("Django")));
        if argon2.starts_with("$argon2") {
            return argon::Stored::parse(argon2).map(|hash| Self::Argon2 { hash, maker });
        }
        Foreign::parse(text).map(Self::Foreign)
    }

    fn scheme(&self) -> Scheme {
        match self {
            Self::Argon2 { hash, maker } => Scheme { maker: *maker, ..hash.scheme() },
            Self::Foreign(foreign) => foreign.scheme(),
        }
    }
}

/// Compares hashes in constant time. `None` where one has a length that no hash has.
fn same(one: &[u8], other: &[u8]) -> Option<bool> {
    Some(phc::Output::new(one).ok()? == phc::Output::new(other).ok()?)
}

/// How long a thread keeps its memory while there is nothing to hash.
const MEMORY_KEPT: Duration = Duration::from_secs(30);

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
    nobody: PasswordHash,
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
        Self::start_keeping(MEMORY_KEPT, cost, threads, waiting)
    }

    /// The same, with another time after which a thread that has nothing to do gives its memory back.
    pub fn start_keeping(kept: Duration, cost: Cost, threads: usize, waiting: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            kept,
            cost,
            slow_places: (waiting / 2).max(1),
            nobody: argon::nobody(cost),
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

    /// Takes a place in the queue for a caller from a site, or fails at once with `Overloaded`: all places are taken, or
    /// a quarter of them by this site. Callers whose IP address is unknown (`None`) are one site.
    pub fn admit(&self, site: Option<Site>) -> Result<Place, Error> {
        let permit = self.shared.places.take(site).ok_or(Error::Overloaded)?;
        Ok(Place { shared: self.shared.clone(), permit })
    }

    /// A hash that no password has, for an account that needs a new one. Verifying it costs what a new one does.
    pub fn unusable(&self) -> PasswordHash {
        argon::nobody(self.shared.cost)
    }

    /// How many hashes have been computed since the start.
    pub fn hashes(&self) -> u64 {
        self.shared.hashes.load(Ordering::Relaxed)
    }

    /// Whether a hash was computed in another way, or at another cost, than a new one would be.
    pub fn is_outdated(&self, hash: &PasswordHash) -> bool {
        match Stored::parse(hash) {
            Ok(Stored::Argon2 { hash, maker: None }) => !hash.is_as_new_at(self.shared.cost),
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
    pub async fn verify_nobody(self, password: Password, stand_in: Option<PasswordHash>) -> Result<(), Error> {
        let hash = stand_in.unwrap_or_else(|| self.shared.nobody.clone());
        self.find_out(password, hash).await.map(drop)
    }

    /// `None` where it can't be found out; that costs what it costs with a new hash.
    async fn find_out(self, password: Password, hash: PasswordHash) -> Result<Option<bool>, Error> {
        let stored = Stored::parse(&hash);
        let nobody = self.shared.nobody.clone();
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
            if let (None, Ok(Stored::Argon2 { hash, .. })) = (verified, Stored::parse(&nobody)) {
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
        let (site, permit) = (self.permit.site, self.permit);
        let work = Box::new(move |memory: &mut Memory| {
            let done = work(memory);
            drop(permit); // before the answer, so that its caller can have the next place
            drop(answer.send(done));
        });
        let id = self.shared.enqueue(site, slow, work)?;
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

    fn enqueue(&self, site: Option<Site>, slow: bool, work: Box<dyn FnOnce(&mut Memory) + Send>) -> Result<u64, Error> {
        let mut queue = self.lock();
        if slow && queue.jobs().filter(|job| job.slow).count() >= self.slow_places {
            self.places.note_refusal();
            return Err(Error::Overloaded);
        }
        queue.last_id += 1;
        let id = queue.last_id;
        queue.push(Job { id, site, slow, asked: Instant::now(), work });
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
                memory.give_back(); // before the next one: each may have needed much more than ours do
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
                self.waits.note(job.asked.elapsed());
                return Some(job);
            }
            let (again, waited) = self.changed.wait_timeout(queue, self.kept).unwrap_or_else(PoisonError::into_inner);
            queue = again;
            if waited.timed_out() {
                memory.give_back();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Client;
    use futures_executor::block_on;
    use proptest::prelude::*;

    const CHEAP: Cost = Cost { memory: 64, iterations: 1, parallelism: 1 };

    fn password(text: &str) -> Password {
        Password::attempt(text).unwrap()
    }

    fn pool() -> HashPool {
        HashPool::start(CHEAP, 1, 4).unwrap()
    }

    /// One of many sites.
    fn site(n: u8) -> Option<Site> {
        Client { ip: Some([203, 0, n, 7].into()) }.site()
    }

    #[test]
    fn a_hash_verifies_its_password_and_no_other() {
        let pool = pool();
        let hash = block_on(pool.admit(None).unwrap().hash(password("right"))).unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        assert_eq!(block_on(pool.admit(None).unwrap().verify(password("right"), hash.clone())), Ok(true));
        assert_eq!(block_on(pool.admit(None).unwrap().verify(password("wrong"), hash)), Ok(false));
        assert_eq!(pool.hashes(), 3);
    }

    #[test]
    fn a_hash_made_elsewhere_verifies() {
        // Made with the reference implementation, through Python's argon2-cffi.
        const HASH: &str =
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$iPOQ5f2O21FsjnBvo1AiFcDuSXciCnKUrXFO+yfgNoM";
        let (pool, hash) = (pool(), PasswordHash::from_text(HASH.into()));
        let verified = pool.admit(None).unwrap().verify(password("correct horse battery"), hash.clone());
        assert_eq!(block_on(verified), Ok(true));
        assert!(pool.is_outdated(&hash), "it has another cost than this pool's");
    }

    #[test]
    fn what_cannot_be_verified_costs_one_hash_and_is_nobodys() {
        let pool = pool();
        let unverifiable = [
            "",
            "plain",
            "$2b$15$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS",
            "pbkdf2_sha256$2000001$NaCl$yVfj5D9lQS7XNpD3IC3ZbXmUB+sn7sjZcCplg2ZbsJM=",
            "$argon2id$v=19$m=1048576,t=2,p=1$c2FsdHNhbHRzYWx0$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI",
            "$argon2id$v=19$m=64,t=4000000000,p=1$c2FsdHNhbHRzYWx0$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI",
            "$argon2id$v=20$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI",
            "$argon2id$v=19$m=64,t=1,p=1,data=c2VjcmV0$c2FsdHNhbHRzYWx0$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI",
        ];
        for (n, hash) in unverifiable.into_iter().enumerate() {
            let verified = pool.admit(None).unwrap().verify(password("x"), PasswordHash::from_text(hash.into()));
            assert_eq!(block_on(verified), Ok(false), "{hash}");
            assert_eq!(pool.hashes(), n as u64 + 1);
        }
        block_on(pool.admit(None).unwrap().verify_nobody(password("x"), None)).unwrap();
        assert_eq!(pool.hashes(), unverifiable.len() as u64 + 1);
    }

    #[test]
    fn argon2_in_other_kinds_verifies_and_is_outdated() {
        let (pool, cheap) = (pool(), "$argon2id$v=19$m=64,t=1,p=1$");
        let current = block_on(pool.admit(None).unwrap().hash(password("x"))).unwrap();
        assert!(current.as_str().starts_with(cheap) && !pool.is_outdated(&current));
        let hashes = [
            // Made with argon2-cffi, which uses the reference implementation.
            "$argon2d$v=19$m=256,t=1,p=4$ExEOtFpZf+gpBYc2U4YYpQ$YFFBhNVjqWIU3scnlCuHpPGu2+s",
            "$argon2i$v=16$m=64,t=1,p=1$TmFDbE5hQ2w$5dZKihvTJXmehi1VfwYKOdK27x+GsTiIS7k0tBYMwVQ",
            "$argon2i$m=64,t=1,p=1$TmFDbE5hQ2w$5dZKihvTJXmehi1VfwYKOdK27x+GsTiIS7k0tBYMwVQ",
        ];
        for hash in hashes.map(|hash| PasswordHash::from_text(hash.into())) {
            let verified = pool.admit(None).unwrap().verify(password("correct horse battery"), hash.clone());
            assert_eq!((block_on(verified), pool.is_outdated(&hash)), (Ok(true), true), "{}", hash.as_str());
        }
        let django = PasswordHash::from_text(format!("argon2{}", current.as_str()));
        assert!(pool.is_outdated(&django));
        assert_eq!(recognize(&django).unwrap().to_string(), "argon2id (Django)");
        assert_eq!(block_on(pool.admit(None).unwrap().verify(password("x"), django)), Ok(true));
    }

    /// A job that says when it begins, and ends when it is told to.
    struct Held {
        begun: std::sync::mpsc::Receiver<()>,
        end: std::sync::mpsc::Sender<()>,
        thread: JoinHandle<Result<(), Error>>,
    }

    impl Held {
        fn start(pool: &HashPool, slow: bool) -> Self {
            Self::start_from(None, pool, slow)
        }

        fn start_from(site: Option<Site>, pool: &HashPool, slow: bool) -> Self {
            let (begin, begun) = std::sync::mpsc::channel();
            let (end, ended) = std::sync::mpsc::channel::<()>();
            let place = pool.admit(site).unwrap();
            let work = move |_: &mut Memory| {
                begin.send(()).unwrap();
                let _ = ended.recv();
            };
            let thread = std::thread::spawn(move || block_on(place.run(slow, work)));
            Self { begun, end, thread }
        }

        fn end(self) {
            self.end.send(()).unwrap();
            self.thread.join().unwrap().unwrap();
        }
    }

    fn until(what: &str, true_at_last: impl Fn() -> bool) {
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while !true_at_last() {
            assert!(std::time::Instant::now() < deadline, "waited in vain: {what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn an_argon2_hash_that_costs_several_times_ours_is_a_slow_one() {
        let at = |memory, iterations| {
            let expensive = HashPool::start(Cost { memory, iterations, parallelism: 1 }, 1, 1).unwrap();
            let hash = block_on(expensive.admit(None).unwrap().hash(password("x"))).unwrap();
            argon::Stored::parse(hash.as_str())
                .unwrap_or_else(|_| panic!("it was computed here"))
                .is_far_more_expensive_than(CHEAP)
        };
        assert_eq!([at(64, 1), at(128, 2), at(64, 5), at(512, 1)], [false, false, true, true]);
    }

    #[test]
    fn a_stored_hash_may_cost_more_than_a_new_one_and_then_is_a_slow_one() {
        let stored = |cost: Cost| {
            let Cost { memory: m, iterations: t, parallelism: p } = cost;
            argon::Stored::parse(&format!("$argon2id$v=19$m={m},t={t},p={p}$c2FsdHNhbHRzYWx0$MTIzNDU2Nzg5MDEyMzQ1Ng"))
        };
        let (most, with) = (Cost::MAX, |memory, iterations, parallelism| Cost { memory, iterations, parallelism });
        assert!(most.is_possible() && stored(most).is_ok_and(|hash| !hash.is_far_more_expensive_than(most)));
        for beyond in [with(65_537, 1, 1), with(64, 1, 5), Cost::MAX_STORED] {
            assert!(!beyond.is_possible(), "{beyond:?}");
            assert!(stored(beyond).is_ok_and(|hash| hash.is_far_more_expensive_than(most)), "{beyond:?}");
        }
        for refused in [with(131_073, 1, 1), with(64, 11, 1), with(128, 1, 9)] {
            assert!(matches!(stored(refused), Err(Unverifiable::TooExpensive(_))), "{refused:?}");
        }
    }

    #[test]
    fn what_says_that_there_is_no_password_is_told_from_hashes_and_from_damage() {
        let hash = |text: &str| PasswordHash::from_text(text.into());
        assert!(["", "!", "!wzegncwwPin8NaCqTuWAtUlPYVaHwtkdVMxPOFT4"].iter().all(|text| is_unusable(&hash(text))));
        assert!([" ", "*", "plain", "$2b$!"].iter().all(|text| !is_unusable(&hash(text))));
        let pool = pool();
        let (one, other) = (pool.unusable(), pool.unusable());
        assert!(one != other && !pool.is_outdated(&one));
    }

    #[test]
    fn one_slow_hash_runs_at_a_time_and_others_pass_those_that_wait() {
        let pool = HashPool::start(CHEAP, 2, 14).unwrap();
        let first = Held::start(&pool, true);
        first.begun.recv().unwrap();
        let second = Held::start(&pool, true);
        until("the second one to wait", || pool.shared.lock().jobs().count() == 1);

        let hash = block_on(pool.admit(None).unwrap().hash(password("x"))).unwrap();
        assert_eq!(block_on(pool.admit(None).unwrap().verify(password("x"), hash)), Ok(true));
        assert!(second.begun.try_recv().is_err(), "it waits for the first one");

        first.end();
        second.begun.recv().unwrap();
        second.end();
        until("the next one may run", || !pool.shared.lock().slow_runs);
    }

    #[test]
    fn a_slow_hash_that_waited_is_taken_up_by_a_thread_that_sleeps() {
        let pool = HashPool::start(CHEAP, 2, 14).unwrap();
        let (first, ours) = (Held::start(&pool, true), Held::start(&pool, false));
        first.begun.recv().unwrap();
        ours.begun.recv().unwrap();
        let later = Held::start(&pool, false);
        until("ours to wait", || pool.shared.lock().jobs().count() == 1);
        let second = Held::start(&pool, true);
        until("the second one to wait", || pool.shared.lock().jobs().count() == 2);

        ours.end();
        later.begun.recv().unwrap();
        first.end();
        second.begun.recv().unwrap();
        second.end();
        later.end();
    }

    /// Asks for a hash, and leaves it in the queue of a pool that has no thread.
    fn queued<T>(asked: impl Future<Output = T>) -> std::pin::Pin<Box<impl Future<Output = T>>> {
        let mut asked = Box::pin(asked);
        let waker = std::task::Waker::noop();
        assert!(asked.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
        asked
    }

    #[test]
    fn slow_hashes_leave_places_for_others() {
        let pool = HashPool::start(CHEAP, 0, 4).unwrap();
        let bcrypt = "$2b$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS";
        let verify = |n| pool.admit(site(n)).unwrap().verify(password("x"), PasswordHash::from_text(bcrypt.into()));
        let _waiting = [queued(verify(1)), queued(verify(2))];

        assert_eq!(block_on(verify(3)), Err(Error::Overloaded));
        assert_eq!(pool.measures().refused, 1);
        assert!(pool.admit(site(3)).is_ok());
    }

    #[test]
    fn places_are_bounded_and_a_caller_who_leaves_frees_his() {
        let pool = HashPool::start(CHEAP, 0, 2).unwrap();
        let first = pool.admit(site(1)).unwrap().verify_nobody(password("x"), None);
        let second = pool.admit(site(2)).unwrap();
        assert_eq!(pool.admit(site(3)).err(), Some(Error::Overloaded));
        assert_eq!((pool.measures().places_taken, pool.measures().refused), (2, 1));

        let first = queued(first);
        assert_eq!(pool.measures().queued, 1);
        drop(first);
        assert_eq!((pool.measures().queued, pool.measures().places_taken), (0, 1));

        assert!(pool.admit(site(1)).is_ok());
        drop(second);
        assert_eq!((pool.measures().places_taken, pool.measures().places), (0, 2));
    }

    #[test]
    fn a_site_holds_a_quarter_of_the_places_at_most_and_one_at_least() {
        for (waiting, share) in [(1, 1), (7, 1), (8, 2), (128, 32)] {
            let pool = HashPool::start(CHEAP, 0, waiting).unwrap();
            let mut held: Vec<_> = (0..share).map(|_| pool.admit(site(1)).unwrap()).collect();
            assert_eq!(pool.admit(site(1)).err(), Some(Error::Overloaded), "{waiting}");
            assert_eq!(pool.measures().refused, 1);
            if waiting > 1 {
                held.push(pool.admit(site(2)).unwrap());
                held.push(pool.admit(None).unwrap());
            }
            held.remove(0);
            assert!(pool.admit(site(1)).is_ok(), "{waiting}");
        }
        assert!(HashPool::start(CHEAP, 0, 0).unwrap().admit(site(1)).is_err());
    }

    #[test]
    fn a_few_sites_that_take_all_they_may_leave_room_for_others() {
        let pool = HashPool::start(CHEAP, 0, 16).unwrap();
        let crowd: Vec<_> = (1..=5).flat_map(|n| (0..4).map(move |_| n)).map(|n| pool.admit(site(n))).collect();
        assert_eq!(crowd.iter().filter(|place| place.is_ok()).count(), 15, "14, and the first of the fifth");
        assert!(pool.admit(site(6)).is_ok(), "who has none gets one");
    }

    #[test]
    fn a_place_is_free_when_its_answer_is_there() {
        let pool = HashPool::start(CHEAP, 1, 0).unwrap();
        for _ in 0..200 {
            block_on(pool.admit(site(1)).expect("the one place").verify_nobody(password("x"), None)).unwrap();
        }
    }

    /// Lets jobs wait in this order (their site, a name, whether they are slow), and returns the order in which one
    /// thread takes them up.
    fn order_of(jobs: &[(u8, &'static str, bool)]) -> Vec<&'static str> {
        let pool = HashPool::start(CHEAP, 1, 39).unwrap();
        let busy = Held::start(&pool, false);
        busy.begun.recv().unwrap();
        let (began, order) = std::sync::mpsc::channel();
        let mut asking = Vec::new();
        for (n, name, slow) in jobs.iter().copied() {
            let (place, began) = (pool.admit(site(n)).unwrap(), began.clone());
            let work = move |_: &mut Memory| began.send(name).unwrap();
            asking.push(std::thread::spawn(move || block_on(place.run(slow, work))));
            until("it to wait", || pool.measures().queued == asking.len());
        }
        busy.end();
        for one in asking {
            one.join().unwrap().unwrap();
        }
        order.try_iter().collect()
    }

    #[test]
    fn sites_take_turns() {
        let many = [(1, "a1"), (1, "a2"), (1, "a3"), (1, "a4"), (2, "b1"), (3, "c1"), (2, "b2")];
        let order = order_of(&many.map(|(site, name)| (site, name, false)));
        assert_eq!(order, ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]);
    }

    #[test]
    fn slow_hashes_take_turns_too() {
        let many = [(1, "a1"), (1, "a2"), (2, "b1"), (3, "c1")];
        assert_eq!(order_of(&many.map(|(site, name)| (site, name, true))), ["a1", "b1", "c1", "a2"]);
    }

    #[test]
    fn a_site_whose_slow_hash_waits_for_another_keeps_its_turn() {
        // given: a slow hash that runs, and the queue of a second thread that is busy
        let pool = HashPool::start(CHEAP, 2, 38).unwrap();
        let (slow, busy) = (Held::start_from(site(9), &pool, true), Held::start_from(site(9), &pool, false));
        slow.begun.recv().unwrap();
        busy.begun.recv().unwrap();
        let waiting = |held: &[Held]| until("it to wait", || pool.measures().queued == held.len());
        let mut held = vec![Held::start_from(site(1), &pool, true)];
        waiting(&held);
        for n in [2, 3] {
            held.push(Held::start_from(site(n), &pool, false));
            waiting(&held);
        }

        // when
        busy.end();
        held[1].begun.recv().unwrap();
        slow.end();

        // then: the slow one is next, although it stood before one that was passed
        held[0].begun.recv().unwrap();
        assert!(held[2].begun.try_recv().is_err());
        held.into_iter().for_each(Held::end);
    }

    proptest! {
        #[test]
        fn no_text_makes_recognizing_panic(text in "(argon2)?\\$argon2(id|i|d)?(\\$v=[0-9]{2})?\\$(m=[0-9]{1,11},t=[0-9]{1,11},p=[0-9]{1,11}|[a-z=,0-9]{0,30})(\\$[A-Za-z0-9+/]{0,90}){0,3}|\\PC{0,99}") {
            if let Ok(Stored::Argon2 { hash, .. }) = Stored::parse(&PasswordHash::from_text(text)) {
                prop_assert!(hash.cost().is_within(Cost::MAX_STORED));
            }
        }
    }
}
