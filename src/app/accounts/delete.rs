//! Deleting an account.

use super::{Accounts, ExpectedRevision, ensure_admin_remains, void_tokens_created_by};
use crate::{
    app::access::Operation,
    domain::{Action, Caller, Error, UserId},
};

impl Accounts {
    /// Deletes an account with everything that belongs to it. Its id is never used again. To delete their own account,
    /// callers need a recent sign-in.
    pub async fn delete(
        &self,
        caller: &Caller,
        target: Option<UserId>,
        expected: ExpectedRevision,
    ) -> Result<(), Error> {
        let operation = Operation::DeleteUser(target);
        self.core.decide(caller, operation)?;
        let own = caller.signed_in().filter(|signed_in| target == Some(signed_in.user.id));
        if own.is_some_and(|signed_in| !self.core.is_recent(signed_in)) {
            return self.core.record_refusal(caller, target, Err(Error::ReauthenticationRequired));
        }
        self.core
            .change(caller, operation, move |writer, _| {
                let id = target.ok_or(Error::UserNotFound)?;
                let user = writer.credentials_to_change(id)?.ok_or(Error::UserNotFound)?.0.user;
                expected.check(&user)?;
                ensure_admin_remains(writer, &user, true)?;
                void_tokens_created_by(writer, id)?;
                writer.delete_user(id)?;
                writer.record(Action::UserDeleted, Some(id));
                Ok(())
            })
            .await
    }
}
