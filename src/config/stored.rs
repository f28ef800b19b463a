//! The settings of `serve` that other commands follow.

use super::{ServeSettings, Unusable, unusable, values::typed};
use clap::ValueEnum;
use std::path::Path;

/// Their names: those of the flags, without the leading hyphens.
pub const POLICY: [&str; 14] = [
    "public-url",
    "registration",
    "session-idle-timeout",
    "session-lifetime",
    "max-sessions-per-user",
    "reauthenticate-after",
    "reset-lifetime",
    "invitation-lifetime",
    "password-min-length",
    "password-blocklist",
    "allow-weak-passwords",
    "argon2-memory",
    "argon2-iterations",
    "argon2-parallelism",
];

impl ServeSettings {
    /// The settings that are stored for other commands, in the order of `POLICY`, with values as a user types them.
    /// Those that are not set
    /// and have no default are left out.
    pub fn stored(&self) -> Result<Vec<(&'static str, String)>, Unusable> {
        let Self { registration, sessions, passwords, hashing, .. } = self;
        let registration = registration.registration.to_possible_value().map(|value| value.get_name().to_owned());
        let values = [
            self.pages.public_url.as_ref().map(ToString::to_string),
            registration,
            Some(typed(sessions.lifetimes.session_idle_timeout)),
            Some(typed(sessions.lifetimes.session_lifetime)),
            Some(sessions.max_sessions_per_user.to_string()),
            Some(typed(sessions.reauthenticate_after)),
            Some(typed(self.resets.reset_lifetime)),
            Some(typed(self.invitations.invitation_lifetime)),
            Some(passwords.password_min_length.to_string()),
            passwords.password_blocklist.as_deref().map(absolute).transpose()?,
            Some(passwords.allow_weak_passwords.to_string()),
            Some(hashing.cost.argon2_memory.to_string()),
            Some(hashing.cost.argon2_iterations.to_string()),
            Some(hashing.cost.argon2_parallelism.to_string()),
        ];
        Ok(POLICY.into_iter().zip(values).filter_map(|(name, value)| Some((name, value?))).collect())
    }
}

/// The absolute path of a file, for commands that run in another folder.
fn absolute(file: &Path) -> Result<String, Unusable> {
    let refuse = |why: String| unusable(format!("--password-blocklist {}: {why}", file.display()));
    let found = std::fs::canonicalize(file).map_err(|error| refuse(error.to_string()))?;
    found.into_os_string().into_string().map_err(|_| refuse("the name of the file must be text in UTF-8".into()))
}
