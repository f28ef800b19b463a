//! Statements about accounts that move from one service to another.

use super::{
    Reader, Writer,
    error::OrDomain,
    users::{user_columns, user_from},
};
use crate::domain::{EmailAddress, Error, PasswordHash, User, UserRecord, Username};
use rusqlite::{Row, params};

fn record_from(row: &Row<'_>) -> rusqlite::Result<UserRecord> {
    let User { username, email, email_verified, role, disabled, created_at, .. } = user_from(row)?;
    let password_hash = PasswordHash::from_text(row.get(10)?);
    Ok(UserRecord { username, email, email_verified, role, disabled, password_hash, created_at: Some(created_at) })
}

impl Reader<'_> {
    /// Whether some account has this name, and whether some account has this address.
    pub fn are_taken(&self, username: Option<&Username>, email: Option<&EmailAddress>) -> Result<(bool, bool), Error> {
        const SQL: &str = "SELECT EXISTS (SELECT 1 FROM users WHERE username = ?1),
                                  EXISTS (SELECT 1 FROM users WHERE email = ?2)";
        let values = (username.map(Username::as_str), email.map(EmailAddress::as_str));
        self.connection
            .prepare_cached(SQL)
            .and_then(|mut statement| statement.query_row(values, |row| Ok((row.get(0)?, row.get(1)?))))
            .or_domain()
    }

    /// Hands over every account in the order of their ids, as all of them were at one moment, until `each` fails.
    pub fn fold_records<T, E>(
        &self,
        start: T,
        mut each: impl FnMut(T, &UserRecord) -> Result<T, E>,
    ) -> Result<Result<T, E>, Error> {
        const SQL: &str = concat!("SELECT ", user_columns!(), ", u.password_hash FROM users u ORDER BY u.id");
        let mut statement = self.connection.prepare(SQL).or_domain()?;
        let mut folded = start;
        for record in statement.query_map([], record_from).or_domain()? {
            match each(folded, &record.or_domain()?) {
                Ok(next) => folded = next,
                Err(failed) => return Ok(Err(failed)),
            }
        }
        Ok(Ok(folded))
    }
}

impl Writer<'_> {
    /// Lets this connection keep 256 MiB of pages from now on, so that many rows are written once each. Names come in no
    /// order, and so touch all pages of their indexes again and again.
    pub fn expect_many_rows(&mut self) -> Result<(), Error> {
        self.connection.pragma_update(None, "cache_size", -256 * 1024).or_domain()
    }

    /// Stores an account that comes from elsewhere, with a new id. Fails with `UsernameTaken` or `EmailTaken`.
    pub fn insert_record(&mut self, record: &UserRecord) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO users (username, email, email_verified, password_hash, password_version, role, disabled, revision,
                                    created_at, updated_at)
                 VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, 1, ?7, ?8)",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    record.username.as_str(),
                    record.email.as_str(),
                    record.email_verified,
                    record.password_hash.as_str(),
                    record.role.as_str(),
                    record.disabled,
                    record.created_at.unwrap_or(self.now).as_millis(),
                    self.now.as_millis(),
                ])
            })
            .or_domain()
            .map(drop)
    }
}
