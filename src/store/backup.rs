//! Copies of the database.

use super::{
    connection,
    file::{self, OpenError},
};
use rusqlite::{Connection, backup::Backup};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, ErrorKind},
    path::{Path, PathBuf},
    time::Duration,
};

/// How many pages are copied at a time.
const STEP: i32 = 1024;

/// A copy of a database, private, verified and on disk, that has no name of its own yet. It is deleted when dropped.
pub(super) struct Draft(PathBuf);

impl Draft {
    /// Copies a database beside the name that the copy is to get.
    pub(super) fn of(source: &Connection, target: &Path) -> Result<Self, OpenError> {
        let draft = Self(file::beside(target, ".part"));
        let _ = std::fs::remove_file(&draft.0); // what an interrupted attempt left behind
        file::create_private(&draft.0)?;
        fill(source, &draft.0).map_err(|error| OpenError::sqlite(&draft.0, &error))?;
        let synced = File::open(&draft.0).and_then(|file| file.sync_all());
        synced.map_err(|error| OpenError::io(&draft.0, "written", &error))?;
        Ok(draft)
    }

    /// Gives the copy its name, unless there is something of that name.
    pub(super) fn publish(&self, target: &Path) -> Result<bool, OpenError> {
        let named = file::rename_without_replacing(&self.0, target)
            .and_then(|()| File::open(file::folder_of(target))?.sync_all());
        match named {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(OpenError::io(target, "written", &error)),
        }
    }

    /// Whether a file has the same bytes.
    pub(super) fn is_same_as(&self, other: &Path) -> Result<bool, OpenError> {
        let compare = || -> io::Result<bool> {
            let (mut own, mut other) = (BufReader::new(File::open(&self.0)?), BufReader::new(File::open(other)?));
            loop {
                let (a, b) = (own.fill_buf()?, other.fill_buf()?);
                let count = a.len().min(b.len());
                if a[..count] != b[..count] || count == 0 {
                    return Ok(a.is_empty() && b.is_empty());
                }
                own.consume(count);
                other.consume(count);
            }
        };
        compare().map_err(|error| OpenError::io(other, "read", &error))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0); // it is gone where it has got its name
    }
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
            assert!(Draft::of(&source, &target).unwrap().publish(&target).unwrap());
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
