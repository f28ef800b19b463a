//! Opening sessions.

mod browser;
pub(super) mod password;

pub(super) use browser::InBrowser;
pub use browser::{BrowserSignIn, BrowserVisit};

use super::{MAX_ADDRESSES, access::Operation, core::Core};
use crate::{
    domain::{
        Action, Caller, Credentials, Error, NewSession, Password, PasswordHash, SessionId, SessionKind, SessionLimits,
        SessionToken, Timestamp, TokenHash, User, UserId,
    },
    store::Writer,
};
use password::{PasswordCheck, Proven};
use std::{sync::Arc, time::Duration};

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
        let token = SessionToken::generate();
        let lifetime = self.core.policy.sessions.lifetime;
        let wanted = Wanted { kind: SessionKind::Api, token_hash: token.hash(), lifetime, user_agent };
        let (user, expires_at) = self.open_session(caller, proven, password, wanted, insert).await?;
        Ok(SignIn { token, expires_at, user })
    }

    /// Opens the session of somebody who has shown a password, by `store`, with all that goes with a sign-in. Returns the
    /// account as it is then, and when the session ends.
    async fn open_session(
        &self,
        caller: &Caller,
        proven: Option<Proven>,
        password: &str,
        wanted: Wanted,
        store: impl Fn(&mut Writer<'_>, &Opening) -> Result<bool, Error> + Send + 'static,
    ) -> Result<(User, Timestamp), Error> {
        let Proven { credentials, attempt } = proven.ok_or(Error::InvalidCredentials)?;
        let user_id = credentials.user.id;
        let rehashed = self.rehash(caller, password, &credentials.password_hash).await;
        let session = wanted.session_of(user_id, self.core.clock.now());
        let expires_at = session.expires_at;
        let limits = self.core.policy.sessions.clone();
        let opening = Opening { session, credentials, rehashed, limits };
        let opened = self.core.change(caller, Operation::SignIn, move |writer, _| {
            if store(writer, &opening)? { opening.record(writer).map(Some) } else { Ok(None) }
        });
        match opened.await {
            Ok(Some(user)) => {
                self.core.throttle.succeeded(&attempt);
                Ok((user, expires_at))
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

    /// Hashes the password again if its hash has an outdated cost. If the queue is full, the next sign-in does it.
    async fn rehash(&self, caller: &Caller, password: &str, hash: &PasswordHash) -> Option<PasswordHash> {
        if !self.core.hashing.is_outdated(hash) {
            return None;
        }
        let password = Password::attempt(password)?;
        self.core.hashing.admit(caller.client.network()).ok()?.hash(password).await.ok()
    }
}

/// The session that a caller asks for.
#[derive(Clone)]
struct Wanted {
    kind: SessionKind,
    token_hash: TokenHash,
    lifetime: Duration,
    user_agent: Option<String>,
}

impl Wanted {
    fn session_of(&self, user_id: UserId, now: Timestamp) -> NewSession {
        let Self { kind, token_hash, lifetime, user_agent } = self.clone();
        NewSession { id: SessionId::generate(), token_hash, user_id, kind, expires_at: now + lifetime, user_agent }
    }
}

/// A session that is about to be stored, and the account as it was when its password was checked.
struct Opening {
    session: NewSession,
    credentials: Credentials,
    rehashed: Option<PasswordHash>,
    limits: SessionLimits,
}

impl Opening {
    /// Stores what goes with a sign-in beside its session, and reads the account again.
    fn record(&self, writer: &mut Writer<'_>) -> Result<User, Error> {
        let id = self.session.user_id;
        writer.set_last_login(id)?;
        if let Some(prefix) = writer.caller().client.prefix() {
            writer.remember_sign_in_address(id, prefix, MAX_ADDRESSES)?;
        }
        if let Some(new) = &self.rehashed {
            writer.replace_password_hash(id, &self.credentials.password_hash, new)?;
        }
        writer.record_by(Some(id), Action::SignedIn, Some(id));
        writer.user(id)?.ok_or(Error::InvalidCredentials)
    }
}

/// Stores a new session, unless the account is no more what the password was checked against.
fn insert(writer: &mut Writer<'_>, opening: &Opening) -> Result<bool, Error> {
    writer.insert_session(&opening.session, opening.credentials.password_version, &opening.limits)
}
