//! Who may register.

use crate::domain::Registration;
use clap::{Args, ValueEnum};

/// Who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RegistrationMode {
    /// Everybody
    Open,
    /// People who have an invitation
    Invite,
    /// Nobody; administrators create the accounts
    Closed,
}

impl From<RegistrationMode> for Registration {
    fn from(mode: RegistrationMode) -> Self {
        match mode {
            RegistrationMode::Open => Self::Open,
            RegistrationMode::Invite => Self::Invite,
            RegistrationMode::Closed => Self::Closed,
        }
    }
}

/// Who may register.
#[derive(Debug, Clone, Copy, Args)]
pub struct RegistrationSettings {
    /// Who may register. Administrators can always create accounts, over HTTP and on the command line
    #[arg(long, env = "USHER_REGISTRATION", value_enum, value_name = "MODE", default_value_t = RegistrationMode::Open)]
    pub registration: RegistrationMode,
}
