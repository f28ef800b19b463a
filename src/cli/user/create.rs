//! `usher user create`

use crate::{
    cli::{account::AccountFlags, eprint, explain, open_for_passwords, output::show_json},
    domain::{Caller, Role},
    http::answers,
};
use anyhow::Result;
use clap::Args;
use futures_executor::block_on;
use std::path::Path;

/// Create an account
///
/// First checks that the username and the e-mail address are valid and free. Then asks for the password twice on the
/// terminal, unless a flag gives it. Works in every registration mode.
#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// The role of the account: user or admin
    #[arg(long, default_value = "user", value_parser = |text: &str| Role::parse(text))]
    role: Role,

    /// Print the account as JSON, in the shape of GET /api/v1/users/{user_id}; not together with --generate-password
    #[arg(long, conflicts_with = "generate_password")]
    json: bool,

    #[command(flatten)]
    flags: AccountFlags,
}

impl Create {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        let app = open_for_passwords(database, &self.flags.passwords, self.flags.cost)?;
        let (account, password) = self.flags.account(&app, self.role)?;
        let user = block_on(app.accounts.register(&Caller::shell(), account)).map_err(explain)?;
        eprint(&format!("{} was created, with the id {} and the role {}", user.username, user.id, user.role));
        if self.json { show_json(&answers::User::from(user)) } else { self.flags.source.reveal(&password) }
    }
}
