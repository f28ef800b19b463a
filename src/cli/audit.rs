//! `usher audit`

use super::{
    explain, open,
    output::{printable, show},
    user::user_name,
};
use crate::{
    app::{App, Policy},
    config::number,
    domain::{Action, AuditEntry, AuditFilter, Caller, Error, Timestamp, UserId, UserSelector, Usernames},
    http::answers::AuditEvent,
};
use anyhow::{Context, Result};
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use futures_executor::block_on;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{path::Path, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

/// Read the audit log
///
/// Prints the whole log, the oldest entry first. Accounts are shown as ids with their current usernames, and deleted accounts
/// as ids alone. Attempts that a running server refused in the last quarter of a second may be missing. Attempts that came
/// too fast to be recorded one by one appear as one entry after their minute is over. Entries older than --audit-retention
/// of 'usher serve' have been deleted.
#[derive(Debug, Args)]
pub(super) struct Audit {
    /// Print new entries as they are written, until interrupted. Begins with the newest 10 entries, or with those of --limit
    /// or --since
    #[arg(long, short)]
    follow: bool,

    /// Only the newest COUNT entries
    #[arg(long, value_name = "COUNT", value_parser = number(0..=u32::MAX))]
    limit: Option<u32>,

    /// Only entries with this action
    #[arg(long, value_name = "ACTION", value_parser = actions())]
    action: Option<Action>,

    /// Only actions of this account: an id (also of a deleted account), an e-mail address or a username
    #[arg(long, value_name = "USER", value_parser = user_name)]
    actor: Option<UserSelector>,

    /// Only actions that affected this account, by itself or by others
    #[arg(long, value_name = "USER", value_parser = user_name)]
    user: Option<UserSelector>,

    /// Only entries from this time on, such as 2026-11-22T10:00:00Z. If the clock was set back, entries close to the change
    /// can be missing
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,

    /// Only entries before this time
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "follow")]
    until: Option<Timestamp>,

    /// Print one JSON document in the shape of GET /api/v1/audit, the oldest entry first; with --follow one JSON object
    /// a line
    #[arg(long)]
    json: bool,
}

/// How many entries are read at a time.
const PAGE: u32 = 500;
/// How many older entries `--follow` shows first.
const FOLLOW_FROM_NEWEST: u32 = 10;
const POLL_EVERY: Duration = Duration::from_millis(500);

fn actions() -> impl TypedValueParser<Value = Action> {
    PossibleValuesParser::new(Action::ALL.iter().map(|action| action.as_str())).try_map(|text| Action::parse(&text))
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|fault| fault.into_owned())
}

/// The account of an id may have been deleted.
async fn id_of(app: &App, name: Option<&UserSelector>) -> Result<Option<UserId>> {
    Ok(match name {
        None => None,
        Some(UserSelector::Id(id)) => Some(*id),
        Some(name) => {
            let found = app.accounts.find(&Caller::shell(), name.clone()).await;
            Some(found.map_err(explain).with_context(|| name.to_string())?.id)
        }
    })
}

impl Audit {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        let app = open(database, Policy::default())?;
        if !self.follow {
            return block_on(self.print(&app));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            tokio::select! {
                ended = self.print(&app) => ended,
                _ = interrupt.recv() => Ok(()),
                _ = terminate.recv() => Ok(()),
            }
        })
    }

    async fn print(&self, app: &App) -> Result<()> {
        let (shell, filter) = (Caller::shell(), self.filter(app).await?);
        let newest = self.limit.or((self.follow && self.since.is_none()).then_some(FOLLOW_FROM_NEWEST));
        let mut place = match newest {
            None => 0,
            Some(newest) => app.audit.before_newest(&shell, filter, newest).await.map_err(explain)?,
        };
        let mut form = Form::of(self);
        show(form.beginning())?;
        loop {
            let entries = match app.audit.after(&shell, filter, place, PAGE).await {
                Err(Error::Overloaded) if self.follow => Vec::new(),
                read => read.map_err(explain)?,
            };
            let is_end = entries.len() < PAGE as usize;
            place = entries.last().map_or(place, |entry| entry.id);
            let names = if self.json {
                Usernames::default()
            } else {
                app.audit.usernames(&shell, &entries).await.map_err(explain)?
            };
            let text: String = entries.into_iter().map(|entry| form.entry(entry, &names)).collect::<Result<_>>()?;
            show(&text)?;
            if is_end && !self.follow {
                return show(form.end());
            }
            if is_end {
                tokio::time::sleep(POLL_EVERY).await;
                app.check().await.map_err(explain)?; // the file may have been replaced by another one
                if !is_read() {
                    return Ok(());
                }
            }
        }
    }

    async fn filter(&self, app: &App) -> Result<AuditFilter> {
        let (actor, subject) = (id_of(app, self.actor.as_ref()).await?, id_of(app, self.user.as_ref()).await?);
        Ok(AuditFilter { action: self.action, actor, subject, since: self.since, until: self.until })
    }
}

/// The output format.
enum Form {
    Table,
    Lines,
    Document { is_empty: bool },
}

impl Form {
    fn of(audit: &Audit) -> Self {
        match (audit.json, audit.follow) {
            (false, _) => Self::Table,
            (true, true) => Self::Lines,
            (true, false) => Self::Document { is_empty: true },
        }
    }

    fn beginning(&self) -> &'static str {
        match self {
            Self::Table => {
                "      ID  TIME                  ACTION                    ACTOR                 USER                  COUNT  IP ADDRESS       REQUEST\n"
            }
            Self::Lines => "",
            Self::Document { .. } => "{\"events\":[",
        }
    }

    fn entry(&mut self, entry: AuditEntry, names: &Usernames) -> Result<String> {
        let json = |entry: AuditEntry| {
            serde_json::to_string(&AuditEvent::from(entry)).context("an entry can't be written as JSON")
        };
        match self {
            Self::Table => Ok(row(&entry, names)),
            Self::Lines => Ok(json(entry)? + "\n"),
            Self::Document { is_empty } => {
                let comma = if std::mem::take(is_empty) { "" } else { "," };
                Ok(format!("{comma}{}", json(entry)?))
            }
        }
    }

    fn end(&self) -> &'static str {
        match self {
            Self::Table | Self::Lines => "",
            Self::Document { .. } => "],\"next_cursor\":null}\n",
        }
    }
}

fn row(entry: &AuditEntry, names: &Usernames) -> String {
    let named = |id: i64| names.get(id).map_or_else(|| id.to_string(), |name| format!("{id} {name}"));
    let account = |id: Option<i64>| id.map_or_else(|| "-".to_owned(), named);
    let text = |text: &Option<String>| text.as_deref().map_or("-".into(), |text| printable(text).into_owned());
    format!(
        "{:>8}  {}  {:<24}  {:<20}  {:<20}  {:>5}  {:<15}  {}\n",
        entry.id,
        entry.at,
        printable(&entry.action),
        account(entry.actor),
        account(entry.subject),
        entry.count,
        text(&entry.ip),
        text(&entry.request_id),
    )
}

/// Checked while there is nothing to write, because otherwise only a write would show it.
fn is_read() -> bool {
    let out = std::io::stdout();
    let mut asked = [PollFd::new(&out, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let gone = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
    poll(&mut asked, Some(&now)).is_err() || !asked[0].revents().intersects(gone)
}
