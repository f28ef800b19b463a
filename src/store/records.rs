//! Statements about accounts that move from one service to another.

use super::{
    Reader, Store, Writer,
    error::OrDomain,
    file,
    users::{user_columns, user_from},
};
use crate::domain::{EmailAddress, Error, PasswordHash, User, UserRecord, Username, random_text};
use rusqlite::{
    Connection, Row, params,
    types::{ToSqlOutput, ValueRef},
};
use std::{os::unix::ffi::OsStrExt, path::Path};

fn record_from(row: &Row<'_>) -> rusqlite::Result<UserRecord> {
    let User { username, email, email_verified, role, disabled, created_at, .. } = user_from(row)?;
    let password_hash = PasswordHash::from_text(row.get(10)?);
    Ok(UserRecord { username, email, email_verified, role, disabled, password_hash, created_at: Some(created_at) })
}

/// A copy of the accounts in a private file beside the database, which has no name any more and goes with this. Whoever
/// reads the database itself keeps its write-ahead log from being taken over for as long: it grows with every write.
struct Copy<'c>(&'c Connection);

impl<'c> Copy<'c> {
    fn make(connection: &'c Connection, database: &Path) -> Result<Self, Error> {
        const FILL: &str = concat!(
            "CREATE TABLE copy.accounts AS SELECT ",
            user_columns!(),
            ", u.password_hash FROM main.users u ORDER BY u.id"
        );
        let path = file::beside(database, &format!("-copy-{}", &*random_text(16)));
        file::create_private(&path).map_err(|error| Error::Storage(error.to_string()))?;
        let name = ToSqlOutput::Borrowed(ValueRef::Text(path.as_os_str().as_bytes()));
        let attached = connection.execute("ATTACH ?1 AS copy", [name]).map(|_| Self(connection));
        // Its first byte is read now, and it is empty: SQLite has it open.
        let opened = attached.and_then(|copy| {
            connection.execute_batch("PRAGMA copy.synchronous = off; PRAGMA copy.journal_mode = memory")?;
            Ok(copy)
        });
        let unnamed = std::fs::remove_file(&path).map_err(|error| Error::Storage(error.to_string()));
        let copy = opened.or_domain()?;
        unnamed?;
        connection.execute_batch(FILL).or_domain()?;
        Ok(copy)
    }
}

impl Drop for Copy<'_> {
    fn drop(&mut self) {
        let _ = self.0.execute_batch("DETACH copy"); // it goes with the connection at the latest
    }
}

impl Store {
    /// Hands over every account in the order of their ids, as all of them were at one moment, until `each` fails. What
    /// `each` returns is handed to it with the next account. However long that takes, it holds nothing up.
    pub async fn fold_records<T: Send + 'static, E: Send + 'static>(
        &self,
        start: T,
        mut each: impl FnMut(T, &UserRecord) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, Error> {
        const SQL: &str =
            concat!("SELECT ", user_columns!(), ", u.password_hash FROM copy.accounts u ORDER BY u.rowid");
        let path = self.files.paths()[0].clone();
        self.scan(move |Reader { connection }| {
            let _copy = Copy::make(connection, &path)?;
            let mut statement = connection.prepare(SQL).or_domain()?;
            let mut folded = start;
            for record in statement.query_map([], record_from).or_domain()? {
                match each(folded, &record.or_domain()?) {
                    Ok(next) => folded = next,
                    Err(failed) => return Ok(Err(failed)),
                }
            }
            Ok(Ok(folded))
        })
        .await
    }
}

impl Reader<'_> {
    /// Whether some account has this name, and whether some account has this address.
    pub fn are_taken(&self, username: Option<&Username>, email: Option<&EmailAddress>) -> Result<(bool, bool), Error> {
        self.belong_to_other(username.map(Username::key), email.map(EmailAddress::key), None)
    }
}

impl Writer<'_> {
    /// Lets this connection keep 256 MiB of pages from now on, so that many rows are written once each. Names come in no
    /// order, and so touch all pages of their indexes again and again.
    pub fn expect_many_rows(&mut self) -> Result<(), Error> {
        self.connection.pragma_update(None, "cache_size", -256 * 1024).or_domain()
    }

    /// Stores an account that comes from elsewhere, with a new id. Fails with `UsernameTaken` or `EmailTaken`, and only the
    /// constraint says so: many are stored at once, and were looked up before.
    pub fn insert_record(&mut self, record: &UserRecord) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO users (username, username_key, email, email_key, email_verified, password_hash, password_version, role, disabled, revision,
                                    created_at, updated_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?8, 1, ?9, ?10)",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    record.username.as_str(),
                    record.username.key(),
                    record.email.as_str(),
                    record.email.key(),
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
