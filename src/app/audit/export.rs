//! Taking the log away, as a file.

use super::AuditLog;
use crate::{
    app::access::Operation,
    domain::{Action, AuditEntry, AuditFilter, Caller, Error},
};

/// Where an export stands. It ends with what was the last entry when it began.
#[derive(Debug)]
pub struct AuditExport {
    filter: AuditFilter,
    after: i64,
    last: i64,
}

impl AuditLog {
    /// How many entries are read at a time.
    const PART: u32 = 500;

    /// Begins an export, the oldest entry first, and puts it on record. In a browser it needs a recent sign-in. Needs the
    /// server's runtime.
    pub async fn export(&self, caller: &Caller, filter: AuditFilter) -> Result<AuditExport, Error> {
        self.core.decide_change(caller, Operation::ExportAudit)?;
        self.core.flushes.wait().await;
        let begun = self.core.change(caller, Operation::ExportAudit, |writer, _| {
            writer.record(Action::AuditExported, None);
            Ok(writer.audit_head()?.id)
        });
        Ok(AuditExport { filter, after: 0, last: begun.await? })
    }

    /// The next entries, and where the export stands after them; `None` at its end. An export ends with its session.
    pub async fn next_part(
        &self,
        caller: &Caller,
        export: AuditExport,
    ) -> Result<(Vec<AuditEntry>, Option<AuditExport>), Error> {
        let (filter, after) = (export.filter, export.after);
        let read = self
            .core
            .scan_again(caller, Operation::ExportAudit, move |reader| reader.audit_after(&filter, after, Self::PART));
        let mut entries = read.await?;
        let is_full = entries.len() == Self::PART as usize;
        entries.retain(|entry| entry.id <= export.last);
        let goes_on = is_full && entries.len() == Self::PART as usize;
        let rest = entries.last().filter(|_| goes_on).map(|entry| AuditExport { after: entry.id, ..export });
        Ok((entries, rest))
    }
}
