//! Opening sessions.

pub(super) mod password;

use super::{MAX_ADDRESSES, access::Operation, core::Core};
use crate::domain::{
    Action, Caller, Credentials, Error, NewSession, Password, PasswordHash, SessionId, SessionKind, SessionToken,
    Timestamp, User,
};
use password::{PasswordCheck, Proven};
use std::sync::Arc;

/// The result of a sign-in. The token is not stored, so it can be shown only now.
#[derive(Debug)]
pub struct SignIn {
    pub token: SessionToken,
    pub expires_at: Timestamp,
    pub user: User,
}

/// The ways to sign in.
pub struct SignIns {
    pub(super) core: Arc<Core>,
}

impl SignIns {
    /// Opens a session. An unknown e-mail address, a wrong password and a disabled account can't be distinguished: they
    /// get the same answer, the same number of hashes and the same database queries.
    pub async fn with_password(
        &self,
        caller: &Caller,
        email: &str,
        password: &str,
        user_agent: Option<String>,
    ) -> Result<SignIn, Error> {
        let proven = PasswordCheck { core: &self.core, caller }.for_sign_in(email, password).await?;
        let Proven { credentials, attempt } = proven.ok_or(Error::InvalidCredentials)?;
        let user_id = credentials.user.id;
        let rehashed = self.rehash(caller, password, &credentials.password_hash).await;
        let token = SessionToken::generate();
        let session = NewSession {
            id: SessionId::generate(),
            token_hash: token.hash(),
            user_id,
            kind: SessionKind::Api,
            expires_at: self.core.clock.now() + self.core.policy.sessions.lifetime,
            user_agent,
        };
        let expires_at = session.expires_at;
        match self.open_session(caller, session, credentials, rehashed).await {
            Ok(Some(user)) => {
                self.core.throttle.succeeded(&attempt);
                Ok(SignIn { token, expires_at, user })
            }
            // The account was disabled or deleted, or its password was changed, while this one was hashed.
            Ok(None) => {
                self.core.journal.record(Action::SignInFailed, caller, Some(user_id));
                Err(Error::InvalidCredentials)
            }
            Err(error) => {
                self.core.throttle.refund(&attempt); // the password was right, and there is no session
                Err(error)
            }
        }
    }

    /// Stores a session and updates the account, and reads the account again. `None` if the account is no longer the
    /// one that the password was checked against.
    async fn open_session(
        &self,
        caller: &Caller,
        session: NewSession,
        credentials: Credentials,
        rehashed: Option<PasswordHash>,
    ) -> Result<Option<User>, Error> {
        let Credentials { user: User { id, .. }, password_hash, password_version } = credentials;
        let (limits, prefix) = (self.core.policy.sessions.clone(), caller.client.prefix());
        self.core
            .change(caller, Operation::SignIn, move |writer, _| {
                if !writer.insert_session(&session, password_version, &limits)? {
                    return Ok(None);
                }
                writer.set_last_login(id)?;
                if let Some(prefix) = prefix {
                    writer.remember_sign_in_address(id, prefix, MAX_ADDRESSES)?;
                }
                if let Some(new) = &rehashed {
                    writer.replace_password_hash(id, &password_hash, new)?;
                }
                writer.record_by(Some(id), Action::SignedIn, Some(id));
                writer.user(id)
            })
            .await
    }

    /// Hashes the password again if its hash has an outdated cost. If the queue is full, the next sign-in does it.
    async fn rehash(&self, caller: &Caller, password: &str, hash: &PasswordHash) -> Option<PasswordHash> {
        if !self.core.hashing.is_outdated(hash) {
            return None;
        }
        let password = Password::attempt(password)?;
        self.core.hashing.admit(caller.client.network()).ok()?.hash(password).await.ok()
    }
}
