//! How the store is doing: what its threads and connections have to do, and how much there is.

/// How the store is doing at this moment.
#[derive(Debug, Clone)]
pub struct StoreStats {
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
