//! How connections are opened: flags, hardening and durability. Each setting is read back.

use super::{
    file,
    open_files::{Identity, OpenFiles},
};
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags, Transaction, TransactionBehavior, config::DbConfig, ffi};
use scheduled_thread_pool::ScheduledThreadPool;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

/// The purpose of a connection, which decides how long it waits for locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Looks up rows on an async worker, so it never waits.
    Point,
    /// Scans on a thread of its own.
    Scan,
    /// Writes on a thread of its own.
    Write,
}

/// How long the writer waits for another process's transaction.
pub(super) const WRITER_WAIT: Duration = Duration::from_secs(5);

/// A write-ahead log that grew larger, because of a large transaction or a long reader, is truncated to this size once
/// its content is in the database.
const MAX_IDLE_LOG_BYTES: &str = "16777216";

/// No CREATE: a deleted file is not created again. Leaving out URI would not disable URIs, as the library is built;
/// `locate` returns names that are not URIs. A connection is used by one thread at a time, so it needs no mutexes.
pub(super) fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// Opens a connection outside the pools, for creating, migrating and copying.
pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_with_flags(path, flags())?;
    harden(&mut connection, Purpose::Scan)?;
    Ok(connection)
}

/// Opens a connection that only reads. It does not write a leftover log into the file, and leaves none behind.
pub(super) fn open_to_look(path: &Path) -> rusqlite::Result<Connection> {
    let has_log = file::has_log(path);
    let connection = open(path)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Opens the connections of a pool, which keeps them open. It replaces a connection that came back inside a transaction,
/// because ending that failed. One that is opened later is refused if another file has the name by then.
pub(super) struct Manager {
    pub path: PathBuf,
    pub opened: Identity,
    pub purpose: Purpose,
}

impl r2d2::ManageConnection for Manager {
    type Connection = Connection;
    type Error = rusqlite::Error;

    fn connect(&self) -> rusqlite::Result<Connection> {
        let mut connection = Connection::open_with_flags(&self.path, flags())?;
        prepare(&mut connection, self.purpose, &self.path, self.opened)?;
        Ok(connection)
    }

    /// Not called: a database file does not disconnect.
    fn is_valid(&self, _: &mut Connection) -> rusqlite::Result<()> {
        Ok(())
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        !connection.is_autocommit()
    }
}

impl Manager {
    /// A pool of up to `size` connections, opened on a thread shared by all pools: `at_once` now, the others when needed.
    pub(super) fn pool(
        self,
        size: u32,
        at_once: u32,
        opener: Arc<ScheduledThreadPool>,
    ) -> Result<r2d2::Pool<Self>, r2d2::Error> {
        r2d2::Pool::builder()
            .max_size(size)
            .min_idle(Some(at_once))
            .idle_timeout(None)
            .max_lifetime(None)
            .test_on_check_out(false)
            .connection_timeout(Duration::from_secs(5))
            .thread_pool(opener)
            .build(self)
    }
}

/// Sets up a pooled connection. Fails if the path now leads to another file than the one opened first.
fn prepare(connection: &mut Connection, purpose: Purpose, path: &Path, opened: Identity) -> rusqlite::Result<()> {
    if Identity::of(path).ok() != Some(opened) {
        return Err(failure(ffi::SQLITE_CANTOPEN, "the database file was removed or replaced"));
    }
    let is_read_only = connection.is_readonly(MAIN_DB)?;
    if is_read_only {
        file::make_side_files_private(path); // those that an earlier connection left
    }
    harden(connection, purpose)?;
    expect(connection, "journal_mode", "wal")?;
    if is_read_only {
        file::make_side_files_private(path); // those that this one created
    }
    Ok(())
}

/// Reopens the writer's connection if it is read-only: the file may be writable by now.
pub(super) fn make_writable(connection: &mut Connection, files: &OpenFiles) -> rusqlite::Result<()> {
    if connection.is_readonly(MAIN_DB)? {
        let (path, opened) = files.database();
        let mut again = Connection::open_with_flags(path, flags())?;
        prepare(&mut again, Purpose::Write, path, opened)?;
        *connection = again;
    }
    Ok(())
}

/// Begins a transaction that writes. (One that begins as a reader and writes later fails at once under contention.)
/// Waits for other processes until `until`, or until `end`, which is checked repeatedly.
pub(super) fn begin_within(
    connection: &Connection,
    until: Instant,
    end: impl Fn() -> Option<Instant>,
) -> rusqlite::Result<Transaction<'_>> {
    const ASK_EVERY: Duration = Duration::from_millis(100);
    loop {
        let until = end().map_or(until, |end| end.min(until));
        let left = until.saturating_duration_since(Instant::now());
        connection.busy_timeout(left.min(ASK_EVERY))?;
        match Transaction::new_unchecked(connection, TransactionBehavior::Immediate) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && left > ASK_EVERY => {}
            begun => return begun,
        }
    }
}

