//! The audit log over HTTP.

use crate::{
    app::App,
    domain::{Action, AuditCursor, AuditEntry, AuditFilter, ChainHash, Page, PageSize, Timestamp, UserId},
    http::{
        auth::SignedInCaller,
        wire::{
            body::Json,
            error::{ApiError, ErrorCode},
            query::{self, Cursor, Query, query},
            schema::{Described, Example, Item, Nullable, answer},
        },
    },
};
use poem_openapi::{
    ApiResponse, OpenApi,
    registry::{MetaSchema, MetaSchemaRef, Registry},
};
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

pub struct Audit {
    pub app: Arc<App>,
}

/// Which codes each operation here can answer with, beside those that every operation has.
pub const FAILURES: &[(&str, &[ErrorCode])] = &[("listAuditEvents", &[ErrorCode::Forbidden])];

impl Described for Action {
    fn schema() -> MetaSchemaRef {
        MetaSchemaRef::Reference("Action".into())
    }

    fn register(registry: &mut Registry) {
        static MEANINGS: LazyLock<String> = LazyLock::new(|| {
            let line = |action: &Action| match action.meaning() {
                "" => format!("\n- `{}`", action.as_str()),
                meaning => format!("\n- `{}`: {meaning}", action.as_str()),
            };
            let lines: String = Action::ALL.iter().map(line).collect();
            format!("What happened. Later versions may know more.\n{lines}")
        });
        registry.create_schema::<Self, _>("Action".into(), |_| MetaSchema {
            description: Some(&MEANINGS),
            enum_items: Self::ALL.iter().map(|action| action.as_str().into()).collect(),
            ..MetaSchema::new("string")
        });
    }
}

/// An action as it was written, perhaps by a later version.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub struct WrittenAction(String);

impl Described for WrittenAction {
    fn schema() -> MetaSchemaRef {
        Action::schema()
    }

    fn register(registry: &mut Registry) {
        Action::register(registry);
    }
}

answer! {
    /// An entry of the audit log. Accounts appear as ids, which are never given to another account; what somebody typed never appears.
    AuditEvent as "AuditEvent" {
        /// Counts up by one from entry to entry
        id: i64,
        /// Where the entry stands for several attempts, the first of them
        at: Timestamp,
        action: WrittenAction,
        /// The account that did it; null for somebody who was not signed in, for the command line, and where the entry stands for several attempts
        actor: Nullable<i64>,
        /// The account to which it was done; null where there is none, or none is known
        subject: Nullable<i64>,
        /// From where, as far as that is known. Where the entry stands for several attempts, the address of all (of IPv6 ones the first of their /64), or null
        ip: Nullable<String>,
        /// The `X-Request-Id` of the answer; null for the command line, and where the entry stands for several attempts
        request_id: Nullable<String>,
        /// How many alike the entry stands for: attempts that came too fast to be written one by one, sessions that were ended together, accounts that were imported together
        count: i64,
        /// SHA-256 over the entry and the hash of the one before
        hash: ChainHash,
    }
}

impl From<AuditEntry> for AuditEvent {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id,
            at: entry.at,
            action: WrittenAction(entry.action),
            actor: Nullable(entry.actor),
            subject: Nullable(entry.subject),
            ip: Nullable(entry.ip),
            request_id: Nullable(entry.request_id),
            count: entry.count,
            hash: entry.hash,
        }
    }
}

impl Item for AuditEvent {
    const MAX: u32 = PageSize::MAX;
}

impl Example for AuditEvent {
    fn example() -> Value {
        json!({
            "id": 1234, "at": "2026-11-22T10:00:00Z", "action": "session.signed_in", "actor": 42, "subject": 42,
            "ip": "203.0.113.9", "request_id": "5f0c6f4be2a94d10", "count": 1,
            "hash": "7d865e959b2466918c9863afca942d0fb89d7c9ac0c99bafc3749504ded97730"
        })
    }
}

query! {
    /// Which entries to list.
    ListAuditEvents as "ListAuditEventsQuery" {
        /// How many entries a page has at most
        limit: PageSize,
        /// The `next_cursor` of the page before
        cursor: Cursor,
        /// Only entries of this kind
        action: Action,
        /// Only what this account did
        actor: UserId,
        /// Only what was done to this account, by itself or by others: the `subject` of an entry
        user: UserId,
    }
}

answer! {
    /// A page of the audit log.
    AuditList as "AuditList" {
        events: Vec<AuditEvent>,
        /// Where the next page begins; null on the last one
        next_cursor: Nullable<String>,
    }
}

impl From<Page<AuditEntry, AuditCursor>> for AuditList {
    fn from(page: Page<AuditEntry, AuditCursor>) -> Self {
        Self {
            events: page.items.into_iter().map(AuditEvent::from).collect(),
            next_cursor: Nullable(page.next.map(|cursor| Cursor::text_of(&cursor.to_string()))),
        }
    }
}

impl Example for AuditList {
    fn example() -> Value {
        json!({"events": [AuditEvent::example()], "next_cursor": null})
    }
}

#[derive(ApiResponse)]
pub enum Listed {
    /// A page of the audit log
    #[oai(status = 200)]
    Events(Json<AuditList>),
}

#[OpenApi]
impl Audit {
    /// List audit events
    ///
    /// For administrators. The newest entries come first; pages follow each other by `next_cursor`. An entry must match
    /// all parameters that are given. Everything up to this request is in the list, except that attempts which are
    /// counted by the minute appear when it is over, and that refused attempts which can't be written at the moment (the disk
    /// is full, another process writes) appear later. The log begins where `--audit-retention` and `--audit-max-rows` have
    /// taken older entries away. Unknown and repeated parameters are refused.
    #[oai(path = "/audit", method = "get", operation_id = "listAuditEvents")]
    async fn list(&self, caller: SignedInCaller, query: Query<ListAuditEvents>) -> Result<Listed, ApiError> {
        let ListAuditEvents { limit, cursor, action, actor, user } = query.0;
        let before = cursor.map(|cursor| AuditCursor::parse(cursor.place()));
        let before = before.map(|read| read.ok_or_else(|| query::fault("cursor", Cursor::fault()))).transpose()?;
        let filter = AuditFilter { action, actor, subject: user };
        let page = self.app.audit.page(&caller.0, filter, before, limit.unwrap_or_default()).await?;
        Ok(Listed::Events(Json(page.into())))
    }
}
