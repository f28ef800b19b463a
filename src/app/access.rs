//! Who may do what: one function, asked before work begins and again inside each transaction.

use crate::{
    domain::{Actor, Caller, Error, Role, UserChanges, UserId},
    store::Writer,
};
use std::sync::Arc;

/// What somebody is about to do. A target of `None` is a name that no user can have.
#[derive(Clone, Copy)]
pub(super) enum Operation<'a> {
    /// Creating an account with this role.
    Register(Role),
    ListUsers,
    ReadUser(Option<UserId>),
    ChangeUser(Option<UserId>, &'a UserChanges),
    DeleteUser(Option<UserId>),
    /// Listing an account's sessions, or ending them.
    Sessions(Option<UserId>),
    /// Creating a token with which somebody sets a new password.
    IssueReset,
    /// Forgetting an account's failed sign-ins.
    Unlock,
    /// Creating, listing and taking back invitations.
    Invite,
    /// Passing a proxy as somebody who holds this role. Administrators hold all.
    PassAs(Role),
    /// Importing and exporting accounts with their password hashes.
    TransferUsers,
    ReadAudit,
}

/// Reads the acting account and session again: both may have ended, or changed their role, since the request came.
pub(super) fn confirm(writer: &Writer<'_>, caller: &Caller) -> Result<Actor, Error> {
    let Some(signed_in) = caller.signed_in() else { return Ok(caller.actor.clone()) };
    let found = writer.signed_in_by_session(&signed_in.session.id)?;
    found.map(|found| Actor::SignedIn(Arc::new(found))).ok_or(Error::InvalidToken)
}

/// Allows or refuses. Callers who may not see an account are told that there is none, whether or not that is so.
pub(super) fn decide(actor: &Actor, operation: &Operation<'_>) -> Result<(), Error> {
    let (id, role) = match actor {
        Actor::Shell => return Ok(()),
        Actor::SignedIn(signed_in) => (Some(signed_in.user.id), signed_in.user.role),
        Actor::Anonymous => (None, Role::User),
    };
    let sees = |target: &Option<UserId>| match (id, target) {
        (None, _) => Err(Error::AuthenticationRequired),
        (Some(own), Some(target)) if own == *target || role == Role::Admin => Ok(()),
        (Some(_), _) => Err(Error::UserNotFound),
    };
    let administers = || match id {
        None => Err(Error::AuthenticationRequired),
        Some(_) if role == Role::Admin => Ok(()),
        Some(_) => Err(Error::Forbidden),
    };
    match operation {
        Operation::ListUsers
        | Operation::IssueReset
        | Operation::Unlock
        | Operation::Invite
        | Operation::ReadAudit
        | Operation::PassAs(Role::Admin) => administers(),
        Operation::PassAs(Role::User) => id.map(|_| ()).ok_or(Error::AuthenticationRequired),
        Operation::Register(Role::User) => Ok(()),
        Operation::Register(Role::Admin) | Operation::TransferUsers => Err(Error::Forbidden),
        Operation::ReadUser(target) | Operation::DeleteUser(target) | Operation::Sessions(target) => sees(target),
        Operation::ChangeUser(target, changes) => {
            sees(target)?;
            let for_admins = changes.role.is_some() || changes.disabled.is_some();
            if for_admins && role != Role::Admin { Err(Error::Forbidden) } else { Ok(()) }
        }
    }
}

impl Caller {
    /// Whether this is an administrator, or the shell.
    pub(super) fn administers(&self) -> bool {
        matches!(self.actor, Actor::Shell) || self.signed_in().is_some_and(|caller| caller.user.role == Role::Admin)
    }

    /// Whether the account with this id is the caller's own.
    pub(super) fn owns(&self, id: UserId) -> bool {
        self.user_id() == Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EmailAddress, Session, SessionId, SignedIn, Timestamp, User, Username};
    use std::sync::Arc;