fn harden(connection: &mut Connection, purpose: Purpose) -> rusqlite::Result<()> {
    connection.busy_timeout(match purpose {
        Purpose::Point => Duration::ZERO,
        Purpose::Scan | Purpose::Write => WRITER_WAIT,
    })?;
    if purpose == Purpose::Write {
        // What savepoints need to undo a change: otherwise it goes to a temporary file when it is larger than 64 KiB.
        connection.pragma_update(None, "temp_store", "memory")?;
    }
    connection.set_prepared_statement_cache_capacity(64);
    for (switch, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
    ] {
        if connection.set_db_config(switch, on)? != on {
            return Err(failure(ffi::SQLITE_ERROR, "a hardening switch of SQLite did not hold"));
        }
    }
    for (pragma, value) in [
        ("foreign_keys", "1"),
        ("cell_size_check", "1"),
        ("synchronous", "2"),
        ("journal_size_limit", MAX_IDLE_LOG_BYTES),
    ] {
        connection.execute_batch(&format!("PRAGMA {pragma} = {value}"))?;
        expect(connection, pragma, value)?;
    }
    Ok(())
}

/// Fails if a setting did not take effect.
fn expect(connection: &Connection, pragma: &str, value: &str) -> rusqlite::Result<()> {
    let found: rusqlite::types::Value = connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))?;
    let found = match found {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        _ => String::new(),
    };
    if found == value {
        return Ok(());
    }
    Err(failure(ffi::SQLITE_ERROR, &format!("PRAGMA {pragma} is {found}, not {value}")))
}

fn failure(code: i32, text: &str) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_is_hardened_and_durable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("facts.db");
        file::create_private(&path).unwrap();
        let connection = open(&path).unwrap();
        for (pragma, value) in [("foreign_keys", 1), ("cell_size_check", 1), ("synchronous", 2), ("trusted_schema", 0)]
        {
            let found: i64 = connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).unwrap();
            assert_eq!(found, value, "{pragma}");
        }
        assert!(connection.db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE).unwrap());
        let quoted = connection.query_row("SELECT \"no such column\"", [], |row| row.get::<_, String>(0));
        assert!(quoted.is_err(), "a mistyped name is not taken for a text");
    }

    #[test]
    fn a_connection_that_came_back_within_a_transaction_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("facts.db");
        file::create_private(&path).unwrap();
        open(&path).unwrap().pragma_update(None, "journal_mode", "wal").unwrap();
        let opener = Arc::new(ScheduledThreadPool::builder().num_threads(1).build());
        let opened = Identity::of(&path).unwrap();
        let pool = Manager { path, opened, purpose: Purpose::Write }.pool(1, 1, opener).unwrap();
        pool.get().unwrap().execute_batch("CREATE TEMP TABLE mark (n); BEGIN IMMEDIATE").unwrap();
        let again = pool.get().unwrap();
        let in_memory: i64 = again.query_row("PRAGMA temp_store", [], |row| row.get(0)).unwrap();
        assert_eq!(in_memory, 2, "what a savepoint needs to undo a change is in no file");
        let marks: i64 = again.query_row("SELECT count(*) FROM sqlite_temp_schema", [], |row| row.get(0)).unwrap();
        assert!(again.is_autocommit() && marks == 0);
    }

    #[test]
    fn a_transaction_waits_for_others_until_its_time_is_over_or_the_server_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("facts.db");
        file::create_private(&path).unwrap();
        let (other, own) = (open(&path).unwrap(), open(&path).unwrap());
        let (asked, later) = (std::cell::Cell::new(0), Instant::now() + Duration::from_mins(1));
        let after = |times: u32, then: &dyn Fn() -> Option<Instant>| {
            asked.set(asked.get() + 1);
            if asked.get() == times { then() } else { None }
        };
        let release = || {
            other.execute_batch("ROLLBACK").unwrap();
            None
        };

        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert!(begin_within(&own, later, || after(3, &release)).is_ok());
        assert_eq!(asked.replace(0), 3);

        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert!(begin_within(&own, later, || after(3, &|| Some(Instant::now()))).is_err());
        assert_eq!(asked.replace(0), 3);
        assert!(begin_within(&own, Instant::now(), || after(0, &|| None)).is_err());
        assert_eq!(asked.get(), 1);
    }

    #[test]
    fn a_file_that_is_gone_or_replaced_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("facts.db");
        file::create_private(&path).unwrap();
        let opened = Identity::of(&path).unwrap();
        std::fs::rename(&path, folder.path().join("elsewhere.db")).unwrap();
        assert!(open(&path).is_err() && !path.exists(), "and nothing is made in its place");
        file::create_private(&path).unwrap();
        let mut other = Connection::open_with_flags(&path, flags()).unwrap();
        assert!(prepare(&mut other, Purpose::Write, &path, opened).is_err());
    }
}
