//! Copies of the database.

use super::{
    connection, file, lock,
    open_error::OpenError,
    paths::{folder_of, rename_without_replacing, with_suffix},
};
use crate::{
    domain::ChainPoint,
    store::{Reader, sql::Fault},
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

/// A private, verified copy of a database on disk that does not have its final name yet. It is deleted when dropped.
pub(super) struct Draft {
    path: PathBuf,
    /// Locked, so that no other process takes it for the remains of an interrupted attempt.
    _file: File,
}

impl Draft {
    /// Copies a database next to the final name of the copy. Replaces what an interrupted attempt left there.
    pub(super) fn of(source: &Connection, target: &Path) -> Result<Self, OpenError> {
        let path = draft_name(target);
        let draft = Self { _file: lock::create_draft(&path)?, path };
        draft.delete_side_files();
        fill(source, &draft.path).map_err(|error| OpenError::sqlite(&draft.path, &error))?;
        let synced = File::open(&draft.path).and_then(|file| file.sync_all());
        synced.map_err(|error| OpenError::io(&draft.path, "written", &error))?;
        Ok(draft)
    }

    fn delete_side_files(&self) {
        for suffix in ["-journal", "-wal", "-shm"] {
            let _ = std::fs::remove_file(with_suffix(&self.path, suffix)); // it hardly ever exists
        }
    }

    /// Returns the end of the copy's audit log.
    fn audit_head(&self) -> Result<ChainPoint, OpenError> {
        let read =
            || -> Result<_, Fault> { Ok(Reader { sql: &connection::open_to_look(&self.path)? }.audit_ends()?.head) };
        read().map_err(|fault| OpenError::read(&self.path, &fault))
    }

    /// Gives the copy its final name. Returns `false` if a file of that name exists.
    pub(super) fn publish(&self, target: &Path) -> Result<bool, OpenError> {
        let named =
            rename_without_replacing(&self.path, target).and_then(|()| File::open(folder_of(target))?.sync_all());
        match named {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(OpenError::io(target, "written", &error)),
        }
    }

    /// Whether a file has the same bytes.
    pub(super) fn is_same_as(&self, other: &Path) -> Result<bool, OpenError> {
        let compare = || -> io::Result<bool> {
            let (mut own, mut other) = (BufReader::new(File::open(&self.path)?), BufReader::new(File::open(other)?));
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
        self.delete_side_files();
        let _ = std::fs::remove_file(&self.path); // it is gone if it got its final name
    }
}

/// The name of a draft. A file of this name was left by an interrupted attempt.
fn draft_name(target: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".usher-copy");
    target.with_file_name(name)
}

/// Copies a database of the current version into a new file, also while a server writes to it. Returns the end of the
/// copy's audit log.
pub(super) fn back_up(path: &Path, target: &Path) -> Result<ChainPoint, OpenError> {
    if target.symlink_metadata().is_ok() {
        return Err(OpenError::Exists(target.to_owned()));
    }
    // SQLite would take a file of such a name for part of the database.
    let belongs = ["-journal", "-wal", "-shm", ".lock"]
        .iter()
        .any(|suffix| file::locate(target).ok() == Some(with_suffix(path, suffix)));
    if belongs || draft_name(target) == path {
        return Err(OpenError::OwnName(target.to_owned()));
    }
    let source = connection::open_to_look(path).map_err(|error| OpenError::sqlite(path, &error))?;
    let draft = Draft::of(&source, target)?;
    let head = draft.audit_head()?;
    if draft.publish(target)? { Ok(head) } else { Err(OpenError::Exists(target.to_owned())) }
}

fn fill(source: &Connection, draft: &Path) -> rusqlite::Result<()> {
    // The read transaction prevents the copy from starting over whenever somebody writes.
    let snapshot = source.unchecked_transaction()?;
    snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let mut copy = Connection::open_with_flags(draft, connection::flags())?;
    Backup::new(source, &mut copy)?.run_to_completion(STEP, Duration::ZERO, None)?;
    // Then it can be read on a read-only disk. A server switches WAL on again.
    copy.pragma_update(None, "journal_mode", "delete")?;
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
