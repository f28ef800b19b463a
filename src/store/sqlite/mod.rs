//! SQLite: opening, locking, migrating, copying and checking its file, and running work on it. Only this module uses
//! its library.

mod backup;
mod check;
mod connection;
mod copy;
mod error;
mod file;
mod lock;
mod lookup;
mod migrate;
mod open_error;
mod open_files;
mod paths;
mod sql;
mod threads;

use super::{sql::Sql, stats::StoreStats};
use crate::domain::{ChainPoint, Error};
pub use check::examine;
use connection::{Manager, Purpose};
use error::OrDomain;
pub use file::locate;
pub use lock::Lock;
use lookup::Lookups;
pub use migrate::{Prepared, SchemaStatus};
pub use open_error::OpenError;
use open_files::{Identity, OpenFiles};
use scheduled_thread_pool::ScheduledThreadPool;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, OnceLock},
    time::Instant,
};
pub use threads::Patience;
use threads::Threads;

/// The bundled SQLite must have the fix of the WAL-reset bug (sqlite.org/wal.html, section 11).
const NEEDED_SQLITE: (i32, &str) = (3_051_003, "3.51.3");

/// Two, so that look-ups without a free connection still have a thread while one long list is read.
const SCAN_THREADS: u32 = 2;

/// An open file. Dropping it waits for the work that was accepted.
pub struct Engine {
    files: Arc<OpenFiles>,
    lookups: Lookups,
    /// The deadline of waits for other processes, once the server is stopping.
    end: Arc<OnceLock<Instant>>,
    writer: Threads,
    scans: Threads,
    /// Last, because it must be dropped after the connections.
    _lock: Option<Lock>,
}

impl Engine {
    /// Opens a database with the current schema. `workers` is the number of threads that look up rows at the same time.
    pub fn open(path: &Path, workers: u32, lock: Option<Lock>) -> Result<Self, OpenError> {
        check_version()?;
        if lock.is_none() {
            migrate::require_current(path)?; // who holds the lock has prepared it, and nobody else has since
        }
        file::warn_of_open_folder(path);
        file::warn_of_read_only(path);
        let io = |error| OpenError::io(path, "opened", &error);
        let refused = |error: r2d2::Error| OpenError::Unsafe { path: path.to_owned(), reason: error.to_string() };
        let opened = Identity::of(path).map_err(|error| OpenError::io(path, "read", &error))?;
        let opener = Arc::new(ScheduledThreadPool::builder().num_threads(1).thread_name_pattern("usher-open").build());
        let pool = |purpose, size, at_once| {
            Manager { path: path.to_owned(), opened, purpose }.pool(size, at_once, opener.clone()).map_err(refused)
        };
        // Each connection reads the whole schema when it is opened. Those for scans are not needed to begin with.
        let (writing, scanning) = (pool(Purpose::Thread, 1, 1)?, pool(Purpose::Thread, SCAN_THREADS, 0)?);
        let lookups = Lookups::take_all(&pool(Purpose::Point, workers, workers)?).map_err(refused)?;
        let files = OpenFiles::of(path).map_err(io)?;
        if let Some(lock) = &lock {
            lock.record(&files);
        }
        Ok(Self {
            files: Arc::new(files),
            lookups,
            end: Arc::default(),
            writer: Threads::start("usher-writer", &writing).map_err(io)?,
            scans: Threads::start("usher-scan", &scanning).map_err(io)?,
            _lock: lock,
        })
    }

    /// Runs work on a free connection on the current thread, or returns `None` if there is none.
    pub fn look_up<T>(&self, work: impl FnOnce(&dyn Sql) -> T) -> Option<T> {
        self.lookups.with(|connection| work(connection))
    }

