//! Lists of sessions over HTTP, and ending them.

use crate::{
    app::{App, ListedSession, SessionScope},
    domain::{AppId, SessionId, SessionKind, SessionLimits, Timestamp, UserId},
    http::{
        auth::SignedInCaller,
        wire::{
            body::Json,
            error::{ApiError, ErrorCode},
            path::Path,
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

/// The codes that each operation here can answer with, in addition to those that every operation has.
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
        /// Identifies the session. It is not a secret, and gives no access
        id: SessionId,
        /// What the session was opened for
        kind: SessionKind,
        /// Of a session with an app: the id of the browser's session, with which it ends. Otherwise null
        parent_id: Nullable<SessionId>,
        /// Of a session with an app: the app. Otherwise null
        app_id: Nullable<AppId>,
        /// Of a session with an app: the app's name. Otherwise null
        app_name: Nullable<String>,
        /// The time of the sign-in
        created_at: Timestamp,
        /// When the password was last entered
        authenticated_at: Timestamp,
        /// The last use, accurate to about a minute
        last_used_at: Timestamp,
        /// When the session ends if it is not used again
        idle_expires_at: Timestamp,
        /// When the session ends, even if it is used
        expires_at: Timestamp,
        /// The IP address of the sign-in; null if it is unknown
        ip: Nullable<IpAddr>,
        /// The `User-Agent` of the sign-in, without control characters, at most 256 characters
        user_agent: Nullable<String>,
        /// Whether this request was sent with this session's token
        current: bool,
    }
}

impl From<ListedSession> for Session {
    fn from(session: ListedSession) -> Self {
        let (parent_id, app) = session.with_app.map(|with| (with.parent, (with.app, with.app_name))).unzip();
        let (app_id, app_name) = app.unzip();
        Self {
            id: session.id,
            kind: session.kind,
            parent_id: Nullable(parent_id),
            app_id: Nullable(app_id),
            app_name: Nullable(app_name),
            created_at: session.created_at,
            authenticated_at: session.authenticated_at,
            last_used_at: session.last_used_at,
            idle_expires_at: session.idle_expires_at,
            expires_at: session.expires_at,
            ip: Nullable(session.ip),
            user_agent: Nullable(session.user_agent),
            current: session.current,
        }
    }
}

impl Item for Session {
    const MAX: u32 = SessionLimits::MAX_PER_USER + SessionLimits::MAX_APP_SESSIONS;
}

impl Example for Session {
    fn example() -> Value {
        json!({
            "id": "Y2s0mM3Yx8QkPb1Z", "kind": "api", "parent_id": null, "app_id": null, "app_name": null,
            "created_at": "2026-11-22T10:00:00Z", "authenticated_at": "2026-11-22T10:00:00Z", "last_used_at": "2026-11-22T10:30:00Z",
            "idle_expires_at": "2026-11-29T10:30:00Z", "expires_at": "2026-12-22T10:00:00Z", "ip": "203.0.113.7",
            "user_agent": "curl/8.5.0", "current": true
        })
    }
}

answer! {
    /// The sessions of an account, the newest first; sessions with apps follow the browser's session that they depend on.
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
    /// The sessions have ended; their tokens no longer work
    #[oai(status = 204)]
    Gone,
}

#[OpenApi]
impl Sessions {
    /// List your own sessions
    ///
    /// Lists the sessions of the caller's account, including the current one.
    #[oai(path = "/auth/sessions", method = "get", operation_id = "listOwnSessions")]
    async fn list_own(&self, caller: SignedInCaller) -> Result<Listed, ApiError> {
        let sessions = self.app.sessions.list(&caller.0, caller.0.user_id()).await?;
        Ok(Listed::Sessions(Json(sessions.into())))
    }

    /// End your other sessions
    ///
    /// Ends every session of the caller's account except the current one.
    #[oai(path = "/auth/sessions", method = "delete", operation_id = "deleteOtherSessions")]
    async fn end_others(&self, caller: SignedInCaller) -> Result<Ended, ApiError> {
        self.app.sessions.end(&caller.0, caller.0.user_id(), SessionScope::Others).await?;
        Ok(Ended::Gone)
    }

    /// End one of your sessions
    ///
    /// It may be the current session.
    #[oai(path = "/auth/sessions/:session_id", method = "delete", operation_id = "deleteSession")]
    async fn end_one(
        &self,
        caller: SignedInCaller,
        /// The session's id
        session_id: Path<SessionId>,
    ) -> Result<Ended, ApiError> {
        let which = SessionScope::One(session_id.0);
        self.app.sessions.end(&caller.0, caller.0.user_id(), which).await?;
        Ok(Ended::Gone)
    }

    /// List an account's sessions
    ///
    /// Users can list their own sessions; administrators can list those of every account.
    #[oai(path = "/users/:user_id/sessions", method = "get", operation_id = "listSessions")]
    async fn list(
        &self,
        caller: SignedInCaller,
        /// The account's id
        user_id: Path<Option<UserId>>,
    ) -> Result<Listed, ApiError> {
        Ok(Listed::Sessions(Json(self.app.sessions.list(&caller.0, user_id.0).await?.into())))
    }

    /// End all sessions of an account
    ///
    /// Users can end their own sessions, including the current one; administrators can end those of every account. The app
    /// tokens of the account are revoked, too.
    #[oai(path = "/users/:user_id/sessions", method = "delete", operation_id = "deleteSessions")]
    async fn end_all(
        &self,
        caller: SignedInCaller,
        /// The account's id
        user_id: Path<Option<UserId>>,
    ) -> Result<Ended, ApiError> {
        self.app.sessions.end(&caller.0, user_id.0, SessionScope::All).await?;
        Ok(Ended::Gone)
    }
}
