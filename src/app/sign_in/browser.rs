//! Signing in in a browser.

use super::{Opening, PasswordCheck, SignIns, Wanted, insert};
use crate::{
    app::{ADDRESS_RETENTION, MAX_ADDRESSES, access::Operation, core::Core, throttle::Limit},
    domain::{
        Action, BrowserToken, Caller, Credentials, Error, KnownBrowserToken, SessionId, SessionKind, SessionLimits,
        TokenHash, User, UserId,
    },
    store::Writer,
};
use std::time::Duration;

/// How long a browser stays signed in that is not to be remembered, unless it is closed before.
const UNKEPT_LIFETIME: Duration = Duration::from_hours(12);
/// How many accounts a browser is known to.
const MAX_USERS: u32 = 4;

/// Under what attempts are counted in a browser that is new to an account.
fn new_lane() -> [u8; 16] {
    *KnownBrowserToken::generate().hash().as_bytes().first_chunk().expect("a hash is longer")
}

/// What a browser sends with a sign-in.
#[derive(Debug)]
pub struct BrowserVisit {
    /// Whether the browser is to stay signed in after it was closed.
    pub keep: bool,
    /// The token of a browser in which somebody has signed in before.
    pub known: Option<TokenHash>,
    pub user_agent: Option<String>,
}

/// What a sign-in in a browser yields: the content of its cookies, which can't be had again, and how long they last.
#[derive(Debug)]
pub struct BrowserSignIn {
    pub token: BrowserToken,
    pub lifetime: Duration,
    pub known: KnownBrowserToken,
    pub known_for: Duration,
    pub user: User,
}

/// The content of the cookies of a sign-in that is about to be stored.
pub(in crate::app) struct Keys {
    token: BrowserToken,
    lifetime: Duration,
    known: KnownBrowserToken,
}

impl Keys {
    /// Once it is stored.
    pub fn of(self, user: User) -> BrowserSignIn {
        let Self { token, lifetime, known } = self;
        BrowserSignIn { token, lifetime, known, known_for: ADDRESS_RETENTION, user }
    }
}

/// A sign-in in a browser that is about to be stored.
pub(in crate::app) struct InBrowser {
    wanted: Wanted,
    limits: SessionLimits,
    /// The session that the browser has, and whose it is.
    current: Option<(SessionId, UserId)>,
    /// What the browser is known by, and what it will be known by.
    earlier: Option<TokenHash>,
    known: TokenHash,
    lane: [u8; 16],
}

impl InBrowser {
    pub fn prepare(core: &Core, caller: &Caller, visit: BrowserVisit) -> (Keys, Self) {
        let BrowserVisit { keep, known: earlier, user_agent } = visit;
        let (token, known, limits) = (BrowserToken::generate(), KnownBrowserToken::generate(), &core.policy.sessions);
        let lifetime = if keep { limits.lifetime } else { limits.lifetime.min(UNKEPT_LIFETIME) };
        let browser = Self {
            wanted: Wanted { kind: SessionKind::Browser, token_hash: token.hash(), lifetime, user_agent },
            limits: limits.clone(),
            current: caller.signed_in().map(|signed_in| (signed_in.session.id.clone(), signed_in.user.id)),
            earlier,
            known: known.hash(),
            lane: new_lane(),
        };
        (Keys { token, lifetime, known }, browser)
    }

    /// Opens the session of somebody who has shown, in the same transaction, something else than a password. `None`: the
    /// account is disabled.
    pub fn open(&self, writer: &mut Writer<'_>, id: UserId) -> Result<Option<User>, Error> {
        let credentials = writer.credentials(id)?.ok_or(Error::InvalidCredentials)?;
        let session = self.wanted.session_of(id, writer.now());
        let opening = Opening { session, credentials, rehashed: None, limits: self.limits.clone() };
        if self.store(writer, &opening)? { opening.record(writer).map(Some) } else { Ok(None) }
    }

