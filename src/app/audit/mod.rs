//! The audit log: what was refused goes into it by the journal, everything else with its own transaction.

pub(super) mod journal;
mod read;
pub(super) mod retention;

use super::core::Core;
use std::sync::Arc;

/// The log of who did what.
pub struct AuditLog {
    pub(super) core: Arc<Core>,
}
