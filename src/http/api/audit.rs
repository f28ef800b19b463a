//! The audit log over HTTP.

use crate::{
    app::{Activity, App, SessionCounts},
    domain::{
        Action, AuditCursor, AuditEntry, AuditFilter, ChainHash, ChartLength, Day, DayCounts, Page, PageSize,
        Timestamp, UserId,
    },
    http::{
        auth::SignedInCaller,
        wire::{
            body::Json,
            error::{ApiError, ErrorCode},
            query::{self, Cursor, Query, query},
            schema::{Example, Item, Nullable, RecordedAction, answer},
        },
    },
};
use poem_openapi::{ApiResponse, OpenApi};
use serde_json::{Value, json};
use std::sync::Arc;

pub struct Audit {
    pub app: Arc<App>,
}

/// The codes that each operation here can answer with, in addition to those that every operation has.
pub const FAILURES: &[(&str, &[ErrorCode])] =
    &[("listAuditEvents", &[ErrorCode::Forbidden]), ("countAuditEvents", &[ErrorCode::Forbidden])];

answer! {
    /// An entry of the audit log. It names accounts by their ids, which are never given to another account. It never contains text that somebody typed.
    AuditEvent as "AuditEvent" {
        /// Increases by one from entry to entry
        id: i64,
        /// The time. If the entry stands for several attempts, the time of the first one
        at: Timestamp,
        action: RecordedAction,
        /// The account that did it. Null for callers who were not signed in, for the command line, and if the entry stands for several attempts
        actor: Nullable<i64>,
        /// The account that was affected; null if there is none, or if it is unknown
        subject: Nullable<i64>,
        /// The IP address of the caller, if it is known. If the entry stands for several attempts, the IP address that they share, or null. For IPv6 it is then the first of the /64
        ip: Nullable<String>,
        /// The `X-Request-Id` of the answer. Null for the command line, and if the entry stands for several attempts
        request_id: Nullable<String>,
        /// How many events the entry stands for: attempts that came too fast to be recorded one by one, sessions that were ended together, or accounts and invitations that were created together
        count: i64,
        /// SHA-256 over the entry and the hash of the previous entry
        hash: ChainHash,
    }
}

impl From<AuditEntry> for AuditEvent {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id,
            at: entry.at,
            action: RecordedAction(entry.action),
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
        /// The maximum number of entries on a page
        limit: PageSize,
        /// The `next_cursor` of the previous page
        cursor: Cursor,
        /// Only entries with this action
        action: Action,
        /// Only actions of this account
        actor: UserId,
        /// Only actions that affected this account, by itself or by others: the `subject` of an entry
        user: UserId,
        /// Only entries from this time on
        since: Timestamp,
        /// Only entries before this time
        until: Timestamp,
    }
}

