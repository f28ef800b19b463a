//! Creating, reading, changing and deleting accounts.

use super::{
    ADDRESSES, App,
    access::Operation,
    throttle::{Attempt, Limit},
};
use crate::{
    domain::{
        Action, Caller, Credentials, DamagedUser, EmailAddress, Error, Faults, Invitation, InvitationToken, NewUser,
        Page, PageSize, Password, PasswordHash, Role, SignedIn, TokenHash, User, UserChanges, UserCursor, UserFilter,
        UserId, UserName, UserSort, UserUpdate, Username,
    },
    store::{Reader, Writer},
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

/// A page of accounts, and how many there are on all pages, where that was asked.
#[derive(Debug)]
pub struct UserList {
    pub page: Page<User, UserCursor>,
    pub total: Option<u64>,
}

/// Which states of an account a change may be made to (`If-Match`, RFC 9110, section 13.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedRevision {
    Any,
    /// Pairs of account and revision; an empty list matches nothing.
    OneOf(Vec<(i64, i64)>),
}

impl ExpectedRevision {
    fn check(&self, user: &User) -> Result<(), Error> {
        match self {
            Self::OneOf(tags) if !tags.contains(&(user.id.get(), user.revision)) => Err(Error::PreconditionFailed),
            Self::OneOf(_) | Self::Any => Ok(()),
        }
    }
}

impl App {
    /// Creates an account, with an invitation's role where there is one. An address counts as verified when somebody else
    /// than its owner fixed it. What fails spends no invitation.
    pub async fn register(&self, caller: &Caller, account: NewAccount) -> Result<User, Error> {
        let (mode, invited) = (self.core.policy.registration, account.invitation.is_some());
        let operation = Operation::Register { role: account.role, mode, invited };
        self.core.decide(caller, operation)?;
        let invitation = self.look_at_invitation(caller, operation, &account).await?;
        if caller.administers() {
            return self.create_account(caller, operation, account, invitation).await;
        }
        let attempt = self.core.throttle.reserve_by_address(Limit::Registration, caller.client.subscriber());
        let attempt = self.core.recording(caller, None, attempt)?;
        let made = self.create_account(caller, operation, account, invitation).await;
        // A name that is taken was told, and counts.
        if !matches!(made, Ok(_) | Err(Error::UsernameTaken | Error::EmailTaken)) {
            self.core.throttle.refund(&attempt);
        }
        made
    }

    /// Refuses an invitation that can't be used for this account before anything is hashed for it.
    async fn look_at_invitation(
        &self,
        caller: &Caller,
        operation: Operation,
        account: &NewAccount,
    ) -> Result<Option<TokenHash>, Error> {
        let Some(token) = &account.invitation else { return Ok(None) };
        let hash = InvitationToken::parse(token).ok_or(Error::InvalidInvitation)?.hash();
        let now = self.core.clock.now();
        let found = self.core.read(caller, operation, move |reader| reader.invitation(&hash, now)).await?;
        let fits = found.is_some_and(|invitation| invitation.is_for(&account.email));
        if fits { Ok(Some(hash)) } else { Err(Error::InvalidInvitation) }
    }

