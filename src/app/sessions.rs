//! Signing in and out, and telling who holds a token.

use super::{
    ADDRESS_KEPT, ADDRESSES, App,
    access::Operation,
    throttle::{AccountKey, Attempt, Target},
};
use crate::{
    domain::{
        Action, Caller, Credentials, Error, NewSession, Password, PasswordHash, Role, SessionDetails, SessionId,
        SessionToken, SignedIn, Subscriber, Timestamp, User, UserId,
    },
    hashing::Place,
    store::Writer,
};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// How many rows are looked at together.
const SWEPT_AT_ONCE: u32 = 1_000;

/// What a sign-in yields. The token can't be had again.
#[derive(Debug)]
pub struct SignIn {
    pub token: SessionToken,
    pub expires_at: Timestamp,
    pub user: User,
}

/// A session that has not ended, as its owner sees it.
#[derive(Debug)]
pub struct ListedSession {
    pub id: SessionId,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
    /// When it ends if it is not used any more.
    pub idle_expires_at: Timestamp,
    pub expires_at: Timestamp,
    pub ip: Option<std::net::IpAddr>,
    pub user_agent: Option<String>,
    /// Whether it is the caller's own.
    pub current: bool,
}

/// Which sessions of an account end.
#[derive(Debug, Clone)]
pub enum Ending {
    All,
    /// All but the caller's own.
    Others,
    One(SessionId),
}

/// A typed password with its place in the queue of hashes. `None`: it is longer than any account's, which needs no hash
/// and is an attempt all the same.
type Admitted = Option<(Place, Password)>;

/// An account whose password was shown, and what that was charged: to be settled once its session is on disk.
struct Proven {
    credentials: Credentials,
    attempt: Attempt,
}

/// What an attempt to sign in looks up.
struct Found {
    credentials: Option<Credentials>,
    /// Where there is no account: the hash of another one, which costs what it may well have cost.
    stand_in: Option<PasswordHash>,
    /// Whether the caller's IP address has signed in to the account before.
    knows_caller: bool,
    /// How often the account's group has been unlocked.
    unlocks: i64,
}

impl App {
    /// Opens a session. An unknown address, a wrong password and a disabled account are told apart by nothing: not by
    /// the answer, not by the number of hashes, not by what is asked of the database.
    pub async fn sign_in(
        &self,
        caller: &Caller,
        email: &str,
        password: &str,
        user_agent: Option<String>,
    ) -> Result<SignIn, Error> {
        let proven = self.prove(caller, email, password).await?;
        let Proven { credentials, attempt } = proven.ok_or(Error::InvalidCredentials)?;
        let user_id = credentials.user.id;
        let rehashed = self.rehash(caller, password, &credentials.password_hash).await;
        let token = SessionToken::generate();
        let session = NewSession {
            id: SessionId::generate(),
            token_hash: token.hash(),
            user_id,
            expires_at: self.core.clock.now() + self.core.policy.sessions.lifetime,
            user_agent,
        };
        let expires_at = session.expires_at;
        match self.open_session(caller, session, credentials, rehashed).await {
            Ok(Some(user)) => {
                self.core.throttle.succeeded(&attempt);
                Ok(SignIn { token, expires_at, user })
            }
            // The account was disabled, deleted or given another password while this one was hashed.
            Ok(None) => {
                self.core.journal.note(Action::SignInFailed, caller, Some(user_id));
                Err(Error::InvalidCredentials)
            }
            Err(error) => {
                self.core.throttle.refund(&attempt); // the password was right, and there is no session
                Err(error)
            }
        }
    }

