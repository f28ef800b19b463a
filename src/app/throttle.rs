//! Against guessing: budgets of attempts, which fill up again with time.
//!
//! Each budget is one timestamp, the moment at which it will be full again (the generic cell rate algorithm, ITU-T I.371):
//! an attempt moves it by one interval, and is refused when that would put it further ahead than the budget is deep. An
//! attempt is charged before it is evaluated, to all its budgets under one lock, so that parallel ones can't slip past
//! each other; a success gives back what it was charged. Keys are keyed hashes, the tables have a fixed size, and a full
//! bucket forgets the budget that is closest to being full: a flood of IP addresses makes nobody's budget disappear who
//! has used up more of it.
//!
//! Nothing that an owner or an administrator does changes what strangers are answered, or it would tell them that there
//! is an account: budgets belong to e-mail addresses, and only time fills them. Unlocking is the exception.

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
    /// Failed sign-ins from one IP address.
    Address,
    /// Failed sign-ins from one IP address to one account.
    Pair,
    /// Failed sign-ins from one site to one account, so that a site alone can't use up the account's budget.
    SiteAndAccount,
    /// Failed sign-ins to one account, from IP addresses that never signed in to it.
    Account,
    /// Registrations from one IP address.
    Registration,
    /// Resets of passwords from one IP address.
    Reset,
    /// Changes that the owner of an account makes to it: each costs a commit, and a new password a hash.
    Change,
}

impl Limit {
    const ALL: [Limit; 7] = [
        Limit::Address,
        Limit::Pair,
        Limit::SiteAndAccount,
        Limit::Account,
        Limit::Registration,
        Limit::Reset,
        Limit::Change,
    ];

    fn name(self) -> &'static str {
        match self {
            Limit::Address => "address",
            Limit::Pair => "address_and_account",
            Limit::SiteAndAccount => "site_and_account",
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
            Limit::SiteAndAccount => rate(25, Duration::from_hours(4)),
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
    /// What an IPv6 site may do, compared with one subscriber.
    const OF_SITE: u32 = 4;
    /// What all callers whose IP address is unknown may do together.
    const OF_UNKNOWN: u32 = 10;

    fn times(self, n: u32) -> Self {
        Self { burst: self.burst * n, interval: self.interval / n }
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

/// What is to be stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Changed {
    /// By place: under which key, and when the budget will be full again. `None` where nothing is to stand there any more.
    pub rows: Vec<(u32, Option<(Key, Timestamp)>)>,
    /// Whether the clock was set since the last time, so that what is known of it belongs into the same transaction.
    pub clock_was_set: bool,
}

/// One attempt's charge to one budget.
#[derive(Debug, Clone, Copy)]
struct Charge {
    limit: Limit,
    rate: Rate,
    key: Key,
}

/// An attempt that has been charged. Unless its outcome gives it back, it stays so.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    charges: Vec<Charge>,
}

/// The account that an e-mail address belongs to, whether or not there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AccountKey(Key);

impl AccountKey {
    /// Takes any text; what is typed for an e-mail address counts without regard to case.
    pub fn of(secret: &[u8], email: &str) -> Self {
        Self(keyed_hash(secret, "account", &[email.to_ascii_lowercase().as_bytes()]))
    }

    /// Which accounts are unlocked together with this one. So many groups are few rows, and nearly always one account's.
    pub fn unlock_group(self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }

    /// Where on the ring of accounts the one stands whose hash is verified if there is no such account: 31 bits that
    /// nobody outside can compute, and others than those of the group.
    pub fn place(self) -> u32 {
        u32::from_be_bytes([self.0[2], self.0[3], self.0[4], self.0[5]]) >> 1
    }
}

/// Whose account somebody tries to sign in to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub account: AccountKey,
    /// How often the account's group has been unlocked; each time its budgets begin again.
    pub unlocks: i64,
    /// Whether the caller's IP address has signed in to the account before.
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

    /// Takes up what an earlier run left: the key, and how far the accounts' budgets were used up, by a clock that showed
    /// `as_of` when this one shows what it does now. Times are held within what a budget can be, so that a clock that
    /// jumped locks nobody out for longer.
    pub fn resume(&self, secret: [u8; 32], accounts: Vec<Stored>, as_of: Timestamp) {
        let _ = self.secret.set(secret.to_vec());
        let (steady, depth) = (self.now(), Limit::Account.rate().depth_millis());
        let mut budgets = self.budgets();
        for (slot, key, full_again_at) in accounts {
            let ahead = u64::try_from(full_again_at.since(as_of).as_millis()).unwrap_or(u64::MAX).min(depth);
            budgets.resume(Standing { slot, key, full_at: steady + ahead });
        }
        budgets.note_clock(ahead_of(as_of, steady));
    }

