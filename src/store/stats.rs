//! Statistics of the store: load, sizes and row counts.

/// The current statistics.
#[derive(Debug, Clone)]
pub struct StoreStats {
    /// Connections for look-ups, and how many of them are in use.
    pub points: usize,
    pub points_in_use: usize,
    /// Look-ups since the start that had to run on a thread, because no connection was free or the file was locked.
    pub fallbacks: u64,
    /// Jobs that wait for the writer's thread, and for the threads that scan.
    pub writer_queue: usize,
    pub scan_queue: usize,
    /// Bytes of the database file and of its write-ahead log; `None` if the file is missing.
    pub database_size: Option<u64>,
    pub log_size: Option<u64>,
}

/// Row counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    pub users: i64,
    /// Sessions that can still be used.
    pub sessions: i64,
}
