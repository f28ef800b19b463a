//! How lines of the log look.

use clap::{Args, ValueEnum};

/// How lines of the log look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line, for machines
    Json,
}

/// How lines of the log look.
#[derive(Debug, Clone, Copy, Args)]
pub struct LogSettings {
    /// How lines of the log look; they go to standard error, and RUST_LOG (such as "info" or "usher=debug") chooses which
    #[arg(long, env = "USHER_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}
