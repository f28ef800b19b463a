//! Against guessing: budgets of attempts, which fill up again with time.
//!
//! Each budget is one timestamp, the moment at which it will be full again (the generic cell rate algorithm, ITU-T I.371):
//! an attempt moves it by one interval, and is refused when that would put it further ahead than the budget is deep. An
//! attempt is charged before it is evaluated, to all its budgets under one lock, so that parallel ones can't slip past
//! each other; a success gives back what it was charged. Keys are keyed hashes, the tables have a fixed size, and a full
//! bucket forgets the budget that is closest to being full: a flood of addresses makes nobody's budget disappear who has
//! used up more of it.

mod budgets;

use crate::{
    clock::Clock,
    domain::{Error, Subscriber, Timestamp, UserId, random_text},
};
use budgets::{Budgets, Standing};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::{
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Which budget an attempt is charged to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// Failed sign-ins from one address.
    Address,
    /// Failed sign-ins from one address to one account.
    Pair,
    /// Failed sign-ins to one account, from addresses that never signed in to it.
    Account,
    /// Registrations from one address.
    Registration,
    /// Resets of passwords from one address.
    Reset,
    /// Changes that the owner of an account makes to it: each costs a commit, and a new password a hash.
    Change,
}

impl Limit {
    const ALL: [Limit; 6] =
        [Limit::Address, Limit::Pair, Limit::Account, Limit::Registration, Limit::Reset, Limit::Change];

    fn name(self) -> &'static str {
        match self {
            Limit::Address => "address",
            Limit::Pair => "address_and_account",
            Limit::Account => "account",
            Limit::Registration => "registration",
            Limit::Reset => "reset",
            Limit::Change => "change",
        }
    }

    /// How many attempts may come at once, and how long one takes to come back.
    fn rate(self) -> Rate {
        let rate = |burst, interval| Rate { burst, interval };
        match self {
            Limit::Address => rate(50, Duration::from_secs(20)),
            Limit::Pair => rate(10, Duration::from_mins(5)),
            // NIST SP 800-63B-4, 3.2.2, allows a hundred; as a slope, so that nobody can lock an owner out for ever.
            Limit::Account => rate(100, Duration::from_hours(1)),
            Limit::Registration | Limit::Reset | Limit::Change => rate(30, Duration::from_mins(2)),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Rate {
    burst: u32,
    interval: Duration,
}

impl Rate {
    /// A whole site (IPv6 /48) may do four times what one subscriber may.
    fn of_site(self) -> Self {
        Self { burst: self.burst * 4, interval: self.interval / 4 }
    }

    fn interval_millis(self) -> u64 {
        u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX)
    }

    /// How far ahead a budget may be used up.
    fn depth_millis(self) -> u64 {
        self.interval_millis() * u64::from(self.burst)
    }
}

/// What a budget is kept under: part of a keyed hash of whose it is.
pub(crate) type Key = [u8; 16];

/// An account's budget as it is stored: in which place, under which key, and when it will be full again.
pub(super) type Stored = (u32, Key, Timestamp);

/// One attempt's charge to one budget.
#[derive(Debug, Clone, Copy)]
struct Charge {
    limit: Limit,
    rate: Rate,
    key: Key,
}

/// An attempt that has been charged and not yet been evaluated.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    charges: Vec<Charge>,
    /// The account's budget, which a success fills also where it was not charged.
    account: Option<Charge>,
}

/// Whose account somebody tries to sign in to, whether or not there is one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    /// The address of the account, or what was typed for one.
    pub email: &'a str,
    /// Which of the account's passwords is guessed at; budgets begin anew with a new one.
    pub password_version: i64,
    /// Whether the caller's address has signed in to the account before.
    pub knows_caller: bool,
}

pub(super) struct Throttle {
    on: bool,
    clock: Clock,
    secret: OnceLock<Vec<u8>>,
    budgets: Mutex<Budgets>,
    refused: [AtomicU64; Limit::ALL.len()],
}

impl Throttle {
    pub fn new(on: bool, clock: Clock) -> Self {
        Self { on, clock, secret: OnceLock::new(), budgets: Mutex::default(), refused: Default::default() }
    }

    /// Takes up what an earlier run left: the key, and how far the accounts' budgets were used up. Times are held within
    /// what a budget can be, so that a clock that jumped locks nobody out for longer.
    pub fn resume(&self, secret: [u8; 32], accounts: Vec<Stored>) {
        let _ = self.secret.set(secret.to_vec());
        let (now, steady, depth) = (self.clock.now(), self.now(), Limit::Account.rate().depth_millis());
        let mut budgets = self.budgets();
        for (slot, key, full_again_at) in accounts {
            let ahead = u64::try_from(full_again_at.since(now).as_millis()).unwrap_or(u64::MAX).min(depth);
            budgets.resume(Standing { slot, key, full_at: steady + ahead });
        }
    }

