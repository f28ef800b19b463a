//! Statements about groups and who is in them.

use super::users::{names_from, text, user_columns, user_from};
use crate::{
    domain::{
        Action, DamagedGroup, Error, Faults, Group, GroupId, GroupName, GroupSelector, Page, PageSize, User, UserId,
    },
    store::{
        Reader, Writer,
        sql::{Columns, Fault, values},
    },
};

/// How many accounts of a group are looked at before what was recorded for them is written, so that a large group takes
/// no more memory than a small one.
const MEMBERS_AT_ONCE: u32 = 500;

/// The columns that `read` reads.
macro_rules! columns {
    () => {
        "id, name"
    };
}

/// Reads the columns of `columns!`. What can't be read is named.
fn read(row: &dyn Columns) -> Result<Result<Group, DamagedGroup>, Fault> {
    let (id, mut faults) = (row.number(0)?, Faults::default());
    let id = GroupId::new(id).ok_or_else(|| Fault::Other(format!("there is a group {id}")))?;
    let name = faults.collect("name", GroupName::parse(&text(row, 1)?));
    Ok(name.map(|name| Group { id, name }).ok_or(DamagedGroup { id, faults }))
}

fn group_from(row: &dyn Columns) -> Result<Group, Fault> {
    read(row)?.map_err(|damaged| Fault::Other(damaged.to_string()))
}

fn id_from(row: &dyn Columns) -> Result<UserId, Fault> {
    let id = row.number(0)?;
    UserId::new(id).ok_or_else(|| Fault::Other(format!("there is an account {id}")))
}

impl Reader<'_> {
    /// For the point door.
    pub fn group(&self, id: GroupId) -> Result<Option<Group>, Error> {
        const SQL: &str = concat!("SELECT ", columns!(), " FROM groups WHERE id = ?1");
        Ok(self.sql.first(SQL, values![id], group_from)?)
    }

    /// Whether there is such a group, also one that is damaged. For the point door.
    pub fn has_group(&self, id: GroupId) -> Result<bool, Error> {
        Ok(self.sql.only("SELECT EXISTS (SELECT 1 FROM groups WHERE id = ?1)", values![id], |row| row.flag(0))?)
    }

    /// Looks for a group by its id, whether or not it is damaged, or by its name without regard to case. For the point
    /// door.
    pub fn group_id(&self, group: &GroupSelector) -> Result<Option<GroupId>, Error> {
        const SQL: &str = "SELECT id FROM groups WHERE name_key = ?1";
        match group {
            GroupSelector::Id(id) => Ok(self.has_group(*id)?.then_some(*id)),
            GroupSelector::Name(name) => {
                Ok(self.sql.first(SQL, values![&name.key()], |row| row.number(0))?.and_then(GroupId::new))
            }
        }
    }

    /// A page of the groups, in the order in which they were created. Scans.
    pub fn groups(&self, after: Option<GroupId>, size: PageSize) -> Result<Page<Group, GroupId>, Error> {
        const SQL: &str = concat!("SELECT ", columns!(), " FROM groups WHERE id > ?1 ORDER BY id LIMIT ?2");
        let given = values![after.map_or(0, GroupId::get), size.get() + 1];
        Ok(Page::cut(self.sql.all(SQL, given, group_from)?, size, |group: &Group| group.id))
    }

    /// A page of the accounts in a group, by their ids. Scans.
    pub fn members(&self, group: GroupId, after: Option<UserId>, size: PageSize) -> Result<Page<User, UserId>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            user_columns!(),
            " FROM group_members m JOIN users u ON u.id = m.user_id
             WHERE m.group_id = ?1 AND m.user_id > ?2 ORDER BY m.user_id LIMIT ?3"
        );
        let given = values![group, after.map_or(0, UserId::get), size.get() + 1];
        Ok(Page::cut(self.sql.all(SQL, given, user_from)?, size, |user: &User| user.id))
    }

    /// Looks up the groups of accounts that were read without them: of those on a page, not of all that were looked at to
    /// find them. Where nobody is in a group that is one look-up.
    pub(super) fn read_groups(&self, users: &mut [User]) -> Result<(), Error> {
        const ANY: &str = "SELECT EXISTS (SELECT 1 FROM group_members)";
        const SQL: &str = "SELECT string_agg(g.name, ',') FROM group_members gm JOIN groups g ON g.id = gm.group_id
             WHERE gm.user_id = ?1";
        if !self.sql.only(ANY, &[], |row| row.flag(0))? {
            return Ok(());
        }
        for user in users {
            let groups = |row: &dyn Columns| Ok(row.nullable(0, |n| text(row, n))?.map(|list| names_from(&list)));
            user.groups = self.sql.only(SQL, values![user.id], groups)?.unwrap_or_default();
        }
        Ok(())
    }

    /// Every group of which something can't be read. Scans all.
    pub fn damaged_groups(&self) -> Result<Vec<DamagedGroup>, Error> {
        const SQL: &str = concat!("SELECT ", columns!(), " FROM groups ORDER BY id");
        let found = self.sql.all(SQL, &[], |row| read(row).map(Result::err))?;
        Ok(found.into_iter().flatten().collect())
    }
}

