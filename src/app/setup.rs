//! The set-up link, with which a person at a browser creates the first administrator.

use super::{
    NewAccount,
    access::Operation,
    core::Core,
    sign_in::{BrowserSignIn, BrowserVisit, InBrowser},
};
use crate::domain::{Action, Caller, Error, NewUser, Role, SetupToken, Timestamp};
use std::{sync::Arc, time::Duration};

/// How long a set-up link works.
const LIFETIME: Duration = Duration::from_hours(1);

/// A new set-up link. Its token is not stored, so it can be shown only now.
#[derive(Debug)]
pub struct SetupLink {
    pub token: SetupToken,
    pub expires_at: Timestamp,
}

/// Setting up an installation that has no enabled administrator.
pub struct Setup {
    pub(super) core: Arc<Core>,
}

impl Setup {
    /// Creates a link that works once, for an hour. Earlier ones no longer work. `None` if there is an administrator.
    pub async fn issue(&self, caller: &Caller) -> Result<Option<SetupLink>, Error> {
        let (token, expires_at) = (SetupToken::generate(), self.core.clock.now() + LIFETIME);
        let hash = token.hash();
        let issued = self.core.change(caller, Operation::IssueSetupLink, move |writer, _| {
            if writer.has_enabled_admin()? {
                return Ok(false);
            }
            writer.replace_setup_link(&hash, expires_at)?;
            writer.record(Action::SetupLinkIssued, None);
            Ok(true)
        });
        Ok(issued.await?.then_some(SetupLink { token, expires_at }))
    }

    /// Whether an administrator can be created with this token.
    pub async fn is_open(&self, caller: &Caller, token: &SetupToken) -> Result<bool, Error> {
        let (token, now) = (token.hash(), self.core.clock.now());
        let open = self.core.read(caller, Operation::SetUp, move |reader| {
            Ok(reader.is_setup_token(&token, now)? && !reader.has_enabled_admin()?)
        });
        open.await
    }

    /// Creates the first administrator, and signs them in in their browser. `None` if the token can't be used, or there is an
    /// administrator. A failed attempt does not use the token up. 256 random bits can't be guessed, so attempts are not
    /// slowed down, but nothing is hashed for one that is wrong.
    pub async fn create_admin(
        &self,
        caller: &Caller,
        token: &SetupToken,
        account: NewAccount,
        visit: BrowserVisit,
    ) -> Result<Option<BrowserSignIn>, Error> {
        if !self.is_open(caller, token).await? {
            return Ok(None);
        }
        let (token, NewAccount { username, email, password, .. }) = (token.hash(), account);
        let names = [username.as_str(), email.as_str()];
        let password_hash = self.core.hash_new_password(caller, password, names).await?;
        let new = NewUser { username, email, email_verified: true, role: Role::Admin, password_hash };
        let (keys, browser) = InBrowser::prepare(&self.core, caller, visit);
        let created = self.core.change(caller, Operation::SetUp, move |writer, _| {
            if writer.has_enabled_admin()? || !writer.spend_setup_link(&token)? {
                return Ok(None);
            }
            let user = writer.insert_user(&new)?;
            writer.record(Action::UserRegistered, Some(user.id));
            writer.record(Action::SetUp, Some(user.id));
            browser.open(writer, user.id)
        });
        Ok(created.await?.map(|user| keys.of(user)))
    }
}
