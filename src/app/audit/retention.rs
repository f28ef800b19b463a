//! How much of the audit log is kept.

use crate::{
    app::core::Core,
    domain::{AuditLimits, Error, Timestamp},
};

/// How many entries are deleted in one transaction.
const PRUNE_BATCH: u32 = 500;

/// Deletes entries beyond the retention limits, a few at a time, so that other writers need not wait. Age counts only
/// if the clock can be trusted (`now`), and each run deletes at most half a day of the log, see
/// [`AuditLimits::MAX_SWEEP_SPAN`].
pub(in crate::app) async fn prune(core: &Core, now: Option<Timestamp>) -> Result<(), Error> {
    let AuditLimits { retention, max_rows } = core.policy.audit;
    let look = core.survey(move |reader| {
        let oldest = now.map(|now| reader.oldest_audit(now)).transpose()?.flatten();
        let kept =
            now.zip(oldest).map(|(now, oldest)| (now - retention).min(oldest + AuditLimits::MAX_SWEEP_SPAN)..=now);
        reader.last_audit_to_prune(kept, max_rows)
    });
    let Some(last) = look.await? else { return Ok(()) };
    loop {
        let pruned = core.maintain(move |writer| writer.prune_audit(last, PRUNE_BATCH)).await?;
        for fault in pruned.faults {
            tracing::error!(target: "usher::audit", "the audit log had been tampered with or damaged: {fault}; retention has now deleted this part");
        }
        if pruned.entries < PRUNE_BATCH.into() {
            return Ok(());
        }
    }
}
