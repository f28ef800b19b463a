//! How often each kind of attempt is allowed.

use super::keys::Key;
use std::time::Duration;

/// The limits. An attempt is charged to one or more of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::app) enum Limit {
    /// Failed sign-ins from one IP address.
    Address,
    /// Failed sign-ins from one IP address to one account.
    Pair,
    /// Failed sign-ins from one network to one account, so that a network alone can't use up the account's budget.
    NetworkAndAccount,
    /// Failed sign-ins to one account, from IP addresses that never signed in to it.
    Account,
    /// Failed sign-ins to one account in one browser in which somebody has signed in to it before.
    Browser,
    /// Codes with which one account enters apps: each costs a commit.
    Entry,
    /// Registrations from one IP address.
    Registration,
    /// Resets of passwords from one IP address.
    Reset,
    /// Changes that the owner of an account makes to it: each costs a commit, and a new password a hash.
    Change,
}

impl Limit {
    pub(super) const ALL: [Limit; 9] = [
        Limit::Address,
        Limit::Pair,
        Limit::NetworkAndAccount,
        Limit::Account,
        Limit::Browser,
        Limit::Entry,
        Limit::Registration,
        Limit::Reset,
        Limit::Change,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Limit::Address => "address",
            Limit::Pair => "address_and_account",
            Limit::NetworkAndAccount => "site_and_account",
            Limit::Account => "account",
            Limit::Browser => "browser_and_account",
            Limit::Entry => "entry",
            Limit::Registration => "registration",
            Limit::Reset => "reset",
            Limit::Change => "change",
        }
    }

    /// How many attempts are allowed at once, and how long one takes to be given back.
    pub(super) fn rate(self) -> Rate {
        let rate = |burst, interval| Rate { burst, interval };
        match self {
            Limit::Address => rate(50, Duration::from_secs(20)),
            Limit::Pair | Limit::Browser => rate(10, Duration::from_mins(5)),
            Limit::NetworkAndAccount => rate(25, Duration::from_hours(4)),
            // NIST SP 800-63B-4, 3.2.2, allows a hundred. Here they come back over time, so that nobody can lock an
            // owner out for ever.
            Limit::Account => rate(100, Duration::from_hours(1)),
            Limit::Entry => rate(60, Duration::from_secs(10)),
            Limit::Registration | Limit::Reset | Limit::Change => rate(30, Duration::from_mins(2)),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    pub burst: u32,
    pub interval: Duration,
}

impl Rate {
    /// How many times the budget of one client an IPv6 network has.
    pub(super) const OF_NETWORK: u32 = 4;
    /// How many times the budget of one client all callers with unknown IP addresses share.
    pub(super) const OF_UNKNOWN: u32 = 10;

    pub(super) fn times(self, n: u32) -> Self {
        Self { burst: self.burst * n, interval: self.interval / n }
    }

    pub(super) fn interval_millis(self) -> u64 {
        u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX)
    }

    /// How far ahead of now a used-up budget is full again.
    pub(super) fn depth_millis(self) -> u64 {
        self.interval_millis() * u64::from(self.burst)
    }
}

/// A charge of one attempt to one budget.
#[derive(Debug, Clone, Copy)]
pub(super) struct Charge {
    pub limit: Limit,
    pub rate: Rate,
    pub key: Key,
}
