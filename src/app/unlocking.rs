//! Letting the owner of an account that others guessed at sign in again.

use super::{
    App,
    access::{Operation, confirm, decide},
    throttle::AccountKey,
};
use crate::domain::{Action, Caller, Error, UserId};

impl App {
    /// Forgets the failed sign-ins of an account, from wherever they came. Running servers notice at the next attempt.
    pub async fn unlock_user(&self, caller: &Caller, target: Option<UserId>) -> Result<(), Error> {
        let result = self.try_unlock(caller, target).await;
        self.noting_refusal(caller, target, result)
    }

    async fn try_unlock(&self, caller: &Caller, target: Option<UserId>) -> Result<(), Error> {
        decide(&caller.actor, &Operation::Unlock)?;
        let acting = caller.clone();
        self.store
            .write(caller, move |writer| {
                decide(&confirm(writer, &acting)?, &Operation::Unlock)?;
                let id = target.ok_or(Error::UserNotFound)?;
                let user = writer.user(id)?.ok_or(Error::UserNotFound)?;
                let key = AccountKey::of(&writer.throttle_secret()?, user.email.as_str());
                writer.unlock(key.unlock_group())?;
                writer.record(Action::UserUnlocked, Some(id));
                Ok(())
            })
            .await
    }
}