    /// Charges a sign-in, or another proof of a password.
    pub fn reserve_sign_in(&self, subscriber: Option<Subscriber>, target: Target<'_>) -> Result<Attempt, Error> {
        let account = target.email.to_ascii_lowercase();
        let version = target.password_version.to_be_bytes();
        let mut charges = self.by_address(Limit::Address, subscriber);
        if let Some(subscriber) = subscriber {
            let pair = self.key(Limit::Pair, &[&version, subscriber.to_string().as_bytes(), account.as_bytes()]);
            charges.push(Charge { limit: Limit::Pair, rate: Limit::Pair.rate(), key: pair });
        }
        let key = self.key(Limit::Account, &[&version, account.as_bytes()]);
        let account = Charge { limit: Limit::Account, rate: Limit::Account.rate(), key };
        charges.extend(Some(account).filter(|_| !target.knows_caller));
        Ok(Attempt { account: Some(account), ..self.reserve(charges)? })
    }

    /// Charges what somebody does to his own account, wherever he is.
    pub fn reserve_change(&self, owner: UserId) -> Result<Attempt, Error> {
        let limit = Limit::Change;
        let key = self.key(limit, &[&owner.get().to_be_bytes()]);
        self.reserve(vec![Charge { limit, rate: limit.rate(), key }])
    }

    /// Charges something that only the address is counted for.
    pub fn reserve_by_address(&self, limit: Limit, subscriber: Option<Subscriber>) -> Result<Attempt, Error> {
        self.reserve(self.by_address(limit, subscriber))
    }

    fn by_address(&self, limit: Limit, subscriber: Option<Subscriber>) -> Vec<Charge> {
        let Some(subscriber) = subscriber else { return Vec::new() };
        let key = |part: &str, whose: String| self.key(limit, &[part.as_bytes(), whose.as_bytes()]);
        let mut charges = vec![Charge { limit, rate: limit.rate(), key: key("subscriber", subscriber.to_string()) }];
        let site = Some(subscriber.site()).filter(|site| site.is_ipv6()).map(|site| key("site", site.to_string()));
        charges.extend(site.map(|key| Charge { limit, rate: limit.rate().of_site(), key }));
        charges
    }

    fn reserve(&self, charges: Vec<Charge>) -> Result<Attempt, Error> {
        if !self.on {
            return Ok(Attempt::default());
        }
        let now = self.now();
        let mut budgets = self.budgets();
        let waits = charges.iter().map(|charge| (budgets.wait(charge, now), charge.limit));
        if let Some((wait, limit)) = waits.max_by_key(|(wait, _)| *wait).filter(|(wait, _)| *wait > 0) {
            drop(budgets);
            self.refused[limit as usize].fetch_add(1, Ordering::Relaxed);
            return Err(Error::TooManyAttempts(Duration::from_millis(wait)));
        }
        for charge in &charges {
            budgets.take(charge, now);
        }
        Ok(Attempt { charges, account: None })
    }

    /// Gives back what an attempt was charged that was not evaluated, or that is allowed as often as one likes.
    pub fn refund(&self, attempt: Attempt) {
        let (now, mut budgets) = (self.now(), self.budgets());
        for charge in &attempt.charges {
            budgets.give_back(charge, now);
        }
    }

    /// After the right password: the address gets its charge back, the account's budgets are full again.
    pub fn succeeded(&self, attempt: Attempt) {
        let (now, mut budgets) = (self.now(), self.budgets());
        for charge in attempt.charges.iter().chain(&attempt.account) {
            match charge.limit {
                Limit::Pair | Limit::Account => budgets.fill(charge),
                Limit::Address | Limit::Registration | Limit::Reset | Limit::Change => {
                    budgets.give_back(charge, now);
                }
            }
        }
    }

    /// What is to be stored of the accounts' budgets that have changed since the last call, by place: under which key,
    /// and when they will be full again. `None` where nothing is to stand there any more.
    pub fn changed_accounts(&self) -> Vec<(u32, Option<(Key, Timestamp)>)> {
        let (now, steady) = (self.clock.now(), self.now());
        let stored = |Standing { key, full_at, .. }| (key, now + Duration::from_millis(full_at - steady));
        let changed = self.budgets().take_changed(steady);
        changed.into_iter().map(|(slot, standing)| (slot, standing.map(stored))).collect()
    }

