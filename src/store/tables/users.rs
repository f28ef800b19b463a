//! Statements for accounts.

use crate::{
    domain::{
        Credentials, DamagedUser, DisplayName, EmailAddress, Error, Faults, GroupName, NewUser, PasswordHash, Role,
        User, UserId, UserUpdate, Username, Usernames, fold,
    },
    store::{
        Reader, Writer,
        sql::{Columns, Fault, Value, values},
    },
};
use std::borrow::Cow;

/// The columns that `user_from` reads, for a table named `u`, without looking for the account's groups: it is in none, then.
macro_rules! columns_without_groups {
    () => {
        concat!($crate::store::tables::own_columns!(), ", NULL")
    };
}
pub(in crate::store) use columns_without_groups;

/// The same with its groups: one look-up more for who is in none.
macro_rules! user_columns {
    () => {
        concat!(
            $crate::store::tables::own_columns!(),
            ", (SELECT string_agg(g.name, ',') FROM group_members gm JOIN groups g ON g.id = gm.group_id
                WHERE gm.user_id = u.id)"
        )
    };
}
pub(super) use user_columns;

macro_rules! own_columns {
    () => {
        "u.id, u.username, u.email, u.email_verified, u.role, u.disabled, u.revision, u.created_at, u.updated_at, u.last_login_at, u.display_name"
    };
}
pub(in crate::store) use own_columns;

/// How many columns these are: those that a statement adds begin there.
pub(super) const USER_WIDTH: usize = 12;

/// Position of an account on the ring of `users_by_place`. The index is used only for exactly this expression.
macro_rules! place {
    () => {
        "((id & 2147483647) * 1327217885 & 2147483647)"
    };
}

/// Selects an account with its password hash by a condition.
macro_rules! select_credentials {
    ($by:literal) => {
        concat!("SELECT ", user_columns!(), ", u.password_hash, u.password_version FROM users u WHERE ", $by)
    };
}

/// Reads the columns of `user_columns!` from the front of a row. Another program may have damaged the row. Each field
/// that can't be read is named and gets a harmless value, so that the account can be repaired or deleted.
pub(super) fn user_and_faults(row: &dyn Columns) -> Result<(User, Faults), Fault> {
    let (id, mut faults) = (row.number(0)?, Faults::default());
    let id = UserId::new(id).ok_or_else(|| Fault::Other(format!("there is an account {id}")))?;
    let username = faults.collect("username", Username::parse(&text(row, 1)?));
    let email = faults.collect("email", EmailAddress::parse(&text(row, 2)?));
    let role = faults.collect("role", Role::parse(&text(row, 4)?));
    let email_verified = faults.collect("email_verified", truth(row, 3));
    let disabled = faults.collect("disabled", truth(row, 5));
    let revision = faults.collect("revision", count(row.number(6)?));
    let display_name = row.nullable(10, |n| text(row, n))?;
    let display_name = display_name.and_then(|name| faults.collect("display_name", DisplayName::from_stored(&name)));
    let placeholder = || format!("damaged-{id}");
    let user = User {
        id,
        username: username.unwrap_or_else(|| Username::parse(&placeholder()).expect("a username")),
        email: email
            .unwrap_or_else(|| EmailAddress::parse(&(placeholder() + "@unverified.invalid")).expect("an address")),
        email_verified: email_verified.unwrap_or(false),
        role: role.unwrap_or(Role::User),
        disabled: disabled.unwrap_or(true),
        revision: revision.unwrap_or(1),
        created_at: row.time(7)?,
        updated_at: row.time(8)?,
        last_login_at: row.nullable(9, |n| row.time(n))?,
        display_name,
        groups: row.nullable(11, |n| text(row, n))?.map_or_else(Vec::new, |list| names_from(&list)),
    };
    Ok((user, faults))
}

/// The names in a list that SQL made with commas, sorted. One that can't be read is left out: an account in such a group
/// is let in nowhere because of it, and `usher check` names it.
pub(super) fn names_from(list: &str) -> Vec<GroupName> {
    let mut names: Vec<GroupName> = list.split(',').filter_map(|name| GroupName::parse(name).ok()).collect();
    names.sort_by_cached_key(GroupName::key);
    names
}

pub(super) fn text(row: &dyn Columns, n: usize) -> Result<Cow<'_, str>, Fault> {
    row.bytes(n).map(String::from_utf8_lossy)
}

