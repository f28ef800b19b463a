//! Changing an account.

use super::{Accounts, ExpectedRevision, ensure_admin_remains, void_tokens_created_by};
use crate::{
    app::{
        access::Operation,
        core::Core,
        sign_in::password::PasswordCheck,
        throttle::{Attempt, Limit},
    },
    domain::{Action, Caller, Credentials, Error, PasswordHash, Role, User, UserChanges, UserId, UserUpdate},
    store::Writer,
};

impl Accounts {
    /// Changes the given fields. To change their own password or e-mail address, callers need a recent sign-in or their
    /// current password. A new password ends the other sessions; disabling the account ends all.
    pub async fn update(
        &self,
        caller: &Caller,
        target: Option<UserId>,
        changes: UserChanges,
        expected: ExpectedRevision,
    ) -> Result<User, Error> {
        let mut update = Update { core: &self.core, caller, target, changes, expected, shown: Shown::Nothing };
        let charged = update.charge()?;
        let result = update.run().await;
        update.settle(&charged, &result);
        result
    }
}

/// A requested change.
struct Update<'a> {
    core: &'a Core,
    caller: &'a Caller,
    target: Option<UserId>,
    changes: UserChanges,
    expected: ExpectedRevision,
    /// The result of checking the current password so far.
    shown: Shown,
}

impl Update<'_> {
    /// The order of these checks decides which error callers see. Strangers learn nothing about the account, and no
    /// password is hashed for a change that would be refused anyway.
    async fn run(&mut self) -> Result<User, Error> {
        let user = self.account().await?;
        self.check_password(&user)?;
        let operation = Operation::of_changes(self.target, &self.changes);
        self.core.decide_change(self.caller, operation)?;
        let proof = self.reauthenticate(&user).await;
        let proof = self.core.record_refusal(self.caller, self.target, proof)?;
        self.expected.check(&user)?;
        let password_hash = self.hash_password(&user).await?;
        let (changes, expected) = (self.changes.clone(), self.expected.clone());
        let change = Change { id: user.id, changes, password_hash, proof, expected };
        self.core.change(self.caller, operation, move |writer, acting| change.apply(writer, acting)).await
    }

    /// Limits how often owners change their accounts. A rename reveals which names are taken, so it is also charged as
    /// a registration. Sending a current password may be guessing, so it is charged to administrators, too.
    fn charge(&self) -> Result<Attempt, Error> {
        let UserChanges { username, email, password, current_password, display_name, .. } = &self.changes;
        let (renames, proves) = (username.is_some() || email.is_some(), current_password.is_some());
        let costs = renames || proves || password.is_some() || display_name.is_some();
        let is_slowed = !self.caller.administers();
        let own = self.target.filter(|id| self.caller.owns(*id) && (proves || costs && is_slowed));
        let Some(own) = own else { return Ok(Attempt::default()) };
        let prefix = self.caller.client.prefix();
        let charged = self.core.throttle.reserve_change(own, renames && is_slowed, proves, prefix);
        self.core.record_refusal(self.caller, Some(own), charged)
    }

    /// Refunds what does not count. Attempts count, whatever their result, if they revealed that a name is taken or if
    /// a current password was hashed.
    fn settle(&self, charged: &Attempt, result: &Result<User, Error>) {
        let revealed = matches!(result, Err(Error::UsernameTaken | Error::EmailTaken));
        let counts = result.is_ok() || revealed || self.shown != Shown::Nothing;
        self.core.throttle.refund_where(charged, |limit| match limit {
            Limit::Change => !counts,
            Limit::Address => self.shown != Shown::WrongPassword,
            _ => !revealed,
        });
    }

    /// Reads the account. The caller's own account was read with their session and is not read again.
    async fn account(&self) -> Result<User, Error> {
        let operation = Operation::ReadUser(self.target);
        self.core.decide(self.caller, operation)?;
        let id = self.target.ok_or(Error::UserNotFound)?;
        if let Some(signed_in) = self.caller.signed_in().filter(|signed_in| signed_in.user.id == id) {
            return Ok(signed_in.user.clone());
        }
        let found = self.core.read(self.caller, operation, move |reader| reader.credentials_to_change(id)).await?;
        found.map(|(credentials, _)| credentials.user).ok_or(Error::UserNotFound)
    }

    /// The username and the e-mail address that the account will have.
    fn names<'n>(&'n self, user: &'n User) -> [&'n str; 2] {
        let username = self.changes.username.as_ref().unwrap_or(&user.username);
        let email = self.changes.email.as_ref().unwrap_or(&user.email);
        [username.as_str(), email.as_str()]
    }

    fn check_password(&self, user: &User) -> Result<(), Error> {
        let Some(password) = &self.changes.password else { return Ok(()) };
        self.core.check_new_password(password, self.names(user))
    }

    async fn hash_password(&self, user: &User) -> Result<Option<PasswordHash>, Error> {
        let Some(password) = self.changes.password.clone() else { return Ok(None) };
        self.core.hash_new_password(self.caller, password, self.names(user)).await.map(Some)
    }

    /// Checks whether the caller has proved that the account is theirs, by a recent sign-in or the current password. A
    /// current password that is sent with a change of the caller's own account is always checked.
    async fn reauthenticate(&mut self, user: &User) -> Result<Proof, Error> {
        let Some(signed_in) = self.caller.signed_in().filter(|_| self.caller.owns(user.id)) else {
            return Ok(Proof::NotNeeded);
        };
        if let Some(typed) = &self.changes.current_password {
            let shown = PasswordCheck { core: self.core, caller: self.caller }.for_own_account(user, typed).await?;
            self.shown = if shown.is_some() { Shown::RightPassword } else { Shown::WrongPassword };
            let credentials = shown.ok_or(Error::ReauthenticationRequired)?;
            self.core.journal.record(Action::PasswordConfirmed, self.caller, Some(user.id));
            return Ok(Proof::Password { version: credentials.password_version });
        }
        let proof = if self.core.is_recent(signed_in) { Proof::NotNeeded } else { Proof::Missing };
        proof.check(user, &self.changes)?;
        Ok(proof)
    }
}