    /// Stores a session with all that goes with a sign-in, and reads the account again. `None` where the account is no
    /// more what the password was checked against.
    async fn open_session(
        &self,
        caller: &Caller,
        session: NewSession,
        credentials: Credentials,
        rehashed: Option<PasswordHash>,
    ) -> Result<Option<User>, Error> {
        let Credentials { user: User { id, .. }, password_hash, password_version } = credentials;
        let (limits, subscriber) = (self.core.policy.sessions.clone(), caller.client.subscriber());
        self.core
            .change(caller, Operation::SignIn, move |writer, _| {
                if !writer.insert_session(&session, password_version, &limits)? {
                    return Ok(None);
                }
                writer.set_last_login(id)?;
                if let Some(subscriber) = subscriber {
                    writer.note_sign_in_address(id, subscriber, ADDRESSES)?;
                }
                if let Some(new) = &rehashed {
                    writer.replace_password_hash(id, &password_hash, new)?;
                }
                writer.record_by(Some(id), Action::SignedIn, Some(id));
                writer.user(id)
            })
            .await
    }

    /// Checks the password of a sign-in. What is typed for the e-mail address need not be one. `None` is a failed attempt.
    async fn prove(&self, caller: &Caller, email: &str, typed: &str) -> Result<Option<Proven>, Error> {
        let admitted = self.admit(caller, typed)?;
        let (subscriber, key) = (caller.client.subscriber(), self.core.throttle.account(email));
        let Found { credentials: found, stand_in, knows_caller, unlocks } =
            self.find(caller, email, key, subscriber).await?;
        let subject = found.as_ref().map(|credentials| credentials.user.id);
        let attempt = self.core.throttle.reserve_sign_in(subscriber, Target { account: key, unlocks, knows_caller });
        let attempt = self.core.recording(caller, subject, attempt)?;
        match self.evaluate(caller, admitted, found, stand_in).await {
            Ok(shown) => Ok(shown.map(|credentials| Proven { credentials, attempt })),
            Err(error) => {
                self.core.throttle.refund(&attempt); // nothing was learnt from it
                Err(error)
            }
        }
    }

    /// Checks the caller's own password, which has been charged as a change: the counters of sign-ins are for those who
    /// have no session, and must not show them what an owner does. `None` is a failed attempt.
    pub(super) async fn prove_own(
        &self,
        caller: &Caller,
        user: &User,
        typed: &str,
    ) -> Result<Option<Credentials>, Error> {
        let (admitted, id) = (self.admit(caller, typed)?, user.id);
        let operation = Operation::ChangeUser(Some(id));
        let found = self.core.read(caller, operation, move |reader| reader.credentials(id)).await?;
        self.evaluate(caller, admitted, found, None).await
    }

    fn admit(&self, caller: &Caller, typed: &str) -> Result<Admitted, Error> {
        let password = Password::attempt(typed);
        password.map(|password| Ok((self.core.hashing.admit(caller.client.site())?, password))).transpose()
    }

    /// The one place where a typed password meets an account's: every path that checks one comes through here, and has been
    /// charged for it. `None` is a failed attempt, and has been noted; what a right password was charged is for the caller
    /// to settle.
    async fn evaluate(
        &self,
        caller: &Caller,
        admitted: Admitted,
        found: Option<Credentials>,
        stand_in: Option<PasswordHash>,
    ) -> Result<Option<Credentials>, Error> {
        let subject = found.as_ref().map(|credentials| credentials.user.id);
        let mut leaving = Leaving { app: self, caller, subject, early: true };
        let right = match (admitted, &found) {
            (None, _) => Ok(false),
            (Some((place, password)), Some(credentials)) => {
                place.verify(password, credentials.password_hash.clone()).await
            }
            (Some((place, password)), None) => place.verify_nobody(password, stand_in).await.map(|()| false),
        };
        leaving.early = false;
        let shown = right.map(|right| found.filter(|credentials| right && !credentials.user.disabled))?;
        if shown.is_none() {
            self.core.journal.note(Action::SignInFailed, caller, subject);
        }
        Ok(shown)
    }

