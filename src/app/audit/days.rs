//! What charts show: how much happened on each day, and how many sessions there are.

use super::AuditLog;
use crate::{
    app::{access::Operation, stats},
    domain::{Caller, ChartLength, Day, DayCounts, Error},
    store::SessionCounts,
};

/// How busy the service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// One for each day, the oldest first; the last one is today.
    pub days: Vec<DayCounts>,
    /// How many sessions can be used now, at most a minute old.
    pub sessions: SessionCounts,
}

impl AuditLog {
    /// Counts sign-ins, refusals and registrations by days in UTC. The numbers are kept beside the log, so they are those of
    /// all entries that were ever written, also of deleted ones; nothing proves them. Refused attempts that are counted by
    /// the minute are there when it is over.
    pub async fn days(&self, caller: &Caller, length: ChartLength) -> Result<Activity, Error> {
        let today = Day::of(self.core.clock.now());
        let first = today.minus(length.get() - 1);
        let days = self.core.scan(caller, Operation::ReadAudit, move |reader| reader.audit_days(first, today)).await?;
        Ok(Activity { days, sessions: stats::rows(&self.core, &self.counted).await?.sessions })
    }
}
