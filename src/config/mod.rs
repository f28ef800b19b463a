//! Settings: each is a flag and an environment variable, documented where it is defined. Each section is one file, and
//! turns itself into its part of the policy. A setting that other commands must follow also goes into `stored.rs`. Every
//! setting has a row in `README.md`. There is no configuration file.

mod audit;
mod database;
mod hashing;
mod log;
mod pages;
mod passwords;
mod registration;
mod server;
mod sessions;
mod stored;
mod throttle;
mod tokens;
mod values;

pub use database::DatabaseSettings;
pub use hashing::CostSettings;
pub use log::LogFormat;
pub use pages::PublicUrlSettings;
pub use passwords::{PasswordSettings, read_blocklist};
pub use server::ServerSettings;
pub use sessions::LifetimeSettings;
pub use stored::POLICY;
pub use tokens::{InvitationSettings, ResetSettings};
pub use values::{duration, number, socket_address};

use crate::app::Policy;
use clap::Args;

/// Everything about `usher serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeSettings {
    #[command(flatten)]
    pub server: ServerSettings,

    #[command(flatten)]
    pub pages: pages::PageSettings,

    #[command(flatten)]
    pub registration: registration::RegistrationSettings,

    #[command(flatten)]
    pub throttle: throttle::ThrottleSettings,

    #[command(flatten)]
    pub log: log::LogSettings,

    #[command(flatten)]
    pub sessions: sessions::SessionSettings,

    #[command(flatten)]
    pub resets: ResetSettings,

    #[command(flatten)]
    pub invitations: InvitationSettings,

    #[command(flatten)]
    pub passwords: PasswordSettings,

    #[command(flatten)]
    pub audit: audit::AuditSettings,

    #[command(flatten)]
    pub hashing: hashing::HashingSettings,
}

impl ServeSettings {
    pub fn policy(&self) -> Result<Policy, Unusable> {
        Ok(Policy {
            passwords: self.passwords.policy()?,
            sessions: self.sessions.limits()?,
            audit: self.audit.limits(),
            registration: self.registration.registration.into(),
            reset_lifetime: self.resets.reset_lifetime,
            invitation_lifetime: self.invitations.invitation_lifetime,
            throttle: self.throttle.is_on(),
            reauthenticate_after: self.sessions.reauthenticate_after,
            public_url: self.pages.public_url.clone(),
            instance_name: self.pages.instance_name.clone(),
        })
    }
}

/// A setting that is well-formed but can't be used. The text names it and says what is expected.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

/// A setting that is found to be unusable outside its parser.
pub fn unusable(text: impl Into<String>) -> Unusable {
    Unusable(text.into())
}

/// `reset-lifetime` is also `USHER_RESET_LIFETIME`.
pub fn variable(name: &str) -> String {
    format!("USHER_{}", name.replace('-', "_").to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_flags_the_policy_is_the_default_one() {
        #[derive(clap::Parser)]
        struct Flags {
            #[command(flatten)]
            serve: ServeSettings,
        }
        let flags = <Flags as clap::Parser>::parse_from(["usher"]).serve;

        assert_eq!(format!("{:?}", flags.policy().unwrap()), format!("{:?}", Policy::default()));
        assert_eq!(flags.hashing.cost.cost().unwrap(), crate::hashing::Cost::DEFAULT);
    }
}