    /// An account with its credentials, and what decides how attempts at it are counted. The same is asked of the
    /// database for an account that there is not.
    async fn find(
        &self,
        caller: &Caller,
        email: &str,
        key: AccountKey,
        subscriber: Option<Subscriber>,
    ) -> Result<Found, Error> {
        let (since, email) = (self.core.clock.now() - ADDRESS_KEPT, email.to_owned());
        self.core
            .read(caller, Operation::SignIn, move |reader| {
                let found = reader.credentials_or_decoy(&email, key.place())?;
                let id = found.as_ref().map(|(credentials, _)| credentials.user.id);
                let (knows, unlocks) =
                    (reader.knows_address(id, subscriber, since)?, reader.unlocks(key.unlock_group())?);
                let (credentials, stand_in) = match found {
                    Some((credentials, true)) => (Some(credentials), None),
                    Some((other, false)) => (None, Some(other.password_hash)),
                    None => (None, None),
                };
                Ok(Found { knows_caller: knows && credentials.is_some(), credentials, stand_in, unlocks })
            })
            .await
    }

    /// A hash at today's cost for a password that was hashed at another. When there is no room to make one, the next
    /// sign-in will.
    async fn rehash(&self, caller: &Caller, password: &str, hash: &PasswordHash) -> Option<PasswordHash> {
        if !self.core.hashing.is_outdated(hash) {
            return None;
        }
        let password = Password::attempt(password)?;
        self.core.hashing.admit(caller.client.site()).ok()?.hash(password).await.ok()
    }

    /// Finds out who holds a token: one look-up, and no write in its way.
    pub async fn authenticate(&self, token: &SessionToken) -> Result<SignedIn, Error> {
        let hash = token.hash();
        let found = self.core.look_up(move |reader| reader.signed_in_by_token(&hash)).await?;
        let signed_in = found.ok_or(Error::InvalidToken)?;
        self.use_session(&signed_in)?;
        Ok(signed_in)
    }

    fn use_session(&self, signed_in: &SignedIn) -> Result<(), Error> {
        let (session, limits, now) = (&signed_in.session, &self.core.policy.sessions, self.core.clock.now());
        // A use may have been gathered and not yet been written.
        let alive = limits.is_alive(session, session.last_used_at, now)
            || self.uses.of(&session.id).is_some_and(|at| limits.is_alive(session, at, now));
        if !alive {
            return Err(Error::InvalidToken);
        }
        if limits.is_worth_recording(session, now) {
            self.uses.gather(&session.id, now);
        }
        Ok(())
    }