answer! {
    /// A page of the audit log.
    AuditList as "AuditList" {
        events: Vec<AuditEvent>,
        /// Where the next page begins; null on the last page
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

query! {
    /// Which days to count.
    CountAuditEvents as "CountAuditEventsQuery" {
        /// How many days; today is the last one
        days: ChartLength,
    }
}

answer! {
    /// How much happened on a day.
    AuditDay as "AuditDay" {
        /// From midnight to midnight in UTC
        date: Day,
        /// `session.signed_in`
        sign_ins: i64,
        /// `session.sign_in_failed`, `attempt.throttled` and `access.denied`
        refusals: i64,
        /// `user.registered`. Imported accounts are not counted
        registrations: i64,
    }
}

impl From<DayCounts> for AuditDay {
    fn from(counts: DayCounts) -> Self {
        let DayCounts { day, sign_ins, refusals, registrations } = counts;
        Self { date: day, sign_ins, refusals, registrations }
    }
}

impl Item for AuditDay {
    const MAX: u32 = ChartLength::MAX;
}

impl Example for AuditDay {
    fn example() -> Value {
        json!({"date": "2026-11-22", "sign_ins": 12, "refusals": 3, "registrations": 1})
    }
}

answer! {
    /// Sessions that can be used now. Counted at most once a minute.
    LivingSessions as "LivingSessions" {
        /// Of programs
        api: i64,
        /// Of people in browsers
        browser: i64,
        /// Of the same browsers at apps
        app: i64,
    }
}

impl From<SessionCounts> for LivingSessions {
    fn from(counts: SessionCounts) -> Self {
        let SessionCounts { api, browser, app } = counts;
        Self { api, browser, app }
    }
}

impl Example for LivingSessions {
    fn example() -> Value {
        json!({"api": 2, "browser": 5, "app": 7})
    }
}

answer! {
    /// How much happened on each day, and how many sessions there are.
    AuditDays as "AuditDays" {
        /// Every day, the oldest first, also if nothing happened
        days: Vec<AuditDay>,
        sessions: LivingSessions,
    }
}

impl From<Activity> for AuditDays {
    fn from(activity: Activity) -> Self {
        Self { days: activity.days.into_iter().map(AuditDay::from).collect(), sessions: activity.sessions.into() }
    }
}

impl Example for AuditDays {
    fn example() -> Value {
        json!({"days": [AuditDay::example()], "sessions": LivingSessions::example()})
    }
}

#[derive(ApiResponse)]
pub enum Counted {
    /// The days
    #[oai(status = 200)]
    Days(Json<AuditDays>),
}

#[derive(ApiResponse)]
pub enum Listed {
    /// A page of the audit log
    #[oai(status = 200)]
    Events(Json<AuditList>),
}

#[OpenApi]
impl Audit {
    /// List the entries of the audit log
    ///
    /// For administrators. The newest entries come first. For the next page, send `next_cursor` as `cursor`. An entry must
    /// match all given parameters. The list contains everything up to this request, with two exceptions. Attempts that are counted by
    /// the minute appear when the minute is over. Refused attempts that can't be recorded at the moment (the disk is full,
    /// another process is writing) appear later. `--audit-retention` and `--audit-max-rows` decide which older entries have
    /// been deleted. Unknown and repeated parameters are refused.
    ///
    /// Entries stand in the order in which they were written, which is that of their times unless the clock was set back.
    /// `since` and `until` are found by halving the log, so that a page costs the same however long the log is. They select
    /// entries by their own times, and among those written up to five minutes late. If the clock was set back, or if the
    /// database could not be written for longer, entries close to that time can be missing from such a selection.
    #[oai(path = "/audit", method = "get", operation_id = "listAuditEvents")]
    async fn list(&self, caller: SignedInCaller, query: Query<ListAuditEvents>) -> Result<Listed, ApiError> {
        let ListAuditEvents { limit, cursor, action, actor, user, since, until } = query.0;
        let before = cursor.map(|cursor| AuditCursor::parse(cursor.place()));
        let before = before.map(|read| read.ok_or_else(|| query::fault("cursor", Cursor::fault()))).transpose()?;
        let filter = AuditFilter { action, actor, subject: user, since, until };
        let page = self.app.audit.page(&caller.0, filter, before, limit.unwrap_or_default()).await?;
        Ok(Listed::Events(Json(page.into())))
    }

    /// Count sign-ins, refusals and registrations by days
    ///
    /// For administrators. The numbers are kept beside the log, for 400 days, also if the entries were deleted. They are counts,
    /// not records: the hashes of the log do not cover them. Attempts that are counted by the minute appear when the minute is
    /// over. Unknown and repeated parameters are refused.
    #[oai(path = "/audit/days", method = "get", operation_id = "countAuditEvents")]
    async fn days(&self, caller: SignedInCaller, query: Query<CountAuditEvents>) -> Result<Counted, ApiError> {
        let activity = self.app.audit.days(&caller.0, query.0.days.unwrap_or_default()).await?;
        Ok(Counted::Days(Json(activity.into())))
    }
}
