//! `usher backup`

use super::{eprint, explain, open, print};
use crate::{
    app::Policy,
    domain::Caller,
    store::{Store, locate},
};
use anyhow::{Result, bail};
use clap::Args;
use futures_executor::block_on;
use std::path::{Path, PathBuf};

/// Copy the database into a new file, also while a server runs
///
/// The copy contains everything that was confirmed before the command began. It is verified, and readable by its owner only.
/// Protect it like the database. An existing file is not overwritten. An interrupted backup leaves no file of this name.
///
/// Prints the head of the copy's audit log. Keep it elsewhere, for 'usher check --audit-head'. To check the copy, run
/// 'usher check --database FILE'. To restore it, stop the server, move usher.db and its -wal and -shm away, and copy FILE to
/// usher.db with mode 600.
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The new file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Backup {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        if self.file.as_os_str() == "-" {
            bail!("a backup is a file and can't go to standard output; name a new file");
        }
        let target = locate(&self.file)?;
        if target == database {
            bail!("{} is the database itself; name a new file", target.display());
        }
        let head = Store::back_up(database, &target)?;
        eprint(&format!("{} is a copy of {}", target.display(), database.display()));
        let recorded = open(database, Policy::default())
            .and_then(|app| block_on(app.transfer.record_backup(&Caller::shell())).map_err(explain));
        if let Err(error) = recorded {
            eprint(&format!("the backup could not be recorded in the audit log: {error}"));
        }
        print(&format!("{head}\n"))
    }
}