    async fn create_account(
        &self,
        caller: &Caller,
        operation: Operation,
        account: NewAccount,
        invitation: Option<TokenHash>,
    ) -> Result<User, Error> {
        let NewAccount { username, email, password, role, .. } = account;
        let password_hash = self.core.hashing.admit(caller.client.site())?.hash(password).await?;
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
                if let Some(subscriber) = acting.client.subscriber().filter(|_| !acting.administers()) {
                    writer.note_sign_in_address(user.id, subscriber, ADDRESSES)?;
                }
                if let Some(invitation) = invitation {
                    writer.record_by(invitation.created_by, Action::InvitationSpent, Some(user.id));
                }
                Ok(user)
            })
            .await
    }

    /// Lists accounts.
    pub async fn users(
        &self,
        caller: &Caller,
        filter: UserFilter,
        sort: UserSort,
        after: Option<UserCursor>,
        size: PageSize,
        count: bool,
    ) -> Result<UserList, Error> {
        self.core
            .scan(caller, Operation::ListUsers, move |reader| {
                let page = reader.users(&filter, sort, after.as_ref(), size)?;
                let total = if count { Some(reader.count_users(&filter)?) } else { None };
                Ok(UserList { page, total })
            })
            .await
    }

    /// Reads an account. Its owner's was read with their session and is not read again.
    pub async fn user(&self, caller: &Caller, target: Option<UserId>) -> Result<User, Error> {
        let operation = Operation::ReadUser(target);
        self.core.decide(caller, operation)?;
        let id = target.ok_or(Error::UserNotFound)?;
        match caller.signed_in() {
            Some(signed_in) if signed_in.user.id == id => Ok(signed_in.user.clone()),
            _ => self.core.read(caller, operation, move |reader| reader.user(id)).await?.ok_or(Error::UserNotFound),
        }
    }

    /// Finds the account that a person at the shell means.
    pub async fn user_named(&self, caller: &Caller, name: UserName) -> Result<User, Error> {
        let found = self.core.read(caller, Operation::ListUsers, move |reader| match &name {
            UserName::Id(id) => reader.user(*id),
            UserName::Email(email) => Ok(reader.credentials_by_email(email.as_str())?.map(|found| found.user)),
            UserName::Username(username) => reader.user_by_username(username),
        });
        found.await?.ok_or(Error::UserNotFound)
    }

    /// The same account for a change or its end, which a damaged one allows, too: what can't be read of it stands as
    /// something harmless, and is replaced by that with the next change.
    pub async fn user_to_change(&self, caller: &Caller, name: UserName) -> Result<User, Error> {
        let UserName::Id(id) = name else { return self.user_named(caller, name).await };
        let found =
            self.core.read(caller, Operation::ListUsers, move |reader| reader.credentials_to_change(id)).await?;
        found.map(|(credentials, _)| credentials.user).ok_or(Error::UserNotFound)
    }

    /// Every account of which something can't be read.
    pub async fn damaged_users(&self, caller: &Caller) -> Result<Vec<DamagedUser>, Error> {
        self.core.scan(caller, Operation::ListUsers, |reader| reader.damaged_users()).await
    }

    /// Changes what is given and leaves the rest. The caller's own new password or address needs a fresh sign-in, or
    /// the current password; a new password ends sessions, and so does being disabled.
    pub async fn update_user(
        &self,
        caller: &Caller,
        target: Option<UserId>,
        changes: UserChanges,
        expected: ExpectedRevision,
    ) -> Result<User, Error> {
        // Those who can rename themselves learn which names are taken, and are counted as registering, too. Trying out
        // passwords with a session is slowed down for everybody.
        let renames = changes.username.is_some() || changes.email.is_some();
        let costs = renames || changes.password.is_some() || changes.current_password.is_some();
        let (proves, is_slowed) = (changes.current_password.is_some(), !caller.administers());
        let own = target.filter(|id| caller.owns(*id) && (proves || costs && is_slowed));
        let charged = own.map_or(Ok(Attempt::default()), |own| {
            self.core.throttle.reserve_change(own, renames && is_slowed, proves, caller.client.subscriber())
        });
        let charged = self.core.recording(caller, own, charged)?;
        let mut shown = Shown::Nothing;
        let result = self.try_update(caller, target, changes, expected, &mut shown).await;
        self.settle_change(&charged, shown, &result);
        result
    }

    /// A name that is taken was told, and a current password was hashed for: both count whatever became of the change.
    fn settle_change(&self, charged: &Attempt, shown: Shown, result: &Result<User, Error>) {
        let told = matches!(result, Err(Error::UsernameTaken | Error::EmailTaken));
        let counts = result.is_ok() || told || shown != Shown::Nothing;
        self.core.throttle.refund_of(charged, |limit| match limit {
            Limit::Change => !counts,
            Limit::Address => shown != Shown::WrongPassword,
            _ => !told,
        });
    }

    async fn try_update(
        &self,
        caller: &Caller,
        target: Option<UserId>,
        changes: UserChanges,
        expected: ExpectedRevision,
        shown: &mut Shown,
    ) -> Result<User, Error> {
        self.core.decide(caller, Operation::ReadUser(target))?;
        let id = target.ok_or(Error::UserNotFound)?;
        let user = match caller.signed_in() {
            Some(signed_in) if signed_in.user.id == id => signed_in.user.clone(),
            _ => {
                let looked_up = move |reader: &Reader<'_>| reader.credentials_to_change(id);
                let found = self.core.read(caller, Operation::ReadUser(target), looked_up).await?;
                found.ok_or(Error::UserNotFound)?.0.user
            }
        };
        self.check_password_fits(&user, &changes)?;
        let operation = Operation::of_changes(target, &changes);
        self.core.decide(caller, operation)?;
        let proof = self.reauthenticate(caller, &user, &changes, shown).await;
        let proof = self.core.recording(caller, target, proof)?;
        expected.check(&user)?;
        let password_hash = match changes.password.clone() {
            Some(password) => Some(self.core.hashing.admit(caller.client.site())?.hash(password).await?),
            None => None,
        };
        self.core
            .change(caller, operation, move |writer, acting| {
                apply(writer, acting, id, &changes, password_hash.clone(), proof, &expected)
            })
            .await
    }

    /// The rest of the password policy: what the body could not tell, because it did not name the account.
    pub(super) fn check_password_fits(&self, user: &User, changes: &UserChanges) -> Result<(), Error> {
        let Some(password) = &changes.password else { return Ok(()) };
        let username = changes.username.as_ref().unwrap_or(&user.username);
        let email = changes.email.as_ref().unwrap_or(&user.email);
        let fits = self.core.policy.passwords.accept_for(password.as_str(), &[username.as_str(), email.as_str()]);
        fits.map_err(|fault| {
            let mut faults = Faults::default();
            faults.add("password", fault);
            Error::Invalid(faults)
        })
    }

    /// Finds out whether the caller has shown that the account is theirs: by a fresh sign-in, or by the current password.
    /// One that is given with a change of the caller's own account is checked, whatever is changed.
    async fn reauthenticate(
        &self,
        caller: &Caller,
        user: &User,
        changes: &UserChanges,
        shown: &mut Shown,
    ) -> Result<Proof, Error> {
        let Some(signed_in) = caller.signed_in().filter(|_| caller.owns(user.id)) else { return Ok(Proof::NotNeeded) };
        if let Some(typed) = &changes.current_password {
            let proven = self.prove_own(caller, user, typed).await?;
            *shown = if proven.is_some() { Shown::RightPassword } else { Shown::WrongPassword };
            let credentials = proven.ok_or(Error::ReauthenticationRequired)?;
            self.core.journal.note(Action::PasswordConfirmed, caller, Some(user.id));
            return Ok(Proof::Password { version: credentials.password_version });
        }
        let proof = if self.is_fresh(signed_in) { Proof::NotNeeded } else { Proof::Missing };
        proof.check(user, changes)?;
        Ok(proof)
    }

    /// Whether the sign-in is recent enough for what an app that merely holds the token must not do.
    fn is_fresh(&self, signed_in: &SignedIn) -> bool {
        let limit = self.core.policy.reauthenticate_after;
        limit.is_zero() || self.core.clock.now().since(signed_in.session.created_at) <= limit
    }

    /// Deletes an account with all that hangs on it. Its id is never used again. One's own needs a fresh sign-in.
    pub async fn delete_user(
        &self,
        caller: &Caller,
        target: Option<UserId>,
        expected: ExpectedRevision,
    ) -> Result<(), Error> {
        let operation = Operation::DeleteUser(target);
        self.core.decide(caller, operation)?;
        let own = caller.signed_in().filter(|signed_in| target == Some(signed_in.user.id));
        if own.is_some_and(|signed_in| !self.is_fresh(signed_in)) {
            return self.core.recording(caller, target, Err(Error::ReauthenticationRequired));
        }
        self.core
            .change(caller, operation, move |writer, _| {
                let id = target.ok_or(Error::UserNotFound)?;
                let user = writer.credentials_to_change(id)?.ok_or(Error::UserNotFound)?.0.user;
                expected.check(&user)?;
                keep_an_admin(writer, &user, true)?;
                void_tokens_of(writer, id)?;
                writer.delete_user(id)?;
                writer.record(Action::UserDeleted, Some(id));
                Ok(())
            })
            .await
    }
}

