//! The identity of the files of a database, independent of their names.

use super::{open_error::Displaced, paths::with_suffix};
use std::{
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The identity of a file: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|metadata| Self::from(&metadata))
    }
}

impl From<&Metadata> for Identity {
    fn from(metadata: &Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }
}

/// The files of an open database: the database, its write-ahead log, and the index of the log.
pub(super) const OPEN_FILES: [&str; 3] = ["", "-wal", "-shm"];

/// The files of a database when it was opened. If one of them is moved or replaced, writes are lost, or destroy what
/// others write.
#[derive(Debug)]
pub(super) struct OpenFiles {
    paths: [PathBuf; 3],
    identities: [Identity; 3],
}

impl OpenFiles {
    /// The current files. A connection must be open.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let paths = OPEN_FILES.map(|suffix| with_suffix(path, suffix));
        let [database, log, index] = &paths;
        let identities = [Identity::of(database)?, Identity::of(log)?, Identity::of(index)?];
        Ok(Self { paths, identities })
    }

    /// The files that the server recorded. `None` if there is no record.
    pub(super) fn recorded(path: &Path) -> Option<Self> {
        let mut text = String::new();
        open_regular(&with_suffix(path, ".lock"))?.read_to_string(&mut text).ok()?;
        let numbers: Vec<u64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
        let identities: Vec<Identity> = numbers.chunks_exact(2).map(|pair| Identity(pair[0], pair[1])).collect();
        let paths = OPEN_FILES.map(|suffix| with_suffix(path, suffix));
        Some(Self { paths, identities: identities.try_into().ok()? })
    }

    pub(super) fn database(&self) -> (&Path, Identity) {
        (&self.paths[0], self.identities[0])
    }

    /// The text of the record in the lock file.
    pub(super) fn to_record(&self) -> String {
        let noted = self.identities.iter().map(|Identity(device, inode)| format!("{device} {inode}"));
        noted.collect::<Vec<_>>().join(" ") + "\n"
    }

    pub(super) fn paths(&self) -> &[PathBuf; 3] {
        &self.paths
    }

    /// Whether the log of these files is now next to another database, which SQLite would apply it to.
    pub(super) fn log_is_at_another_database(&self) -> bool {
        let [database, log, _] = &self.paths;
        let is_another = Identity::of(database).is_ok_and(|found| found != self.identities[0]);
        let has_changes = std::fs::metadata(log).is_ok_and(|log| log.len() > 0);
        is_another && has_changes && Identity::of(log).ok() == Some(self.identities[1])
    }

    /// Fails unless every file is in its place.
    pub(super) fn check(&self) -> Result<(), Displaced> {
        let mut files = self.paths.iter().zip(&self.identities);
        let displaced = files.find(|(path, identity)| Identity::of(path).ok().as_ref() != Some(identity));
        displaced.map_or(Ok(()), |(path, _)| Err(Displaced(path.clone())))
    }
}

pub(super) fn open_regular(path: &Path) -> Option<File> {
    let found = std::fs::symlink_metadata(path).ok()?;
    found.is_file().then(|| File::open(path).ok()).flatten()
}
