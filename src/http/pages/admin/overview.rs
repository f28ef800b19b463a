//! The overview: how many accounts and sessions there are, whether all is well, and how busy the days were.

use super::{SECTIONS, health::Summary};
use crate::{
    app::AccountCounts,
    domain::{ChartLength, Day, DayCounts},
    http::{
        auth::Administrator,
        pages::{
            chart::Chart,
            view::{Layout, html, page},
        },
        wire::error::ApiError,
    },
};
use poem::{Response, Result, handler, http::StatusCode};

pub const PATH: &str = "/admin";

page! {
    OverviewPage from "overview.html" {
        accounts: AccountCounts,
        sessions: crate::app::SessionCounts,
        health: Summary,
        charts: [Chart; 3],
        /// The newest first.
        days: Vec<DayCounts>,
    }
}

#[handler]
pub async fn show(admin: Administrator) -> Result<Response> {
    let app = &admin.context.app;
    let accounts = app.accounts.count(&admin.caller).await.map_err(ApiError::from)?;
    let activity = app.audit.days(&admin.caller, ChartLength::default()).await.map_err(ApiError::from)?;
    let findings = app.health.recent(&admin.caller).await.map_err(ApiError::from)?;
    let of = |count: fn(&DayCounts) -> i64| -> Vec<(Day, i64)> {
        activity.days.iter().map(|day| (day.day, count(day))).collect()
    };
    let page = OverviewPage {
        layout: Layout::of(&admin).within(&SECTIONS, PATH),
        accounts,
        sessions: activity.sessions,
        health: Summary::of(&findings),
        charts: [
            Chart::new("Sign-ins a day", &of(|day| day.sign_ins)),
            Chart::new("Refusals a day", &of(|day| day.refusals)),
            Chart::new("Registrations a day", &of(|day| day.registrations)),
        ],
        days: activity.days.into_iter().rev().collect(),
    };
    Ok(html(StatusCode::OK, &page)?)
}
