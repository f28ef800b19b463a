//! `usher create-admin`

use super::{explain, open_for_passwords, password::PasswordSource, tell};
use crate::{
    app::NewAccount,
    config::{CostSettings, PasswordSettings},
    domain::{Caller, EmailAddress, Error, Faults, PasswordPolicy, Role, Username},
};
use anyhow::Result;
use clap::Args;
use futures_executor::block_on;
use std::path::Path;

/// Make an account that may administer the others
///
/// The password is asked for twice on the terminal, unless a flag says otherwise. Works also while a server runs on the
/// database; the account can sign in at once.
#[derive(Debug, Args)]
pub(super) struct CreateAdmin {
    /// 1 to 64 letters, digits, dots, underscores and hyphens, starting with a letter or digit
    #[arg(long, value_name = "NAME")]
    username: String,

    /// The address to sign in with
    #[arg(long, value_name = "ADDRESS")]
    email: String,

    #[command(flatten)]
    source: PasswordSource,

    #[command(flatten)]
    passwords: PasswordSettings,

    #[command(flatten)]
    cost: CostSettings,
}

impl CreateAdmin {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        let app = open_for_passwords(database, &self.passwords, self.cost)?;
        let password = self.source.read()?;
        let account = self.account(&password, &app.policy().passwords).map_err(explain)?;
        let user = block_on(app.register(&Caller::shell(), account)).map_err(explain)?;
        tell(&format!("{} is an administrator, with the id {}", user.username, user.id));
        self.source.reveal(&password)
    }

    /// All that is wrong is told at once.
    fn account(&self, password: &str, policy: &PasswordPolicy) -> Result<NewAccount, Error> {
        let mut faults = Faults::default();
        let username = faults.collect("username", Username::parse(&self.username));
        let email = faults.collect("email", EmailAddress::parse(&self.email));
        let password = faults.collect("password", policy.accept(password, &[&self.username, &self.email]));
        match (username, email, password) {
            (Some(username), Some(email), Some(password)) => {
                Ok(NewAccount { username, email, password, role: Role::Admin, invitation: None })
            }
            _ => Err(Error::Invalid(faults)),
        }
    }
}
