//! The use cases, and every rule about who may do what.
//!
//! Each one decides, asks for a hash before it touches the database, and then opens one transaction in which it reads
//! again whatever it decided on: hashing takes long enough for an account to be disabled meanwhile.

mod access;
mod accounts;
mod audit;
mod sessions;

pub use access::Operation;
pub use accounts::{ExpectedRevision, NewAccount, UserList};
pub use sessions::{Ending, ListedSession, SignIn};

use crate::{
    clock::Clock,
    domain::{Caller, Error, PasswordPolicy, SessionLimits},
    hashing::HashPool,
    store::Store,
};
use audit::Refusals;
use sessions::Uses;
use std::time::Duration;

/// What an operator decides.
#[derive(Debug, Clone)]
pub struct Policy {
    pub passwords: PasswordPolicy,
    pub sessions: SessionLimits,
    /// How fresh a sign-in must be to change one's own password or address. Zero: any session will do.
    pub reauthenticate_after: Duration,
}

/// The service, without a way in: HTTP and the command line are two.
pub struct App {
    store: Store,
    hashing: HashPool,
    clock: Clock,
    policy: Policy,
    uses: Uses,
    refusals: Refusals,
    /// Held while what was gathered is being written.
    flushing: tokio::sync::Mutex<()>,
}

impl App {
    /// How often what was gathered is written: uses of sessions, failed and refused attempts.
    const FLUSH_EVERY: Duration = Duration::from_millis(250);
    const SWEEP_EVERY: Duration = Duration::from_hours(1);

    pub fn new(store: Store, hashing: HashPool, clock: Clock, policy: Policy) -> Self {
        Self {
            store,
            hashing,
            clock,
            policy,
            uses: Uses::default(),
            refusals: Refusals::default(),
            flushing: tokio::sync::Mutex::default(),
        }
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
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

    /// Writes what was gathered and sweeps what has ended, for as long as it is polled.
    pub async fn keep_house(&self) {
        let mut sweep = tokio::time::interval(Self::SWEEP_EVERY);
        let mut flush = tokio::time::interval(Self::FLUSH_EVERY);
        let mut failing = false; // said once, not four times a second onto the same full disk
        loop {
            let result = tokio::select! {
                _ = sweep.tick() => self.sweep_sessions().await,
                _ = flush.tick() => self.flush().await,
            };
            match &result {
                Err(error) if !failing => {
                    tracing::warn!(%error, "what was gathered can't be written; it is kept, and tried again");
                }
                Ok(()) if failing => tracing::info!("what was gathered is written again"),
                _ => {}
            }
            failing = result.is_err();
        }
    }

    /// Writes what was gathered, in one transaction. What can't be written is kept for the next time. When this returns
    /// `Ok`, what another call had begun to write is on disk, too.
    pub async fn flush(&self) -> Result<(), Error> {
        let _only_one = self.flushing.lock().await;
        let (uses, events) = (self.uses.waiting(), self.refusals.take());
        if uses.is_empty() && events.is_empty() {
            return Ok(());
        }
        let (used, refused) = (uses.clone(), events.clone());
        let written = self
            .store
            .write(&Caller::shell(), move |writer| {
                used.iter().try_for_each(|(session, at)| writer.set_last_used(session, *at))?;
                for event in refused {
                    writer.record_event(event);
                }
                Ok(())
            })
            .await;
        match &written {
            Ok(()) => self.uses.settle(&uses),
            Err(_) => self.refusals.put_back(events),
        }
        written
    }
}
