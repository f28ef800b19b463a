//! `usher user unlock`

use super::Named;
use crate::{
    app::Policy,
    cli::{eprint, explain, open},
    domain::Caller,
};
use anyhow::Result;
use clap::Args;
use futures_executor::block_on;
use std::path::Path;

/// Clear an account's failed sign-ins, so that its owner can sign in again
///
/// For owners who are locked out because others guessed their password. After too many attempts, all sign-ins to the account
/// are refused for a while, even with the right password. A running server notices the change at the next attempt. The failed
/// sign-ins of an IP address to all accounts together stay counted. People who guess the password can notice that they are no
/// longer slowed down, and so learn that the account exists.
#[derive(Debug, Args)]
pub(in crate::cli) struct Unlock {
    #[command(flatten)]
    named: Named,
}

impl Unlock {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        let app = open(database, Policy::default())?;
        let user = self.named.find(&app)?;
        block_on(app.accounts.unlock(&Caller::shell(), Some(user.id))).map_err(explain)?;
        eprint(&format!("{}: the failed sign-ins were cleared", user.username));
        Ok(())
    }
}
