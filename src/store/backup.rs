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

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        os::unix::fs::PermissionsExt,
        sync::atomic::{AtomicBool, Ordering},
    };

    #[test]
    fn a_copy_ends_although_somebody_keeps_writing_and_shows_one_moment() {
        let folder = tempfile::tempdir().unwrap();
        let (path, target) = (folder.path().join("busy.db"), folder.path().join("copy.db"));
        file::create_private(&path).unwrap();
        let source = connection::open(&path).unwrap();
        source.execute_batch("PRAGMA journal_mode = wal; CREATE TABLE a (n); CREATE TABLE b (n);").unwrap();
        let fill = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 20000)
                    INSERT INTO a SELECT randomblob(1000) FROM c";
        source.execute_batch(fill).unwrap();
        let done = AtomicBool::new(false);

        std::thread::scope(|scope| {
            scope.spawn(|| {
                let writer = connection::open(&path).unwrap();
                while !done.load(Ordering::Relaxed) {
                    writer
                        .execute_batch("BEGIN IMMEDIATE; INSERT INTO a VALUES (1); INSERT INTO b VALUES (1); COMMIT")
                        .unwrap();
                }
            });
            copy(&source, &target).unwrap();
            done.store(true, Ordering::Relaxed);
        });

        let copied = connection::open(&target).unwrap();
        let count = |table: &str| {
            copied.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
        };
        assert_eq!(count("a"), 20_000 + count("b"), "both rows of a transaction, or neither");
        assert_eq!(std::fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