    /// The account that somebody means, by what was typed for its e-mail address.
    pub fn account(&self, email: &str) -> AccountKey {
        AccountKey::of(self.secret(), email)
    }

    /// Charges a sign-in. An IP address that has signed in to the account before is
    /// counted for itself alone. For callers whose IP address is unknown the account's budget is stricter than ten times
    /// a pair's or a site's would be, and stands for both.
    pub fn reserve_sign_in(&self, subscriber: Option<Subscriber>, target: Target) -> Result<Attempt, Error> {
        let Target { account, unlocks, knows_caller } = target;
        let of_account = |limit: Limit, whose: &str| {
            self.charge(limit, limit.rate(), &[&unlocks.to_be_bytes(), &account.0, whose.as_bytes()])
        };
        let mut charges = self.by_address(Limit::Address, subscriber);
        charges.truncate(if knows_caller { 1 } else { charges.len() });
        if let Some(subscriber) = subscriber {
            charges.push(of_account(Limit::Pair, &subscriber.to_string()));
        }
        if !knows_caller {
            let site = subscriber.map(|subscriber| subscriber.site().to_string());
            charges.extend(site.map(|site| of_account(Limit::SiteAndAccount, &site)));
            charges.push(of_account(Limit::Account, ""));
        }
        self.reserve(charges)
    }

    /// Charges what somebody does to their own account, wherever they are. Those who rename themselves learn which names
    /// are taken, and are counted as registering, too.
    /// Those who send their password may be guessing with somebody else's session, and are counted as signing in, but by
    /// their IP address alone: strangers must not notice what an owner does.
    pub fn reserve_change(
        &self,
        owner: UserId,
        renames: bool,
        sends_password: bool,
        subscriber: Option<Subscriber>,
    ) -> Result<Attempt, Error> {
        let limit = Limit::Change;
        let mut charges = vec![self.charge(limit, limit.rate(), &[&owner.get().to_be_bytes()])];
        for (counts, limit) in [(renames, Limit::Registration), (sends_password, Limit::Address)] {
            charges.extend(
                Some(limit).filter(|_| counts).into_iter().flat_map(|limit| self.by_address(limit, subscriber)),
            );
        }
        self.reserve(charges)
    }

    /// Charges something that only the IP address is counted for.
    pub fn reserve_by_address(&self, limit: Limit, subscriber: Option<Subscriber>) -> Result<Attempt, Error> {
        self.reserve(self.by_address(limit, subscriber))
    }

    /// The subscriber's own budget first, and then that of an IPv6 site. Callers whose IP address is unknown share one.
    fn by_address(&self, limit: Limit, subscriber: Option<Subscriber>) -> Vec<Charge> {
        let rate = limit.rate();
        let charge = |rate, kind: &str, whose: &str| self.charge(limit, rate, &[kind.as_bytes(), whose.as_bytes()]);
        let Some(subscriber) = subscriber else { return vec![charge(rate.times(Rate::OF_UNKNOWN), "unknown", "")] };
        let site = Some(subscriber.site()).filter(|site| site.is_ipv6());
        let of_site = site.map(|site| charge(rate.times(Rate::OF_SITE), "site", &site.to_string()));
        [charge(rate, "subscriber", &subscriber.to_string())].into_iter().chain(of_site).collect()
    }

    fn charge(&self, limit: Limit, rate: Rate, whose: &[&[u8]]) -> Charge {
        Charge { limit, rate, key: keyed_hash(self.secret(), limit.name(), whose) }
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
        Ok(Attempt { charges })
    }

    /// Gives back what an attempt was charged that was not evaluated, or that is allowed as often as one likes.
    pub fn refund(&self, attempt: &Attempt) {
        self.refund_of(attempt, |_| true);
    }

    /// Gives back only what an attempt was charged for certain limits.
    pub fn refund_of(&self, attempt: &Attempt, which: impl Fn(Limit) -> bool) {
        let (now, mut budgets) = (self.now(), self.budgets());
        for charge in attempt.charges.iter().filter(|charge| which(charge.limit)) {
            budgets.give_back(charge, now);
        }
    }

