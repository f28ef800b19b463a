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
mod keys;
mod limits;

use crate::{
    clock::Clock,
    domain::{ClientPrefix, Error, Timestamp, UserId, random_text},
};
use budgets::{BudgetState, Budgets};
pub(super) use keys::AccountKey;
use keys::{Key, keyed_hash};
pub(super) use limits::Limit;
use limits::{Charge, Rate};
use std::{
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

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

/// An attempt that has been charged. Unless its outcome gives it back, it stays so.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    charges: Vec<Charge>,
}

/// Whose account somebody tries to sign in to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub account: AccountKey,
    /// How often the account's group has been unlocked; each time its budgets begin again.
    pub unlocks: i64,
    /// Whether the caller's IP address has signed in to the account before.
    pub is_known_client: bool,
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
            budgets.resume(BudgetState { slot, key, full_at: steady + ahead });
        }
        budgets.observe_clock(ahead_of(as_of, steady));
    }

    /// The account that somebody means, by what was typed for its e-mail address.
    pub fn account(&self, email: &str) -> AccountKey {
        AccountKey::of(self.secret(), email)
    }

    /// Charges a sign-in. An IP address that has signed in to the account before is
    /// counted for itself alone. For callers whose IP address is unknown the account's budget is stricter than ten times
    /// a pair's or a network's would be, and stands for both.
    pub fn reserve_sign_in(&self, prefix: Option<ClientPrefix>, target: Target) -> Result<Attempt, Error> {
        let Target { account, unlocks, is_known_client } = target;
        let of_account = |limit: Limit, whose: &str| {
            self.charge(limit, limit.rate(), &[&unlocks.to_be_bytes(), &account.0, whose.as_bytes()])
        };
        let mut charges = self.by_address(Limit::Address, prefix);
        charges.truncate(if is_known_client { 1 } else { charges.len() });
        if let Some(prefix) = prefix {
            charges.push(of_account(Limit::Pair, &prefix.to_string()));
        }
        if !is_known_client {
            let network = prefix.map(|prefix| prefix.network().to_string());
            charges.extend(network.map(|network| of_account(Limit::NetworkAndAccount, &network)));
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
        prefix: Option<ClientPrefix>,
    ) -> Result<Attempt, Error> {
        let limit = Limit::Change;
        let mut charges = vec![self.charge(limit, limit.rate(), &[&owner.get().to_be_bytes()])];
        for (counts, limit) in [(renames, Limit::Registration), (sends_password, Limit::Address)] {
            charges.extend(Some(limit).filter(|_| counts).into_iter().flat_map(|limit| self.by_address(limit, prefix)));
        }
        self.reserve(charges)
    }

    /// Charges something that only the IP address is counted for.
    pub fn reserve_by_address(&self, limit: Limit, prefix: Option<ClientPrefix>) -> Result<Attempt, Error> {
        self.reserve(self.by_address(limit, prefix))
    }

    /// The prefix's own budget first, and then that of an IPv6 network. Callers whose IP address is unknown share one.
    fn by_address(&self, limit: Limit, prefix: Option<ClientPrefix>) -> Vec<Charge> {
        let rate = limit.rate();
        let charge = |rate, kind: &str, whose: &str| self.charge(limit, rate, &[kind.as_bytes(), whose.as_bytes()]);
        let Some(prefix) = prefix else { return vec![charge(rate.times(Rate::OF_UNKNOWN), "unknown", "")] };
        let network = Some(prefix.network()).filter(|network| network.is_ipv6());
        let of_network = network.map(|network| charge(rate.times(Rate::OF_NETWORK), "network", &network.to_string()));
        [charge(rate, "prefix", &prefix.to_string())].into_iter().chain(of_network).collect()
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
        self.refund_where(attempt, |_| true);
    }

    /// Gives back only what an attempt was charged for certain limits.
    pub fn refund_where(&self, attempt: &Attempt, which: impl Fn(Limit) -> bool) {
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
        let stored = |BudgetState { key, full_at, .. }| (key, now + Duration::from_millis(full_at - steady));
        let mut budgets = self.budgets();
        let clock_was_set = budgets.observe_clock(ahead_of(now, steady));
        let changed = budgets.take_changed(steady).into_iter();
        Changed { rows: changed.map(|(slot, state)| (slot, state.map(stored))).collect(), clock_was_set }
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

#[cfg(test)]
mod tests;
