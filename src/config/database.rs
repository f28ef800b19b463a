//! Which database a command works on.

use clap::Args;
use std::path::PathBuf;

/// Which database a command works on.
#[derive(Debug, Clone, Args)]
pub struct DatabaseSettings {
    /// The SQLite file that holds everything
    #[arg(long, global = true, env = "USHER_DATABASE", value_name = "FILE", default_value = "usher.db")]
    pub database: PathBuf,
}
