//! `usher create-admin`

use super::{account::AccountFlags, eprint, explain, open_for_passwords};
use crate::domain::{Caller, Role};
use anyhow::Result;
use clap::Args;
use futures_executor::block_on;
use std::path::Path;

/// Create the account of an administrator
///
/// First checks that the username and the e-mail address are valid and free. Then asks for the password twice on the
/// terminal, unless a flag gives it. Also works while a server runs; the account can sign in at once.
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
        eprint(&format!("{} is an administrator, with the id {}", user.username, user.id));
        self.flags.source.reveal(&password)
    }
}
