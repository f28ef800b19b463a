//! The audit log. The journal writes refused attempts; everything else is written in its own transaction.

pub(super) mod journal;
mod read;
pub(super) mod retention;

use super::core::Core;
use std::sync::Arc;

/// The log of who did what.
pub struct AuditLog {
    pub(super) core: Arc<Core>,
}
