//! Lists of sessions over HTTP, and ending them.

use crate::{
    app::{App, ListedSession, SessionScope},
    domain::{SessionId, SessionLimits, Timestamp, UserId},
    http::{
        auth::SignedInCaller,
        wire::{
            body::Json,
            error::{ApiError, ErrorCode},
            path::{IdPath, Path},
            schema::{Example, Item, Nullable, answer},
        },
    },
};
use poem_openapi::{ApiResponse, OpenApi};
use serde_json::{Value, json};
use std::{net::IpAddr, sync::Arc};

pub struct Sessions {
    pub app: Arc<App>,
}

/// Which codes each operation here can answer with, beside those that every operation has.
pub const FAILURES: &[(&str, &[ErrorCode])] = &[
    ("listOwnSessions", &[]),
    ("deleteOtherSessions", &[]),
    ("deleteSession", &[ErrorCode::SessionNotFound]),
    ("listSessions", &[ErrorCode::UserNotFound]),
    ("deleteSessions", &[ErrorCode::UserNotFound]),
];

answer! {
    /// A session that has not ended.
    Session as "Session" {
        /// Names the session; it opens nothing
        id: SessionId,
        /// When somebody signed in
        created_at: Timestamp,
        /// The last use, to a minute or so
        last_used_at: Timestamp,
        /// When the session ends if it is not used any more
        idle_expires_at: Timestamp,
        /// When the session ends, whatever its use
        expires_at: Timestamp,
        /// The address that the sign-in came from; null where it could not be known
        ip: Nullable<IpAddr>,
        /// What the client called itself, without control characters, 256 characters at most
        user_agent: Nullable<String>,
        /// Whether it is the session that this request was sent with
        current: bool,
    }
}

impl From<ListedSession> for Session {
    fn from(session: ListedSession) -> Self {
        let ListedSession { id, created_at, last_used_at, idle_expires_at, expires_at, ip, user_agent, current } =
            session;
        let (ip, user_agent) = (Nullable(ip), Nullable(user_agent));
        Self { id, created_at, last_used_at, idle_expires_at, expires_at, ip, user_agent, current }
    }
}

impl Item for Session {
    const MAX: u32 = SessionLimits::MAX_PER_USER;
}

impl Example for Session {
    fn example() -> Value {
        json!({
            "id": "Y2s0mM3Yx8QkPb1Z", "created_at": "2026-11-22T10:00:00Z", "last_used_at": "2026-11-22T10:30:00Z",
            "idle_expires_at": "2026-11-29T10:30:00Z", "expires_at": "2026-12-22T10:00:00Z", "ip": "203.0.113.7",
            "user_agent": "curl/8.5.0", "current": true
        })
    }
}

answer! {
    /// The sessions of an account, the newest first.
    SessionList as "SessionList" {
        sessions: Vec<Session>,
    }
}

impl From<Vec<ListedSession>> for SessionList {
    fn from(sessions: Vec<ListedSession>) -> Self {
        Self { sessions: sessions.into_iter().map(Session::from).collect() }
    }
}

impl Example for SessionList {
    fn example() -> Value {
        json!({"sessions": [Session::example()]})
    }
}

#[derive(ApiResponse)]
pub enum Listed {
    /// The sessions
    #[oai(status = 200)]
    Sessions(Json<SessionList>),
}

#[derive(ApiResponse)]
pub enum Ended {
    /// Ended; their tokens are dead
    #[oai(status = 204)]
    Gone,
}

#[OpenApi]
impl Sessions {
    /// List one's own sessions
    ///
    /// Where somebody is signed in to the caller's account, this session included.
    #[oai(path = "/auth/sessions", method = "get", operation_id = "listOwnSessions")]
    async fn list_own(&self, caller: SignedInCaller) -> Result<Listed, ApiError> {
        let sessions = self.app.sessions.list(&caller.0, caller.0.user_id()).await?;
        Ok(Listed::Sessions(Json(sessions.into())))
    }

    /// End one's other sessions
    ///
    /// All but the one that the request is sent with.
    #[oai(path = "/auth/sessions", method = "delete", operation_id = "deleteOtherSessions")]
    async fn end_others(&self, caller: SignedInCaller) -> Result<Ended, ApiError> {
        self.app.sessions.end(&caller.0, caller.0.user_id(), SessionScope::Others).await?;
        Ok(Ended::Gone)
    }

    /// End one of one's sessions
    ///
    /// It may be the one that the request is sent with.
    #[oai(path = "/auth/sessions/:session_id", method = "delete", operation_id = "deleteSession")]
    async fn end_one(
        &self,
        caller: SignedInCaller,
        /// The session's id
        session_id: Path<String>,
    ) -> Result<Ended, ApiError> {
        let which = SessionScope::One(SessionId::from_stored(session_id.0));
        self.app.sessions.end(&caller.0, caller.0.user_id(), which).await?;
        Ok(Ended::Gone)
    }

    /// List an account's sessions
    ///
    /// One's own, or as an administrator anyone's.
    #[oai(path = "/users/:user_id/sessions", method = "get", operation_id = "listSessions")]
    async fn list(
        &self,
        caller: SignedInCaller,
        /// The account's id
        user_id: Path<IdPath<UserId>>,
    ) -> Result<Listed, ApiError> {
        Ok(Listed::Sessions(Json(self.app.sessions.list(&caller.0, user_id.0.0).await?.into())))
    }

    /// End all sessions of an account
    ///
    /// One's own, the one that the request is sent with included, or as an administrator anyone's.
    #[oai(path = "/users/:user_id/sessions", method = "delete", operation_id = "deleteSessions")]
    async fn end_all(
        &self,
        caller: SignedInCaller,
        /// The account's id
        user_id: Path<IdPath<UserId>>,
    ) -> Result<Ended, ApiError> {
        self.app.sessions.end(&caller.0, user_id.0.0, SessionScope::All).await?;
        Ok(Ended::Gone)
    }
}
