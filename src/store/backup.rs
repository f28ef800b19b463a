//! Copies of the database.

use super::{connection, file};
use rusqlite::{Connection, backup::Backup};
use std::{fs::File, path::Path, time::Duration};

/// How many pages are copied at a time.
const STEP: i32 = 1024;

/// Copies a database into a private file, verifies the copy and makes it durable before it gets its name.
pub(super) fn copy(source: &Connection, target: &Path) -> Result<(), file::OpenError> {
    let draft = file::beside(target, ".part");
    let _ = std::fs::remove_file(&draft); // what an interrupted attempt left behind
    file::create_private(&draft)?;
    fill(source, &draft).map_err(|error| file::OpenError::sqlite(&draft, &error))?;
    let durable = || {
        File::open(&draft)?.sync_all()?;
        std::fs::rename(&draft, target)?;
        File::open(file::folder_of(target))?.sync_all()
    };
    durable().map_err(|error| file::OpenError::io(target, "written", &error))
}

fn fill(source: &Connection, draft: &Path) -> rusqlite::Result<()> {
    // A read transaction keeps the copy from beginning again whenever somebody writes.
    let snapshot = source.unchecked_transaction()?;
    snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let mut copy = Connection::open_with_flags(draft, connection::flags())?;
    Backup::new(source, &mut copy)?.run_to_completion(STEP, Duration::ZERO, None)?;
    let verdict: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT),
            Some(verdict),
        ));
    }
    Ok(())
}
