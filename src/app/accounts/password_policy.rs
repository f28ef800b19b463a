//! The password policy, for every way in: no new password is hashed before it was checked here.
//!
//! HTTP and the command line ask [`Accounts::accept_password`] while they read a form, to report all its faults together.
//! Use cases check again, with the account's names as they will be.

use super::Accounts;
use crate::{
    app::core::Core,
    domain::{Caller, Error, Faults, Password, PasswordHash},
};
use std::borrow::Cow;

impl Accounts {
    /// Accepts a password that somebody typed for an account with these names, or says what is wrong with it.
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

    /// The hash of a new password. It waits for its turn, and fails where there is no place to wait.
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
