//! Statistics for operators: load, and numbers of rows.

use super::{App, core::Core};
use crate::domain::{Error, Timestamp};
pub use crate::{
    hashing::{HashStats, Waits},
    store::{Rows, SessionCounts, StoreStats},
};
use std::time::Duration;

/// All statistics, at one moment. Counters count from the start of the process.
#[derive(Debug, Clone)]
pub struct Stats {
    pub started_at: Timestamp,
    pub hashing: HashStats,
    pub store: StoreStats,
    /// At most a minute old; `None` where they could not be counted.
    pub rows: Option<Rows>,
    /// Attempts that were refused, by limit.
    pub throttled: Vec<(&'static str, u64)>,
}

/// Row counts, and when they were taken.
pub(super) type Counted = tokio::sync::Mutex<Option<(Timestamp, Rows)>>;

/// Counting reads whole tables, so it is done once a minute at most.
const MAX_COUNT_AGE: Duration = Duration::from_mins(1);

/// The numbers of rows, at most a minute old.
pub(super) async fn rows(core: &Core, counted: &Counted) -> Result<Rows, Error> {
    let mut counted = counted.lock().await;
    let now = core.clock.now();
    // If the clock was set back, the counts must not be kept longer.
    let fresh = counted.filter(|(at, _)| *at <= now && now.since(*at) < MAX_COUNT_AGE);
    if let Some((_, rows)) = fresh {
        return Ok(rows);
    }
    let idle_timeout = core.policy.sessions.idle_timeout;
    let rows = core.survey(move |reader| reader.count_rows(now, idle_timeout)).await;
    *counted = rows.as_ref().ok().map(|rows| (now, *rows));
    rows
}

impl App {
    pub async fn stats(&self) -> Stats {
        Stats {
            started_at: self.started_at,
            hashing: self.core.hashing.stats(),
            store: self.core.store_stats(),
            rows: self.rows().await,
            throttled: self.core.throttle.refused(),
        }
    }

    async fn rows(&self) -> Option<Rows> {
        let rows = rows(&self.core, &self.counted).await;
        rows.inspect_err(|error| tracing::warn!(%error, "rows could not be counted")).ok()
    }
}
