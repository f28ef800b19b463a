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
    pub sessions: SessionCounts,
}

/// Sessions that can still be used, by what they were opened for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionCounts {
    pub api: i64,
    pub browser: i64,
    pub app: i64,
}

impl SessionCounts {
    pub fn all(self) -> i64 {
        self.api + self.browser + self.app
    }
}
