//! The flags of a new account.

use super::{explain, password::PasswordSource};
use crate::{
    app::{App, NewAccount},
    config::{CostSettings, PasswordSettings},
    domain::{Caller, EmailAddress, Error, Faults, Role, UserSelector, Username},
};
use anyhow::Result;
use clap::Args;
use futures_executor::block_on;
use zeroize::Zeroizing;

/// The username, the e-mail address and the source of the password.
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
    /// Reads the password and builds the account. All faults are reported together, but the password is not asked for if
    /// the account can't be created anyway.
    pub fn account(&self, app: &App, role: Role) -> Result<(NewAccount, Zeroizing<String>)> {
        if self.source.asks() {
            self.check_names(app).map_err(explain)?;
        }
        let typed = self.source.read()?;
        let account = self.parse(role, &typed, app).map_err(explain)?;
        Ok((account, typed))
    }

    /// Refuses a username or an e-mail address that is faulty or taken. What else may be wrong shows later.
    fn check_names(&self, app: &App) -> Result<(), Error> {
        let mut faults = Faults::default();
        let username = faults.collect("username", Username::parse(&self.username));
        let email = faults.collect("email", EmailAddress::parse(&self.email));
        let (Some(username), Some(email)) = (username, email) else { return Err(Error::Invalid(faults)) };
        let is_taken = |name| block_on(app.accounts.find(&Caller::shell(), name)).is_ok();
        if is_taken(UserSelector::Username(username)) {
            return Err(Error::UsernameTaken);
        }
        if is_taken(UserSelector::Email(email)) { Err(Error::EmailTaken) } else { Ok(()) }
    }

    fn parse(&self, role: Role, password: &str, app: &App) -> Result<NewAccount, Error> {
        let mut faults = Faults::default();
        let username = faults.collect("username", Username::parse(&self.username));
        let email = faults.collect("email", EmailAddress::parse(&self.email));
        let password =
            faults.collect("password", app.accounts.accept_password(password, &[&self.username, &self.email]));
        match (username, email, password) {
            (Some(username), Some(email), Some(password)) => {
                Ok(NewAccount { username, email, password, role, invitation: None })
            }
            _ => Err(Error::Invalid(faults)),
        }
    }
}
