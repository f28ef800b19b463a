//! The one place where a typed password meets an account's.

use crate::{
    app::{
        ADDRESS_RETENTION,
        access::Operation,
        core::Core,
        throttle::{AccountKey, Attempt, Target},
    },
    domain::{Action, Caller, ClientPrefix, Credentials, Error, Password, PasswordHash, User, UserId},
    hashing::Place,
};

/// A typed password with its place in the queue of hashes. `None`: it is longer than any account's, which needs no hash
/// and is an attempt all the same.
type Admitted = Option<(Place, Password)>;

/// An account whose password was shown, and what that was charged: to be settled once its session is on disk.
pub(in crate::app) struct Proven {
    pub credentials: Credentials,
    pub attempt: Attempt,
}

/// What an attempt to sign in looks up.
struct Found {
    credentials: Option<Credentials>,
    /// Where there is no account: the hash of another one, which costs what it may well have cost.
    decoy: Option<PasswordHash>,
    /// Whether the caller's IP address has signed in to the account before.
    is_known_client: bool,
    /// How often the account's group has been unlocked.
    unlocks: i64,
}

/// A password that somebody types, about to be checked.
pub(in crate::app) struct PasswordCheck<'a> {
    pub core: &'a Core,
    pub caller: &'a Caller,
}

impl PasswordCheck<'_> {
    /// Checks the password of a sign-in. What is typed for the e-mail address need not be one. `None` is a failed attempt.
    pub async fn for_sign_in(&self, email: &str, typed: &str) -> Result<Option<Proven>, Error> {
        let admitted = self.admit(typed)?;
        let (prefix, key) = (self.caller.client.prefix(), self.core.throttle.account(email));
        let Found { credentials: found, decoy, is_known_client, unlocks } = self.find(email, key, prefix).await?;
        let subject = found.as_ref().map(|credentials| credentials.user.id);
        let attempt = self.core.throttle.reserve_sign_in(prefix, Target { account: key, unlocks, is_known_client });
        let attempt = self.core.record_refusal(self.caller, subject, attempt)?;
        match self.evaluate(admitted, found, decoy).await {
            Ok(shown) => Ok(shown.map(|credentials| Proven { credentials, attempt })),
            Err(error) => {
                self.core.throttle.refund(&attempt); // nothing was learnt from it
                Err(error)
            }
        }
    }

    /// Checks the caller's own password, which has been charged as a change: the counters of sign-ins are for those who
    /// have no session, and must not show them what an owner does. `None` is a failed attempt.
    pub async fn for_own_account(&self, user: &User, typed: &str) -> Result<Option<Credentials>, Error> {
        let (admitted, id) = (self.admit(typed)?, user.id);
        let operation = Operation::ChangeUser(Some(id));
        let found = self.core.read(self.caller, operation, move |reader| reader.credentials(id)).await?;
        self.evaluate(admitted, found, None).await
    }

    fn admit(&self, typed: &str) -> Result<Admitted, Error> {
        let password = Password::attempt(typed);
        password.map(|password| Ok((self.core.hashing.admit(self.caller.client.network())?, password))).transpose()
    }

    /// The one place where a typed password meets an account's: every path that checks one comes through here, and has been
    /// charged for it. `None` is a failed attempt, and has been noted; what a right password was charged is for the caller
    /// to settle.
    async fn evaluate(
        &self,
        admitted: Admitted,
        found: Option<Credentials>,
        decoy: Option<PasswordHash>,
    ) -> Result<Option<Credentials>, Error> {
        let subject = found.as_ref().map(|credentials| credentials.user.id);
        let mut leaving = Leaving { check: self, subject, early: true };
        let right = match (admitted, &found) {
            (None, _) => Ok(false),
            (Some((place, password)), Some(credentials)) => {
                place.verify(password, credentials.password_hash.clone()).await
            }
            (Some((place, password)), None) => place.verify_decoy(password, decoy).await.map(|()| false),
        };
        leaving.early = false;
        let shown = right.map(|right| found.filter(|credentials| right && !credentials.user.disabled))?;
        if shown.is_none() {
            self.core.journal.record(Action::SignInFailed, self.caller, subject);
        }
        Ok(shown)
    }

    /// An account with its credentials, and what decides how attempts at it are counted. The same is asked of the
    /// database for an account that there is not.
    async fn find(&self, email: &str, key: AccountKey, prefix: Option<ClientPrefix>) -> Result<Found, Error> {
        let (since, email) = (self.core.clock.now() - ADDRESS_RETENTION, email.to_owned());
        self.core
            .read(self.caller, Operation::SignIn, move |reader| {
                let found = reader.credentials_or_decoy(&email, key.place())?;
                let id = found.as_ref().map(|(credentials, _)| credentials.user.id);
                let (knows, unlocks) = (reader.knows_address(id, prefix, since)?, reader.unlocks(key.unlock_group())?);
                let (credentials, decoy) = match found {
                    Some((credentials, true)) => (Some(credentials), None),
                    Some((other, false)) => (None, Some(other.password_hash)),
                    None => (None, None),
                };
                Ok(Found { is_known_client: knows && credentials.is_some(), credentials, decoy, unlocks })
            })
            .await
    }
}

/// Callers who leave before their attempt is evaluated stay charged for it, and are noted like those who were wrong.
struct Leaving<'a> {
    check: &'a PasswordCheck<'a>,
    subject: Option<UserId>,
    early: bool,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if self.early {
            self.check.core.journal.record(Action::SignInFailed, self.check.caller, self.subject);
        }
    }
}
