//! What the flags of a new account are, for an administrator and for anybody.

use super::{explain, password::PasswordSource};
use crate::{
    app::NewAccount,
    config::{CostSettings, PasswordSettings},
    domain::{EmailAddress, Error, Faults, PasswordPolicy, Role, Username},
};
use anyhow::Result;
use clap::Args;
use zeroize::Zeroizing;

/// Who somebody is, and where their password comes from.
#[derive(Debug, Args)]
pub(super) struct AccountFlags {
    /// 1 to 64 letters, digits, dots, underscores and hyphens, starting with a letter or digit
    #[arg(long, value_name = "NAME")]
    username: String,

    /// The e-mail address to sign in with; it counts as verified
    #[arg(long, value_name = "ADDRESS")]
    email: String,

    #[command(flatten)]
    pub source: PasswordSource,

    #[command(flatten)]
    pub passwords: PasswordSettings,

    #[command(flatten)]
    pub cost: CostSettings,
}

impl AccountFlags {
    /// Asks for the password and puts the account together. All that is wrong is told at once.
    pub fn account(&self, role: Role, policy: &PasswordPolicy) -> Result<(NewAccount, Zeroizing<String>)> {
        let typed = self.source.read()?;
        let account = self.parse(role, &typed, policy).map_err(explain)?;
        Ok((account, typed))
    }

    fn parse(&self, role: Role, password: &str, policy: &PasswordPolicy) -> Result<NewAccount, Error> {
        let mut faults = Faults::default();
        let username = faults.collect("username", Username::parse(&self.username));
        let email = faults.collect("email", EmailAddress::parse(&self.email));
        let password = faults.collect("password", policy.accept(password, &[&self.username, &self.email]));
        match (username, email, password) {
            (Some(username), Some(email), Some(password)) => {
                Ok(NewAccount { username, email, password, role, invitation: None })
            }
            _ => Err(Error::Invalid(faults)),
        }
    }
}
