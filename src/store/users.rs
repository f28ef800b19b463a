//! Statements about accounts.

use super::{Reader, Writer, error::OrDomain};
use crate::domain::{
    Credentials, DamagedUser, EmailAddress, Error, Faults, NewUser, PasswordHash, Role, Timestamp, User, UserId,
    UserUpdate, Username, fold,
};
use rusqlite::{OptionalExtension, Row, params, types::Type};
use std::borrow::Cow;

/// The columns that `user_from` reads, for a table named `u`.
macro_rules! user_columns {
    () => {
        "u.id, u.username, u.email, u.email_verified, u.role, u.disabled, u.revision, u.created_at, u.updated_at, u.last_login_at"
    };
}
pub(super) use user_columns;

/// Where an account stands on the ring of `users_by_place`; the index is used only for these very words.
macro_rules! place {
    () => {
        "((id & 2147483647) * 1327217885 & 2147483647)"
    };
}

fn stored_id(row: &Row<'_>, column: usize) -> rusqlite::Result<UserId> {
    let id: i64 = row.get(column)?;
    UserId::new(id).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, id))
}

/// Reads the columns of `user_columns!` from the front of a row. Somebody who wrote to the file may have left what can't be
/// read; each such field is named, and stands as something harmless, so that the account can be repaired or deleted.
pub(super) fn user_and_faults(row: &Row<'_>) -> rusqlite::Result<(User, Faults)> {
    let (id, mut faults) = (stored_id(row, 0)?, Faults::default());
    let username = faults.collect("username", Username::parse(&text(row, 1)?));
    let email = faults.collect("email", EmailAddress::parse(&text(row, 2)?));
    let role = faults.collect("role", Role::parse(&text(row, 4)?));
    let email_verified = faults.collect("email_verified", truth(row.get(3)?));
    let disabled = faults.collect("disabled", truth(row.get(5)?));
    let revision = faults.collect("revision", count(row.get(6)?));
    let stand_in = || format!("damaged-{id}");
    let user = User {
        id,
        username: username.unwrap_or_else(|| Username::parse(&stand_in()).expect("a username")),
        email: email.unwrap_or_else(|| EmailAddress::parse(&(stand_in() + "@unverified.invalid")).expect("an address")),
        email_verified: email_verified.unwrap_or(false),
        role: role.unwrap_or(Role::User),
        disabled: disabled.unwrap_or(true),
        revision: revision.unwrap_or(1),
        created_at: Timestamp::from_millis(row.get(7)?),
        updated_at: Timestamp::from_millis(row.get(8)?),
        last_login_at: row.get::<_, Option<i64>>(9)?.map(Timestamp::from_millis),
    };
    Ok((user, faults))
}

pub(super) fn text<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<Cow<'r, str>> {
    Ok(String::from_utf8_lossy(row.get_ref(column)?.as_bytes()?))
}

fn truth(stored: i64) -> Result<bool, Cow<'static, str>> {
    match stored {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err("must be 0 or 1".into()),
    }
}

/// The highest revision, and the highest version of a password.
const MAX_COUNT: i64 = i64::MAX - 1;

fn count(stored: i64) -> Result<i64, Cow<'static, str>> {
    match stored {
        1..=MAX_COUNT => Ok(stored),
        _ => Err(format!("must be between 1 and {MAX_COUNT}").into()),
    }
}

/// The same where nothing may stand for something else.
pub(super) fn user_from(row: &Row<'_>) -> rusqlite::Result<User> {
    let (user, faults) = user_and_faults(row)?;
    if faults.is_empty() {
        return Ok(user);
    }
    let damaged = DamagedUser { id: user.id, faults };
    Err(rusqlite::Error::FromSqlConversionFailure(0, Type::Text, damaged.to_string().into()))
}

fn credentials_from(row: &Row<'_>) -> rusqlite::Result<Credentials> {
    Ok(Credentials {
        user: user_from(row)?,
        password_hash: PasswordHash::from_text(row.get(10)?),
        password_version: row.get(11)?,
    })
}

