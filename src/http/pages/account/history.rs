//! What happened to one's own account.

use super::SECTIONS;
use crate::{
    domain::{AuditCursor, HistoryEntry, PageSize},
    http::{
        auth::Member,
        pages::{
            list::{Ways, place},
            view::{Layout, html, page},
        },
        wire::error::ApiError,
    },
};
use poem::{Request, Response, Result, handler, http::StatusCode};

pub const PATH: &str = "/account/history";

page! {
    HistoryPage from "history.html" {
        entries: Vec<HistoryEntry>,
        ways: Ways,
    }
}

/// A page of it, the newest entries first.
#[handler]
pub async fn show(member: Member, request: &Request) -> Result<Response> {
    let before = place(request, AuditCursor::parse)?;
    let audit = &member.context.app.audit;
    let found = audit.history(&member.caller, member.caller.user_id(), before, PageSize::default());
    let found = found.await.map_err(ApiError::from)?;
    let page = HistoryPage {
        layout: Layout::of(&member).within(&SECTIONS, PATH),
        ways: Ways::new(PATH, &[], before.is_none(), found.next.as_ref()),
        entries: found.items,
    };
    Ok(html(StatusCode::OK, &page)?)
}
