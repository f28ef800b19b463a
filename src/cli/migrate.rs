//! `usher migrate`

use super::print;
use crate::store::{Prepared, SchemaStatus, Store};
use anyhow::Result;
use clap::Args;
use std::path::Path;

/// Create the database, or upgrade an older one
///
/// An older database is copied to FILE.vN first, where N is its version. Refuses while a server runs on the file.
#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// Change nothing. Print the schema version of the database, and whether it must be upgraded
    #[arg(long)]
    status: bool,
}

impl Migrate {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        if self.status {
            return print_status(database);
        }
        let lock = Store::lock(database)?;
        let name = database.display();
        print(&match Store::prepare(database, &lock)? {
            Prepared::Created => format!("{name} was created\n"),
            Prepared::UpToDate => format!("{name} is up to date\n"),
            Prepared::Migrated { from, copy } => {
                let copy = copy.display();
                format!("{name} was brought up to date from version {from}; a copy from before is {copy}\n")
            }
        })
    }
}

fn print_status(database: &Path) -> Result<()> {
    let SchemaStatus { found, needed } = Store::schema_status(database)?;
    print(&match found {
        None => format!("there is no database at {} yet; version {needed} would be created\n", database.display()),
        Some(found) if found == needed => format!("version {found}, up to date\n"),
        Some(found) => format!("version {found}; this program needs version {needed}: run 'usher migrate'\n"),
    })
}
