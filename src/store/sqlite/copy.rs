//! A consistent snapshot of all accounts, for a slow reader.

use super::{Engine, error::OrDomain, file, paths::with_suffix, threads::Patience};
use crate::{
    domain::{Error, UserRecord, random_text},
    store::tables::{record_columns, record_from},
};
use rusqlite::{
    Connection,
    types::{ToSqlOutput, ValueRef},
};
use std::{os::unix::ffi::OsStrExt, path::Path};

/// A copy of the accounts in a private file next to the database. The file has no name any more, and is deleted when
/// this is dropped. A slow reader of the database itself would keep the write-ahead log from being reset, so it would
/// grow with every write.
struct Copy<'c>(&'c Connection);

impl<'c> Copy<'c> {
    fn create(connection: &'c Connection, database: &Path) -> Result<Self, Error> {
        const FILL: &str =
            concat!("CREATE TABLE copy.accounts AS SELECT ", record_columns!(), " FROM main.users u ORDER BY u.id");
        let path = with_suffix(database, &format!("-copy-{}", &*random_text(16)));
        file::create_private(&path).map_err(|error| Error::Storage(error.to_string()))?;
        let name = ToSqlOutput::Borrowed(ValueRef::Text(path.as_os_str().as_bytes()));
        let attached = connection.execute("ATTACH ?1 AS copy", [name]).map(|_| Self(connection));
        // SQLite opens the file when it first reads it.
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
        let _ = self.0.execute_batch("DETACH copy"); // otherwise it is detached when the connection closes
    }
}

impl Engine {
    /// Passes every account to `each`, in the order of ids, until `each` fails.
    pub async fn fold_records<T: Send + 'static, E: Send + 'static>(
        &self,
        start: T,
        mut each: impl FnMut(T, &UserRecord) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, Error> {
        const SQL: &str = concat!("SELECT ", record_columns!(), " FROM copy.accounts u ORDER BY u.rowid");
        let path = self.files.paths()[0].clone();
        let fold = move |connection: &mut Connection| {
            let _copy = Copy::create(connection, &path)?;
            // Not cached: a cached statement would keep the copy attached.
            let mut statement = connection.prepare(SQL).or_domain()?;
            let (mut rows, mut folded) = (statement.query([]).or_domain()?, start);
            while let Some(row) = rows.next().or_domain()? {
                match each(folded, &record_from(row)?) {
                    Ok(next) => folded = next,
                    Err(failed) => return Ok(Err(failed)),
                }
            }
            Ok(Ok(folded))
        };
        self.scans.run(Patience::UntilBegun, fold).await
    }
}
