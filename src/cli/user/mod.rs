//! `usher user`: account administration on the command line. Each command works with or without a running server, and
//! takes effect at the server's next request.

mod change;
mod create;
mod delete;
mod export;
mod import;
mod list;
mod reset_token;
mod show;
mod unlock;

use super::explain;
use crate::{
    app::App,
    domain::{Caller, User, UserSelector},
};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use futures_executor::block_on;
use std::path::Path;

/// List, create and change accounts, also while a server runs
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    List(list::List),
    Show(show::Show),
    Create(Box<create::Create>),
    Disable(change::Disable),
    Enable(change::Enable),
    SetRole(change::SetRole),
    SetUsername(change::SetUsername),
    SetEmail(change::SetEmail),
    SetDisplayName(change::SetDisplayName),
    SetPassword(Box<change::SetPassword>),
    Delete(delete::Delete),
    Unlock(unlock::Unlock),
    ResetToken(reset_token::ResetToken),
    Import(import::Import),
    Export(export::Export),
}

impl UserCommand {
    pub(super) fn run(self, database: &Path) -> Result<()> {
        match self {
            Self::List(command) => command.run(database),
            Self::Show(command) => command.run(database),
            Self::Create(command) => command.run(database),
            Self::Disable(command) => command.run(database),
            Self::Enable(command) => command.run(database),
            Self::SetRole(command) => command.run(database),
            Self::SetUsername(command) => command.run(database),
            Self::SetEmail(command) => command.run(database),
            Self::SetDisplayName(command) => command.run(database),
            Self::SetPassword(command) => command.run(database),
            Self::Delete(command) => command.run(database),
            Self::Unlock(command) => command.run(database),
            Self::ResetToken(command) => command.run(database),
            Self::Import(command) => command.run(database),
            Self::Export(command) => command.run(database),
        }
    }
}

/// Which account.
#[derive(Debug, Clone, Args)]
pub(super) struct Named {
    /// The account: digits are an id, text with an @ is an e-mail address, and anything else is a username
    #[arg(value_name = "USER", value_parser = user_name)]
    user: UserSelector,
}

pub(super) fn user_name(text: &str) -> Result<UserSelector, String> {
    UserSelector::parse(text).map_err(|fault| format!("as an id, an e-mail address or a username, this {fault}"))
}

impl Named {
    /// Looks the account up.
    pub(super) fn find(&self, app: &App) -> Result<User> {
        let found = block_on(app.accounts.find(&Caller::shell(), self.user.clone()));
        found.map_err(explain).with_context(|| self.user.to_string())
    }

    /// Looks the account up to change or delete it. A damaged account is found by its id.
    pub(super) fn find_to_change(&self, app: &App) -> Result<User> {
        let found = block_on(app.accounts.find_to_change(&Caller::shell(), self.user.clone()));
        found.map_err(explain).with_context(|| self.user.to_string())
    }
}
