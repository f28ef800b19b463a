//! The one place where passwords are checked.

use crate::{
    app::{
        ADDRESS_RETENTION,
        access::Operation,
        core::Core,
        throttle::{AccountKey, Attempt, Target},
    },
    domain::{Action, Caller, ClientPrefix, Credentials, Error, Password, PasswordHash, TokenHash, User, UserId},
    hashing::Place,
    store::Reader,
};

/// A typed password with its place in the hashing queue. `None`: it is longer than any password can be. It needs no
/// hash, but counts as an attempt.
type Admitted = Option<(Place, Password)>;

/// An account whose password was right, and the charged attempt, to be settled once the session is stored.
pub(in crate::app) struct Proven {
    pub credentials: Credentials,
    pub attempt: Attempt,
}

/// The data for a sign-in attempt.
struct Found {
    credentials: Option<Credentials>,
    /// If there is no account: the hash of another one, which costs about as much to verify.
    decoy: Option<PasswordHash>,
    /// Whether somebody has signed in to the account from the caller's IP address before.
    is_known_client: bool,
    /// The lane of the caller's browser, where somebody has signed in to the account in it before.
    browser_lane: Option<[u8; 16]>,
    /// How often the account's group has been unlocked.
    unlocks: i64,
}

/// A password check.
pub(in crate::app) struct PasswordCheck<'a> {
    pub core: &'a Core,
    pub caller: &'a Caller,
}

impl PasswordCheck<'_> {
    /// Checks the password of a sign-in. `email` may be any text. Returns `None` for a failed attempt.
    pub async fn for_sign_in(&self, email: &str, typed: &str) -> Result<Option<Proven>, Error> {
        let admitted = self.admit(typed)?;
        self.check(admitted, email, self.core.throttle.account(email), None).await
    }

    /// The same for what somebody types into the form of a page: a username will do, and a browser in which somebody has
    /// signed in to the account before is counted apart. Attempts are counted under what is typed: if a username and an
    /// e-mail address shared a budget, strangers would learn that they belong together, and that there is an account.
    pub async fn for_sign_in_in_browser(
        &self,
        login: &str,
        typed: &str,
        browser: Option<TokenHash>,
    ) -> Result<Option<Proven>, Error> {
        let admitted = self.admit(typed)?;
        let key = self.core.throttle.account(login);
        if login.contains('@') {
            return self.check(admitted, login, key, browser).await;
        }
        let email = self.email_of_username(login).await?;
        self.check(admitted, &email, key, browser).await
    }

    /// The e-mail address of the account with a username. Where there is none: what was typed, which is no e-mail address.
    /// As in `find`, the same is asked of the database either way.
    async fn email_of_username(&self, login: &str) -> Result<String, Error> {
        let (typed, place) = (login.to_owned(), self.core.throttle.account(login).place());
        let read = move |reader: &Reader<'_>| reader.email_of_username_or_decoy(&typed, place);
        Ok(self.core.read(self.caller, Operation::SignIn, read).await?.unwrap_or_else(|| login.to_owned()))
    }

    async fn check(
        &self,
        admitted: Admitted,
        email: &str,
        key: AccountKey,
        browser: Option<TokenHash>,
    ) -> Result<Option<Proven>, Error> {
        let prefix = self.caller.client.prefix();
        let found = self.find(email, key, prefix, browser).await?;
        let Found { credentials: found, decoy, is_known_client, browser_lane, unlocks } = found;
        let subject = found.as_ref().map(|credentials| credentials.user.id);
        let target = Target { account: key, unlocks, is_known_client, browser_lane };
        let attempt = self.core.throttle.reserve_sign_in(prefix, target);
        let attempt = self.core.record_refusal(self.caller, subject, attempt)?;
        match self.evaluate(admitted, found, decoy).await {
            Ok(shown) => Ok(shown.map(|credentials| Proven { credentials, attempt })),
            Err(error) => {
                self.core.throttle.refund(&attempt); // the attempt revealed nothing
                Err(error)
            }
        }
    }

    /// Checks the caller's own password, which has been charged as a change. The counters of sign-ins are not used:
    /// strangers could notice what an owner does. Returns `None` for a failed attempt.
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

    /// Every check of a password ends here, after it was charged. Returns `None` for a failed attempt, which has been
    /// recorded. Callers settle the charge of a right password.
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
                let verified = place.verify(password, credentials.password_hash.clone()).await;
                verified.map(|right| right.unwrap_or_else(|| self.report_unverifiable(credentials.user.id)))
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

    /// Logs whose stored hash matches no password.
    fn report_unverifiable(&self, id: UserId) -> bool {
        tracing::error!(
            user = id.get(),
            request_id = self.caller.request_id.as_deref(),
            "a stored password hash can't be verified; set a new password with 'usher user set-password {id}'"
        );
        false
    }

    /// Looks up an account with its credentials, and how its attempts are counted. For an account that does not exist,
    /// the database does the same work.
    async fn find(
        &self,
        email: &str,
        key: AccountKey,
        prefix: Option<ClientPrefix>,
        browser: Option<TokenHash>,
    ) -> Result<Found, Error> {
        let (since, email) = (self.core.clock.now() - ADDRESS_RETENTION, email.to_owned());
        self.core
            .read(self.caller, Operation::SignIn, move |reader| {
                let found = reader.credentials_or_decoy(&email, key.place())?;
                let id = found.as_ref().map(|(credentials, _)| credentials.user.id);
                let (knows, unlocks) = (reader.knows_address(id, prefix, since)?, reader.unlocks(key.unlock_group())?);
                let lane = browser.map_or(Ok(None), |browser| reader.browser_lane(id, &browser, since))?;
                let (credentials, decoy) = match found {
                    Some((credentials, true)) => (Some(credentials), None),
                    Some((other, false)) => (None, Some(other.password_hash)),
                    None => (None, None),
                };
                let browser_lane = lane.filter(|_| credentials.is_some());
                let is_known_client = knows && credentials.is_some();
                Ok(Found { credentials, decoy, is_known_client, browser_lane, unlocks })
            })
            .await
    }
}

/// Records callers who disconnect before their attempt is evaluated as failed attempts. They stay charged.
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
