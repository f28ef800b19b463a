//! `usher migrate`

use crate::store::{Lock, Prepared, Store};
use anyhow::Result;
use clap::Args;
use std::path::Path;

/// Make the database, or bring an older one up to date
///
/// An older database is copied to FILE.vN first, where N is its version. Refuses while a server runs on the file.
#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// Only tell how the database's schema compares with the one that this program needs
    #[arg(long)]
    status: bool,
}

impl Migrate {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        if self.status {
            return print_status(database);
        }
        let lock = Lock::acquire(database)?;
        let text = match Store::prepare(database, &lock)? {
            Prepared::Created => format!("{} was made", database.display()),
            Prepared::UpToDate => format!("{} is up to date", database.display()),
            Prepared::Migrated { from, copy } => {
                format!(
                    "{} was brought up to date from version {from}; a copy from before is {}",
                    database.display(),
                    copy.display()
                )
            }
        };
        println!("{text}");
        Ok(())
    }
}

fn print_status(database: &Path) -> Result<()> {
    let status = Store::schema_status(database)?;
    match status.found {
        None => println!("there is no database at {} yet; version {} would be made", database.display(), status.needed),
        Some(found) if found == status.needed => println!("version {found}, up to date"),
        Some(found) => println!("version {found}; this program needs version {}: run 'usher migrate'", status.needed),
    }
    Ok(())
}
