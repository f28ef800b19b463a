//! App tokens: what a native client, such as a music player or `git`, shows to one app in place of its owner.

use super::{AppId, AppTokenId, DisplayName, Door, Timestamp, TokenHash, User};
use std::time::Duration;

/// An app token that can still be used, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppToken {
    pub id: AppTokenId,
    /// What its owner calls it.
    pub name: DisplayName,
    /// The only app that it opens.
    pub app: AppId,
    pub app_name: String,
    pub created_at: Timestamp,
    /// `None`: it works until it is revoked.
    pub expires_at: Option<Timestamp>,
    /// The last recorded use; `None` before the first.
    pub last_used_at: Option<Timestamp>,
}

impl AppToken {
    /// How many one account can have.
    pub const MAX_PER_USER: u32 = 100;
}

/// An app token that is about to be stored.
#[derive(Debug, Clone)]
pub struct NewAppToken {
    pub token_hash: TokenHash,
    pub name: DisplayName,
    pub app: AppId,
    pub expires_at: Option<Timestamp>,
}

/// An app token that was shown at an app, as one look-up finds it.
#[derive(Debug, Clone)]
pub struct ShownAppToken {
    pub id: AppTokenId,
    pub owner: User,
    pub door: Door,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
}

impl ShownAppToken {
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    /// Whether the stored time of the last use is old enough to be worth a write.
    pub fn is_worth_recording(&self, now: Timestamp) -> bool {
        self.last_used_at.is_none_or(|at| now.distance(at) > Duration::from_mins(1))
    }
}
