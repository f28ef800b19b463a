//! How long sessions last, and how many an account may have.

use super::{
    Unusable, unusable,
    values::{duration, duration_or_zero, number, typed},
};
use crate::{app::Policy, domain::SessionLimits};
use clap::Args;
use std::time::Duration;

/// How long sessions last.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sessions")]
pub struct LifetimeSettings {
    /// A session ends if it is not used for this long. Not longer than --session-lifetime
    #[arg(long, env = "USHER_SESSION_IDLE_TIMEOUT", value_name = "DURATION", default_value = typed(SessionLimits::DEFAULT.idle_timeout), value_parser = duration)]
    pub session_idle_timeout: Duration,

    /// A session ends this long after its sign-in, even if it is used
    #[arg(long, env = "USHER_SESSION_LIFETIME", value_name = "DURATION", default_value = typed(SessionLimits::DEFAULT.lifetime), value_parser = duration)]
    pub session_lifetime: Duration,
}

/// Everything about sessions.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sessions")]
pub struct SessionSettings {
    #[command(flatten)]
    pub lifetimes: LifetimeSettings,

    /// The maximum number of sessions of an account, from 1 to 10000. Above this number, a sign-in ends the oldest session
    #[arg(long, env = "USHER_MAX_SESSIONS_PER_USER", value_name = "COUNT", default_value_t = SessionLimits::DEFAULT.max_per_user, value_parser = number(1..=SessionLimits::MAX_PER_USER))]
    pub max_sessions_per_user: u32,

    /// Users who change their own password or e-mail address must have signed in within this time, or send the current
    /// password. Users who delete their own account must have signed in within this time. 0 turns both off
    #[arg(long, env = "USHER_REAUTHENTICATE_AFTER", value_name = "DURATION", default_value = typed(Policy::DEFAULT_REAUTHENTICATE_AFTER), value_parser = duration_or_zero)]
    pub reauthenticate_after: Duration,
}

impl LifetimeSettings {
    /// With no more than so many sessions for an account.
    pub fn limits(&self, max_per_user: u32) -> Result<SessionLimits, Unusable> {
        if self.session_idle_timeout > self.session_lifetime {
            return Err(unusable(
                "--session-idle-timeout is longer than --session-lifetime: make it as long or shorter",
            ));
        }
        Ok(SessionLimits { idle_timeout: self.session_idle_timeout, lifetime: self.session_lifetime, max_per_user })
    }
}

impl SessionSettings {
    pub fn limits(&self) -> Result<SessionLimits, Unusable> {
        self.lifetimes.limits(self.max_sessions_per_user)
    }
}
