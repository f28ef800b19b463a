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
mod resets;
mod sessions;
mod sign_in;
mod stats;
mod throttle;
mod undeclared;

pub use accounts::{Accounts, ExpectedRevision, ImportLine, NewAccount, Transfer, UserList};
pub use audit::AuditLog;
pub use invitations::{Invitations, Invite, IssuedInvitation};
pub use maintenance::Maintenance;
pub use resets::{IssuedReset, Resets};
pub use sessions::{ListedSession, SessionScope, Sessions};
pub use sign_in::{SignIn, SignIns};
pub use stats::{HashStats, Rows, Stats, StoreStats, Waits};

use crate::{
    clock::Clock,
    domain::{AuditLimits, Caller, Error, PasswordPolicy, Registration, SessionLimits, Timestamp},
    hashing::HashPool,
    store::Store,
};
use access::Operation;
use core::Core;
use stats::Counted;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
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
const ADDRESS_RETENTION: Duration = Duration::from_hours(90 * 24);
/// How many of them it knows.
const MAX_ADDRESSES: u32 = 16;

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

/// The service, without a way in: HTTP and the command line are two. It is made of parts over one core.
pub struct App {
    pub accounts: Accounts,
    pub transfer: Transfer,
    pub sign_in: SignIns,
    pub sessions: Sessions,
    pub invitations: Invitations,
    pub resets: Resets,
    pub audit: AuditLog,
    pub maintenance: Maintenance,
    core: Arc<Core>,
    undeclared: Undeclared,
    started_at: Timestamp,
    counted: Counted,
}

impl App {
    pub fn new(store: Store, hashing: HashPool, clock: Clock, policy: Policy) -> Self {
        let started_at = clock.now();
        let core = Arc::new(Core::new(store, hashing, clock, policy));
        Self {
            accounts: Accounts { core: core.clone() },
            transfer: Transfer { core: core.clone() },
            sign_in: SignIns { core: core.clone() },
            sessions: Sessions { core: core.clone() },
            invitations: Invitations { core: core.clone() },
            resets: Resets { core: core.clone() },
            audit: AuditLog { core: core.clone() },
            maintenance: Maintenance::new(core.clone()),
            core,
            undeclared: Undeclared::default(),
            started_at,
            counted: Counted::default(),
        }
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
