//! How long reset tokens and invitations can be used.

use super::values::{duration, typed};
use crate::app::Policy;
use clap::Args;
use std::time::Duration;

/// How long a reset token lasts.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Tokens")]
pub struct ResetSettings {
    /// How long a password reset token can be used
    #[arg(long, env = "USHER_RESET_LIFETIME", value_name = "DURATION", default_value = typed(Policy::DEFAULT_RESET_LIFETIME), value_parser = duration)]
    pub reset_lifetime: Duration,
}

/// How long an invitation lasts.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Tokens")]
pub struct InvitationSettings {
    /// How long an invitation can be used
    #[arg(long, env = "USHER_INVITATION_LIFETIME", value_name = "DURATION", default_value = typed(Policy::DEFAULT_INVITATION_LIFETIME), value_parser = duration)]
    pub invitation_lifetime: Duration,
}
