//! Reading the audit log.

use super::AuditLog;
use crate::{
    app::{access::Operation, core::Core},
    domain::{AuditCursor, AuditEntry, AuditFilter, Caller, Error, Page, PageSize, Usernames},
};
use std::collections::BTreeSet;

impl AuditLog {
    /// Reads a page of the log, newest entries first. It includes what was refused up to now, except for counts of the
    /// current minute and entries that can't be written at the moment. Needs the server's runtime.
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

    /// Reads up to `limit` entries after an entry, oldest first, for readers who follow the log.
    pub async fn after(
        &self,
        caller: &Caller,
        filter: AuditFilter,
        after: i64,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, Error> {
        self.core.scan(caller, Operation::ReadAudit, move |reader| reader.audit_after(&filter, after, limit)).await
    }

    /// The usernames that the accounts of these entries have now, for a page of the log or so. With them, an entry can say
    /// what happened: see [`AuditEntry::in_words`].
    pub async fn usernames(&self, caller: &Caller, entries: &[AuditEntry]) -> Result<Usernames, Error> {
        let ids: BTreeSet<i64> = entries.iter().flat_map(|entry| [entry.actor, entry.subject]).flatten().collect();
        let ids: Vec<i64> = ids.into_iter().collect();
        self.core.scan(caller, Operation::ReadAudit, move |reader| reader.usernames(&ids)).await
    }

    /// Returns the id of the entry before the newest `newest` ones.
    pub async fn before_newest(&self, caller: &Caller, filter: AuditFilter, newest: u32) -> Result<i64, Error> {
        self.core.scan(caller, Operation::ReadAudit, move |reader| reader.audit_before_newest(&filter, newest)).await
    }

    /// Logs the head. The service's own log should be kept elsewhere than the database.
    pub async fn log_head(&self) -> Result<(), Error> {
        log_head(&self.core).await
    }
}

pub(in crate::app) async fn log_head(core: &Core) -> Result<(), Error> {
    let head = core.look_up(|reader| reader.audit_head()).await?;
    tracing::info!(
        target: "usher::audit",
        %head,
        "the end of the audit log; 'usher check --audit-head' proves that the log still contains it"
    );
    Ok(())
}
