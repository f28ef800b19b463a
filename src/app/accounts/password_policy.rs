//! The password policy, for HTTP and the command line alike: every new password is checked here before it is hashed.
//!
//! HTTP and the command line call [`Accounts::accept_password`] while they read a form, to report all its faults together.
//! Use cases check again, with the username and the e-mail address that the account will have.

use super::Accounts;
use crate::{
    app::core::Core,
    domain::{Caller, Error, Faults, Password, PasswordHash},
};
use std::borrow::Cow;

impl Accounts {
    /// Accepts a password for an account with these names, or returns what is wrong with it.
    pub fn accept_password(&self, typed: &str, names: &[&str]) -> Result<Password, Cow<'static, str>> {
        self.core.policy.passwords.accept(typed, names)
    }
}

impl Core {
    /// Refuses a new password that the account with this username and e-mail address may not have.
    pub(in crate::app) fn check_new_password(&self, password: &Password, names: [&str; 2]) -> Result<(), Error> {
        let mut faults = Faults::default();
        let accepted = faults.collect("password", self.policy.passwords.accept(password.as_str(), &names));
        accepted.map(drop).ok_or(Error::Invalid(faults))
    }

    /// Hashes a new password. It waits for its turn, and fails if the queue is full.
    pub(in crate::app) async fn hash_new_password(
        &self,
        caller: &Caller,
        password: Password,
        names: [&str; 2],
    ) -> Result<PasswordHash, Error> {
        self.check_new_password(&password, names)?;
        self.hashing.admit(caller.client.network())?.hash(password).await
    }
}
