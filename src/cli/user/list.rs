//! `usher user list`

use crate::{
    app::{App, Policy},
    cli::{
        explain, open,
        output::{Table, USER_COLUMNS, show, user_row},
    },
    domain::{Caller, Page, PageSize, Role, SearchPrefix, User, UserCursor, UserFilter, UserSort},
    http::answers,
};
use anyhow::Result;
use clap::Args;
use futures_executor::block_on;
use std::path::Path;

/// List accounts
#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Only accounts whose username or e-mail address begins with this, in upper or lower case
    #[arg(long, value_name = "PREFIX", value_parser = |text: &str| SearchPrefix::parse(text))]
    search: Option<SearchPrefix>,

    /// Only accounts of this role: user or admin
    #[arg(long, value_parser = |text: &str| Role::parse(text))]
    role: Option<Role>,

    /// Only disabled accounts (true), or only enabled ones (false)
    #[arg(long, value_name = "TRUE|FALSE")]
    disabled: Option<bool>,

    /// What to sort by: id, username, created_at or last_login_at; with a hyphen in front (--sort=-id) in reverse
    #[arg(long, value_name = "ORDER", default_value = "id", allow_hyphen_values = true, value_parser = |text: &str| UserSort::parse(text))]
    sort: UserSort,

    /// Print one JSON document, in the shape of GET /users
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
        self.for_each_page(app, |users| {
            users.iter().try_for_each(|user| table.row(&user_row(user)))?;
            table.flush()
        })
    }

    /// Written page by page: there may be more accounts than should be held in memory.
    fn show_json(&self, app: &App) -> Result<()> {
        show("{\"users\": [")?;
        let mut separator = "";
        self.for_each_page(app, |users| {
            let mut text = String::new();
            for user in users {
                text.push_str(separator);
                text.push_str("\n  ");
                text.push_str(&serde_json::to_string(&answers::User::from(user))?);
                separator = ",";
            }
            show(&text)
        })?;
        show("\n], \"next_cursor\": null}\n")
    }

    fn for_each_page(&self, app: &App, mut show: impl FnMut(Vec<User>) -> Result<()>) -> Result<()> {
        let mut after: Option<UserCursor> = None;
        loop {
            let filter = UserFilter { prefix: self.search.clone(), role: self.role, disabled: self.disabled };
            let shell = Caller::shell();
            let listed = app.users(&shell, filter, self.sort, after, PageSize::LARGEST, false);
            let Page { items, next } = block_on(listed).map_err(explain)?.page;
            show(items)?;
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}
