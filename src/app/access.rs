//! Who may do what: one function, asked before work begins and again inside each transaction.

use crate::domain::{Actor, Caller, Error, Role, UserChanges, UserId};

/// What somebody is about to do. A target of `None` is a name that no user can have.
#[derive(Debug, Clone, Copy)]
pub enum Operation<'a> {
    /// Making an account with this role.
    Register(Role),
    ReadUser(Option<UserId>),
    ChangeUser(Option<UserId>, &'a UserChanges),
    DeleteUser(Option<UserId>),
}

/// Allows or refuses. Whoever may not see an account is told that there is none, whether or not that is so.
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
    match operation {
        Operation::Register(Role::User) => Ok(()),
        Operation::Register(Role::Admin) => Err(Error::Forbidden),
        Operation::ReadUser(target) | Operation::DeleteUser(target) => sees(target),
        Operation::ChangeUser(target, changes) => {
            sees(target)?;
            let for_admins = changes.role.is_some() || changes.disabled.is_some();
            if for_admins && role != Role::Admin { Err(Error::Forbidden) } else { Ok(()) }
        }
    }
}

impl Caller {
    /// Whether the account with this id is the caller's own.
    pub(super) fn owns(&self, id: UserId) -> bool {
        self.user_id() == Some(id)
    }
}
