//! The use cases, and every rule about who may do what.
//!
//! Each use case checks permissions and computes hashes before it writes. Then it opens one transaction, in which it reads
//! again what its decision rests on: an account may be disabled while a hash is computed.

mod access;
mod accounts;
mod app_tokens;
mod apps;
mod audit;
mod core;
mod entry;
mod groups;
mod health;
mod invitations;
mod maintenance;
mod resets;
mod sessions;
mod setup;
mod sign_in;
mod stats;
mod throttle;
mod undeclared;

pub use accounts::{
    AccountCounts, Accounts, ExpectedRevision, ImportLine, ImportReport, ImportTurn, NewAccount, Transfer, UserList,
};
pub use app_tokens::{AppTokens, IssuedAppToken, WantedAppToken};
pub use apps::Apps;
pub use audit::{Activity, AuditExport, AuditLog};
pub use entry::{Admission, Entry, Redeemed, Shown};
pub use groups::Groups;
pub use health::{Finding, Health, Verdict, hash_fault, of_pages};
pub use invitations::{Invitations, Invite, IssuedInvitation};
pub use maintenance::Maintenance;
pub use resets::{IssuedReset, Resets};
pub use sessions::{ListedSession, SessionScope, Sessions};
pub use setup::{Setup, SetupLink};
pub use sign_in::{BrowserSignIn, BrowserVisit, SignIn, SignIns};
pub use stats::{HashStats, Rows, SessionCounts, Stats, StoreStats, Waits};

use crate::{
    clock::Clock,
    domain::{AuditLimits, Caller, Error, Origin, PasswordPolicy, Registration, SessionLimits, Timestamp},
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
    /// How long a reset token can be used.
    pub reset_lifetime: Duration,
    /// How long an invitation can be used, unless its creator sets another time.
    pub invitation_lifetime: Duration,
    /// Whether guessing is slowed down.
    pub throttle: bool,
    /// How recent a sign-in must be to change the caller's own password or e-mail address. Zero turns the check off.
    pub reauthenticate_after: Duration,
    /// Where browsers reach the server. Without it there are no pages.
    pub public_url: Option<Origin>,
    /// What the installation is called on its pages.
    pub instance_name: String,
}

/// How long an account remembers an IP address that its owner signed in from.
const ADDRESS_RETENTION: Duration = Duration::from_hours(90 * 24);
/// How many of these IP addresses an account remembers.
const MAX_ADDRESSES: u32 = 16;

/// How long codes for entering apps stay after their end, so that one that is shown again is noticed.
const ENTRY_CODE_RETENTION: Duration = Duration::from_hours(1);

impl Policy {
    pub const DEFAULT_RESET_LIFETIME: Duration = Duration::from_hours(1);
    pub const DEFAULT_INVITATION_LIFETIME: Duration = Duration::from_hours(7 * 24);
    pub const DEFAULT_INSTANCE_NAME: &str = "usher";
    pub const DEFAULT_REAUTHENTICATE_AFTER: Duration = Duration::from_mins(15);

    /// Whether a host is that of the public URL. An app there would get that one's cookies.
    fn is_public_host(&self, host: &str) -> bool {
        self.public_url.as_ref().is_some_and(|url| url.host() == host)
    }
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
            public_url: None,
            instance_name: Self::DEFAULT_INSTANCE_NAME.to_owned(),
        }
    }
}

/// The service, independent of HTTP and the command line. It is made of parts that share one core.
pub struct App {
    pub accounts: Accounts,
    pub transfer: Transfer,
    pub sign_in: SignIns,
    pub sessions: Sessions,
    pub entry: Entry,
    pub apps: Apps,
    pub app_tokens: AppTokens,
    pub groups: Groups,
    pub invitations: Invitations,
    pub resets: Resets,
    pub setup: Setup,
    pub audit: AuditLog,
    pub health: Health,
    pub maintenance: Maintenance,
    core: Arc<Core>,
    undeclared: Undeclared,
    started_at: Timestamp,
    counted: Arc<Counted>,
}

impl App {
    pub fn new(store: Store, hashing: HashPool, clock: Clock, policy: Policy) -> Self {
        let started_at = clock.now();
        let core = Arc::new(Core::new(store, hashing, clock, policy));
        let counted = Arc::<Counted>::default();
        Self {
            accounts: Accounts { core: core.clone() },
            transfer: Transfer::new(core.clone()),
            sign_in: SignIns { core: core.clone() },
            sessions: Sessions { core: core.clone() },
            entry: Entry { core: core.clone() },
            apps: Apps { core: core.clone() },
            app_tokens: AppTokens { core: core.clone() },
            groups: Groups { core: core.clone() },
            invitations: Invitations { core: core.clone() },
            resets: Resets { core: core.clone() },
            setup: Setup { core: core.clone() },
            audit: AuditLog { core: core.clone(), counted: counted.clone() },
            health: Health { core: core.clone(), found: health::Found::default() },
            maintenance: Maintenance::new(core.clone()),
            core,
            undeclared: Undeclared::default(),
            started_at,
            counted,
        }
    }

    pub fn policy(&self) -> &Policy {
        &self.core.policy
    }

    pub fn now(&self) -> Timestamp {
        self.core.clock.now()
    }

    /// Stores the settings that commands follow while a server runs, and replaces those of an earlier start.
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

    /// Sets a deadline for all waits for other processes: the server is about to stop.
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
