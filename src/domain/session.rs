//! Sessions: their ids, what is stored, and how long they last.

use super::{AppId, Timestamp, TokenHash, User, UserId, random_text};
use std::{borrow::Cow, net::IpAddr, time::Duration};

/// The public id of a session. It is no secret, and contains no information.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionId(String);

impl SessionId {
    const LENGTH: usize = 16;

    pub fn generate() -> Self {
        Self(random_text(Self::LENGTH).to_string())
    }

    /// Takes what the database holds.
    pub fn from_stored(id: String) -> Self {
        Self(id)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl serde::Serialize for SessionKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl serde::Serialize for SessionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What a session was opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    /// A program, which sends its token in the `Authorization` header.
    Api,
    /// A person in a browser, at the public URL.
    Browser,
    /// The same browser at an app behind a proxy. It depends on the browser's session, and ends with it.
    App,
}

impl SessionKind {
    pub const ALL: &[Self] = &[Self::Api, Self::Browser, Self::App];

    pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        let known = Self::ALL.iter().find(|kind| kind.as_str() == text);
        known.copied().ok_or_else(|| "must be 'api', 'browser' or 'app'".into())
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Browser => "browser",
            Self::App => "app",
        }
    }
}

/// A sign-in that has not ended.
#[derive(Debug, Clone)]
pub struct Session {
    pub id: SessionId,
    pub user_id: UserId,
    pub kind: SessionKind,
    pub created_at: Timestamp,
    /// When its owner last showed the password.
    pub authenticated_at: Timestamp,
    /// The last recorded use. The actual last use may be a little later.
    pub last_used_at: Timestamp,
    /// The session ends at this time, even if it is used.
    pub expires_at: Timestamp,
}

/// What a session with an app depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithApp {
    /// The browser's session.
    pub parent: SessionId,
    pub app: AppId,
    pub app_name: String,
}

/// A session as lists show it, with the client's IP address and name.
#[derive(Debug, Clone)]
pub struct SessionDetails {
    pub session: Session,
    pub with_app: Option<WithApp>,
    /// `None` if it was not known.
    pub ip: Option<IpAddr>,
    pub user_agent: Option<String>,
}

/// A session that is about to be stored.
#[derive(Debug)]
pub struct NewSession {
    pub id: SessionId,
    pub token_hash: TokenHash,
    pub user_id: UserId,
    pub kind: SessionKind,
    pub expires_at: Timestamp,
    pub user_agent: Option<String>,
}

/// A session and its account, from one look-up.
#[derive(Debug, Clone)]
pub struct SignedIn {
    pub user: User,
    pub session: Session,
}

/// How long sessions last and how many an account may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionLimits {
    /// A session that is not used for this long ends.
    pub idle_timeout: Duration,
    /// A session ends this long after its sign-in, even if it is used.
    pub lifetime: Duration,
    /// Above this number, an account's oldest session ends.
    pub max_per_user: u32,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The maximum number of characters that are kept of a client's `User-Agent`.
pub const USER_AGENT_LENGTH: usize = 256;

impl SessionLimits {
    pub const DEFAULT: Self =
        Self { idle_timeout: Duration::from_hours(7 * 24), lifetime: Duration::from_hours(30 * 24), max_per_user: 100 };

    /// The maximum of `max_per_user`. It is limited because a list of sessions is one answer, without pages.
    pub const MAX_PER_USER: u32 = 10_000;

    /// The most sessions with apps that an account may have; beyond it, the oldest go.
    pub const MAX_APP_SESSIONS: u32 = 10_000;

    /// How long the rows of ended sessions are kept, so that a clock that jumps ahead destroys nothing.
    pub const RETENTION_AFTER_END: Duration = Duration::from_hours(7 * 24);

    /// Whether a session that was last used at `last_used_at` can still be used.
    pub fn is_alive(&self, session: &Session, last_used_at: Timestamp, now: Timestamp) -> bool {
        now < session.expires_at && now.since(last_used_at) < self.idle_timeout
    }

    /// When a session ends if it is not used after `last_used_at`.
    pub fn idle_end(&self, session: &Session, last_used_at: Timestamp) -> Timestamp {
        session.expires_at.min(last_used_at + self.idle_timeout)
    }

    /// Whether the stored time of the last use is old enough to be worth a write: a minute, or a tenth of the idle timeout.
    /// A time that is as far in the future was stored while the clock was wrong, and is replaced, too.
    pub fn is_worth_recording(&self, last_used_at: Timestamp, now: Timestamp) -> bool {
        now.distance(last_used_at) > (self.idle_timeout / 10).min(Duration::from_mins(1))
    }
}
