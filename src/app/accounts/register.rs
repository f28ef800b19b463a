//! Creating an account.

use super::Accounts;
use crate::{
    app::{
        MAX_ADDRESSES,
        access::Operation,
        invitations::by_token,
        sign_in::{BrowserSignIn, BrowserVisit, InBrowser},
        throttle::Limit,
    },
    domain::{
        Action, Caller, EmailAddress, Error, Invitation, InvitationToken, NewUser, Password, Role, TokenHash, User,
        Username,
    },
    store::Writer,
};

/// What it takes to create an account. Not to be shown: it holds secrets.
pub struct NewAccount {
    pub username: Username,
    pub email: EmailAddress,
    pub password: Password,
    pub role: Role,
    /// An invitation's token, as sent.
    pub invitation: Option<String>,
}

impl Accounts {
    /// Creates an account. With an invitation, it gets the invitation's role. Its e-mail address counts as verified if
    /// an administrator or an invitation set it. A registration that fails does not use the invitation up.
    pub async fn register(&self, caller: &Caller, account: NewAccount) -> Result<User, Error> {
        self.register_and(caller, account, |_, user| Ok(user)).await
    }

    /// The same for somebody who fills in the form of a page, and signs them in in their browser, in the same transaction.
    /// A session that the browser has gives them no more than anybody else, and ends, as with every sign-in to another account.
    pub async fn register_in_browser(
        &self,
        caller: &Caller,
        account: NewAccount,
        visit: BrowserVisit,
    ) -> Result<BrowserSignIn, Error> {
        let (keys, browser) = InBrowser::prepare(&self.core, caller, visit);
        let sign_in = move |writer: &mut Writer<'_>, user: User| {
            browser.open(writer, user.id)?.ok_or_else(|| Error::Internal("a new account can't be signed in to".into()))
        };
        Ok(keys.of(self.register_and(&caller.without_session(), account, sign_in).await?))
    }

    /// Whether somebody may fill in the form for a new account without an invitation. A refusal is recorded.
    pub fn may_register(&self, caller: &Caller) -> Result<(), Error> {
        let operation = Operation::Register { role: Role::User, mode: self.core.policy.registration, invited: false };
        self.core.decide(&caller.without_session(), operation)
    }

    async fn register_and(
        &self,
        caller: &Caller,
        account: NewAccount,
        then: impl Fn(&mut Writer<'_>, User) -> Result<User, Error> + Send + 'static,
    ) -> Result<User, Error> {
        let (mode, invited) = (self.core.policy.registration, account.invitation.is_some());
        let operation = Operation::Register { role: account.role, mode, invited };
        self.core.decide_change(caller, operation)?;
        self.core.check_new_password(&account.password, [account.username.as_str(), account.email.as_str()])?;
        let invitation = self.check_invitation(caller, operation, &account).await?;
        if caller.administers() {
            return self.create_account(caller, operation, account, invitation, then).await;
        }
        let attempt = self.core.throttle.reserve_by_address(Limit::Registration, caller.client.prefix());
        let attempt = self.core.record_refusal(caller, None, attempt)?;
        let created = self.create_account(caller, operation, account, invitation, then).await;
        // This attempt revealed that a username or an e-mail address is taken, so it counts.
        if !matches!(created, Ok(_) | Err(Error::UsernameTaken | Error::EmailTaken)) {
            self.core.throttle.refund(&attempt);
        }
        created
    }

    /// Refuses an invitation that this account can't use, before anything is hashed.
    async fn check_invitation(
        &self,
        caller: &Caller,
        operation: Operation,
        account: &NewAccount,
    ) -> Result<Option<TokenHash>, Error> {
        let Some(token) = &account.invitation else { return Ok(None) };
        let hash = InvitationToken::parse(token).ok_or(Error::InvalidInvitation)?.hash();
        let invitation = by_token(&self.core, caller, operation, hash).await?;
        if invitation.is_for(&account.email) { Ok(Some(hash)) } else { Err(Error::InvalidInvitation) }
    }

    async fn create_account(
        &self,
        caller: &Caller,
        operation: Operation,
        account: NewAccount,
        invitation: Option<TokenHash>,
        then: impl Fn(&mut Writer<'_>, User) -> Result<User, Error> + Send + 'static,
    ) -> Result<User, Error> {
        let NewAccount { username, email, password, role, .. } = account;
        let names = [username.as_str(), email.as_str()];
        let password_hash = self.core.hash_new_password(caller, password, names).await?;
        self.core
            .change(caller, operation, move |writer, acting| {
                let invitation = invitation.as_ref().map(|token| spend(writer, token, &email)).transpose()?;
                let fixed = invitation.as_ref().is_some_and(|invitation| invitation.email.is_some());
                let user = writer.insert_user(&NewUser {
                    username: username.clone(),
                    email: email.clone(),
                    email_verified: fixed || acting.administers(),
                    role: invitation.as_ref().map_or(role, |invitation| invitation.role),
                    password_hash: password_hash.clone(),
                })?;
                writer.record(Action::UserRegistered, Some(user.id));
                if let Some(prefix) = acting.client.prefix().filter(|_| !acting.administers()) {
                    writer.remember_sign_in_address(user.id, prefix, MAX_ADDRESSES)?;
                }
                if let Some(invitation) = invitation {
                    writer.record_by(invitation.created_by, Action::InvitationSpent, Some(user.id));
                }
                then(writer, user)
            })
            .await
    }
}

/// Uses an invitation up, if it is for this e-mail address.
fn spend(writer: &mut Writer<'_>, token: &TokenHash, email: &EmailAddress) -> Result<Invitation, Error> {
    let invitation = writer.spend_invitation(token)?.ok_or(Error::InvalidInvitation)?;
    if invitation.is_for(email) { Ok(invitation) } else { Err(Error::InvalidInvitation) }
}
