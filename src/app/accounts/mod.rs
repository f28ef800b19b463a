//! Accounts: creating, reading, changing and deleting them, one file each.

mod delete;
mod import_line;
mod list;
pub(super) mod password_policy;
mod register;
mod transfer;
mod unlock;
mod update;

pub use list::{AccountCounts, UserList};
pub use register::NewAccount;
pub use transfer::{ImportLine, ImportReport, ImportTurn, Transfer};

use super::core::Core;
use crate::{
    domain::{Action, Error, Role, User, UserId},
    store::Writer,
};
use std::sync::Arc;

/// The use cases about single accounts.
pub struct Accounts {
    pub(super) core: Arc<Core>,
}

/// The revisions that a change may be made to (`If-Match`, RFC 9110, section 13.1.1).
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

/// Refuses a change that would leave no enabled administrator. `goes`: the account stops being one.
fn ensure_admin_remains(writer: &Writer<'_>, user: &User, goes: bool) -> Result<(), Error> {
    let is_one = user.role == Role::Admin && !user.disabled;
    if goes && is_one && !writer.has_other_enabled_admin(Some(user.id))? {
        return Err(Error::LastAdmin);
    }
    Ok(())
}

/// Voids the invitations and reset tokens that an account created: they need its right to create them.
fn void_tokens_created_by(writer: &mut Writer<'_>, id: UserId) -> Result<(), Error> {
    let invitations = writer.delete_tokens_created_by(id)?;
    writer.record_times(Action::InvitationDeleted, None, invitations);
    Ok(())
}