/// The result of checking the current password that was sent with a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// None was sent, or it was not checked.
    Nothing,
    WrongPassword,
    RightPassword,
}

/// How the caller proved that the account is theirs, if proof is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// The sign-in is recent, or the account is not the caller's own.
    NotNeeded,
    /// The account's password, in this version.
    Password {
        version: i64,
    },
    Missing,
}

impl Proof {
    /// A new password or e-mail address needs proof. Sending the e-mail address that the account already has does not.
    fn check(self, user: &User, changes: &UserChanges) -> Result<(), Error> {
        let new_email = changes.email.as_ref().is_some_and(|email| *email != user.email);
        if self == Proof::Missing && (changes.password.is_some() || new_email) {
            return Err(Error::ReauthenticationRequired);
        }
        Ok(())
    }
}

/// A change that has passed all checks, to be applied inside a transaction.
struct Change {
    id: UserId,
    changes: UserChanges,
    password_hash: Option<PasswordHash>,
    proof: Proof,
    expected: ExpectedRevision,
}

impl Change {
    /// Changes the account, ends its sessions if necessary, and records the change.
    fn apply(&self, writer: &mut Writer<'_>, acting: &Caller) -> Result<User, Error> {
        let (credentials, damaged) = writer.credentials_to_change(self.id)?.ok_or(Error::UserNotFound)?;
        let Credentials { user: before, password_version, .. } = credentials;
        if matches!(self.proof, Proof::Password { version } if version != password_version) {
            return Err(Error::ReauthenticationRequired); // the password was changed meanwhile
        }
        self.proof.check(&before, &self.changes)?;
        self.expected.check(&before)?;
        let update = self.updated(&before, acting);
        match update.changes(&before) {
            true => {}
            false if damaged => writer.record(Action::UserUpdated, Some(self.id)), // harmless values replace unreadable ones
            false => return Ok(before),
        }
        let loses_rights = update.disabled || update.role != Role::Admin;
        ensure_admin_remains(writer, &before, loses_rights)?;
        let after = writer.update_user(self.id, &update)?;
        end_sessions(writer, acting, self.id, &update)?;
        if loses_rights {
            void_tokens_created_by(writer, self.id)?;
        }
        record_changes(writer, &before, &update);
        Ok(after)
    }

    /// The account after the change.
    fn updated(&self, before: &User, acting: &Caller) -> UserUpdate {
        let UserChanges { username, email, role, disabled, display_name, .. } = &self.changes;
        let mut update = UserUpdate { password_hash: self.password_hash.clone(), ..UserUpdate::of(before) };
        if let Some(username) = username {
            update.username = username.clone();
        }
        if let Some(email) = email {
            let same = *email == before.email;
            update.email = email.clone();
            update.email_verified = !acting.owns(before.id) || (same && before.email_verified);
        }
        update.role = role.unwrap_or(before.role);
        update.disabled = disabled.unwrap_or(before.disabled);
        if let Some(display_name) = display_name {
            update.display_name.clone_from(display_name);
        }
        update
    }
}

fn end_sessions(writer: &mut Writer<'_>, caller: &Caller, id: UserId, update: &UserUpdate) -> Result<(), Error> {
    if update.disabled {
        writer.delete_sessions(id, None)?;
    }
    if update.password_hash.is_some() {
        let own = caller.signed_in().filter(|signed_in| signed_in.user.id == id);
        writer.delete_sessions(id, own.map(|signed_in| &signed_in.session.id))?;
        writer.delete_password_resets(id)?;
        writer.forget_browsers(id)?;
    }
    Ok(())
}

fn record_changes(writer: &mut Writer<'_>, before: &User, update: &UserUpdate) {
    let is_renamed = update.username != before.username
        || update.email != before.email
        || update.email_verified != before.email_verified
        || update.display_name != before.display_name;
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