/// Uses an invitation up for an account with this address.
fn spend(writer: &mut Writer<'_>, token: &TokenHash, email: &EmailAddress) -> Result<Invitation, Error> {
    let invitation = writer.spend_invitation(token)?.ok_or(Error::InvalidInvitation)?;
    if invitation.is_for(email) { Ok(invitation) } else { Err(Error::InvalidInvitation) }
}

/// What came of the current password that was sent with a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// None was sent, or it was not looked at.
    Nothing,
    WrongPassword,
    RightPassword,
}

/// How it was shown that an account is the caller's own, as far as that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// The sign-in is fresh, or the account is somebody else's.
    NotNeeded,
    /// The account's password, while it had this version.
    Password {
        version: i64,
    },
    Missing,
}

impl Proof {
    /// A new password or address needs proof; the address that the account has is none.
    fn check(self, user: &User, changes: &UserChanges) -> Result<(), Error> {
        let new_email = changes.email.as_ref().is_some_and(|email| *email != user.email);
        if self == Proof::Missing && (changes.password.is_some() || new_email) {
            return Err(Error::ReauthenticationRequired);
        }
        Ok(())
    }
}

/// There is always somebody who can administer.
fn keep_an_admin(writer: &Writer<'_>, user: &User, goes: bool) -> Result<(), Error> {
    let is_one = user.role == Role::Admin && !user.disabled;
    if goes && is_one && !writer.has_enabled_admin_beside(Some(user.id))? {
        return Err(Error::LastAdmin);
    }
    Ok(())
}

