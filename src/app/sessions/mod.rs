//! Identifying the holder of a token, listing sessions and ending them.

pub(super) mod sweep;
pub(super) mod uses;

use super::{access::Operation, core::Core};
use crate::domain::{
    Action, AppSession, BrowserToken, Caller, Error, Role, Session, SessionDetails, SessionId, SessionKind,
    SessionToken, SignedIn, Timestamp, TokenHash, User, UserId, WithApp,
};
use std::{collections::HashMap, sync::Arc};

/// A session that has not ended, as its owner sees it.
#[derive(Debug)]
pub struct ListedSession {
    pub id: SessionId,
    pub kind: SessionKind,
    pub with_app: Option<WithApp>,
    pub created_at: Timestamp,
    pub authenticated_at: Timestamp,
    pub last_used_at: Timestamp,
    /// When it ends if it is not used again.
    pub idle_expires_at: Timestamp,
    pub expires_at: Timestamp,
    pub ip: Option<std::net::IpAddr>,
    pub user_agent: Option<String>,
    /// Whether it is the session of this request.
    pub current: bool,
}

/// Refuses a session that has ended, and records the use of one that has not.
fn use_session(core: &Core, session: &Session) -> Result<(), Error> {
    let (limits, now) = (&core.policy.sessions, core.clock.now());
    // A use may have been gathered and not yet been written.
    let alive = limits.is_alive(session, session.last_used_at, now)
        || core.uses.of(&session.id).is_some_and(|at| limits.is_alive(session, at, now));
    if !alive {
        return Err(Error::InvalidToken);
    }
    if limits.is_worth_recording(session.last_used_at, now) {
        core.uses.gather(&session.id, now);
    }
    Ok(())
}

/// The same for a browser's session and the one with an app that depends on it: a use of the second is one of the first.
pub(super) fn use_with_app(core: &Core, browser: &Session, with_app: &AppSession) -> Result<(), Error> {
    use_session(core, browser)?;
    let now = core.clock.now();
    if now >= with_app.expires_at {
        return Err(Error::InvalidToken);
    }
    if core.policy.sessions.is_worth_recording(with_app.last_used_at, now) {
        core.uses.gather(&with_app.id, now);
    }
    Ok(())
}

/// Moves each session with an app behind the browser's session that it depends on. One whose browser's session has ended
/// has ended with it.
fn behind_their_parents(listed: Vec<ListedSession>) -> Vec<ListedSession> {
    let (mut with_apps, mut others) = (HashMap::<SessionId, Vec<ListedSession>>::new(), Vec::new());
    for session in listed {
        match session.with_app.as_ref().map(|with_app| with_app.parent.clone()) {
            Some(parent) => with_apps.entry(parent).or_default().push(session),
            None => others.push(session),
        }
    }
    let mut family = |session: ListedSession| {
        let behind = with_apps.remove(&session.id).unwrap_or_default();
        std::iter::once(session).chain(behind)
    };
    others.into_iter().flat_map(&mut family).collect()
}

/// Which sessions of an account to end.
#[derive(Debug, Clone)]
pub enum SessionScope {
    All,
    /// All but the caller's own.
    Others,
    One(SessionId),
}

/// Sessions that have been opened.
pub struct Sessions {
    pub(super) core: Arc<Core>,
}

impl Sessions {
    /// Identifies the holder of a token with one look-up, and without waiting for a write.
    pub async fn authenticate(&self, token: &SessionToken) -> Result<SignedIn, Error> {
        self.by_token(token.hash()).await
    }

    /// Finds out who is signed in in a browser, by the token of its cookie.
    pub async fn authenticate_browser(&self, token: &BrowserToken) -> Result<SignedIn, Error> {
        self.by_token(token.hash()).await
    }

    async fn by_token(&self, hash: TokenHash) -> Result<SignedIn, Error> {
        let found = self.core.look_up(move |reader| reader.signed_in_by_token(&hash)).await?;
        let signed_in = found.ok_or(Error::InvalidToken)?;
        use_session(&self.core, &signed_in.session)?;
        Ok(signed_in)
    }

    /// Returns the account of the caller if it holds the role. It was read with the session or the app token and is not read
    /// again.
    pub fn verify<'c>(&self, caller: &'c Caller, role: Role) -> Result<&'c User, Error> {
        self.core.decide(caller, Operation::PassAs(role))?;
        caller.user().ok_or(Error::AuthenticationRequired)
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

    /// Lists the sessions of an account that have not ended, the newest first; those with apps behind their browser's.
    pub async fn list(&self, caller: &Caller, target: Option<UserId>) -> Result<Vec<ListedSession>, Error> {
        let found = self.core.scan(caller, Operation::Sessions(target), move |reader| {
            let id = target.ok_or(Error::UserNotFound)?;
            reader.user(id)?.ok_or(Error::UserNotFound)?;
            reader.sessions_of(id)
        });
        let (now, own) = (self.core.clock.now(), caller.signed_in().map(|signed_in| signed_in.session.id.clone()));
        let found = found.await?.into_iter();
        let alive = found.filter_map(|details| self.listed(details, own.as_ref(), now));
        Ok(behind_their_parents(alive.collect()))
    }

    fn listed(&self, details: SessionDetails, own: Option<&SessionId>, now: Timestamp) -> Option<ListedSession> {
        let SessionDetails { session, with_app, ip, user_agent } = details;
        let limits = &self.core.policy.sessions;
        let last_used_at =
            self.core.uses.of(&session.id).map_or(session.last_used_at, |at| at.max(session.last_used_at));
        limits.is_alive(&session, last_used_at, now).then(|| ListedSession {
            current: own == Some(&session.id),
            kind: session.kind,
            with_app,
            created_at: session.created_at,
            authenticated_at: session.authenticated_at,
            last_used_at,
            idle_expires_at: limits.idle_end(&session, last_used_at),
            expires_at: session.expires_at,
            ip,
            user_agent,
            id: session.id,
        })
    }

    /// Ends sessions of an account, from the next request on.
    pub async fn end(&self, caller: &Caller, target: Option<UserId>, which: SessionScope) -> Result<(), Error> {
        self.core
            .change(caller, Operation::Sessions(target), move |writer, acting| {
                let id = target.ok_or(Error::UserNotFound)?;
                writer.user(id)?.ok_or(Error::UserNotFound)?;
                let own = acting.signed_in().map(|signed_in| &signed_in.session.id);
                let ended = match &which {
                    SessionScope::All => {
                        writer.forget_browsers(id)?;
                        writer.delete_sessions(id, None)?
                    }
                    SessionScope::Others => writer.delete_sessions(id, own)?,
                    SessionScope::One(session) if writer.delete_session_of(id, session)? => 1,
                    SessionScope::One(_) => return Err(Error::SessionNotFound),
                };
                writer.record_times(Action::SessionsRevoked, Some(id), ended);
                Ok(())
            })
            .await
    }
}
