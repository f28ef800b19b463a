//! SQLite: opening, locking, migrating, copying and looking into its file, and the doors to it. The only room that names its
//! library.

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

/// While one long list is read, look-ups that found no connection free still have a thread.
const SCAN_THREADS: u32 = 2;

/// An open file. Dropping it finishes what has been taken on.
pub struct Engine {
    files: Arc<OpenFiles>,
    lookups: Lookups,
    /// Until when transactions may wait for other processes, once the server is to end.
    end: Arc<OnceLock<Instant>>,
    writer: Threads,
    scans: Threads,
    /// Last, because it must be dropped after the connections.
    _lock: Option<Lock>,
}

impl Engine {
    /// Opens a database whose schema is up to date. `workers` is how many threads look rows up at the same time.
    pub fn open(path: &Path, workers: u32, lock: Option<Lock>) -> Result<Self, OpenError> {
        check_version()?;
        migrate::require_current(path)?;
        file::warn_of_open_folder(path);
        file::warn_of_read_only(path);
        let io = |error| OpenError::io(path, "opened", &error);
        let refused = |error: r2d2::Error| OpenError::Unsafe { path: path.to_owned(), reason: error.to_string() };
        let opened = Identity::of(path).map_err(|error| OpenError::io(path, "read", &error))?;
        let opener = Arc::new(ScheduledThreadPool::builder().num_threads(1).thread_name_pattern("usher-open").build());
        let pool = |purpose, size| {
            Manager { path: path.to_owned(), opened, purpose }.pool(size, opener.clone()).map_err(refused)
        };
        let (writing, scanning) = (pool(Purpose::Thread, 1)?, pool(Purpose::Thread, SCAN_THREADS)?);
        let lookups = Lookups::take_all(&pool(Purpose::Point, workers)?).map_err(refused)?;
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

    /// Works on a connection that nobody uses, here and now, or returns `None` at once.
    pub fn look_up<T>(&self, work: impl FnOnce(&dyn Sql) -> T) -> Option<T> {
        self.lookups.with(|connection| work(connection))
    }

    /// Reads on a thread. It begins within five seconds, or not at all.
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
                still_there(&files)?; // what goes into a file that was removed is lost, and not confirmed
                if turn.is_given_up() {
                    return Err(Error::Overloaded); // the caller has been told so
                }
                transaction.commit().or_domain()?;
                Ok(value)
            })
            .await
    }

    /// From now on no transaction waits for other processes beyond `end`, also one that waits already.
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

/// Asked of the folder, not of an open file: closing that would drop the locks that SQLite holds on it.
fn size(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|metadata| metadata.len())
}

/// The bundled library is new enough today; this is for builds that link another one.
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

/// Makes the database if there is none, and brings an older one up to date.
pub fn prepare(path: &Path, lock: &Lock) -> Result<Prepared, OpenError> {
    check_version()?;
    migrate::prepare(path, lock)
}

/// How the file's schema compares with this program's, without writing.
pub fn schema_status(path: &Path) -> Result<SchemaStatus, OpenError> {
    check_version()?;
    refuse_displaced(path)?;
    migrate::status(path)
}

/// Refuses a database beside whose server nothing can be written.
pub fn refuse_displaced(path: &Path) -> Result<(), OpenError> {
    lock::refuse_displaced(path)
}

/// The policy that is stored in a database that nobody here has open.
pub fn policy(path: &Path) -> Result<BTreeMap<String, String>, OpenError> {
    check_version()?;
    refuse_displaced(path)?;
    migrate::require_current(path)?;
    let connection = connection::open_to_look(path).map_err(|error| OpenError::sqlite(path, &error))?;
    let reader = super::Reader { sql: &connection };
    reader.policy().map_err(|fault| OpenError::read(path, &fault))
}

/// Copies a database into a new, private file, and returns where the copy's audit log ends.
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
