//! The use cases, and every rule about who may do what.
//!
//! Each one decides, asks for a hash before it touches the database, and then opens one transaction in which it reads
//! again whatever it decided on: hashing takes long enough for an account to be disabled meanwhile.

mod access;
mod accounts;
mod audit;
mod core;
mod invitations;
mod maintenance;
mod measures;
mod resets;
mod sessions;
mod throttle;
mod transfer;
mod undeclared;
mod unlocking;

pub use accounts::{ExpectedRevision, NewAccount, UserList};
pub use invitations::{Invite, Invited};
pub use measures::{HashMeasures, Measures, Rows, StoreMeasures, Waits};
pub use resets::IssuedReset;
pub use sessions::{Ending, ListedSession, SignIn};
pub use transfer::ImportLine;

use crate::{
    clock::Clock,
    domain::{AuditLimits, Caller, Error, PasswordPolicy, Registration, SessionLimits, Timestamp},
    hashing::HashPool,
    store::Store,
};
use access::Operation;
use core::Core;
use maintenance::{Flushes, WatchedClock};
use measures::Counted;
use sessions::Uses;
use std::time::{Duration, Instant};
use undeclared::Undeclared;

/// What an operator decides.
#[derive(Debug, Clone)]
pub struct Policy {
    pub passwords: PasswordPolicy,
    pub sessions: SessionLimits,
    pub audit: AuditLimits,
    pub registration: Registration,
    /// How long a token to set a new password can be used.
    pub reset_lifetime: Duration,
    /// How long an invitation can be used, where nothing else is said.
    pub invitation_lifetime: Duration,
    /// Whether attempts to guess are slowed down.
    pub throttle: bool,
    /// How fresh a sign-in must be to change one's own password or address. Zero: any session will do.
    pub reauthenticate_after: Duration,
}

/// How long an account knows an address that somebody signed in from.
const ADDRESS_KEPT: Duration = Duration::from_hours(90 * 24);
/// How many of them it knows.
const ADDRESSES: u32 = 16;

impl Policy {
    pub const DEFAULT_RESET_LIFETIME: Duration = Duration::from_hours(1);
    pub const DEFAULT_INVITATION_LIFETIME: Duration = Duration::from_hours(7 * 24);
    pub const DEFAULT_REAUTHENTICATE_AFTER: Duration = Duration::from_mins(15);
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            passwords: PasswordPolicy::default(),
            sessions: SessionLimits::default(),
            audit: AuditLimits::default(),
            registration: Registration::default(),
            reset_lifetime: Self::DEFAULT_RESET_LIFETIME,
            invitation_lifetime: Self::DEFAULT_INVITATION_LIFETIME,
            throttle: true,
            reauthenticate_after: Self::DEFAULT_REAUTHENTICATE_AFTER,
        }
    }
}

/// The service, without a way in: HTTP and the command line are two.
pub struct App {
    core: Core,
    uses: Uses,
    flushes: Flushes,
    watched_clock: WatchedClock,
    undeclared: Undeclared,
    started_at: Timestamp,
    counted: Counted,
}

impl App {
    pub fn new(store: Store, hashing: HashPool, clock: Clock, policy: Policy) -> Self {
        Self {
            uses: Uses::default(),
            undeclared: Undeclared::default(),
            started_at: clock.now(),
            core: Core::new(store, hashing, clock, policy),
            flushes: Flushes::default(),
            watched_clock: WatchedClock::default(),
            counted: Counted::default(),
        }
    }

    /// Takes up what an earlier run of the server left. Belongs before the first request.
    pub async fn resume(&self) -> Result<(), Error> {
        let left = self
            .core
            .survey(|reader| Ok((reader.throttle_secret()?, reader.throttled_accounts()?, reader.clock_watch()?)));
        let (secret, accounts, clock) = left.await?;
        self.watch_clock(Some(clock));
        let (now, as_of) = (self.core.clock.now(), clock.resumes_at(self.core.clock.now()));
        self.core.throttle.resume(secret, accounts, as_of);
        if as_of != now {
            // So that the next start finds budgets and what is known of the clock by the same time.
            if let Err(error) = self.flush().await {
                tracing::warn!(%error, "the accounts' budgets could not be stored by this clock; it is tried again");
            }
        }
        Ok(())
    }

    pub fn policy(&self) -> &Policy {
        &self.core.policy
    }

    /// Stores the settings that commands beside the server follow, instead of those of an earlier start.
    pub async fn store_policy(&self, settings: Vec<(&'static str, String)>) -> Result<(), Error> {
        self.core
            .change(&Caller::shell(), Operation::SetPolicy, move |writer, _| {
                writer.forget_undeclared_proxy()?;
                writer.set_policy(&settings)
            })
            .await
    }

    /// Whether the database answers and is the one that was opened.
    pub async fn check(&self) -> Result<(), Error> {
        self.core.check().await
    }

    /// What is still to be written waits for other processes until then at most: the server is about to end.
    pub fn end_by(&self, end: Instant) {
        self.core.end_by(end);
    }

    pub async fn has_admin(&self) -> Result<bool, Error> {
        self.core.look_up(|reader| reader.has_enabled_admin()).await
    }

    /// How many password hashes have been computed since the start.
    pub fn hashes(&self) -> u64 {
        self.core.hashing.hashes()
    }
}
