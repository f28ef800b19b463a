//! The set-up link, with which a person at a browser creates the first administrator.

use super::{access::Operation, core::Core};
use crate::domain::{
    Action, Caller, EmailAddress, Error, NewUser, Password, Role, SetupToken, Timestamp, TokenHash, User, Username,
};
use std::{sync::Arc, time::Duration};

/// How long a set-up link works.
const LIFETIME: Duration = Duration::from_hours(1);

/// A new set-up link. Its token is not stored, so it can be shown only now.
#[derive(Debug)]
pub struct SetupLink {
    pub token: SetupToken,
    pub expires_at: Timestamp,
}

/// The account of the first administrator.
pub struct FirstAdmin {
    pub username: Username,
    pub email: EmailAddress,
    pub password: Password,
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
            Ok(true)
        });
        Ok(issued.await?.then_some(SetupLink { token, expires_at }))
    }

    /// Whether an administrator can be created with this token.
    pub async fn is_open(&self, caller: &Caller, token: &str) -> Result<bool, Error> {
        match SetupToken::parse(token) {
            Some(token) => self.finds(caller, token.hash()).await,
            None => Ok(false),
        }
    }

    async fn finds(&self, caller: &Caller, token: TokenHash) -> Result<bool, Error> {
        let now = self.core.clock.now();
        let found = self.core.read(caller, Operation::SetUp, move |reader| {
            Ok(reader.is_setup_token(&token, now)? && !reader.has_enabled_admin()?)
        });
        found.await
    }

    /// Creates the first administrator. `None` if the token can't be used, or there is an administrator. A failed
    /// attempt does not use the token up. 256 random bits can't be guessed, so attempts are not slowed down, and
    /// nothing is hashed for one that is wrong.
    pub async fn create_admin(&self, caller: &Caller, token: &str, account: FirstAdmin) -> Result<Option<User>, Error> {
        let Some(token) = SetupToken::parse(token).map(|token| token.hash()) else { return Ok(None) };
        if !self.finds(caller, token).await? {
            return Ok(None);
        }
        let FirstAdmin { username, email, password } = account;
        let names = [username.as_str(), email.as_str()];
        let password_hash = self.core.hash_new_password(caller, password, names).await?;
        let new = NewUser { username, email, email_verified: true, role: Role::Admin, password_hash };
        self.core
            .change(caller, Operation::SetUp, move |writer, _| {
                if writer.has_enabled_admin()? || !writer.spend_setup_link(&token)? {
                    return Ok(None);
                }
                let user = writer.insert_user(&new)?;
                writer.record(Action::UserRegistered, Some(user.id));
                writer.record(Action::SetUp, Some(user.id));
                Ok(Some(user))
            })
            .await
    }
}
