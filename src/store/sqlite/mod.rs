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
mod writer;

use super::{
    Finding, Reader,
    sql::{Fault, Sql},
    stats::StoreStats,
};
use crate::domain::{ChainPoint, Error};
pub use check::examine;
use connection::{Manager, Purpose};
pub use file::locate;
pub use lock::Lock;
use lookup::Lookups;
pub use migrate::{Prepared, SchemaStatus};
pub use open_error::OpenError;
use open_files::{Identity, OpenFiles};
use scheduled_thread_pool::ScheduledThreadPool;
use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::Instant,
};
pub use threads::Patience;
use threads::{Job, Threads};
use writer::{Asked, Change, JOIN_TIME, Writing};

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
    writer: Threads<Box<dyn Change>>,
    scans: Threads<Job>,
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
        let (writing, scanning) = (pool(Purpose::Write, 1, 1)?, pool(Purpose::Scan, SCAN_THREADS, 0)?);
        let lookups = Lookups::take_all(&pool(Purpose::Point, workers, workers)?).map_err(refused)?;
        let files = OpenFiles::of(path).map_err(io)?;
        if let Some(lock) = &lock {
            lock.record(&files);
        }
        let (files, end) = (Arc::new(files), Arc::default());
        let writing = Writing { pool: writing, files: files.clone(), end: Arc::clone(&end), join_time: JOIN_TIME };
        Ok(Self {
            files,
            lookups,
            end,
            writer: Threads::start("usher-writer", 1, move |queue| writing.run(queue)).map_err(io)?,
            scans: Threads::over("usher-scan", &scanning).map_err(io)?,
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
        self.scans.run(Patience::UntilBegun, move |connection| work(connection)).await
    }

    /// Runs work in an IMMEDIATE transaction on the writer's thread.
    pub async fn write<T: Send + 'static>(
        &self,
        patience: Patience,
        work: impl FnOnce(&dyn Sql) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.writer
            .send(patience, |turn| {
                let change: Box<dyn Change> = Box::new(Asked::new(turn, work));
                change
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

    /// What can be said of the files, the disk and the version.
    pub fn surroundings(&self) -> [Finding; 3] {
        let [database, ..] = self.files.paths();
        check::surroundings(database)
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

/// Reads from a database that this process does not have open.
pub fn look<T>(path: &Path, read: impl FnOnce(&Reader<'_>) -> Result<T, Fault>) -> Result<T, OpenError> {
    check_version()?;
    refuse_displaced(path)?;
    migrate::require_current(path)?;
    let connection = connection::open_to_look(path).map_err(|error| OpenError::sqlite(path, &error))?;
    read(&Reader { sql: &connection }).map_err(|fault| OpenError::read(path, &fault))
}

/// Copies a database into a new, private file, and returns the end of the copy's audit log.
pub fn back_up(path: &Path, target: &Path) -> Result<ChainPoint, OpenError> {
    check_version()?;
    refuse_displaced(path)?;
    migrate::require_current(path)?;
    backup::back_up(path, target)
}