    /// After the right password, once what it was given for is on disk: gives back what this attempt was charged, and
    /// clears what its own IP address has failed at this account. Nobody else notices.
    pub fn succeeded(&self, attempt: &Attempt) {
        let (now, mut budgets) = (self.now(), self.budgets());
        for charge in &attempt.charges {
            match charge.limit {
                Limit::Pair => budgets.fill(charge),
                _ => budgets.give_back(charge, now),
            }
        }
    }

    /// What is to be stored of the accounts' budgets that have changed since the last call. Once the clock was set all
    /// that are stored are stored again: their times are those of the clock.
    pub fn changed_accounts(&self) -> Changed {
        let (now, steady) = (self.clock.now(), self.now());
        let stored = |Standing { key, full_at, .. }| (key, now + Duration::from_millis(full_at - steady));
        let mut budgets = self.budgets();
        let clock_was_set = budgets.note_clock(ahead_of(now, steady));
        let changed = budgets.take_changed(steady).into_iter();
        Changed { rows: changed.map(|(slot, standing)| (slot, standing.map(stored))).collect(), clock_was_set }
    }

    /// Puts back what could not be stored.
    pub fn put_back(&self, changed: &Changed) {
        let rows = changed.rows.iter().map(|(slot, row)| (*slot, row.is_some()));
        self.budgets().put_back(rows, changed.clock_was_set);
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

    fn secret(&self) -> &[u8] {
        self.secret.get_or_init(|| random_text(43).as_bytes().to_vec())
    }
}

/// By how many milliseconds a clock is ahead of the steady time.
fn ahead_of(now: Timestamp, steady: u64) -> i64 {
    now.as_millis().saturating_sub_unsigned(steady)
}

/// A keyed hash, so that what is stored tells nobody whose it is. Parts are preceded by their length.
fn keyed_hash(secret: &[u8], kind: &str, parts: &[&[u8]]) -> Key {
    let mut hash = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    for part in [kind.as_bytes()].iter().chain(parts) {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut key = Key::default();
    key.copy_from_slice(&hash.finalize().into_bytes()[..size_of::<Key>()]);
    key
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

    /// An IP address of a site of its own.
    fn elsewhere(n: u32) -> Option<Subscriber> {
        subscriber(&format!("10.{}.{}.1", n >> 8 & 255, n & 255))
    }

    #[test]
    fn accounts_stand_all_over_a_ring_of_31_bits() {
        let places: Vec<u32> =
            (0..256).map(|n| AccountKey::of(b"secret", &format!("{n}@example.com")).place()).collect();
        let mut eighths = places.iter().map(|place| place >> 28).collect::<Vec<_>>();
        eighths.sort_unstable();
        eighths.dedup();
        assert_eq!(eighths, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert!(places.iter().any(|place| place % 2 == 1), "the last bit is one of the key's");
    }

    type Attempting<'t> = Box<dyn FnMut(u32) -> Result<Attempt, Error> + 't>;

    /// What nobody knows the secret of needs none that is drawn.
    fn target(email: &str) -> Target {
        Target { account: AccountKey::of(b"secret", email), unlocks: 0, knows_caller: false }
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
        let in_site = |n: u32| subscriber(&format!("198.51.100.{}", n / 5 % 256));
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
                "site and account",
                25,
                Duration::from_hours(4),
                Box::new(|n| throttle.reserve_sign_in(in_site(n), target("site@example.com"))),
            ),
            (
                "account",
                100,
                Duration::from_hours(1),
                Box::new(|n| throttle.reserve_sign_in(elsewhere(n), target("owner@example.com"))),
            ),
            (
                "registration",
                30,
                Duration::from_mins(2),
                Box::new(|_| throttle.reserve_by_address(Limit::Registration, one)),
            ),
            ("reset", 30, Duration::from_mins(2), Box::new(|_| throttle.reserve_by_address(Limit::Reset, one))),
            (
                "change",
                30,
                Duration::from_mins(2),
                Box::new(|_| throttle.reserve_change(UserId::new(7).unwrap(), false, false, one)),
            ),
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
    fn one_site_alone_does_not_use_up_the_budget_of_an_account() {
        for ip in [|n: u32| format!("2001:db8:1:{n:x}::1"), |n: u32| format!("203.0.113.{}", n % 256)] {
            let (throttle, clock) = throttle();
            let guess = |n: u32| throttle.reserve_sign_in(subscriber(&ip(n)), target("owner@example.com"));
            for _ in 0..40 {
                exhaust(guess);
                clock.advance(Duration::from_hours(4));
            }
            let others = exhaust(|n| throttle.reserve_sign_in(elsewhere(n), target("owner@example.com"))).0;
            assert!(others >= 75, "{others}");
        }
    }

    #[test]
    fn a_known_address_is_limited_by_its_own_counters_only() {
        let (throttle, _) = throttle();
        let site = |n: u32| subscriber(&format!("2001:db8:1:{n:x}::1"));
        exhaust(|n| throttle.reserve_sign_in(elsewhere(n), target("owner@example.com")));
        exhaust(|n| throttle.reserve_sign_in(site(n / 10), target(&format!("user{n}@example.com"))));

        let known = Target { knows_caller: true, ..target("owner@example.com") };
        let first = throttle.reserve_sign_in(site(0xffff), known).unwrap();
        throttle.succeeded(&first);

        assert_eq!(exhaust(|_| throttle.reserve_sign_in(site(0xffff), known)).0, 10);
        assert!(throttle.reserve_sign_in(site(0xfffe), target("x@y")).is_err(), "neighbours who are unknown");
        let stranger = throttle.reserve_sign_in(elsewhere(500), target("owner@example.com"));
        assert!(stranger.is_err(), "strangers notice nothing of the owner's sign-in");
    }

    #[test]
    fn a_success_gives_back_what_it_was_charged_and_clears_the_pair_alone() {
        let (throttle, _) = throttle();
        let one = subscriber("203.0.113.7");
        for _ in 0..9 {
            throttle.reserve_sign_in(one, target("a@b")).unwrap();
        }
        let tenth = throttle.reserve_sign_in(one, target("A@B")).unwrap();
        assert!(throttle.reserve_sign_in(one, target("a@B")).is_err(), "the same account in any case");
        throttle.succeeded(&tenth);
        assert_eq!(exhaust(|_| throttle.reserve_sign_in(one, target("a@b"))).0, 10, "the pair");
        let neighbour = |n: u32| subscriber(&format!("203.0.113.{}", 100 + n));
        assert_eq!(exhaust(|n| throttle.reserve_sign_in(neighbour(n), target("a@b"))).0, 25 - 19, "the site");
        assert_eq!(exhaust(|n| throttle.reserve_sign_in(elsewhere(n), target("a@b"))).0, 100 - 25, "the account");
        let name = |n: u32| format!("user{n}@example.com");
        assert_eq!(exhaust(|n| throttle.reserve_sign_in(one, target(&name(n)))).0, 50 - 19, "the address");
    }

    #[test]
    fn what_was_not_evaluated_is_given_back() {
        let (throttle, _) = throttle();
        let (one, own) = (subscriber("2001:db8::1"), UserId::new(7).unwrap());
        for _ in 0..1_000 {
            for attempt in [
                throttle.reserve_sign_in(one, target("a@b")),
                throttle.reserve_by_address(Limit::Reset, None),
                throttle.reserve_change(own, true, false, one),
            ] {
                throttle.refund(&attempt.unwrap());
            }
        }
        assert_eq!(exhaust(|_| throttle.reserve_sign_in(one, target("a@b"))).0, 10);
    }

    #[test]
    fn a_budget_that_refuses_leaves_the_others_as_they_are() {
        let (throttle, clock) = throttle();
        let (one, own) = (subscriber("203.0.113.7"), UserId::new(7).unwrap());
        exhaust(|_| throttle.reserve_by_address(Limit::Registration, one));
        for _ in 0..100 {
            let Err(Error::TooManyAttempts(wait)) = throttle.reserve_change(own, true, false, one) else { panic!() };
            assert_eq!(wait, Duration::from_mins(2));
        }
        assert_eq!(exhaust(|_| throttle.reserve_change(own, false, false, one)).0, 30);
        clock.advance(Duration::from_mins(2));
        let both = throttle.reserve_change(own, true, false, one).unwrap();
        throttle.refund_of(&both, |limit| limit == Limit::Registration);
        assert!(throttle.reserve_change(own, false, false, one).is_err());
        assert!(throttle.reserve_by_address(Limit::Registration, one).is_ok());
    }

    #[test]
    fn keys_depend_on_the_installations_secret() {
        let [one, other] = [[1; 32], [2; 32]].map(|secret| {
            let (throttle, _) = throttle();
            throttle.resume(secret, vec![], Timestamp::from_millis(0));
            throttle
        });
        let charge = |throttle: &Throttle| throttle.charge(Limit::Account, Limit::Account.rate(), &[b"a@b"]).key;
        assert_ne!(one.account("a@b"), other.account("a@b"));
        assert_ne!(charge(&one), charge(&other));
        assert_eq!(one.account("A@b"), AccountKey::of(&[1; 32], "a@B"));
    }

    #[test]
    fn accounts_are_spread_over_the_groups_that_are_unlocked_together() {
        let (throttle, _) = throttle();
        let groups = (0..200).map(|n| throttle.account(&format!("user{n}@example.com")).unlock_group());
        let distinct = groups.collect::<std::collections::HashSet<_>>();
        assert!(distinct.len() > 190 && distinct.iter().any(|group| *group > 255), "{distinct:?}");
    }

    #[test]
    fn unlocking_begins_the_accounts_budgets_again_and_no_others() {
        let (throttle, _) = throttle();
        let one = subscriber("203.0.113.7");
        exhaust(|_| throttle.reserve_sign_in(one, target("a@b")));
        exhaust(|n| throttle.reserve_sign_in(elsewhere(n), target("a@b")));
        let unlocked = Target { unlocks: 1, ..target("a@b") };
        assert_eq!(exhaust(|_| throttle.reserve_sign_in(one, unlocked)).0, 10);
        assert_eq!(exhaust(|n| throttle.reserve_sign_in(elsewhere(1_000 + n), unlocked)).0, 90);
        let name = |n: u32| format!("user{n}@example.com");
        assert_eq!(exhaust(|n| throttle.reserve_sign_in(one, target(&name(n)))).0, 50 - 20, "the address");
    }

    #[test]
    fn callers_whose_ip_address_is_unknown_share_ten_times_what_one_has() {
        let (throttle, clock) = throttle();
        assert_eq!(exhaust(|_| throttle.reserve_sign_in(None, target("a@b"))).0, 100, "the account's");
        let name = |n: u32| format!("user{n}@example.com");
        let sign_in = exhaust(|n| throttle.reserve_sign_in(None, target(&name(n))));
        assert_eq!(sign_in, (500 - 100, Duration::from_secs(2)));
        for limit in [Limit::Registration, Limit::Reset] {
            let found = exhaust(|_| throttle.reserve_by_address(limit, None));
            assert_eq!(found, (300, Duration::from_secs(12)), "{limit:?}");
        }
        assert!(throttle.reserve_sign_in(subscriber("203.0.113.7"), target("c@d")).is_ok(), "one that is known");
        clock.advance(Duration::from_secs(2));
        let attempt = throttle.reserve_sign_in(None, target("c@d")).unwrap();
        throttle.succeeded(&attempt);
        assert!(throttle.reserve_sign_in(None, target("c@d")).is_ok());
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
        throttle.resume([7; 32], vec![], clock.now());
        exhaust(|n| throttle.reserve_sign_in(elsewhere(n), target("owner@example.com")));
        exhaust(|_| throttle.reserve_by_address(Limit::Reset, one));
        let changed = throttle.changed_accounts();
        let rows = changed.rows.iter();
        let stored: Vec<Stored> = rows.filter_map(|(slot, row)| row.map(|(key, at)| (*slot, key, at))).collect();
        assert_eq!(stored.len(), 1);
        assert!(throttle.changed_accounts().rows.is_empty());
        throttle.put_back(&changed);
        assert_eq!(throttle.changed_accounts(), changed, "what could not be stored is stored the next time");

        clock.advance(Duration::from_mins(30));
        let again = Throttle::new(true, clock.clone());
        again.resume([7; 32], stored.clone(), clock.now());
        let (more, wait) = exhaust(|_| again.reserve_sign_in(one, target("owner@example.com")));
        assert_eq!((more, wait), (0, Duration::from_mins(30)));
        assert!(again.reserve_by_address(Limit::Reset, one).is_ok());

        clock.set(Timestamp::from_millis(0));
        let jumped = Throttle::new(true, clock.clone());
        jumped.resume([7; 32], stored, clock.now());
        let (_, wait) = exhaust(|_| jumped.reserve_sign_in(one, target("owner@example.com")));
        assert_eq!(wait, Duration::from_hours(1), "a clock that was set back locks nobody out for longer");
    }
}