impl Writer<'_> {
    /// Stores a new group. Fails with `GroupNameTaken`.
    pub fn insert_group(&mut self, name: &GroupName) -> Result<Group, Error> {
        const SQL: &str =
            concat!("INSERT INTO groups (name, name_key, created_at) VALUES (?1, ?2, ?3) RETURNING ", columns!());
        Ok(self.sql.only(SQL, values![name, &name.key(), self.now], group_from)?)
    }

    /// Gives a group another name. Fails with `GroupNameTaken`. `false` where it has that name already.
    pub fn rename_group(&mut self, id: GroupId, name: &GroupName) -> Result<bool, Error> {
        const SQL: &str = "UPDATE groups SET name = ?2, name_key = ?3 WHERE id = ?1 AND (name <> ?2 OR name_key <> ?3)";
        Ok(self.sql.change(SQL, values![id, name, &name.key()])? == 1)
    }

    /// Deletes a group that no app refers to. `false` where there is one that does.
    pub fn delete_group(&mut self, id: GroupId) -> Result<bool, Error> {
        const SQL: &str =
            "DELETE FROM groups WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM app_groups WHERE group_id = ?1)";
        Ok(self.sql.change(SQL, values![id])? == 1)
    }

    /// Adds an account to a group. Fails with `TooManyGroups`. `false` where it is in it already.
    pub fn insert_member(&mut self, group: GroupId, user: UserId) -> Result<bool, Error> {
        const COUNT: &str = "SELECT count(*) FROM group_members WHERE user_id = ?1 AND group_id <> ?2";
        const SQL: &str = "INSERT INTO group_members (user_id, group_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        let given = values![user, group];
        if self.sql.only(COUNT, given, |row| row.number(0))? >= Group::MAX_PER_USER.into() {
            return Err(Error::TooManyGroups);
        }
        Ok(self.sql.change(SQL, given)? == 1)
    }

    /// Takes an account out of a group. `false` where it is not in it.
    pub fn delete_member(&mut self, group: GroupId, user: UserId) -> Result<bool, Error> {
        const SQL: &str = "DELETE FROM group_members WHERE user_id = ?1 AND group_id = ?2";
        Ok(self.sql.change(SQL, values![user, group])? == 1)
    }

    /// Ends every session of every account in a group, with an entry in the audit log for each account that had one.
    pub fn delete_sessions_of_group(&mut self, group: GroupId) -> Result<(), Error> {
        const SQL: &str =
            "SELECT user_id FROM group_members WHERE group_id = ?1 AND user_id > ?2 ORDER BY user_id LIMIT ?3";
        let mut after = 0;
        loop {
            let members = self.sql.all(SQL, values![group, after, MEMBERS_AT_ONCE], id_from)?;
            let Some(last) = members.last() else { return Ok(()) };
            after = last.get();
            for user in members {
                self.forget_browsers(user)?;
                let ended = self.delete_sessions(user, None)?;
                self.record_times(Action::SessionsRevoked, Some(user), ended);
            }
            self.write_events()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{empty, writer};
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn the_sessions_of_a_large_group_end_with_an_entry_for_each_account() {
        let connection = empty();
        let members = i64::from(MEMBERS_AT_ONCE) * 2 + 1;
        connection
            .execute_batch(&format!(
                "INSERT INTO groups VALUES (1, 'all', 'all', 0);
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {members} + 1)
                 INSERT INTO users (id, username, username_key, email, email_key, email_verified, password_hash,
                                    password_version, role, disabled, revision, created_at, updated_at)
                 SELECT i, 'u' || i, 'u' || i, 'u' || i || '@x', 'u' || i || '@x', 1, '', 1, 'user', 0, 1, 0, 0 FROM n;
                 INSERT INTO group_members SELECT id, 1 FROM users WHERE id <= {members};
                 INSERT INTO sessions SELECT NULL, 's' || id, randomblob(32), id, 'api', NULL, NULL, 0, 0, 0, 9, NULL, NULL
                 FROM users WHERE id <> 2"
            ))
            .unwrap();
        let mut writer = writer(&connection, Timestamp::from_millis(5));

        writer.delete_sessions_of_group(GroupId::new(1).unwrap()).unwrap();

        let only = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(only("SELECT max(user_id) + count(*) FROM sessions"), members + 2, "one is left, of no member");
        assert_eq!(only("SELECT count(DISTINCT subject) FROM audit WHERE action = 'session.revoked'"), members - 1);
        assert!(writer.events.is_empty(), "none waits in memory");
    }
}