/// Changes an account inside a transaction, ends what the change ends, and records it.
fn apply(
    writer: &mut Writer<'_>,
    caller: &Caller,
    id: UserId,
    changes: &UserChanges,
    password_hash: Option<PasswordHash>,
    proof: Proof,
    expected: &ExpectedRevision,
) -> Result<User, Error> {
    let (credentials, damaged) = writer.credentials_to_change(id)?.ok_or(Error::UserNotFound)?;
    let Credentials { user: before, password_version, .. } = credentials;
    if matches!(proof, Proof::Password { version } if version != password_version) {
        return Err(Error::ReauthenticationRequired); // what was shown is no longer the account's password
    }
    proof.check(&before, changes)?;
    expected.check(&before)?;
    let update = updated(&before, caller, changes, password_hash);
    match update.changes(&before) {
        true => {}
        false if damaged => writer.record(Action::UserUpdated, Some(id)), // something harmless becomes what it is
        false => return Ok(before),
    }
    keep_an_admin(writer, &before, update.disabled || update.role != Role::Admin)?;
    let after = writer.update_user(id, &update)?;
    end_sessions(writer, caller, id, &update)?;
    if update.disabled || update.role != Role::Admin {
        void_tokens_of(writer, id)?;
    }
    record_changes(writer, &before, &update);
    Ok(after)
}

/// Invitations and reset tokens that somebody created go with their right to create them.
fn void_tokens_of(writer: &mut Writer<'_>, id: UserId) -> Result<(), Error> {
    let invitations = writer.delete_tokens_made_by(id)?;
    writer.record_times(Action::InvitationDeleted, None, invitations);
    Ok(())
}

/// The account as it shall stand.
fn updated(before: &User, caller: &Caller, changes: &UserChanges, password_hash: Option<PasswordHash>) -> UserUpdate {
    let mut update = UserUpdate::of(before);
    update.password_hash = password_hash;
    if let Some(username) = &changes.username {
        update.username = username.clone();
    }
    if let Some(email) = &changes.email {
        let same = *email == before.email;
        update.email = email.clone();
        update.email_verified = !caller.owns(before.id) || (same && before.email_verified);
    }
    update.role = changes.role.unwrap_or(before.role);
    update.disabled = changes.disabled.unwrap_or(before.disabled);
    update
}

fn end_sessions(writer: &mut Writer<'_>, caller: &Caller, id: UserId, update: &UserUpdate) -> Result<(), Error> {
    if update.disabled {
        writer.delete_sessions(id, None)?;
    }
    if update.password_hash.is_some() {
        let own = caller.signed_in().filter(|signed_in| signed_in.user.id == id);
        writer.delete_sessions(id, own.map(|signed_in| &signed_in.session.id))?;
        writer.delete_password_resets(id)?;
    }
    Ok(())
}

fn record_changes(writer: &mut Writer<'_>, before: &User, update: &UserUpdate) {
    let is_renamed = update.username != before.username
        || update.email != before.email
        || update.email_verified != before.email_verified;
    let changed = [
        (is_renamed, Action::UserUpdated),
        (update.password_hash.is_some(), Action::UserPasswordChanged),
        (update.role != before.role, Action::UserRoleChanged),
        (update.disabled && !before.disabled, Action::UserDisabled),
        (!update.disabled && before.disabled, Action::UserEnabled),
    ];
    for (_, action) in changed.into_iter().filter(|(changed, _)| *changed) {
        writer.record(action, Some(before.id));
    }
}
