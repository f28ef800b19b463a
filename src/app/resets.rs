//! Password resets without mail: an administrator creates a token and gives it to the owner of the account.

use super::{
    MAX_ADDRESSES,
    access::Operation,
    core::Core,
    sign_in::{BrowserSignIn, BrowserVisit, InBrowser},
    throttle::Limit,
};
use crate::domain::{Action, Caller, Error, Password, ResetToken, Timestamp, TokenHash, User, UserId, UserUpdate};
use std::sync::Arc;

/// A new reset token. It is not stored, so it can be shown only now.
#[derive(Debug)]
pub struct IssuedReset {
    pub token: ResetToken,
    pub expires_at: Timestamp,
}

/// Reset tokens.
pub struct Resets {
    pub(super) core: Arc<Core>,
}

impl Resets {
    /// Creates a token that sets the password of an account once. Earlier tokens of the account are void.
    pub async fn issue(&self, caller: &Caller, target: Option<UserId>) -> Result<IssuedReset, Error> {
        let (token, expires_at) = (ResetToken::generate(), self.core.clock.now() + self.core.policy.reset_lifetime);
        let hash = token.hash();
        self.core
            .change(caller, Operation::IssueReset(target), move |writer, _| {
                let id = target.ok_or(Error::UserNotFound)?;
                writer.user(id)?.ok_or(Error::UserNotFound)?;
                writer.delete_password_resets(id)?;
                writer.insert_password_reset(id, &hash, expires_at)?;
                writer.record(Action::ResetIssued, Some(id));
                Ok(())
            })
            .await?;
        Ok(IssuedReset { token, expires_at })
    }

    /// The account whose password a token sets. The token is not used up. Only a wrong one is counted, so that others who
    /// share an IP address can't keep an owner from the form.
    pub async fn account(&self, caller: &Caller, token: &ResetToken) -> Result<User, Error> {
        let found = self.find(caller, token.hash()).await;
        match found {
            Err(Error::InvalidResetToken) => self.charged(caller, async { found }).await,
            found => found,
        }
    }

    /// Sets a password with a reset token, and ends all sessions of the account. A failed attempt does not use the
    /// token up.
    pub async fn reset_password(&self, caller: &Caller, token: &str, password: Password) -> Result<(), Error> {
        self.charged(caller, async {
            let token = ResetToken::parse(token).ok_or(Error::InvalidResetToken)?;
            self.set_password(caller, token.hash(), password, None).await.map(drop)
        })
        .await
    }

    /// The same, and signs the owner in in the browser where they set it, in the same transaction. `None`: the password is
    /// set, but the account is disabled.
    pub async fn reset_password_in_browser(
        &self,
        caller: &Caller,
        token: &ResetToken,
        password: Password,
        visit: BrowserVisit,
    ) -> Result<Option<BrowserSignIn>, Error> {
        let (keys, browser) = InBrowser::prepare(&self.core, caller, visit);
        let owner = self.charged(caller, self.set_password(caller, token.hash(), password, Some(browser))).await?;
        Ok(owner.map(|owner| keys.of(owner)))
    }

    /// Counts an attempt with a token, unless it fails for another reason than the token.
    async fn charged<T>(&self, caller: &Caller, attempt: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let charge = self.core.throttle.reserve_by_address(Limit::Reset, caller.client.prefix());
        let charge = self.core.record_refusal(caller, None, charge)?;
        let result = attempt.await;
        if !matches!(result, Err(Error::InvalidResetToken)) {
            self.core.throttle.refund(&charge);
        }
        result
    }

    async fn find(&self, caller: &Caller, token: TokenHash) -> Result<User, Error> {
        let now = self.core.clock.now();
        let found = self.core.read(caller, Operation::ResetPassword, move |reader| reader.reset_target(&token, now));
        found.await?.ok_or(Error::InvalidResetToken)
    }

    /// Returns the owner, if they are signed in now.
    async fn set_password(
        &self,
        caller: &Caller,
        token: TokenHash,
        password: Password,
        browser: Option<InBrowser>,
    ) -> Result<Option<User>, Error> {
        let user = self.find(caller, token).await?;
        let names = [user.username.as_str(), user.email.as_str()];
        let password_hash = self.core.hash_new_password(caller, password, names).await?;
        let prefix = caller.client.prefix();
        self.core
            .change(caller, Operation::ResetPassword, move |writer, _| {
                let id = writer.spend_password_reset(&token)?.ok_or(Error::InvalidResetToken)?;
                let user = writer.user(id)?.ok_or(Error::InvalidResetToken)?;
                let update = UserUpdate { password_hash: Some(password_hash.clone()), ..UserUpdate::of(&user) };
                writer.update_user(id, &update)?;
                writer.delete_sessions(id, None)?;
                writer.forget_browsers(id)?;
                writer.delete_password_resets(id)?;
                if let Some(prefix) = prefix {
                    writer.remember_sign_in_address(id, prefix, MAX_ADDRESSES)?;
                }
                writer.record(Action::PasswordReset, Some(id));
                browser.as_ref().map_or(Ok(None), |browser| browser.open(writer, id))
            })
            .await
    }
}
