//! `usher session`

use super::{
    eprint, explain, open,
    output::{Table, or_hyphen, show_json},
    user::Named,
};
use crate::{
    app::{Policy, SessionScope},
    config::LifetimeSettings,
    domain::{Caller, SessionId, SessionLimits},
    http::answers,
};
use anyhow::Result;
use clap::{Args, Subcommand};
use futures_executor::block_on;
use std::path::Path;

/// List and end sessions, also while a server runs
#[derive(Debug, Subcommand)]
pub(super) enum SessionCommand {
    List(List),
    Revoke(Revoke),
}

impl SessionCommand {
    pub(super) fn run(self, database: &Path) -> Result<()> {
        match self {
            Self::List(command) => command.run(database),
            Self::Revoke(command) => command.run(database),
        }
    }
}

/// List the sessions of an account, the newest first
///
/// Sessions that have expired are not shown.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    named: Named,

    /// Print one JSON document, in the shape of GET /api/v1/users/{user_id}/sessions
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    lifetimes: LifetimeSettings,
}

impl List {
    fn run(&self, database: &Path) -> Result<()> {
        let sessions = self.lifetimes.limits(SessionLimits::default().max_per_user)?;
        let app = open(database, Policy { sessions, ..Policy::default() })?;
        let user = self.named.find(&app)?;
        let listed = block_on(app.sessions.list(&Caller::shell(), Some(user.id))).map_err(explain)?;
        if self.json {
            return show_json(&answers::SessionList::from(listed));
        }
        let mut table = Table::new(&[
            "ID",
            "KIND",
            "APP",
            "SIGNED IN",
            "LAST USED",
            "IDLE EXPIRY",
            "EXPIRES",
            "IP ADDRESS",
            "CLIENT",
        ])?;
        for session in listed {
            table.row(&[
                session.id.as_str().to_owned(),
                session.kind.as_str().to_owned(),
                or_hyphen(session.with_app.map(|with_app| with_app.app_name)),
                session.created_at.to_string(),
                session.last_used_at.to_string(),
                session.idle_expires_at.to_string(),
                session.expires_at.to_string(),
                or_hyphen(session.ip),
                or_hyphen(session.user_agent),
            ])?;
        }
        table.flush()
    }
}

/// End all sessions of an account, or one of them
///
/// Ending all revokes the app tokens of the account, too.
#[derive(Debug, Args)]
pub(super) struct Revoke {
    #[command(flatten)]
    named: Named,

    /// Only the session with this id; see 'usher session list'
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

impl Revoke {
    fn run(&self, database: &Path) -> Result<()> {
        let app = open(database, Policy::default())?;
        let user = self.named.find(&app)?;
        let which = self.id.clone().map_or(SessionScope::All, |id| SessionScope::One(SessionId::from_stored(id)));
        block_on(app.sessions.end(&Caller::shell(), Some(user.id), which)).map_err(explain)?;
        let what = if self.id.is_some() { "the session" } else { "all sessions" };
        eprint(&format!("{what} of {} ended", user.username));
        Ok(())
    }
}
