//! The format of the log.

use clap::{Args, ValueEnum};

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line, for machines
    Json,
}

/// The format of the log.
#[derive(Debug, Clone, Copy, Args)]
pub struct LogSettings {
    /// The format of the log, which goes to standard error. RUST_LOG (such as "info" or "usher=debug") selects the lines
    #[arg(long, env = "USHER_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}
