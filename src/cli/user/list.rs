//! `usher user list`

use crate::{
    app::{App, Policy},
    cli::{
        eprint, explain, open,
        output::{Table, USER_COLUMNS, show, user_row},
    },
    domain::{Caller, DamagedUser, Error, Page, PageSize, Role, SearchPrefix, User, UserCursor, UserFilter, UserSort},
    http::answers,
};
use anyhow::Result;
use clap::Args;
use futures_executor::block_on;
use serde_json::json;
use std::path::Path;

/// List accounts
///
/// Accounts that another program has damaged are listed last, whatever the filter: in the table as DAMAGED, in JSON as
/// `damaged`, with their ids and faults. They can be repaired or deleted by id.
#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Only accounts whose username or e-mail address begins with this, in upper or lower case
    #[arg(long, value_name = "PREFIX", value_parser = |text: &str| SearchPrefix::parse(text))]
    search: Option<SearchPrefix>,

    /// Only accounts with this role: user or admin
    #[arg(long, value_parser = |text: &str| Role::parse(text))]
    role: Option<Role>,

    /// Only disabled accounts (true), or only enabled ones (false)
    #[arg(long, value_name = "TRUE|FALSE")]
    disabled: Option<bool>,

    /// The field to sort by: id, username, created_at or last_login_at. A leading hyphen (--sort=-id) reverses the order
    #[arg(long, value_name = "ORDER", default_value = "id", allow_hyphen_values = true, value_parser = |text: &str| UserSort::parse(text))]
    sort: UserSort,

    /// Print one JSON document, in the shape of GET /api/v1/users
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        let app = open(database, Policy::default())?;
        if self.json { self.show_json(&app) } else { self.print_table(&app) }
    }

    fn print_table(&self, app: &App) -> Result<()> {
        let mut table = Table::new(&USER_COLUMNS)?;
        let damaged = self.for_each_page(app, |users| {
            users.iter().try_for_each(|user| table.row(&user_row(user)))?;
            table.flush()
        })?;
        for DamagedUser { id, faults } in &damaged {
            let fields: Vec<&str> = faults.iter().map(|(field, _)| field).collect();
            table.row(&[
                id.to_string(),
                "-".into(),
                "-".into(),
                "-".into(),
                format!("DAMAGED: {}", fields.join(", ")),
            ])?;
        }
        table.flush()?;
        for damaged in &damaged {
            eprint(&damaged.to_string());
        }
        Ok(())
    }

    /// Written page by page: there may be more accounts than should be held in memory.
    fn show_json(&self, app: &App) -> Result<()> {
        show("{\"users\": [")?;
        let mut separator = "";
        let damaged = self.for_each_page(app, |users| {
            let mut text = String::new();
            for user in users {
                text.push_str(separator);
                text.push_str("\n  ");
                text.push_str(&serde_json::to_string(&answers::User::from(user))?);
                separator = ",";
            }
            show(&text)
        })?;
        let faults = |damaged: &DamagedUser| -> serde_json::Map<String, serde_json::Value> {
            damaged.faults.iter().map(|(field, fault)| (field.to_owned(), fault.into())).collect()
        };
        let listed: Vec<_> =
            damaged.iter().map(|damaged| json!({"id": damaged.id, "faults": faults(damaged)})).collect();
        let damaged = if listed.is_empty() { String::new() } else { format!(", \"damaged\": {}", json!(listed)) };
        show(&format!("\n], \"next_cursor\": null{damaged}}}\n"))
    }

    /// Hands over every page, and returns the damaged accounts, which are on no page.
    fn for_each_page(&self, app: &App, mut show: impl FnMut(Vec<User>) -> Result<()>) -> Result<Vec<DamagedUser>> {
        let (mut after, mut damaged): (Option<UserCursor>, Vec<DamagedUser>) = (None, Vec::new());
        let shell = Caller::shell();
        loop {
            let filter = UserFilter {
                prefix: self.search.clone(),
                role: self.role,
                disabled: self.disabled,
                except: damaged.iter().map(|damaged| damaged.id).collect(),
            };
            let listed =
                block_on(app.accounts.list(&shell, filter, self.sort, after.clone(), PageSize::MAX_SIZE, false));
            if matches!(listed, Err(Error::Internal(_))) && damaged.is_empty() {
                damaged = block_on(app.accounts.damaged(&shell)).map_err(explain)?;
                if !damaged.is_empty() {
                    continue;
                }
            }
            let Page { items, next } = listed.map_err(explain)?.page;
            show(items)?;
            after = next;
            if after.is_none() {
                return Ok(damaged);
            }
        }
    }
}
