//! `usher user unlock`

use super::Named;
use crate::{
    app::Policy,
    cli::{explain, open, tell},
    domain::Caller,
};
use anyhow::Result;
use clap::Args;
use futures_executor::block_on;
use std::path::Path;

/// Forget an account's failed sign-ins, so that its owner can sign in again
///
/// For owners who are kept out because others guessed at their password: too many attempts at one account are refused,
/// right passwords included, until time has passed. A server that runs on the database notices at the next attempt. What
/// each IP address has failed at all accounts together stays counted. Those who guess at the account can notice that they
/// are let through again, and so that it exists.
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
        tell(&format!("{}: the failed sign-ins are forgotten", user.username));
        Ok(())
    }
}
