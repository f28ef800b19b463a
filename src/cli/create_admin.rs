//! `usher create-admin`

use super::{account::AccountFlags, explain, open_for_passwords, tell};
use crate::domain::{Caller, Role};
use anyhow::Result;
use clap::Args;
use futures_executor::block_on;
use std::path::Path;

/// Create the account of an administrator
///
/// Once the username and the e-mail address are known to be valid and free, the password is asked for twice on the terminal,
/// unless a flag says otherwise. Works also while a server runs on the database; the account can sign in at once.
#[derive(Debug, Args)]
pub(super) struct CreateAdmin {
    #[command(flatten)]
    flags: AccountFlags,
}

impl CreateAdmin {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        let app = open_for_passwords(database, &self.flags.passwords, self.flags.cost)?;
        let (account, password) = self.flags.account(&app, Role::Admin)?;
        let user = block_on(app.accounts.register(&Caller::shell(), account)).map_err(explain)?;
        tell(&format!("{} is an administrator, with the id {}", user.username, user.id));
        self.flags.source.reveal(&password)
    }
}
