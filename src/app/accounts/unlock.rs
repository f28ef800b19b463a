//! Unlocking an account that was locked because others guessed its password.

use super::Accounts;
use crate::{
    app::{access::Operation, throttle::AccountKey},
    domain::{Action, Caller, Error, UserId},
};

impl Accounts {
    /// Clears the failed sign-ins of an account, from every IP address. Running servers notice at the next attempt.
    pub async fn unlock(&self, caller: &Caller, target: Option<UserId>) -> Result<(), Error> {
        self.core
            .change(caller, Operation::Unlock(target), move |writer, _| {
                let id = target.ok_or(Error::UserNotFound)?;
                let user = writer.user(id)?.ok_or(Error::UserNotFound)?;
                let secret = writer.throttle_secret()?;
                for name in [user.email.as_str(), user.username.as_str()] {
                    writer.unlock(AccountKey::of(&secret, name).unlock_group())?;
                }
                writer.forget_browsers(id)?;
                writer.record(Action::UserUnlocked, Some(id));
                Ok(())
            })
            .await
    }
}
