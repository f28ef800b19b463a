//! Taking the log away, as a file.

use super::AuditLog;
use crate::{
    app::access::Operation,
    domain::{AuditEntry, AuditFilter, Caller, Error},
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

    /// Begins an export, the oldest entry first. In a browser it needs a recent sign-in. Needs the server's runtime.
    pub async fn export(&self, caller: &Caller, filter: AuditFilter) -> Result<AuditExport, Error> {
        self.core.decide_change(caller, Operation::ExportAudit)?;
        self.core.flushes.wait().await;
        Ok(AuditExport { filter, after: 0, last: self.head().await?.id })
    }

    /// The next entries, and where the export stands after them; `None` at its end. The permission is that of the beginning.
    pub async fn next_part(
        &self,
        caller: &Caller,
        export: AuditExport,
    ) -> Result<(Vec<AuditEntry>, Option<AuditExport>), Error> {
        let mut entries = self.after(caller, export.filter, export.after, Self::PART).await?;
        let is_full = entries.len() == Self::PART as usize;
        entries.retain(|entry| entry.id <= export.last);
        let goes_on = is_full && entries.len() == Self::PART as usize;
        let rest = entries.last().filter(|_| goes_on).map(|entry| AuditExport { after: entry.id, ..export });
        Ok((entries, rest))
    }
}
