//! Signing in in a browser.

use super::{Opening, PasswordCheck, SignIns, Wanted, insert};
use crate::{
    app::{ADDRESS_RETENTION, MAX_ADDRESSES},
    domain::{BrowserToken, Caller, Error, KnownBrowserToken, SessionKind, TokenHash, User},
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
        let (token, known) = (BrowserToken::generate(), KnownBrowserToken::generate());
        let longest = self.core.policy.sessions.lifetime;
        let lifetime = if visit.keep { longest } else { longest.min(UNKEPT_LIFETIME) };
        let wanted =
            Wanted { kind: SessionKind::Browser, token_hash: token.hash(), lifetime, user_agent: visit.user_agent };
        let current = caller.signed_in().map(|signed_in| (signed_in.session.id.clone(), signed_in.user.id));
        let (earlier, new, lane) = (visit.known, known.hash(), new_lane());
        let store = move |writer: &mut Writer<'_>, opening: &Opening| {
            let id = opening.session.user_id;
            let is_renewed = match &current {
                Some((session, owner)) if *owner == id => {
                    writer.renew_session(session, &opening.session, opening.credentials.password_version)?
                }
                _ => false,
            };
            if !is_renewed && !insert(writer, opening)? {
                return Ok(false);
            }
            if let Some((session, _)) = current.as_ref().filter(|(_, owner)| *owner != id) {
                writer.delete_session(session)?;
            }
            writer.remember_browser(id, earlier.as_ref(), &new, lane, [MAX_USERS, MAX_ADDRESSES])?;
            Ok(true)
        };
        let (user, _) = self.open_session(caller, proven, password, wanted, store).await?;
        Ok(BrowserSignIn { token, lifetime, known, known_for: ADDRESS_RETENTION, user })
    }
}
