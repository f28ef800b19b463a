//! How the store is doing: what its threads and connections have to do, and how much there is.

use super::{Reader, Store, error::OrDomain};
use crate::domain::{Error, Timestamp};
use rusqlite::params;
use std::{path::Path, sync::atomic::Ordering, time::Duration};

/// How the store is doing at this moment.
#[derive(Debug, Clone)]
pub struct StoreMeasures {
    /// Connections for look-ups, and how many of them are in use.
    pub points: usize,
    pub points_in_use: usize,
    /// Look-ups since the start that had to run on a thread, because no connection was free or the file was locked.
    pub fallbacks: u64,
    /// Work that waits for the writer's thread, and for those that scan.
    pub writer_queue: usize,
    pub scan_queue: usize,
    /// Bytes of the database file and of its write-ahead log; `None` where the file is gone.
    pub database_size: Option<u64>,
    pub log_size: Option<u64>,
}

/// How many rows there are of what people count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    pub users: i64,
    /// Sessions that can still be used.
    pub sessions: i64,
}

impl Store {
    pub fn measures(&self) -> StoreMeasures {
        StoreMeasures {
            points: self.points.count(),
            points_in_use: self.points.in_use(),
            fallbacks: self.fallbacks.load(Ordering::Relaxed),
            writer_queue: self.writer.waiting(),
            scan_queue: self.scans.waiting(),
            database_size: size(&self.files.paths()[0]),
            log_size: size(&self.files.paths()[1]),
        }
    }
}

/// Asked of the folder, not of an open file: closing that would drop the locks that SQLite holds on it.
fn size(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|metadata| metadata.len())
}

impl Reader<'_> {
    /// Counts accounts, and sessions that are alive at `now`. Scans both.
    pub fn count_rows(&self, now: Timestamp, idle_timeout: Duration) -> Result<Rows, Error> {
        const SQL: &str = "SELECT (SELECT count(*) FROM users),
                (SELECT count(*) FROM sessions WHERE expires_at > ?1 AND last_used_at > ?2)";
        let unused = now - idle_timeout;
        self.connection
            .prepare_cached(SQL)
            .and_then(|mut statement| {
                statement.query_row(params![now.as_millis(), unused.as_millis()], |row| {
                    Ok(Rows { users: row.get(0)?, sessions: row.get(1)? })
                })
            })
            .or_domain()
    }
}