    fn signed_in(id: i64, role: Role) -> Actor {
        let (at, id) = (Timestamp::from_millis(0), UserId::new(id).unwrap());
        let user = User {
            id,
            username: Username::parse("x").unwrap(),
            email: EmailAddress::parse("x@y").unwrap(),
            email_verified: false,
            role,
            disabled: false,
            revision: 1,
            created_at: at,
            updated_at: at,
            last_login_at: None,
        };
        let session =
            Session { id: SessionId::generate(), user_id: id, created_at: at, last_used_at: at, expires_at: at };
        Actor::SignedIn(Arc::new(SignedIn { user, session }))
    }

    /// One row an operation; in it anonymous, a user, an administrator and the shell. The account asked about is the
    /// second's and the third's own where the row says `own`.
    #[test]
    fn who_may_do_what() {
        let (ok, anonymous, hidden) = (Ok(()), Err(Error::AuthenticationRequired), Err(Error::UserNotFound));
        let (own, other) = (UserId::new(1), UserId::new(2));
        let plain = UserChanges { username: Username::parse("y").ok(), ..UserChanges::default() };
        let role = UserChanges { role: Some(Role::Admin), ..UserChanges::default() };
        let disabled = UserChanges { disabled: Some(true), ..UserChanges::default() };
        let forbidden = Err(Error::Forbidden);
        let table = [
            ("register", Operation::Register(Role::User), [&ok, &ok, &ok, &ok]),
            ("register an administrator", Operation::Register(Role::Admin), [&forbidden, &forbidden, &forbidden, &ok]),
            ("list", Operation::ListUsers, [&anonymous, &forbidden, &ok, &ok]),
            ("issue a reset", Operation::IssueReset, [&anonymous, &forbidden, &ok, &ok]),
            ("unlock", Operation::Unlock, [&anonymous, &forbidden, &ok, &ok]),
            ("invite", Operation::Invite, [&anonymous, &forbidden, &ok, &ok]),
            ("read own", Operation::ReadUser(own), [&anonymous, &ok, &ok, &ok]),
            ("read other", Operation::ReadUser(other), [&anonymous, &hidden, &ok, &ok]),
            ("read nobody", Operation::ReadUser(None), [&anonymous, &hidden, &hidden, &ok]),
            ("change own", Operation::ChangeUser(own, &plain), [&anonymous, &ok, &ok, &ok]),
            ("change other", Operation::ChangeUser(other, &plain), [&anonymous, &hidden, &ok, &ok]),
            ("own role", Operation::ChangeUser(own, &role), [&anonymous, &forbidden, &ok, &ok]),
            ("other's role", Operation::ChangeUser(other, &role), [&anonymous, &hidden, &ok, &ok]),
            ("own disabled", Operation::ChangeUser(own, &disabled), [&anonymous, &forbidden, &ok, &ok]),
            ("other's disabled", Operation::ChangeUser(other, &disabled), [&anonymous, &hidden, &ok, &ok]),
            ("delete own", Operation::DeleteUser(own), [&anonymous, &ok, &ok, &ok]),
            ("delete other", Operation::DeleteUser(other), [&anonymous, &hidden, &ok, &ok]),
            ("pass as a user", Operation::PassAs(Role::User), [&anonymous, &ok, &ok, &ok]),
            ("pass as an administrator", Operation::PassAs(Role::Admin), [&anonymous, &forbidden, &ok, &ok]),
            ("own sessions", Operation::Sessions(own), [&anonymous, &ok, &ok, &ok]),
            ("other's sessions", Operation::Sessions(other), [&anonymous, &hidden, &ok, &ok]),
            ("transfer", Operation::TransferUsers, [&forbidden, &forbidden, &forbidden, &ok]),
            ("read the audit log", Operation::ReadAudit, [&anonymous, &forbidden, &ok, &ok]),
        ];
        let actors = [Actor::Anonymous, signed_in(1, Role::User), signed_in(1, Role::Admin), Actor::Shell];
        for (name, operation, expected) in &table {
            for (actor, expected) in actors.iter().zip(expected) {
                assert_eq!(&decide(actor, operation), *expected, "{name} {actor:?}");
            }
        }
    }
}