    /// Stores the session of somebody who has shown their password again.
    fn renew(&self, writer: &mut Writer<'_>, acting: &Caller, credentials: &Credentials) -> Result<User, Error> {
        let id = credentials.user.id;
        let session = self.wanted.session_of(id, writer.now());
        let current = acting.signed_in().ok_or(Error::AuthenticationRequired)?;
        if !writer.renew_session(&current.session.id, &session, credentials.password_version)? {
            return Err(Error::InvalidCredentials); // the password was changed meanwhile
        }
        writer.remember_browser(id, self.earlier.as_ref(), &self.known, self.lane, [MAX_USERS, MAX_ADDRESSES])?;
        writer.record(Action::PasswordConfirmed, Some(id));
        Ok(current.user.clone())
    }

    /// Stores the session, and in which browser it is. `false` where the account changed meanwhile.
    fn store(&self, writer: &mut Writer<'_>, opening: &Opening) -> Result<bool, Error> {
        let id = opening.session.user_id;
        let is_renewed = match &self.current {
            Some((session, owner)) if *owner == id => {
                writer.renew_session(session, &opening.session, opening.credentials.password_version)?
            }
            _ => false,
        };
        if !is_renewed && !insert(writer, opening)? {
            return Ok(false);
        }
        if let Some((session, _)) = self.current.as_ref().filter(|(_, owner)| *owner != id) {
            writer.delete_session(session)?;
        }
        writer.remember_browser(id, self.earlier.as_ref(), &self.known, self.lane, [MAX_USERS, MAX_ADDRESSES])?;
        Ok(true)
    }
}

impl SignIns {
    /// Opens a session in a browser for somebody who types a username or an e-mail address, and a password. A browser that is
    /// signed in to the account already keeps its session under a new token; a session of somebody else's ends. What is
    /// refused can't be told apart, as in `with_password`.
    pub async fn in_browser(
        &self,
        caller: &Caller,
        login: &str,
        password: &str,
        visit: BrowserVisit,
    ) -> Result<BrowserSignIn, Error> {
        let check = PasswordCheck { core: &self.core, caller };
        let proven = check.for_sign_in_in_browser(login, password, visit.known).await?;
        let (keys, browser) = InBrowser::prepare(&self.core, caller, visit);
        let wanted = browser.wanted.clone();
        let store = move |writer: &mut Writer<'_>, opening: &Opening| browser.store(writer, opening);
        let (user, _) = self.open_session(caller, proven, password, wanted, store).await?;
        Ok(keys.of(user))
    }

    /// Asks somebody who is signed in in a browser for their password again. Their session goes on under a new token, as
    /// after a sign-in, and as long as after one. It is charged as a change of the account, so that strangers can't notice.
    pub async fn again(&self, caller: &Caller, password: &str, visit: BrowserVisit) -> Result<BrowserSignIn, Error> {
        let user = &caller.signed_in().ok_or(Error::AuthenticationRequired)?.user;
        let charged = self.core.throttle.reserve_change(user.id, false, true, caller.client.prefix());
        let attempt = self.core.record_refusal(caller, Some(user.id), charged)?;
        let checked = PasswordCheck { core: &self.core, caller }.for_own_account(user, password).await;
        if !matches!(checked, Ok(None)) {
            // A right password is no guess, and a check that failed revealed nothing.
            let is_right = checked.is_ok();
            self.core.throttle.refund_where(&attempt, |limit| !is_right || limit == Limit::Address);
        }
        let credentials = checked?.ok_or(Error::InvalidCredentials)?;
        let (keys, browser) = InBrowser::prepare(&self.core, caller, visit);
        let user = self.core.change(caller, Operation::ChangeUser(Some(user.id)), move |writer, acting| {
            browser.renew(writer, acting, &credentials)
        });
        Ok(keys.of(user.await?))
    }

    /// Whether somebody signed in so recently that no change asks them for their password.
    pub fn is_recent(&self, caller: &Caller) -> bool {
        caller.signed_in().is_some_and(|signed_in| self.core.is_recent(signed_in))
    }

    /// Whether the browser of somebody who is signed in is to stay signed in, as far as can be told: the answer is no in the
    /// last hours of a session.
    pub fn is_kept(&self, caller: &Caller) -> bool {
        let now = self.core.clock.now();
        caller.signed_in().is_some_and(|signed_in| signed_in.session.expires_at.since(now) > UNKEPT_LIFETIME)
    }
}
