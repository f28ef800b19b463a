//! Why a database can't be opened, and what to do about it.

use super::paths::with_suffix;
use crate::store::sql::Fault;
use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a database can't be opened. Each text says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("there is no database at {}; create one with 'usher serve' or 'usher migrate', or name another with --database", .0.display())]
    Missing(PathBuf),
    #[error("{} is not a regular file; name a file with --database", .0.display())]
    NotAFile(PathBuf),
    #[error("{} is not an SQLite database; it was left untouched, name another file with --database", .0.display())]
    NotADatabase(PathBuf),
    #[error("{} is a database of another program; it was left untouched, name another file with --database", .0.display())]
    Foreign(PathBuf),
    #[error(
        "{} is damaged: {reason}; if its -wal was moved or deleted, put that back, else restore a backup, or repair it with \
         'sqlite3 .recover'", .path.display()
    )]
    Damaged { path: PathBuf, reason: String },
    #[error(
        "{} is missing or empty, but its write-ahead log {}-wal is there, with changes that may be nowhere else; put the file \
         back that belongs to it, or move the log elsewhere", .0.display(), .0.display()
    )]
    LogAlone(PathBuf),
    #[error("{} has schema version {found}, and this usher knows versions up to {known}; run the newer usher that made it", .path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("{} has schema version {found}, and this usher needs version {known}; stop the server and run 'usher migrate'", .path.display())]
    Older { path: PathBuf, found: i64, known: i64 },
    #[error(
        "{} says that it is a database of usher, but not which version its schema has (user_version is {found}), so another program \
         has changed it; it was left untouched, restore a backup", .path.display()
    )]
    NoVersion { path: PathBuf, found: i64 },
    #[error("{} is in use by another 'usher serve' or 'usher migrate', perhaps under another name; stop that one first", .0.display())]
    InUse(PathBuf),
    #[error("there is something at {} already, and it is left as it is; choose another name", .0.display())]
    Exists(PathBuf),
    #[error("{} is not a regular file, and so no lock; remove it", .0.display())]
    NotALock(PathBuf),
    #[error("{} is not a regular file, and the database would keep changes in it; remove it", .0.display())]
    SideFileNotRegular(PathBuf),
    #[error(
        "{path} has {links} names (hard links, as 'cp -al' makes them for snapshots), and each would have a write-ahead log of its \
         own; delete the others, or give this one a file of its own while nothing runs on it: 'cp -p {path} {path}.new && mv {path}.new {path}'",
        path = .path.display()
    )]
    Linked { path: PathBuf, links: u64 },
    #[error(
        "{log} belongs to another file than {path}, and holds changes that may be nowhere else; put the file that it belongs \
         to back in place and start again, or move {log} elsewhere if its changes are not wanted",
        path = .0.display(), log = with_suffix(.0, "-wal").display()
    )]
    LogOfAnother(PathBuf),
    #[error("{} is a name that the database uses itself; give the copy another one", .0.display())]
    OwnName(PathBuf),
    #[error("the server that runs on {} has other files open: {displaced}", .path.display())]
    Displaced { path: PathBuf, displaced: Displaced },
    #[error("{} is on a network file system ({kind}), where SQLite's locks can't be trusted; keep it on a local disk", .path.display())]
    NetworkDisk { path: PathBuf, kind: &'static str },
    #[error("{} can't be {action}: {reason}; check the permissions of the file and its folder", .path.display())]
    Io { path: PathBuf, action: &'static str, reason: String },
    #[error("{} can't be written by this user; run the command as its owner, or check the permissions of the file and its folder", .0.display())]
    NotWritable(PathBuf),
    #[error(
        "SQLite {found} is in use, and versions before {needed} can lose committed data (the WAL-reset bug); build against a newer one"
    )]
    OldSqlite { found: &'static str, needed: &'static str },
    #[error("{} is a copy that is not in use yet; run 'usher migrate' on it first", .0.display())]
    NotInUse(PathBuf),
    #[error("{} can't be opened safely: {reason}", .path.display())]
    Unsafe { path: PathBuf, reason: String },
}

impl OpenError {
    pub(super) fn io(path: &Path, action: &'static str, reason: &io::Error) -> Self {
        Self::Io { path: path.to_owned(), action, reason: reason.to_string() }
    }

    pub(super) fn read(path: &Path, fault: &Fault) -> Self {
        Self::Io { path: path.to_owned(), action: "read", reason: fault.to_string() }
    }

    pub(super) fn sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
                Self::Damaged { path, reason: error.to_string() }
            }
            Some(rusqlite::ErrorCode::ReadOnly) => Self::NotWritable(path),
            _ => Self::Io { path, action: "opened", reason: error.to_string() },
        }
    }
}

/// A file of an open database was removed or replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} was removed or replaced; if it is the database file, put it back first; then stop the server with SIGTERM, so that \
     it saves what it holds, and start it again", .0.display()
)]
pub struct Displaced(pub(super) PathBuf);
