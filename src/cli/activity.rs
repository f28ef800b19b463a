//! `usher activity`

use super::{
    explain, open,
    output::{Table, show, show_json},
};
use crate::{
    app::{Activity as Counted, Policy},
    config::LifetimeSettings,
    domain::{Caller, ChartLength, SessionLimits},
    http::answers,
};
use anyhow::Result;
use clap::Args;
use futures_executor::block_on;
use std::path::Path;

/// Count sign-ins, refusals and registrations by days, and the sessions of now
///
/// Days are in UTC, and the last one is today. A refusal is a failed sign-in, an attempt that was throttled, or something that
/// the caller may not do. Imported accounts are no registrations. The numbers are kept for 400 days, also of entries that the
/// audit log has lost by its retention. They are counts and not records: 'usher check' can't prove them.
#[derive(Debug, Args)]
pub(super) struct Activity {
    /// How many days, from 1 to 366
    #[arg(long, value_name = "COUNT", default_value = "90", value_parser = |text: &str| ChartLength::parse(text))]
    days: ChartLength,

    /// Print one JSON document, in the shape of GET /api/v1/audit/days
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    lifetimes: LifetimeSettings,
}

impl Activity {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        let sessions = self.lifetimes.limits(SessionLimits::default().max_per_user)?;
        let app = open(database, Policy { sessions, ..Policy::default() })?;
        let counted = block_on(app.audit.days(&Caller::shell(), self.days)).map_err(explain)?;
        if self.json {
            return show_json(&answers::AuditDays::from(counted));
        }
        let Counted { days, sessions } = counted;
        let mut table = Table::new(&["DATE", "SIGN-INS", "REFUSALS", "REGISTRATIONS"])?;
        for day in days {
            let numbers = [day.sign_ins, day.refusals, day.registrations].map(|number| number.to_string());
            table.row(&[&[day.day.to_string()], &numbers[..]].concat())?;
        }
        table.flush()?;
        let [api, browser, app] = [sessions.api, sessions.browser, sessions.app];
        show(&format!("\nSessions now: {browser} of browsers, {app} of browsers at apps, {api} of programs\n"))
    }
}