fn truth(row: &dyn Columns, n: usize) -> Result<bool, Cow<'static, str>> {
    row.flag(n).map_err(|_| "must be 0 or 1".into())
}

/// The highest revision, and the highest version of a password.
const MAX_COUNT: i64 = i64::MAX - 1;

fn count(stored: i64) -> Result<i64, Cow<'static, str>> {
    match stored {
        1..=MAX_COUNT => Ok(stored),
        _ => Err(format!("must be between 1 and {MAX_COUNT}").into()),
    }
}

/// The same, but fails if a field can't be read.
pub(super) fn user_from(row: &dyn Columns) -> Result<User, Fault> {
    let (user, faults) = user_and_faults(row)?;
    if faults.is_empty() {
        return Ok(user);
    }
    Err(Fault::Other(DamagedUser { id: user.id, faults }.to_string()))
}

fn with_password(user: User, row: &dyn Columns) -> Result<Credentials, Fault> {
    let password_hash = PasswordHash::from_text(text(row, USER_WIDTH)?.into_owned());
    Ok(Credentials { user, password_hash, password_version: row.number(USER_WIDTH + 1)? })
}

fn credentials_from(row: &dyn Columns) -> Result<Credentials, Fault> {
    with_password(user_from(row)?, row)
}

impl Reader<'_> {
    /// An account and its password hash, to change or delete it, and whether it is damaged. Damaged fields have
    /// harmless values. For `point`.
    pub fn credentials_to_change(&self, id: UserId) -> Result<Option<(Credentials, bool)>, Error> {
        let read = |row: &dyn Columns| {
            let (user, faults) = user_and_faults(row)?;
            Ok((with_password(user, row)?, !faults.is_empty()))
        };
        Ok(self.sql.first(select_credentials!("u.id = ?1"), values![id], read)?)
    }

    /// The damaged accounts. Scans all.
    pub fn damaged_users(&self) -> Result<Vec<DamagedUser>, Error> {
        const SQL: &str = concat!("SELECT ", columns_without_groups!(), " FROM users u ORDER BY u.id");
        let mut damaged = Vec::new();
        self.sql.rows(SQL, &[], &mut |row| {
            let (user, faults) = user_and_faults(row)?;
            if !faults.is_empty() {
                damaged.push(DamagedUser { id: user.id, faults });
            }
            Ok(true)
        })?;
        Ok(damaged)
    }

    /// For `point`.
    pub fn user(&self, id: UserId) -> Result<Option<User>, Error> {
        const SQL: &str = concat!("SELECT ", user_columns!(), " FROM users u WHERE u.id = ?1");
        Ok(self.sql.first(SQL, values![id], user_from)?)
    }

    /// The usernames of those of these ids that are accounts' (at most 1,000), in one statement. Scans as many.
    pub fn usernames(&self, ids: &[i64]) -> Result<Usernames, Error> {
        if ids.is_empty() {
            return Ok(Usernames::default());
        }
        let places = (1..=ids.len()).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ");
        let sql = format!("SELECT id, username FROM users WHERE id IN ({places})");
        let given: Vec<Value<'_>> = ids.iter().map(|id| Value::from(*id)).collect();
        let found = self.sql.all(&sql, &given, |row| Ok((row.number(0)?, Username::parse(&text(row, 1)?).ok())))?;
        Ok(Usernames::of(found))
    }

    /// The accounts whose stored hash has a fault, and which. Scans all.
    pub fn faulty_hashes(
        &self,
        fault: impl Fn(&PasswordHash) -> Option<String>,
    ) -> Result<Vec<(UserId, String)>, Error> {
        let mut faulty = Vec::new();
        self.sql.rows("SELECT u.id, u.password_hash FROM users u ORDER BY u.id", &[], &mut |row| {
            let hash = PasswordHash::from_text(text(row, 1)?.into_owned());
            if let Some((id, fault)) = UserId::new(row.number(0)?).zip(fault(&hash)) {
                faulty.push((id, fault));
            }
            Ok(true)
        })?;
        Ok(faulty)
    }

    /// An account and its password hash. For `point`.
    pub fn credentials(&self, id: UserId) -> Result<Option<Credentials>, Error> {
        Ok(self.sql.first(select_credentials!("u.id = ?1"), values![id], credentials_from)?)
    }

    /// Finds an account by e-mail address, without regard to case. Accepts any text, and always looks it up, so that
    /// the time reveals nothing. For `point`.
    pub fn credentials_by_email(&self, email: &str) -> Result<Option<Credentials>, Error> {
        Ok(self.sql.first(select_credentials!("u.email_key = ?1"), values![&fold(email)], credentials_from)?)
    }

    /// The same for a caller who must not learn whether the account exists. If it does not, returns the one next to
    /// `place` on the ring, with `false`. So an unknown e-mail address costs the same as a known one. For `point`.
    pub fn credentials_or_decoy(&self, email: &str, place: u32) -> Result<Option<(Credentials, bool)>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            columns_without_groups!(),
            ", u.password_hash, u.password_version, u.email_key = ?1 FROM users u WHERE u.id = coalesce(
                (SELECT id FROM users WHERE email_key = ?1),
                (SELECT id FROM users WHERE ",
            place!(),
            " >= ?2 ORDER BY ",
            place!(),
            " LIMIT 1),
                (SELECT id FROM users ORDER BY ",
            place!(),
            " LIMIT 1))"
        );
        let found = |row: &dyn Columns| match (credentials_from(row), row.flag(USER_WIDTH + 2)?) {
            (Err(_), false) => Ok(None), // a damaged decoy is not this caller's problem
            (credentials, is_meant) => Ok(Some((credentials?, is_meant))),
        };
        Ok(self.sql.first(SQL, values![&fold(email), place], found)?.flatten())
    }

    /// The e-mail address of the account with a username, for somebody who must not learn whether there is one: as in
    /// `credentials_or_decoy`, another account is read where there is none. Takes any text. For the point door.
    pub fn email_of_username_or_decoy(&self, username: &str, place: u32) -> Result<Option<String>, Error> {
        const SQL: &str = concat!(
            "SELECT u.email, u.username_key = ?1 FROM users u WHERE u.id = coalesce(
                (SELECT id FROM users WHERE username_key = ?1),
                (SELECT id FROM users WHERE ",
            place!(),
            " >= ?2 ORDER BY ",
            place!(),
            " LIMIT 1),
                (SELECT id FROM users ORDER BY ",
            place!(),
            " LIMIT 1))"
        );
        let found = |row: &dyn Columns| Ok(row.flag(1)?.then(|| text(row, 0)).transpose()?.map(Cow::into_owned));
        Ok(self.sql.first(SQL, values![&fold(username), place], found)?.flatten())
    }

    /// Finds an account by username, without regard to case. For `point`.
    pub fn user_by_username(&self, username: &Username) -> Result<Option<User>, Error> {
        const SQL: &str = concat!("SELECT ", user_columns!(), " FROM users u WHERE u.username_key = ?1");
        Ok(self.sql.first(SQL, values![&username.key()], user_from)?)
    }

    /// Whether there is an enabled administrator.
    pub fn has_enabled_admin(&self) -> Result<bool, Error> {
        self.has_other_enabled_admin(None)
    }

    /// Whether there is an enabled administrator other than `except`.
    pub fn has_other_enabled_admin(&self, except: Option<UserId>) -> Result<bool, Error> {
        const SQL: &str =
            "SELECT EXISTS (SELECT 1 FROM users WHERE role = 'admin' AND disabled = FALSE AND id IS DISTINCT FROM ?1)";
        Ok(self.sql.only(SQL, values![except], |row| row.flag(0))?)
    }

    /// Whether an account has this username, and whether one has this e-mail address.
    pub fn are_taken(&self, username: Option<&Username>, email: Option<&EmailAddress>) -> Result<(bool, bool), Error> {
        self.belong_to_other(username, email, None)
    }

    /// Whether an account other than `id` has this username, and whether one has this e-mail address.
    fn belong_to_other(
        &self,
        username: Option<&Username>,
        email: Option<&EmailAddress>,
        id: Option<UserId>,
    ) -> Result<(bool, bool), Error> {
        const SQL: &str = "SELECT EXISTS (SELECT 1 FROM users WHERE username_key = ?1 AND id IS DISTINCT FROM ?3),
                                  EXISTS (SELECT 1 FROM users WHERE email_key = ?2 AND id IS DISTINCT FROM ?3)";
        let (username, email) = (username.map(Username::key), email.map(EmailAddress::key));
        let given = values![username.as_ref(), email.as_ref(), id];
        Ok(self.sql.only(SQL, given, |row| Ok((row.flag(0)?, row.flag(1)?)))?)
    }
}

/// The id that the database gave to a new account.
pub(super) fn new_id(id: i64) -> Result<UserId, Error> {
    UserId::new(id).ok_or_else(|| Error::Internal(format!("the database gave the id {id}")))
}

impl Writer<'_> {
    /// Stores a new account. Fails with `UsernameTaken` or `EmailTaken`; if both are taken, with the former.
    pub fn insert_user(&mut self, new: &NewUser) -> Result<User, Error> {
        const SQL: &str = "INSERT INTO users (username, username_key, email, email_key, email_verified, password_hash,
                                    password_version, role, disabled, revision, created_at, updated_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, FALSE, 1, ?8, ?8) RETURNING id";
        self.refuse_taken(&new.username, &new.email, None)?;
        let (username_key, email_key) = (new.username.key(), new.email.key());
        let given = values![
            &new.username,
            &username_key,
            &new.email,
            &email_key,
            new.email_verified,
            &new.password_hash,
            new.role.as_str(),
            self.now,
        ];
        let id = self.sql.only(SQL, given, |row| row.number(0))?;
        let id = new_id(id)?;
        self.user(id)?.ok_or_else(|| Error::Internal("a user vanished in the transaction that created it".into()))
    }

    /// Writes every field of an account, and increments the revision. Counters that can't be incremented start again at
    /// 1. Fails as `insert_user` does.
    pub fn update_user(&mut self, id: UserId, update: &UserUpdate) -> Result<User, Error> {
        const SQL: &str =
            "UPDATE users SET username = ?2, username_key = ?3, email = ?4, email_key = ?5, email_verified = ?6,
                    display_name = ?7, password_hash = coalesce(?8, password_hash),
                    password_version = CASE WHEN password_version BETWEEN 1 AND ?10 THEN password_version ELSE 1 END
                        + CASE WHEN ?8 IS NULL THEN 0 ELSE 1 END,
                    revision = CASE WHEN revision BETWEEN 1 AND ?10 THEN revision ELSE 1 END + 1, updated_at = ?9
             WHERE id = ?1";
        // Apart, because each of the list's indexes begins with these two, and is written whenever they are set.
        const SQL_OF_STATE: &str = "UPDATE users SET role = ?2, disabled = ?3
             WHERE id = ?1 AND (role IS DISTINCT FROM ?2 OR disabled IS DISTINCT FROM ?3)";
        self.refuse_taken(&update.username, &update.email, Some(id))?;
        let (username_key, email_key) = (update.username.key(), update.email.key());
        let given = values![
            id,
            &update.username,
            &username_key,
            &update.email,
            &email_key,
            update.email_verified,
            update.display_name.as_ref(),
            update.password_hash.as_ref(),
            self.now,
            MAX_COUNT - 1,
        ];
        self.sql.change(SQL, given)?;
        self.sql.change(SQL_OF_STATE, values![id, update.role.as_str(), update.disabled])?;
        self.user(id)?.ok_or(Error::UserNotFound)
    }

    /// Checked before the row is written, because databases don't promise which of two violated constraints they
    /// report. The constraints remain as the last guard.
    fn refuse_taken(&self, username: &Username, email: &EmailAddress, id: Option<UserId>) -> Result<(), Error> {
        match self.belong_to_other(Some(username), Some(email), id)? {
            (true, _) => Err(Error::UsernameTaken),
            (false, true) => Err(Error::EmailTaken),
            (false, false) => Ok(()),
        }
    }

    /// Deletes an account, and with it its sessions and everything else that refers to it.
    pub fn delete_user(&mut self, id: UserId) -> Result<(), Error> {
        self.sql.change("DELETE FROM users WHERE id = ?1", values![id])?;
        Ok(())
    }

    /// Records a sign-in. It is not a change of the account, so the revision stays.
    pub fn set_last_login(&mut self, id: UserId) -> Result<(), Error> {
        self.sql.change("UPDATE users SET last_login_at = ?2 WHERE id = ?1", values![id, self.now])?;
        Ok(())
    }

    /// Replaces a hash with another one of the same password, unless the password was changed meanwhile.
    pub fn replace_password_hash(&mut self, id: UserId, old: &PasswordHash, new: &PasswordHash) -> Result<(), Error> {
        const SQL: &str = "UPDATE users SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2";
        self.sql.change(SQL, values![id, old, new])?;
        Ok(())
    }
}