    /// Whose session it is, if its account holds the role. The account was read with the session and is not read again.
    pub fn verify<'c>(&self, caller: &'c Caller, role: Role) -> Result<&'c User, Error> {
        self.core.decide(caller, Operation::PassAs(role))?;
        caller.signed_in().map(|signed_in| &signed_in.user).ok_or(Error::AuthenticationRequired)
    }

    /// Ends the caller's session.
    pub async fn sign_out(&self, caller: &Caller) -> Result<(), Error> {
        let signed_in = caller.signed_in().ok_or(Error::AuthenticationRequired)?;
        let (id, user) = (signed_in.session.id.clone(), signed_in.user.id);
        self.core
            .change(caller, Operation::SignOut, move |writer, _| {
                if !writer.delete_session(&id)? {
                    return Err(Error::InvalidToken);
                }
                writer.record(Action::SignedOut, Some(user));
                Ok(())
            })
            .await
    }

    /// Lists the sessions of an account that have not ended, the newest first.
    pub async fn sessions(&self, caller: &Caller, target: Option<UserId>) -> Result<Vec<ListedSession>, Error> {
        let found = self.core.scan(caller, Operation::Sessions(target), move |reader| {
            let id = target.ok_or(Error::UserNotFound)?;
            reader.user(id)?.ok_or(Error::UserNotFound)?;
            reader.sessions_of(id)
        });
        let (now, own) = (self.core.clock.now(), caller.signed_in().map(|signed_in| signed_in.session.id.clone()));
        let found = found.await?.into_iter();
        Ok(found.filter_map(|details| self.listed(details, own.as_ref(), now)).collect())
    }

    fn listed(&self, details: SessionDetails, own: Option<&SessionId>, now: Timestamp) -> Option<ListedSession> {
        let SessionDetails { session, ip, user_agent } = details;
        let limits = &self.core.policy.sessions;
        let last_used_at = self.uses.of(&session.id).map_or(session.last_used_at, |at| at.max(session.last_used_at));
        limits.is_alive(&session, last_used_at, now).then(|| ListedSession {
            current: own == Some(&session.id),
            created_at: session.created_at,
            last_used_at,
            idle_expires_at: limits.idle_end(&session, last_used_at),
            expires_at: session.expires_at,
            ip,
            user_agent,
            id: session.id,
        })
    }

    /// Ends sessions of an account, from the next request on.
    pub async fn end_sessions(&self, caller: &Caller, target: Option<UserId>, which: Ending) -> Result<(), Error> {
        self.core
            .change(caller, Operation::Sessions(target), move |writer, acting| {
                let id = target.ok_or(Error::UserNotFound)?;
                writer.user(id)?.ok_or(Error::UserNotFound)?;
                let own = acting.signed_in().map(|signed_in| &signed_in.session.id);
                let ended = match &which {
                    Ending::All => writer.delete_sessions(id, None)?,
                    Ending::Others => writer.delete_sessions(id, own)?,
                    Ending::One(session) if writer.delete_session_of(id, session)? => 1,
                    Ending::One(_) => return Err(Error::SessionNotFound),
                };
                writer.record_times(Action::SessionsRevoked, Some(id), ended);
                Ok(())
            })
            .await
    }

    /// Deletes the rows of sessions that ended before a time. All are looked at, a few at a time, so that nobody waits for
    /// it.
    pub(super) async fn sweep_sessions(&self, expired: Timestamp) -> Result<(), Error> {
        let unused = expired - self.core.policy.sessions.idle_timeout;
        let mut place = 0;
        loop {
            let looked_at =
                self.core.survey(move |reader| reader.ended_sessions(expired, unused, place, SWEPT_AT_ONCE));
            let Some((mut ended, last)) = looked_at.await? else { return Ok(()) };
            place = last;
            while !ended.is_empty() {
                let sweep = move |writer: &mut Writer<'_>| writer.sweep_sessions(ended.clone(), expired, unused);
                ended = self.core.maintain(sweep).await?;
            }
        }
    }
}

/// Callers who leave before their attempt is evaluated stay charged for it, and are noted like those who were wrong.
struct Leaving<'a> {
    app: &'a App,
    caller: &'a Caller,
    subject: Option<UserId>,
    early: bool,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if self.early {
            self.app.core.journal.note(Action::SignInFailed, self.caller, self.subject);
        }
    }
}

/// Uses of sessions that wait to be written.
#[derive(Default)]
pub(super) struct Uses(Mutex<HashMap<SessionId, Timestamp>>);

impl Uses {
    fn gather(&self, session: &SessionId, at: Timestamp) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = uses.entry(session.clone()).or_insert(at);
        *latest = at.max(*latest);
    }

    fn of(&self, session: &SessionId) -> Option<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(session).copied()
    }

    pub(super) fn waiting(&self) -> HashMap<SessionId, Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets what was written, but not what came later. Until then a request can still find it here.
    pub(super) fn settle(&self, written: &HashMap<SessionId, Timestamp>) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        uses.retain(|session, at| written.get(session) != Some(at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_that_comes_while_others_are_written_waits_for_the_next_time() {
        let (uses, at) = (Uses::default(), Timestamp::from_millis);
        let (first, second) = (SessionId::generate(), SessionId::generate());
        uses.gather(&first, at(10));
        uses.gather(&second, at(10));
        let written = uses.waiting();
        uses.gather(&first, at(20));

        uses.settle(&written);

        assert_eq!((uses.of(&first), uses.of(&second)), (Some(at(20)), None));
        assert_eq!(uses.waiting().len(), 1);
    }

    #[test]
    fn the_latest_use_is_the_one_that_counts() {
        let (uses, at, session) = (Uses::default(), Timestamp::from_millis, SessionId::generate());
        for time in [20, 30, 10] {
            uses.gather(&session, at(time));
        }
        assert_eq!(uses.of(&session), Some(at(30)));
    }
}
