//! `usher user delete`

use super::Named;
use crate::{
    app::{ExpectedRevision, Policy},
    cli::{eprint, explain, open},
    domain::{Caller, User},
};
use anyhow::{Context, Result, bail};
use clap::Args;
use futures_executor::block_on;
use std::{
    io::{BufRead, IsTerminal, Write},
    path::Path,
};

/// Delete an account with its sessions and tokens; its id is never used again
///
/// Asks for confirmation first. Without a terminal it refuses, unless --yes is given. Invitations and reset tokens that an
/// administrator created go with the account. The last enabled administrator can't be deleted.
#[derive(Debug, Args)]
pub(in crate::cli) struct Delete {
    #[command(flatten)]
    named: Named,

    /// Don't ask for confirmation
    #[arg(long)]
    yes: bool,
}

impl Delete {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        let app = open(database, Policy::default())?;
        let user = self.named.find_to_change(&app)?;
        if !self.yes {
            ask(&user)?;
        }
        let shell = Caller::shell();
        let deleted = app.accounts.delete(&shell, Some(user.id), ExpectedRevision::Any);
        block_on(deleted).map_err(explain)?;
        eprint(&format!("{} ({}) was deleted", user.username, user.email));
        Ok(())
    }
}

/// Fails unless the user answers yes.
fn ask(user: &User) -> Result<()> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        bail!("there is no terminal to ask on; nothing was deleted, use --yes");
    }
    let mut out = std::io::stderr();
    write!(out, "Delete {} ({}, id {})? [y/N] ", user.username, user.email, user.id)
        .and_then(|()| out.flush())
        .context("the terminal can't be written")?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).context("the terminal can't be read")?;
    if !["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
        bail!("nothing was deleted");
    }
    Ok(())
}
