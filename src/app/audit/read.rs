//! Reading the audit log.

use super::AuditLog;
use crate::{
    app::access::Operation,
    domain::{AuditCursor, AuditEntry, AuditFilter, Caller, ChainPoint, Error, Page, PageSize},
};

impl AuditLog {
    /// Reads a page of the log, the newest entries first. What has been refused up to now is in it, except for counts of
    /// the minute that is not over, and for what can't be written at the moment. Needs the server's runtime.
    pub async fn page(
        &self,
        caller: &Caller,
        filter: AuditFilter,
        before: Option<AuditCursor>,
        size: PageSize,
    ) -> Result<Page<AuditEntry, AuditCursor>, Error> {
        self.core.decide(caller, Operation::ReadAudit)?;
        self.core.flushes.wait().await;
        self.core.scan(caller, Operation::ReadAudit, move |reader| reader.audit(&filter, before, size)).await
    }

    /// Reads on from an entry, up to `limit` of them, the oldest first. This is for readers of the log as it grows.
    pub async fn after(
        &self,
        caller: &Caller,
        filter: AuditFilter,
        after: i64,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, Error> {
        self.core.scan(caller, Operation::ReadAudit, move |reader| reader.audit_after(&filter, after, limit)).await
    }

    /// After which entry the newest so many begin.
    pub async fn before_newest(&self, caller: &Caller, filter: AuditFilter, newest: u32) -> Result<i64, Error> {
        self.core.scan(caller, Operation::ReadAudit, move |reader| reader.audit_before_newest(&filter, newest)).await
    }

    /// The last entry's id and hash, to be kept elsewhere.
    pub async fn head(&self) -> Result<ChainPoint, Error> {
        self.core.look_up(|reader| reader.audit_head()).await
    }

    /// Writes the head into the service's own log, which is kept elsewhere than the database, or so one hopes.
    pub async fn log_head(&self) -> Result<(), Error> {
        let head = self.head().await?;
        tracing::info!(
            target: "usher::audit",
            %head,
            "the end of the audit log; 'usher check --audit-head' proves that the log still contains it"
        );
        Ok(())
    }
}
