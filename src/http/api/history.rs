//! The history of an account over HTTP.

use crate::{
    app::App,
    domain::{AuditCursor, HistoryActor, HistoryEntry, Page, PageSize, Timestamp, UserId, Username},
    http::{
        auth::SignedInCaller,
        wire::{
            body::Json,
            error::{ApiError, ErrorCode},
            path::Path,
            query::{self, Cursor, Query, query},
            schema::{Example, Item, Nullable, RecordedAction, answer},
        },
    },
};
use poem_openapi::{ApiResponse, OpenApi};
use serde_json::{Value, json};
use std::sync::Arc;

pub struct History {
    pub app: Arc<App>,
}

/// The codes that each operation here can answer with, in addition to those that every operation has.
pub const FAILURES: &[(&str, &[ErrorCode])] = &[("listHistory", &[ErrorCode::UserNotFound])];

answer! {
    /// An entry of the audit log, as the owner of an account may see it.
    HistoryEvent as "HistoryEvent" {
        /// As in the audit log
        id: i64,
        /// The time. If the entry stands for several attempts, the time of the first one
        at: Timestamp,
        action: RecordedAction,
        /// Who did it: the owner of the account, another account, the command line, or somebody who was not signed in
        actor: HistoryActor,
        /// The username of another account that did it, if it is an administrator's, or if the owner of this account is an administrator. Otherwise null
        actor_username: Nullable<Username>,
        /// The IP address from which it was done, if it is known. Null if another account did it
        ip: Nullable<String>,
        /// How many events the entry stands for
        count: i64,
        /// What happened, as a sentence that addresses the owner
        text: String,
    }
}

impl From<HistoryEntry> for HistoryEvent {
    fn from(entry: HistoryEntry) -> Self {
        let HistoryEntry { id, at, action, actor, actor_username, ip, count, text } = entry;
        let (actor_username, ip) = (Nullable(actor_username), Nullable(ip));
        Self { id, at, action: RecordedAction(action), actor, actor_username, ip, count, text }
    }
}

impl Item for HistoryEvent {
    const MAX: u32 = PageSize::MAX;
}

impl Example for HistoryEvent {
    fn example() -> Value {
        json!({
            "id": 1234, "at": "2026-11-22T10:00:00Z", "action": "session.revoked", "actor": "other",
            "actor_username": "root", "ip": null, "count": 2, "text": "root ended 2 sessions of yours"
        })
    }
}

query! {
    /// Which entries to list.
    ListHistory as "ListHistoryQuery" {
        /// The maximum number of entries on a page
        limit: PageSize,
        /// The `next_cursor` of the previous page
        cursor: Cursor,
    }
}

answer! {
    /// A page of the history of an account.
    HistoryList as "HistoryList" {
        events: Vec<HistoryEvent>,
        /// Where the next page begins; null on the last page
        next_cursor: Nullable<String>,
    }
}

impl From<Page<HistoryEntry, AuditCursor>> for HistoryList {
    fn from(page: Page<HistoryEntry, AuditCursor>) -> Self {
        Self {
            events: page.items.into_iter().map(HistoryEvent::from).collect(),
            next_cursor: Nullable(page.next.map(|cursor| Cursor::text_of(&cursor.to_string()))),
        }
    }
}

impl Example for HistoryList {
    fn example() -> Value {
        json!({"events": [HistoryEvent::example()], "next_cursor": null})
    }
}

#[derive(ApiResponse)]
pub enum Listed {
    /// A page of the history
    #[oai(status = 200)]
    Events(Json<HistoryList>),
}

#[OpenApi]
impl History {
    /// List what happened to an account
    ///
    /// Users can read the history of their own account, administrators that of every account. It has the entries of the audit
    /// log whose actor or subject is the account, the newest first, also failed sign-ins of strangers with their IP
    /// addresses. It never contains the id of another account. Other accounts are named only if they are administrators', or
    /// if the owner of this account is an administrator; the IP addresses of those who are named are left out. It is as
    /// complete as `GET /audit`.
    #[oai(path = "/users/:user_id/history", method = "get", operation_id = "listHistory")]
    async fn list(
        &self,
        caller: SignedInCaller,
        /// The account's id
        user_id: Path<Option<UserId>>,
        query: Query<ListHistory>,
    ) -> Result<Listed, ApiError> {
        let ListHistory { limit, cursor } = query.0;
        let before = cursor.map(|cursor| AuditCursor::parse(cursor.place()));
        let before = before.map(|read| read.ok_or_else(|| query::fault("cursor", Cursor::fault()))).transpose()?;
        let page = self.app.audit.history(&caller.0, user_id.0, before, limit.unwrap_or_default()).await?;
        Ok(Listed::Events(Json(page.into())))
    }
}
