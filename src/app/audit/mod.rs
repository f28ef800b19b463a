//! The audit log: who reads it, and how much of it is kept.

pub(super) mod journal;

use super::{App, access::Operation};
use crate::domain::{
    AuditCursor, AuditEntry, AuditFilter, AuditLimits, Caller, ChainPoint, Error, Page, PageSize, Timestamp,
};

/// How many entries are taken away in one transaction.
const PRUNED_AT_ONCE: u32 = 500;

impl App {
    /// Reads a page of the log, the newest entries first. What has been refused up to now is in it, except for counts of
    /// the minute that is not over, and for what can't be written at the moment. Needs the server's runtime.
    pub async fn audit(
        &self,
        caller: &Caller,
        filter: AuditFilter,
        before: Option<AuditCursor>,
        size: PageSize,
    ) -> Result<Page<AuditEntry, AuditCursor>, Error> {
        self.core.decide(caller, Operation::ReadAudit)?;
        self.flushes.wait().await;
        self.core.scan(caller, Operation::ReadAudit, move |reader| reader.audit(&filter, before, size)).await
    }

    /// Reads on from an entry, up to `limit` of them, the oldest first. This is for readers of the log as it grows.
    pub async fn audit_after(
        &self,
        caller: &Caller,
        filter: AuditFilter,
        after: i64,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, Error> {
        self.core.scan(caller, Operation::ReadAudit, move |reader| reader.audit_after(&filter, after, limit)).await
    }

    /// After which entry the newest so many begin.
    pub async fn audit_before_newest(&self, caller: &Caller, filter: AuditFilter, newest: u32) -> Result<i64, Error> {
        self.core.scan(caller, Operation::ReadAudit, move |reader| reader.audit_before_newest(&filter, newest)).await
    }

    /// The last entry's id and hash, to be kept elsewhere.
    pub async fn audit_head(&self) -> Result<ChainPoint, Error> {
        self.core.look_up(|reader| reader.audit_head()).await
    }

    /// Writes the head into the service's own log, which is kept elsewhere than the database, or so one hopes.
    pub async fn log_audit_head(&self) -> Result<(), Error> {
        let head = self.audit_head().await?;
        tracing::info!(
            target: "usher::audit",
            %head,
            "the end of the audit log; 'usher check --audit-head' proves that the log still contains it"
        );
        Ok(())
    }

    /// Takes away what retention does not keep, a few entries at a time, so that nobody waits for it. Age counts at a time
    /// that can be trusted, and takes half a day of the log at most, see [`AuditLimits::SPAN_AT_ONCE`].
    pub(super) async fn prune_audit(&self, now: Option<Timestamp>) -> Result<(), Error> {
        let AuditLimits { retention, max_rows } = self.core.policy.audit;
        let look = self.core.survey(move |reader| {
            let oldest = now.map(|now| reader.oldest_audit(now)).transpose()?.flatten();
            let kept =
                now.zip(oldest).map(|(now, oldest)| (now - retention).min(oldest + AuditLimits::SPAN_AT_ONCE)..=now);
            reader.last_audit_to_go(kept, max_rows)
        });
        let Some(last) = look.await? else { return Ok(()) };
        loop {
            let pruned = self.core.maintain(move |writer| writer.prune_audit(last, PRUNED_AT_ONCE)).await?;
            for fault in pruned.faults {
                tracing::error!(target: "usher::audit", "the audit log had been tampered with or damaged: {fault}; retention has now taken this part away");
            }
            if pruned.entries < PRUNED_AT_ONCE.into() {
                return Ok(());
            }
        }
    }
}
