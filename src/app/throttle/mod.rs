//! Against guessing: budgets of attempts, which fill up again with time.
//!
//! Each budget is one timestamp, the time when it will be full again (the generic cell rate algorithm, ITU-T I.371). An
//! attempt moves it by one interval. It is refused if that would move it further ahead than the budget is deep.
//!
//! An attempt is charged before it is evaluated, to all its budgets under one lock, so that parallel attempts can't exceed
//! a limit. A success gives back what it was charged. The tables have a fixed size, and a full bucket forgets the budget
//! that is closest to full. So a flood of IP addresses does not erase the budgets of those who guess.
//!
//! Nothing that an owner or an administrator does changes the answers to strangers, because that would reveal that the
//! account exists: budgets belong to e-mail addresses, and only time fills them. Unlocking is the exception.

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

/// A stored budget of an account: its slot, its key, and when it will be full again.
pub(super) type Stored = (u32, Key, Timestamp);

/// Budgets to store.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Changed {
    /// By slot: the key, and when the budget will be full again. `None`: delete the row.
    pub rows: Vec<(u32, Option<(Key, Timestamp)>)>,
    /// Whether the clock was set since the last call. Then its state must be stored in the same transaction.
    pub clock_was_set: bool,
}

/// An attempt that has been charged. It stays charged unless it is refunded.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    charges: Vec<Charge>,
}

/// The account of a sign-in attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub account: AccountKey,
    /// How often the account's group has been unlocked. Each time, its budgets start over.
    pub unlocks: i64,
    /// Whether somebody has signed in to the account from the caller's IP address before.
    pub is_known_client: bool,
    /// The lane of the browser, where somebody has signed in to the account in it before.
    pub browser_lane: Option<[u8; 16]>,
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

    /// Restores what an earlier run stored: the secret, and the budgets of accounts, whose times belong to a clock that
    /// showed `as_of` now. Times are limited to what a budget can hold, so that a clock that jumped locks nobody out
    /// for longer.
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

    /// The key of the account with this e-mail address.
    pub fn account(&self, email: &str) -> AccountKey {
        AccountKey::of(self.secret(), email)
    }

    /// Charges a sign-in. A client that has signed in to the account before is limited by its own budgets alone. So is a
    /// browser in which somebody has signed in to the account, by a budget beside those of its IP address.
    /// Callers whose IP address is unknown are charged to the account's budget, which is stricter than ten times that
    /// of a client or a network, and so replaces both.
    pub fn reserve_sign_in(&self, prefix: Option<ClientPrefix>, target: Target) -> Result<Attempt, Error> {
        let Target { account, unlocks, is_known_client, browser_lane } = target;
        let of_account =
            |limit: Limit, whose: &[u8]| self.charge(limit, limit.rate(), &[&unlocks.to_be_bytes(), &account.0, whose]);
        let mut charges = self.by_address(Limit::Address, prefix);
        charges.truncate(if is_known_client { 1 } else { charges.len() });
        if let Some(lane) = browser_lane {
            charges.push(self.charge(Limit::Browser, Limit::Browser.rate(), &[&lane]));
            return self.reserve(charges);
        }
        if let Some(prefix) = prefix {
            charges.push(of_account(Limit::Pair, prefix.to_string().as_bytes()));
        }
        if !is_known_client {
            let network = prefix.map(|prefix| prefix.network().to_string());
            charges.extend(network.map(|network| of_account(Limit::NetworkAndAccount, network.as_bytes())));
            charges.push(of_account(Limit::Account, b""));
        }
        self.reserve(charges)
    }

    /// Charges a change of the owner's account, wherever it comes from. A rename reveals which names are taken, so it
    /// is also charged as a registration. Sending a password may be guessing with a stolen session, so it is also
    /// charged as a sign-in, but only to the IP address: strangers must not notice what an owner does.
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

    /// Charges somebody who enters an app.
    pub fn reserve_entry(&self, owner: UserId) -> Result<Attempt, Error> {
        self.reserve(vec![self.charge(Limit::Entry, Limit::Entry.rate(), &[&owner.get().to_be_bytes()])])
    }

    /// Charges an attempt that is limited by client alone.
    pub fn reserve_by_address(&self, limit: Limit, prefix: Option<ClientPrefix>) -> Result<Attempt, Error> {
        self.reserve(self.by_address(limit, prefix))
    }

    /// The budget of the client, and of its network for IPv6. Callers whose IP address is unknown share one.
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

    /// Refunds an attempt that was not evaluated, or that is not limited after all.
    pub fn refund(&self, attempt: &Attempt) {
        self.refund_where(attempt, |_| true);
    }

    /// Refunds an attempt for certain limits only.
    pub fn refund_where(&self, attempt: &Attempt, which: impl Fn(Limit) -> bool) {
        let (now, mut budgets) = (self.now(), self.budgets());
        for charge in attempt.charges.iter().filter(|charge| which(charge.limit)) {
            budgets.give_back(charge, now);
        }
    }

    /// Settles a successful sign-in, once its session is stored: refunds the attempt, and clears the failures of this
    /// client at this account. Nobody else notices.
    pub fn succeeded(&self, attempt: &Attempt) {
        let (now, mut budgets) = (self.now(), self.budgets());
        for charge in &attempt.charges {
            match charge.limit {
                Limit::Pair | Limit::Browser => budgets.fill(charge),
                _ => budgets.give_back(charge, now),
            }
        }
    }

    /// Returns the budgets of accounts that have changed since the last call. After the clock was set, it returns all
    /// stored ones, because stored times are those of the clock.
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

    /// The number of attempts that each limit has refused since the start.
    pub fn refused(&self) -> Vec<(&'static str, u64)> {
        Limit::ALL
            .into_iter()
            .map(|limit| (limit.name(), self.refused[limit as usize].load(Ordering::Relaxed)))
            .collect()
    }

    /// The steady time in milliseconds; never 0, which marks an unused slot.
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

/// How many milliseconds a clock is ahead of the steady time.
fn ahead_of(now: Timestamp, steady: u64) -> i64 {
    now.as_millis().saturating_sub_unsigned(steady)
}

#[cfg(test)]
mod tests;
