//! The use cases, and every rule about who may do what.
//!
//! Each one decides, asks for a hash before it touches the database, and then opens one transaction in which it reads
//! again whatever it decided on: hashing takes long enough for an account to be disabled meanwhile.

mod access;
mod accounts;
mod audit;
mod invitations;
mod measures;
mod refusals;
mod resets;
mod sessions;
mod throttle;
mod transfer;

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
use measures::Counted;
use refusals::Refusals;
use sessions::Uses;
use std::time::Duration;
use throttle::Throttle;
use tokio::time::MissedTickBehavior;

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

impl Default for Policy {
    fn default() -> Self {
        Self {
            passwords: PasswordPolicy::default(),
            sessions: SessionLimits::default(),
            audit: AuditLimits::default(),
            registration: Registration::default(),
            reset_lifetime: Duration::from_hours(1),
            invitation_lifetime: Duration::from_hours(7 * 24),
            throttle: true,
            reauthenticate_after: Duration::from_mins(15),
        }
    }
}

/// The service, without a way in: HTTP and the command line are two.
pub struct App {
    store: Store,
    hashing: HashPool,
    clock: Clock,
    policy: Policy,
    uses: Uses,
    refusals: Refusals,
    throttle: Throttle,
    /// Held while what was gathered is being written.
    flushing: tokio::sync::Mutex<()>,
    started_at: Timestamp,
    counted: Counted,
}

impl App {
    /// How often what was gathered is written: uses of sessions, failed and refused attempts.
    const FLUSH_EVERY: Duration = Duration::from_millis(250);
    const SWEEP_EVERY: Duration = Duration::from_hours(1);

    pub fn new(store: Store, hashing: HashPool, clock: Clock, policy: Policy) -> Self {
        Self {
            uses: Uses::default(),
            refusals: Refusals::default(),
            throttle: Throttle::new(policy.throttle, clock.clone()),
            started_at: clock.now(),
            store,
            hashing,
            clock,
            policy,
            flushing: tokio::sync::Mutex::default(),
            counted: Counted::default(),
        }
    }

    /// Takes up what an earlier run of the server left. Belongs before the first request.
    pub async fn resume(&self) -> Result<(), Error> {
        let left = self.store.scan(|reader| Ok((reader.throttle_secret()?, reader.throttled_accounts()?)));
        let (secret, accounts) = left.await?;
        self.throttle.resume(secret, accounts);
        Ok(())
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Stores the settings that commands beside the server follow, instead of those of an earlier start.
    pub async fn store_policy(&self, settings: Vec<(&'static str, String)>) -> Result<(), Error> {
        self.store.write(&Caller::shell(), move |writer| writer.set_policy(&settings)).await
    }

    /// Whether the database answers and is the one that was opened.
    pub async fn check(&self) -> Result<(), Error> {
        self.store.check().await
    }

    pub async fn has_admin(&self) -> Result<bool, Error> {
        self.store.point(|reader| reader.has_enabled_admin()).await
    }

    /// How many password hashes have been computed since the start.
    pub fn hashes(&self) -> u64 {
        self.hashing.hashes()
    }

    /// Writes what was gathered and sweeps what has ended, for as long as it is polled. Sweeping may take long, and
    /// writing does not wait for it.
    pub async fn keep_house(&self) {
        let flush = regularly(Self::FLUSH_EVERY, "writing what was gathered", || self.flush_due());
        let sweep = regularly(Self::SWEEP_EVERY, "taking away what has ended", || self.sweep());
        tokio::join!(flush, sweep);
    }

    /// Deletes what has ended for good, and what is too old to be kept.
    pub async fn sweep(&self) -> Result<(), Error> {
        self.sweep_sessions().await?;
        let expired = self.clock.now() - SessionLimits::KEPT_AFTER_END;
        self.store
            .write(&Caller::shell(), move |writer| {
                writer.sweep_tokens(expired)?;
                writer.sweep_throttle()
            })
            .await?;
        self.prune_audit().await?;
        self.log_audit_head().await
    }

    /// Writes everything that was gathered, in one transaction. What can't be written is kept for the next time. When
    /// this returns `Ok`, what another call had begun to write is on disk, too.
    pub async fn flush(&self) -> Result<(), Error> {
        self.write_gathered(None).await
    }

    /// The same, but attempts that are counted by the minute wait until it is over.
    async fn flush_due(&self) -> Result<(), Error> {
        self.write_gathered(Some(self.clock.now())).await
    }

    async fn write_gathered(&self, now: Option<Timestamp>) -> Result<(), Error> {
        let _only_one = self.flushing.lock().await;
        let (uses, refused, budgets) = (self.uses.waiting(), self.refusals.take(now), self.throttle.changed_accounts());
        if uses.is_empty() && refused.is_empty() && budgets.is_empty() {
            return Ok(());
        }
        let (used, events, used_up) = (uses.clone(), refused.events(), budgets.clone());
        let written = self
            .store
            .write(&Caller::shell(), move |writer| {
                used.iter().try_for_each(|(session, at)| writer.set_last_used(session, *at))?;
                used_up.iter().try_for_each(|(slot, row)| writer.set_throttled_account(*slot, *row))?;
                for event in events {
                    writer.record_event(event);
                }
                Ok(())
            })
            .await;
        if written.is_ok() {
            self.uses.settle(&uses);
        } else {
            self.refusals.put_back(refused);
            self.throttle.put_back(&budgets);
        }
        written
    }
}

/// Does something again and again. That it fails is said once, not four times a second onto the same full disk.
async fn regularly<F: Future<Output = Result<(), Error>>>(every: Duration, what: &str, work: impl Fn() -> F) {
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tick.tick().await;
        let result = work().await;
        match &result {
            Err(error) if !failing => tracing::warn!(%error, "{what} failed; nothing is lost, and it is tried again"),
            Ok(()) if failing => tracing::info!("{what} works again"),
            _ => {}
        }
        failing = result.is_err();
    }
}