impl Reader<'_> {
    /// An account and its password hash, for one who changes or deletes it, and whether something of it is damaged: that
    /// stands as something harmless. For the point door.
    pub fn credentials_to_change(&self, id: UserId) -> Result<Option<(Credentials, bool)>, Error> {
        const SQL: &str =
            concat!("SELECT ", user_columns!(), ", u.password_hash, u.password_version FROM users u WHERE u.id = ?1");
        let read = |row: &Row<'_>| {
            let (user, faults) = user_and_faults(row)?;
            let password_hash = PasswordHash::from_text(row.get(10)?);
            Ok((Credentials { user, password_hash, password_version: row.get(11)? }, !faults.is_empty()))
        };
        self.connection
            .prepare_cached(SQL)
            .and_then(|mut statement| statement.query_row([id.get()], read).optional())
            .or_domain()
    }

    /// Every account of which something can't be read. Scans all.
    pub fn damaged_users(&self) -> Result<Vec<DamagedUser>, Error> {
        const SQL: &str = concat!("SELECT ", user_columns!(), " FROM users u ORDER BY u.id");
        let look = || -> rusqlite::Result<_> {
            let mut statement = self.connection.prepare(SQL)?;
            let found = statement.query_map([], user_and_faults)?.filter_map(|read| match read {
                Ok((user, faults)) => (!faults.is_empty()).then_some(Ok(DamagedUser { id: user.id, faults })),
                Err(error) => Some(Err(error)),
            });
            found.collect()
        };
        look().or_domain()
    }

    /// For the point door.
    pub fn user(&self, id: UserId) -> Result<Option<User>, Error> {
        const SQL: &str = concat!("SELECT ", user_columns!(), " FROM users u WHERE u.id = ?1");
        self.connection
            .prepare_cached(SQL)
            .and_then(|mut statement| statement.query_row([id.get()], user_from).optional())
            .or_domain()
    }

    /// An account and its password hash. For the point door.
    pub fn credentials(&self, id: UserId) -> Result<Option<Credentials>, Error> {
        const SQL: &str =
            concat!("SELECT ", user_columns!(), ", u.password_hash, u.password_version FROM users u WHERE u.id = ?1");
        self.connection
            .prepare_cached(SQL)
            .and_then(|mut statement| statement.query_row([id.get()], credentials_from).optional())
            .or_domain()
    }

    /// Looks for an address without regard to case. Takes any text: one that is no address belongs to nobody, and is
    /// looked for all the same, so that the work tells nothing. For the point door.
    pub fn credentials_by_email(&self, email: &str) -> Result<Option<Credentials>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            user_columns!(),
            ", u.password_hash, u.password_version FROM users u WHERE u.email_key = ?1"
        );
        self.connection
            .prepare_cached(SQL)
            .and_then(|mut statement| statement.query_row([fold(email)], credentials_from).optional())
            .or_domain()
    }

    /// The same for somebody who must not learn whether there is such an account: where there is none, the one next to
    /// `place` on the ring is read, and told apart by `false`. An e-mail address that nobody has costs what any other
    /// does. For the point door.
    pub fn credentials_or_decoy(&self, email: &str, place: u32) -> Result<Option<(Credentials, bool)>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            user_columns!(),
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
        let found = |row: &Row<'_>| match (credentials_from(row), row.get(12)?) {
            (Err(_), false) => Ok(None), // a row that can't be read is a fault for its owner alone
            (credentials, is_meant) => Ok(Some((credentials?, is_meant))),
        };
        self.connection
            .prepare_cached(SQL)
            .and_then(|mut statement| statement.query_row(params![fold(email), place], found).optional())
            .or_domain()
            .map(Option::flatten)
    }

    /// Looks for a username without regard to case. For the point door.
    pub fn user_by_username(&self, username: &Username) -> Result<Option<User>, Error> {
        const SQL: &str = concat!("SELECT ", user_columns!(), " FROM users u WHERE u.username_key = ?1");
        self.connection
            .prepare_cached(SQL)
            .and_then(|mut statement| statement.query_row([username.key()], user_from).optional())
            .or_domain()
    }

    /// Whether anybody can administer this installation.
    pub fn has_enabled_admin(&self) -> Result<bool, Error> {
        self.has_enabled_admin_beside(None)
    }

    /// Whether an enabled administrator would be left without `user`.
    pub fn has_enabled_admin_beside(&self, user: Option<UserId>) -> Result<bool, Error> {
        const SQL: &str =
            "SELECT EXISTS (SELECT 1 FROM users WHERE role = 'admin' AND disabled = FALSE AND id IS DISTINCT FROM ?1)";
        self.connection
            .prepare_cached(SQL)
            .and_then(|mut statement| statement.query_row([user.map(UserId::get)], |row| row.get(0)))
            .or_domain()
    }

    /// Whether another account than `id` has a username of this key, and whether one has an e-mail address of that key.
    pub(super) fn belong_to_other(
        &self,
        username: Option<String>,
        email: Option<String>,
        id: Option<UserId>,
    ) -> Result<(bool, bool), Error> {
        const SQL: &str = "SELECT EXISTS (SELECT 1 FROM users WHERE username_key = ?1 AND id IS DISTINCT FROM ?3),
                                  EXISTS (SELECT 1 FROM users WHERE email_key = ?2 AND id IS DISTINCT FROM ?3)";
        let values = params![username, email, id.map(UserId::get)];
        self.connection
            .prepare_cached(SQL)
            .and_then(|mut statement| statement.query_row(values, |row| Ok((row.get(0)?, row.get(1)?))))
            .or_domain()
    }
}