    /// Puts back what could not be stored.
    pub fn put_back(&self, accounts: &[(u32, Option<(Key, Timestamp)>)]) {
        self.budgets().put_back(accounts.iter().map(|(slot, _)| *slot));
    }

    /// How many attempts each limit has refused since the start.
    pub fn refused(&self) -> Vec<(&'static str, u64)> {
        Limit::ALL
            .into_iter()
            .map(|limit| (limit.name(), self.refused[limit as usize].load(Ordering::Relaxed)))
            .collect()
    }

    /// Milliseconds; never 0, which stands for an unused slot.
    fn now(&self) -> u64 {
        u64::try_from(self.clock.steady().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn budgets(&self) -> MutexGuard<'_, Budgets> {
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A keyed hash, so that what is stored tells nobody whose it is. Parts are preceded by their length.
    fn key(&self, limit: Limit, parts: &[&[u8]]) -> Key {
        let secret = self.secret.get_or_init(|| random_text(43).as_bytes().to_vec());
        let mut hash = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
        hash.update(limit.name().as_bytes());
        for part in parts {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut key = Key::default();
        key.copy_from_slice(&hash.finalize().into_bytes()[..size_of::<Key>()]);
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle() -> (Throttle, Clock) {
        let clock = Clock::set_to(Timestamp::from_millis(1_800_000_000_000));
        (Throttle::new(true, clock.clone()), clock)
    }

    #[allow(clippy::unnecessary_wraps, reason = "it is asked for as it is in a request")]
    fn subscriber(ip: &str) -> Option<Subscriber> {
        Some(Subscriber::of(ip.parse().unwrap()))
    }

    type Attempting<'t> = Box<dyn FnMut(u32) -> Result<Attempt, Error> + 't>;

    fn target(email: &str) -> Target<'_> {
        Target { email, password_version: 1, knows_caller: false }
    }

    /// How many attempts are let through at once, and how long the next one has to wait.
    fn exhaust(mut attempt: impl FnMut(u32) -> Result<Attempt, Error>) -> (u32, Duration) {
        for n in 0..10_000 {
            match attempt(n) {
                Ok(_) => {}
                Err(Error::TooManyAttempts(wait)) => return (n, wait),
                Err(other) => panic!("{other:?}"),
            }
        }
        panic!("there is no limit")
    }

    #[test]
    fn every_limit_has_its_burst_and_its_slope() {
        let name = |n: u32| format!("user{n}@example.com");
        let address = |n: u32| subscriber(&format!("10.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255));
        let one = subscriber("203.0.113.7");
        let (throttle, clock) = throttle();
        let table: Vec<(&str, u32, Duration, Attempting<'_>)> = vec![
            ("address", 50, Duration::from_secs(20), Box::new(|n| throttle.reserve_sign_in(one, target(&name(n))))),
            (
                "pair",
                10,
                Duration::from_mins(5),
                Box::new(|_| throttle.reserve_sign_in(subscriber("203.0.113.8"), target("a@b"))),
            ),
            (
                "account",
                100,
                Duration::from_hours(1),
                Box::new(|n| throttle.reserve_sign_in(address(n), target("owner@example.com"))),
            ),
            (
                "registration",
                30,
                Duration::from_mins(2),
                Box::new(|_| throttle.reserve_by_address(Limit::Registration, one)),
            ),
            ("reset", 30, Duration::from_mins(2), Box::new(|_| throttle.reserve_by_address(Limit::Reset, one))),
            ("change", 30, Duration::from_mins(2), Box::new(|_| throttle.reserve_change(UserId::new(7).unwrap()))),
        ];
        for (name, burst, interval, mut attempt) in table {
            assert_eq!(exhaust(&mut attempt), (burst, interval), "{name}");
            clock.advance(interval - Duration::from_millis(1));
            assert!(attempt(20_000).is_err(), "{name}: a moment too early");
            clock.advance(Duration::from_millis(1));
            assert!(attempt(20_001).is_ok(), "{name}: after what it said");
            assert!(attempt(20_002).is_err(), "{name}: one, and no more");
        }
    }

    #[test]
    fn a_site_has_four_times_the_budget_of_a_subscriber() {
        let (throttle, _) = throttle();
        let name = |n: u32| format!("user{n}@example.com");
        let in_site = |n: u32| subscriber(&format!("2001:db8:1:{n:x}::1"));
        assert_eq!(exhaust(|n| throttle.reserve_sign_in(in_site(1), target(&name(n)))).0, 50, "one /64");
        let (rest, wait) = exhaust(|n| throttle.reserve_sign_in(in_site(n + 2), target(&name(n))));
        assert_eq!((rest, wait), (150, Duration::from_secs(5)), "the whole /48");
        assert!(throttle.reserve_sign_in(subscriber("2001:db8:2:1::1"), target("x@y")).is_ok(), "another site");
    }

    #[test]
    fn a_known_address_answers_to_its_own_counters_only() {
        let (throttle, _) = throttle();
        let strangers = |n: u32| subscriber(&format!("10.0.{}.{}", n >> 8, n & 255));
        exhaust(|n| throttle.reserve_sign_in(strangers(n), target("owner@example.com")));
        let known = Target { knows_caller: true, ..target("owner@example.com") };
        let attempt = throttle.reserve_sign_in(subscriber("203.0.113.7"), known).unwrap();
        throttle.succeeded(attempt);
        assert_eq!(exhaust(|_| throttle.reserve_sign_in(subscriber("203.0.113.7"), known)).0, 10);
        let stranger = throttle.reserve_sign_in(strangers(500), target("owner@example.com"));
        assert!(stranger.is_ok(), "the owner's sign-in has cleared what was counted for the account");
    }

    #[test]
    fn a_success_clears_the_account_and_gives_the_address_its_attempt_back() {
        let (throttle, _) = throttle();
        let one = subscriber("203.0.113.7");
        for _ in 0..9 {
            throttle.reserve_sign_in(one, target("a@b")).unwrap();
        }
        let tenth = throttle.reserve_sign_in(one, target("A@B")).unwrap();
        assert!(throttle.reserve_sign_in(one, target("a@B")).is_err(), "the same account in any case");
        throttle.succeeded(tenth);
        assert_eq!(exhaust(|_| throttle.reserve_sign_in(one, target("a@b"))).0, 10);
        let name = |n: u32| format!("user{n}@example.com");
        assert_eq!(exhaust(|n| throttle.reserve_sign_in(one, target(&name(n)))).0, 50 - 9 - 10);
    }

    #[test]
    fn what_was_not_evaluated_is_given_back_and_a_new_password_begins_anew() {
        let (throttle, _) = throttle();
        let one = subscriber("203.0.113.7");
        for _ in 0..1_000 {
            let attempt = throttle.reserve_sign_in(one, target("a@b")).unwrap();
            throttle.refund(attempt);
        }
        exhaust(|_| throttle.reserve_sign_in(one, target("a@b")));
        let changed = Target { password_version: 2, ..target("a@b") };
        assert!(throttle.reserve_sign_in(one, changed).is_ok());
    }

    #[test]
    fn an_unknown_address_is_counted_for_the_account_alone() {
        let (throttle, _) = throttle();
        assert_eq!(exhaust(|_| throttle.reserve_sign_in(None, target("a@b"))).0, 100);
        assert!(throttle.reserve_sign_in(None, target("c@d")).is_ok());
        assert!(throttle.reserve_by_address(Limit::Registration, None).unwrap().charges.is_empty());
    }

    #[test]
    fn it_can_be_turned_off() {
        let throttle = Throttle::new(false, Clock::System);
        assert!((0..1_000).all(|_| throttle.reserve_sign_in(subscriber("203.0.113.7"), target("a@b")).is_ok()));
    }

    #[test]
    fn accounts_outlive_a_restart_and_nothing_else_does() {
        let (throttle, clock) = throttle();
        let one = subscriber("203.0.113.7");
        let strangers = |n: u32| subscriber(&format!("10.0.{}.{}", n >> 8, n & 255));
        throttle.resume([7; 32], vec![]);
        exhaust(|n| throttle.reserve_sign_in(strangers(n), target("owner@example.com")));
        exhaust(|_| throttle.reserve_by_address(Limit::Reset, one));
        let changed = throttle.changed_accounts().into_iter();
        let stored: Vec<Stored> = changed.filter_map(|(slot, row)| row.map(|(key, at)| (slot, key, at))).collect();
        assert_eq!(stored.len(), 1);
        assert!(throttle.changed_accounts().is_empty());

        clock.advance(Duration::from_mins(30));
        let again = Throttle::new(true, clock.clone());
        again.resume([7; 32], stored.clone());
        let (more, wait) = exhaust(|_| again.reserve_sign_in(one, target("owner@example.com")));
        assert_eq!((more, wait), (0, Duration::from_mins(30)));
        assert!(again.reserve_by_address(Limit::Reset, one).is_ok());

        clock.set(Timestamp::from_millis(0));
        let jumped = Throttle::new(true, clock);
        jumped.resume([7; 32], stored);
        let (_, wait) = exhaust(|_| jumped.reserve_sign_in(one, target("owner@example.com")));
        assert_eq!(wait, Duration::from_hours(1), "a clock that was set back locks nobody out for longer");
    }
}