    /// Reads on a thread. It begins within five seconds, or fails.
    pub async fn scan<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Sql) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.scans.run(Patience::UntilBegun, move |connection, _| work(connection)).await
    }

    /// Runs one IMMEDIATE transaction on the writer's thread.
    pub async fn write<T: Send + 'static>(
        &self,
        patience: Patience,
        work: impl FnOnce(&dyn Sql) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (files, end) = (self.files.clone(), self.end.clone());
        self.writer
            .run(patience, move |connection, turn| {
                connection::make_writable(connection, &files).or_domain()?;
                let transaction =
                    connection::begin_within(connection, turn.wait(), || end.get().copied()).or_domain()?;
                migrate::require_not_migrated(&transaction)?;
                let value = work(&*transaction)?;
                still_there(&files)?; // writes to a removed file are lost, so they must fail
                if turn.is_given_up() {
                    return Err(Error::Overloaded); // the caller got this answer already
                }
                transaction.commit().or_domain()?;
                Ok(value)
            })
            .await
    }

    /// From now on no transaction waits for other processes beyond `end`, not even one that is already waiting.
    pub fn end_by(&self, end: Instant) {
        let _ = self.end.set(end); // the server ends once
    }

    /// Whether the database still consists of the files that were opened.
    pub fn still_there(&self) -> Result<(), Error> {
        still_there(&self.files)
    }

    pub fn stats(&self, fallbacks: u64) -> StoreStats {
        let [database, log, _] = self.files.paths();
        StoreStats {
            points: self.lookups.count(),
            points_in_use: self.lookups.in_use(),
            fallbacks,
            writer_queue: self.writer.waiting(),
            scan_queue: self.scans.waiting(),
            database_size: size(database),
            log_size: size(log),
        }
    }
}

fn still_there(files: &OpenFiles) -> Result<(), Error> {
    files.check().map_err(|displaced| Error::Storage(displaced.to_string()))
}

/// Uses the path, not an open file: closing a file would drop the locks that SQLite holds on it.
fn size(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|metadata| metadata.len())
}

/// The bundled library is new enough; this check is for builds that link another one.
fn check_version() -> Result<(), OpenError> {
    let (needed, text) = NEEDED_SQLITE;
    if rusqlite::version_number() < needed {
        return Err(OpenError::OldSqlite { found: rusqlite::version(), needed: text });
    }
    Ok(())
}

/// Takes the right to serve or migrate a database. A file that is not ours is refused before anything is put beside it.
pub fn lock(path: &Path) -> Result<Lock, OpenError> {
    schema_status(path)?;
    Lock::acquire(path)
}

/// Creates the database if there is none, and upgrades an older one.
pub fn prepare(path: &Path, lock: &Lock) -> Result<Prepared, OpenError> {
    check_version()?;
    migrate::prepare(path, lock)
}

/// Compares the file's schema version with this program's, without writing.
pub fn schema_status(path: &Path) -> Result<SchemaStatus, OpenError> {
    check_version()?;
    refuse_displaced(path)?;
    migrate::status(path)
}

/// Refuses a database if its server has other files open than those in place.
pub fn refuse_displaced(path: &Path) -> Result<(), OpenError> {
    lock::refuse_displaced(path)
}

/// Reads the stored policy of a database that this process does not have open.
pub fn policy(path: &Path) -> Result<BTreeMap<String, String>, OpenError> {
    check_version()?;
    refuse_displaced(path)?;
    migrate::require_current(path)?;
    let connection = connection::open_to_look(path).map_err(|error| OpenError::sqlite(path, &error))?;
    let reader = super::Reader { sql: &connection };
    reader.policy().map_err(|fault| OpenError::read(path, &fault))
}

/// Copies a database into a new, private file, and returns the end of the copy's audit log.
pub fn back_up(path: &Path, target: &Path) -> Result<ChainPoint, OpenError> {
    check_version()?;
    refuse_displaced(path)?;
    migrate::require_current(path)?;
    backup::back_up(path, target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_executor::block_on;

    #[test]
    fn a_connection_that_came_back_within_a_transaction_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usher.db");
        prepare(&path, &lock(&path).unwrap()).unwrap();
        let engine = Engine::open(&path, 1, None).unwrap();
        let begin = |connection: &mut rusqlite::Connection, _: &threads::Turn<()>| {
            connection.execute_batch("CREATE TEMP TABLE mark (n); BEGIN IMMEDIATE").or_domain()
        };
        block_on(engine.writer.run(Patience::Endless, begin)).unwrap();

        let written = block_on(engine.write(Patience::Endless, |sql| {
            Ok(sql.only("SELECT count(*) FROM sqlite_temp_schema", &[], |row| row.number(0))?)
        }));

        assert_eq!(written, Ok(0));
    }
}