impl Writer<'_> {
    /// Stores a new account. Fails with `UsernameTaken` or `EmailTaken`; where both are, with the former.
    pub fn insert_user(&mut self, new: &NewUser) -> Result<User, Error> {
        self.refuse_taken(&new.username, &new.email, None)?;
        let id = self
            .connection
            .prepare_cached(
                "INSERT INTO users (username, username_key, email, email_key, email_verified, password_hash,
                                    password_version, role, disabled, revision, created_at, updated_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, FALSE, 1, ?8, ?8) RETURNING id",
            )
            .and_then(|mut statement| {
                let values = params![
                    new.username.as_str(),
                    new.username.key(),
                    new.email.as_str(),
                    new.email.key(),
                    new.email_verified,
                    new.password_hash.as_str(),
                    new.role.as_str(),
                    self.now.as_millis(),
                ];
                statement.query_row(values, |row| row.get(0))
            })
            .or_domain()?;
        let id = UserId::new(id).ok_or_else(|| Error::Internal(format!("the database gave the id {id}")))?;
        self.user(id)?.ok_or_else(|| Error::Internal("a user vanished in the transaction that made it".into()))
    }

    /// Writes every field of an account, and counts one more revision; what can't be counted up stands for 1, and begins
    /// again. Fails as `insert_user` does.
    pub fn update_user(&mut self, id: UserId, update: &UserUpdate) -> Result<User, Error> {
        self.refuse_taken(&update.username, &update.email, Some(id))?;
        self.connection
            .prepare_cached(
                "UPDATE users SET username = ?2, username_key = ?3, email = ?4, email_key = ?5, email_verified = ?6, role = ?7,
                        disabled = ?8, password_hash = coalesce(?9, password_hash),
                        password_version = CASE WHEN password_version BETWEEN 1 AND ?11 THEN password_version ELSE 1 END
                            + CASE WHEN ?9 IS NULL THEN 0 ELSE 1 END,
                        revision = CASE WHEN revision BETWEEN 1 AND ?11 THEN revision ELSE 1 END + 1, updated_at = ?10
                 WHERE id = ?1",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    id.get(),
                    update.username.as_str(),
                    update.username.key(),
                    update.email.as_str(),
                    update.email.key(),
                    update.email_verified,
                    update.role.as_str(),
                    update.disabled,
                    update.password_hash.as_ref().map(PasswordHash::as_str),
                    self.now.as_millis(),
                    MAX_COUNT - 1,
                ])
            })
            .or_domain()?;
        self.user(id)?.ok_or(Error::UserNotFound)
    }

    /// Asked before the row is written: which of two violated constraints a database reports is not promised. They remain
    /// the last guard.
    fn refuse_taken(&self, username: &Username, email: &EmailAddress, id: Option<UserId>) -> Result<(), Error> {
        match self.belong_to_other(Some(username.key()), Some(email.key()), id)? {
            (true, _) => Err(Error::UsernameTaken),
            (false, true) => Err(Error::EmailTaken),
            (false, false) => Ok(()),
        }
    }

    /// Deletes an account; its sessions and everything else that hangs on it go too.
    pub fn delete_user(&mut self, id: UserId) -> Result<(), Error> {
        self.connection
            .prepare_cached("DELETE FROM users WHERE id = ?1")
            .and_then(|mut statement| statement.execute([id.get()]))
            .or_domain()
            .map(drop)
    }

    /// Notes a sign-in, which is not a change of the account: the revision stays.
    pub fn set_last_login(&mut self, id: UserId) -> Result<(), Error> {
        self.connection
            .prepare_cached("UPDATE users SET last_login_at = ?2 WHERE id = ?1")
            .and_then(|mut statement| statement.execute(params![id.get(), self.now.as_millis()]))
            .or_domain()
            .map(drop)
    }

    /// Replaces a hash with another one of the same password, unless the password was changed meanwhile.
    pub fn replace_password_hash(&mut self, id: UserId, old: &PasswordHash, new: &PasswordHash) -> Result<(), Error> {
        self.connection
            .prepare_cached("UPDATE users SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2")
            .and_then(|mut statement| statement.execute(params![id.get(), old.as_str(), new.as_str()]))
            .or_domain()
            .map(drop)
    }

    /// Voids the reset tokens of an account.
    pub fn delete_password_resets(&mut self, id: UserId) -> Result<(), Error> {
        self.connection
            .prepare_cached("DELETE FROM password_resets WHERE user_id = ?1")
            .and_then(|mut statement| statement.execute([id.get()]))
            .or_domain()
            .map(drop)
    }
}
