//! Statements for moving accounts from one service to another.

use super::users::{USER_WIDTH, new_id, user_from};
use crate::{
    domain::{Error, PasswordHash, User, UserId, UserRecord},
    store::{
        Writer,
        sql::{Columns, Fault, values},
    },
};

/// The columns that `record_from` reads, for a table named `u`.
macro_rules! record_columns {
    () => {
        concat!($crate::store::tables::columns_without_groups!(), ", u.password_hash")
    };
}
pub(in crate::store) use record_columns;

pub(in crate::store) fn record_from(row: &dyn Columns) -> Result<UserRecord, Fault> {
    let User { username, email, email_verified, role, disabled, created_at, display_name, .. } = user_from(row)?;
    let password_hash = PasswordHash::from_text(row.text(USER_WIDTH)?.to_owned());
    let created_at = Some(created_at);
    Ok(UserRecord { username, email, email_verified, role, disabled, password_hash, created_at, display_name })
}

impl Writer<'_> {
    /// Prepares for many rows. Names come in no order, so every page of their indexes is needed repeatedly.
    pub fn expect_many_rows(&mut self) -> Result<(), Error> {
        Ok(self.sql.expect_many_rows()?)
    }

    /// Stores an account from another service, and returns its new id. Fails with `UsernameTaken` or `EmailTaken` by the
    /// constraint alone: imports check names before.
    pub fn insert_record(&mut self, record: &UserRecord) -> Result<UserId, Error> {
        const SQL: &str = "INSERT INTO users (username, username_key, email, email_key, email_verified, password_hash,
                                    password_version, role, disabled, revision, created_at, updated_at, display_name)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?8, 1, ?9, ?10, ?11) RETURNING id";
        let (username_key, email_key) = (record.username.key(), record.email.key());
        let given = values![
            &record.username,
            &username_key,
            &record.email,
            &email_key,
            record.email_verified,
            &record.password_hash,
            record.role.as_str(),
            record.disabled,
            record.created_at.unwrap_or(self.now),
            self.now,
            record.display_name.as_ref(),
        ];
        new_id(self.sql.only(SQL, given, |row| row.number(0))?)
    }
}
