//! Groups: created, renamed and deleted by administrators, who also say which accounts are in them.

use super::{access::Operation, core::Core};
use crate::{
    domain::{Action, App, Caller, Error, Group, GroupId, GroupName, GroupSelector, Page, PageSize, User, UserId},
    store::Writer,
};
use std::sync::Arc;

/// Groups of accounts.
pub struct Groups {
    pub(super) core: Arc<Core>,
}

impl Groups {
    pub async fn create(&self, caller: &Caller, name: GroupName) -> Result<Group, Error> {
        self.core
            .change(caller, Operation::ManageGroups, move |writer, _| {
                let group = writer.insert_group(&name)?;
                writer.record(Action::GroupCreated, None);
                Ok(group)
            })
            .await
    }

    /// Lists groups, in the order in which they were created.
    pub async fn list(
        &self,
        caller: &Caller,
        after: Option<GroupId>,
        size: PageSize,
    ) -> Result<Page<Group, GroupId>, Error> {
        self.core.scan(caller, Operation::ManageGroups, move |reader| reader.groups(after, size)).await
    }

    pub async fn get(&self, caller: &Caller, id: Option<GroupId>) -> Result<Group, Error> {
        self.core
            .read(caller, Operation::ManageGroups, move |reader| {
                reader.group(id.ok_or(Error::GroupNotFound)?)?.ok_or(Error::GroupNotFound)
            })
            .await
    }

    /// The id of the group that a person at the shell means.
    pub async fn find(&self, caller: &Caller, group: GroupSelector) -> Result<GroupId, Error> {
        let found = self.core.read(caller, Operation::ManageGroups, move |reader| reader.group_id(&group));
        found.await?.ok_or(Error::GroupNotFound)
    }

    /// Gives a group another name, or leaves it as it is.
    pub async fn rename(&self, caller: &Caller, id: Option<GroupId>, name: Option<GroupName>) -> Result<Group, Error> {
        self.core
            .change(caller, Operation::ManageGroups, move |writer, _| {
                let id = existing(writer, id)?;
                if let Some(name) = &name
                    && writer.rename_group(id, name)?
                {
                    writer.record(Action::GroupRenamed, None);
                }
                writer.group(id)?.ok_or(Error::GroupNotFound)
            })
            .await
    }

    /// Deletes a group that no app refers to.
    pub async fn delete(&self, caller: &Caller, id: Option<GroupId>) -> Result<(), Error> {
        self.core
            .change_without_deadline(caller, Operation::ManageGroups, move |writer, _| {
                let id = existing(writer, id)?;
                if !writer.delete_group(id)? {
                    return Err(Error::GroupInUse);
                }
                writer.record(Action::GroupDeleted, None);
                Ok(())
            })
            .await
    }

    /// Lists the accounts in a group, by their ids.
    pub async fn members(
        &self,
        caller: &Caller,
        id: Option<GroupId>,
        after: Option<UserId>,
        size: PageSize,
    ) -> Result<Page<User, UserId>, Error> {
        self.core
            .scan(caller, Operation::ManageGroups, move |reader| {
                let id = id.ok_or(Error::GroupNotFound)?;
                if !reader.has_group(id)? {
                    return Err(Error::GroupNotFound);
                }
                reader.members(id, after, size)
            })
            .await
    }

    /// Lists the apps that let a group in.
    pub async fn apps(&self, caller: &Caller, id: Option<GroupId>) -> Result<Vec<App>, Error> {
        self.core
            .scan(caller, Operation::ManageGroups, move |reader| reader.apps_of_group(id.ok_or(Error::GroupNotFound)?))
            .await
    }

    /// Adds an account to a group. One that is in it stays in it.
    pub async fn add_member(&self, caller: &Caller, id: Option<GroupId>, user: Option<UserId>) -> Result<(), Error> {
        self.core
            .change(caller, Operation::ManageMember(user), move |writer, _| {
                let id = existing(writer, id)?;
                join(writer, id, existing_user(writer, user)?)
            })
            .await
    }

    /// Takes an account out of a group.
    pub async fn remove_member(&self, caller: &Caller, id: Option<GroupId>, user: Option<UserId>) -> Result<(), Error> {
        self.core
            .change(caller, Operation::ManageMember(user), move |writer, _| {
                let id = existing(writer, id)?;
                let user = user.ok_or(Error::UserNotFound)?;
                if leave(writer, id, user)? { Ok(()) } else { Err(Error::UserNotFound) }
            })
            .await
    }

    /// Takes an account out of some groups and adds it to others: to all of them, or nothing is changed. It may be out of the
    /// former and in the latter already.
    pub async fn move_member(
        &self,
        caller: &Caller,
        user: Option<UserId>,
        from: Vec<GroupId>,
        to: Vec<GroupId>,
    ) -> Result<(), Error> {
        self.core
            .change(caller, Operation::ManageMember(user), move |writer, _| {
                let user = existing_user(writer, user)?;
                for group in &from {
                    leave(writer, *group, user)?;
                }
                for group in &to {
                    join(writer, existing(writer, Some(*group))?, user)?;
                }
                Ok(())
            })
            .await
    }

    /// Ends the sessions of every account in a group, from the next request on.
    pub async fn end_sessions(&self, caller: &Caller, id: Option<GroupId>) -> Result<(), Error> {
        self.core
            .change_without_deadline(caller, Operation::ManageGroups, move |writer, _| {
                let id = existing(writer, id)?;
                writer.delete_sessions_of_group(id)
            })
            .await
    }
}

/// A group that is there, perhaps damaged.
fn existing(writer: &Writer<'_>, id: Option<GroupId>) -> Result<GroupId, Error> {
    let id = id.ok_or(Error::GroupNotFound)?;
    if writer.has_group(id)? { Ok(id) } else { Err(Error::GroupNotFound) }
}

/// An account that is there, perhaps damaged.
fn existing_user(writer: &Writer<'_>, id: Option<UserId>) -> Result<UserId, Error> {
    let id = id.ok_or(Error::UserNotFound)?;
    writer.credentials_to_change(id)?.map(|_| id).ok_or(Error::UserNotFound)
}

/// Adds an account to a group, unless it is in it already.
fn join(writer: &mut Writer<'_>, group: GroupId, user: UserId) -> Result<(), Error> {
    if writer.insert_member(group, user)? {
        writer.record(Action::GroupMemberAdded, Some(user));
    }
    Ok(())
}

/// Takes an account out of a group. `false` where it is not in it.
fn leave(writer: &mut Writer<'_>, group: GroupId, user: UserId) -> Result<bool, Error> {
    let was_in_it = writer.delete_member(group, user)?;
    if was_in_it {
        writer.record(Action::GroupMemberRemoved, Some(user));
    }
    Ok(was_in_it)
}
