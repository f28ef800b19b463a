//! App tokens: what a native client, such as a music player or `git`, shows to one app in place of its owner.

use super::{AppId, AppTokenId, DisplayName, Timestamp, TokenHash};

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
