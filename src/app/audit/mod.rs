//! The audit log. The journal writes refused attempts; everything else is written in its own transaction.

mod days;
mod export;
mod history;
pub(super) mod journal;
pub(super) mod read;
pub(super) mod retention;

use super::{core::Core, stats::Counted};
pub use days::Activity;
pub use export::AuditExport;
use std::sync::Arc;

/// The log of who did what.
pub struct AuditLog {
    pub(super) core: Arc<Core>,
    pub(super) counted: Arc<Counted>,
}
