//! Hashing on threads: who waits for whom, and what is refused.

use super::*;
use crate::{
    domain::Client,
    hashing::{is_unusable, recognize},
};
use futures_executor::block_on;

const CHEAP: Cost = Cost { memory: 64, iterations: 1, parallelism: 1 };

fn password(text: &str) -> Password {
    Password::attempt(text).unwrap()
}

fn pool() -> HashPool {
    HashPool::start(CHEAP, 1, 4).unwrap()
}

/// One of many networks.
fn network(n: u8) -> Option<Network> {
    Client { ip: Some([203, 0, n, 7].into()) }.network()
}

#[test]
fn a_hash_verifies_its_password_and_no_other() {
    let pool = pool();
    let hash = block_on(pool.admit(None).unwrap().hash(password("right"))).unwrap();
    assert!(hash.as_str().starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
    assert_eq!(block_on(pool.admit(None).unwrap().verify(password("right"), hash.clone())), Ok(Some(true)));
    assert_eq!(block_on(pool.admit(None).unwrap().verify(password("wrong"), hash)), Ok(Some(false)));
    assert_eq!(pool.hashes(), 3);
}

#[test]
fn a_hash_made_elsewhere_verifies() {
    // Made with the reference implementation, through Python's argon2-cffi.
    const HASH: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$iPOQ5f2O21FsjnBvo1AiFcDuSXciCnKUrXFO+yfgNoM";
    let (pool, hash) = (pool(), PasswordHash::from_text(HASH.into()));
    let verified = pool.admit(None).unwrap().verify(password("correct horse battery"), hash.clone());
    assert_eq!(block_on(verified), Ok(Some(true)));
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
        assert_eq!(block_on(verified), Ok(None), "{hash}");
        assert_eq!(pool.hashes(), n as u64 + 1);
    }
    block_on(pool.admit(None).unwrap().verify_decoy(password("x"), None)).unwrap();
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
        assert_eq!((block_on(verified), pool.is_outdated(&hash)), (Ok(Some(true)), true), "{}", hash.as_str());
    }
    let django = PasswordHash::from_text(format!("argon2{}", current.as_str()));
    assert!(pool.is_outdated(&django));
    assert_eq!(recognize(&django).unwrap().to_string(), "argon2id (Django)");
    assert_eq!(block_on(pool.admit(None).unwrap().verify(password("x"), django)), Ok(Some(true)));
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

    fn start_from(network: Option<Network>, pool: &HashPool, slow: bool) -> Self {
        let (begin, begun) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let place = pool.admit(network).unwrap();
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
    assert_eq!(block_on(pool.admit(None).unwrap().verify(password("x"), hash)), Ok(Some(true)));
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
    let verify = |n| pool.admit(network(n)).unwrap().verify(password("x"), PasswordHash::from_text(bcrypt.into()));
    let _waiting = [queued(verify(1)), queued(verify(2))];

    assert_eq!(block_on(verify(3)), Err(Error::Overloaded));
    assert_eq!(pool.stats().refused, 1);
    assert!(pool.admit(network(3)).is_ok());
}

#[test]
fn places_are_bounded_and_a_caller_who_leaves_frees_his() {
    let pool = HashPool::start(CHEAP, 0, 2).unwrap();
    let first = pool.admit(network(1)).unwrap().verify_decoy(password("x"), None);
    let second = pool.admit(network(2)).unwrap();
    assert_eq!(pool.admit(network(3)).err(), Some(Error::Overloaded));
    assert_eq!((pool.stats().places_taken, pool.stats().refused), (2, 1));

    let first = queued(first);
    assert_eq!(pool.stats().queued, 1);
    drop(first);
    assert_eq!((pool.stats().queued, pool.stats().places_taken), (0, 1));

    assert!(pool.admit(network(1)).is_ok());
    drop(second);
    assert_eq!((pool.stats().places_taken, pool.stats().places), (0, 2));
}

#[test]
fn a_site_holds_a_quarter_of_the_places_at_most_and_one_at_least() {
    for (waiting, share) in [(1, 1), (7, 1), (8, 2), (128, 32)] {
        let pool = HashPool::start(CHEAP, 0, waiting).unwrap();
        let mut held: Vec<_> = (0..share).map(|_| pool.admit(network(1)).unwrap()).collect();
        assert_eq!(pool.admit(network(1)).err(), Some(Error::Overloaded), "{waiting}");
        assert_eq!(pool.stats().refused, 1);
        if waiting > 1 {
            held.push(pool.admit(network(2)).unwrap());
            held.push(pool.admit(None).unwrap());
        }
        held.remove(0);
        assert!(pool.admit(network(1)).is_ok(), "{waiting}");
    }
    assert!(HashPool::start(CHEAP, 0, 0).unwrap().admit(network(1)).is_err());
}

#[test]
fn a_few_sites_that_take_all_they_may_leave_room_for_others() {
    let pool = HashPool::start(CHEAP, 0, 16).unwrap();
    let crowd: Vec<_> = (1..=5).flat_map(|n| (0..4).map(move |_| n)).map(|n| pool.admit(network(n))).collect();
    assert_eq!(crowd.iter().filter(|place| place.is_ok()).count(), 15, "14, and the first of the fifth");
    assert!(pool.admit(network(6)).is_ok(), "who has none gets one");
}

#[test]
fn a_place_is_free_when_its_answer_is_there() {
    let pool = HashPool::start(CHEAP, 1, 0).unwrap();
    for _ in 0..200 {
        block_on(pool.admit(network(1)).expect("the one place").verify_decoy(password("x"), None)).unwrap();
    }
}

/// Lets jobs wait in this order (their network, a name, whether they are slow), and returns the order in which one
/// thread takes them up.
fn order_of(jobs: &[(u8, &'static str, bool)]) -> Vec<&'static str> {
    let pool = HashPool::start(CHEAP, 1, 39).unwrap();
    let busy = Held::start(&pool, false);
    busy.begun.recv().unwrap();
    let (began, order) = std::sync::mpsc::channel();
    let mut asking = Vec::new();
    for (n, name, slow) in jobs.iter().copied() {
        let (place, began) = (pool.admit(network(n)).unwrap(), began.clone());
        let work = move |_: &mut Memory| began.send(name).unwrap();
        asking.push(std::thread::spawn(move || block_on(place.run(slow, work))));
        until("it to wait", || pool.stats().queued == asking.len());
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
    let order = order_of(&many.map(|(network, name)| (network, name, false)));
    assert_eq!(order, ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]);
}

#[test]
fn slow_hashes_take_turns_too() {
    let many = [(1, "a1"), (1, "a2"), (2, "b1"), (3, "c1")];
    assert_eq!(order_of(&many.map(|(network, name)| (network, name, true))), ["a1", "b1", "c1", "a2"]);
}

#[test]
fn a_site_whose_slow_hash_waits_for_another_keeps_its_turn() {
    // given: a slow hash that runs, and the queue of a second thread that is busy
    let pool = HashPool::start(CHEAP, 2, 38).unwrap();
    let (slow, busy) = (Held::start_from(network(9), &pool, true), Held::start_from(network(9), &pool, false));
    slow.begun.recv().unwrap();
    busy.begun.recv().unwrap();
    let waiting = |held: &[Held]| until("it to wait", || pool.stats().queued == held.len());
    let mut held = vec![Held::start_from(network(1), &pool, true)];
    waiting(&held);
    for n in [2, 3] {
        held.push(Held::start_from(network(n), &pool, false));
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
