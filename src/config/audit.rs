//! How much of the audit log is kept.

use super::values::{duration, number, typed};
use crate::domain::AuditLimits;
use clap::Args;
use std::time::Duration;

/// How much of the audit log is kept.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Audit log")]
pub struct AuditSettings {
    /// Older entries are deleted, at the start and then hourly. Each time, at most half a day of the log is deleted, so that a
    /// clock that jumps ahead does not empty the log
    #[arg(long, env = "USHER_AUDIT_RETENTION", value_name = "DURATION", default_value = typed(AuditLimits::DEFAULT.retention), value_parser = duration)]
    pub audit_retention: Duration,

    /// The maximum number of entries. Above this number, the oldest are deleted at any age. A million entries take about 260 MiB
    #[arg(long, env = "USHER_AUDIT_MAX_ROWS", value_name = "COUNT", default_value_t = AuditLimits::DEFAULT.max_rows, value_parser = number(1..=u32::MAX))]
    pub audit_max_rows: u32,
}

impl AuditSettings {
    pub fn limits(&self) -> AuditLimits {
        AuditLimits { retention: self.audit_retention, max_rows: self.audit_max_rows }
    }
}
