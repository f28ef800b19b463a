//! The database as a file: checks before SQLite opens it, and creating a new one.

use super::{
    open_error::OpenError,
    open_files::OpenFiles,
    paths::{folder_of, with_suffix},
};
use rustix::fs::{Access, access, statfs};
use std::{
    fs::{File, Metadata, OpenOptions, Permissions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The canonical name of a database file: absolute, with symbolic links resolved. So everyone uses the same lock, and
/// SQLite does not take the name for a URI or for `:memory:`.
pub fn locate(path: &Path) -> Result<PathBuf, OpenError> {
    if let Ok(found) = std::fs::canonicalize(path) {
        return Ok(found);
    }
    if path.is_symlink() {
        return Err(OpenError::NotAFile(path.to_owned())); // a dangling link: a file created there would have two names
    }
    let name = path.file_name().ok_or_else(|| OpenError::NotAFile(path.to_owned()))?;
    let folder = std::fs::canonicalize(folder_of(path)).map_err(|error| OpenError::io(path, "created", &error))?;
    Ok(folder.join(name))
}

/// What the first bytes of a file show. Only SQLite can tell whether it is complete: after a kill, part of it may be in
/// the write-ahead log or the journal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// No file, an empty one, or one whose creation was interrupted: there is nothing to lose.
    Nothing,
    Database {
        application_id: u32,
    },
}

/// Examines a file without SQLite and without writing. Call it only before this process opens the database: closing a
/// descriptor of the file drops the locks that SQLite holds on it (POSIX advisory locks belong to the process).
pub(super) fn inspect(path: &Path) -> Result<Found, OpenError> {
    refuse_network_file_systems(path)?;
    refuse_irregular_side_files(path)?;
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return nothing(path),
        Err(error) => return Err(OpenError::io(path, "read", &error)),
    };
    if !metadata.is_file() {
        return Err(OpenError::NotAFile(path.to_owned()));
    }
    refuse_links(path, &metadata)?;
    if OpenFiles::recorded(path).is_some_and(|recorded| recorded.log_is_at_another_database()) {
        return Err(OpenError::LogOfAnother(path.to_owned()));
    }
    if metadata.len() == 0 {
        return nothing(path);
    }
    // sqlite.org/fileformat2.html, section 1.3
    let header: Option<[u8; 100]> = first_bytes(path)?;
    match header.filter(|header| header.starts_with(b"SQLite format 3\0")) {
        Some(header) => {
            let application_id = u32::from_be_bytes([header[68], header[69], header[70], header[71]]);
            Ok(Found::Database { application_id })
        }
        None if was_being_created(path)? => Ok(Found::Nothing),
        None => Err(OpenError::NotADatabase(path.to_owned())),
    }
}

/// Refuses files with several hard links: under another name, SQLite would look for another write-ahead log.
pub(super) fn refuse_links(path: &Path, metadata: &Metadata) -> Result<(), OpenError> {
    match metadata.nlink() {
        links if links > 1 && metadata.is_file() => Err(OpenError::Linked { path: path.to_owned(), links }),
        _ => Ok(()),
    }
}

/// Refuses side files that are not regular: SQLite opens them. A pipe would keep it waiting, and a device may do
/// anything.
fn refuse_irregular_side_files(path: &Path) -> Result<(), OpenError> {
    let names = ["-journal", "-wal", "-shm"].map(|suffix| with_suffix(path, suffix));
    let odd = names.into_iter().find(|name| std::fs::metadata(name).is_ok_and(|found| !found.is_file()));
    odd.map_or(Ok(()), |name| Err(OpenError::SideFileNotRegular(name)))
}

/// An empty file with a write-ahead log is a damaged database, not a new one. SQLite would delete the log.
fn nothing(path: &Path) -> Result<Found, OpenError> {
    if has_log(path) {
        return Err(OpenError::LogAlone(path.to_owned()));
    }
    Ok(Found::Nothing)
}

/// Whether the write-ahead log has content, from a server that runs or from one that was killed.
pub(super) fn has_log(path: &Path) -> bool {
    std::fs::metadata(with_suffix(path, "-wal")).is_ok_and(|log| log.len() > 0)
}

/// The first bytes of a file; `None` if it is shorter.
fn first_bytes<const COUNT: usize>(path: &Path) -> Result<Option<[u8; COUNT]>, OpenError> {
    let mut bytes = [0; COUNT];
    match File::open(path).and_then(|mut file| file.read_exact(&mut bytes)) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(OpenError::io(path, "read", &error)),
    }
}

/// Whether the rollback journal shows that the file was empty before (sqlite.org/fileformat2.html, section 3). After a
/// power failure, a database that was being created may lack its first page.
fn was_being_created(path: &Path) -> Result<bool, OpenError> {
    const JOURNAL: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    let journal = with_suffix(path, "-journal");
    if !std::fs::metadata(&journal).is_ok_and(|metadata| metadata.is_file()) {
        return Ok(false);
    }
    let header: Option<[u8; 20]> = first_bytes(&journal)?;
    Ok(header.is_some_and(|header| header.starts_with(&JOURNAL) && header[16..20] == [0; 4]))
}

/// A file system where locks or shared memory don't work, or may not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RiskyFileSystem {
    Network(&'static str),
    Doubtful(&'static str),
}

/// The file system of a file, if it is risky.
pub(super) fn risky_file_system(path: &Path) -> Option<RiskyFileSystem> {
    const ODD: [(i64, RiskyFileSystem); 6] = [
        (0x6969, RiskyFileSystem::Network("NFS")),
        (0x517B, RiskyFileSystem::Network("SMB")),
        (0xFF53_4D42, RiskyFileSystem::Network("CIFS")),
        (0xFE53_4D42, RiskyFileSystem::Network("SMB2")),
        (0x6573_5546, RiskyFileSystem::Doubtful("FUSE")),
        (0x0102_1997, RiskyFileSystem::Doubtful("9p")),
    ];
    // If the folder can't be examined, opening the file reports why.
    #[allow(clippy::useless_conversion, reason = "the width of f_type differs between platforms")]
    let kind = statfs(folder_of(path)).map(|found| i64::from(found.f_type) & 0xFFFF_FFFF).ok()?;
    ODD.iter().find(|(magic, _)| *magic == kind).map(|(_, disk)| *disk)
}

fn refuse_network_file_systems(path: &Path) -> Result<(), OpenError> {
    match risky_file_system(path) {
        Some(RiskyFileSystem::Network(kind)) => return Err(OpenError::NetworkDisk { path: path.to_owned(), kind }),
        Some(RiskyFileSystem::Doubtful(kind)) => {
            tracing::warn!(database = %path.display(), "the database is on {kind}, where SQLite's locks may not work; use a local disk");
        }
        None => {}
    }
    Ok(())
}

/// Whether the current user can't write the database. File modes don't restrict root.
pub(super) fn is_read_only(path: &Path) -> bool {
    access(path, Access::WRITE_OK).is_err()
}

pub(super) fn warn_of_read_only(path: &Path) {
    if is_read_only(path) {
        tracing::warn!(database = %path.display(), "the database is read-only; changes are refused until it is writable");
    }
}

/// SQLite creates side files with the mode of the database. For a read-only database, that would prevent writing later.
pub(super) fn make_side_files_private(path: &Path) {
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::set_permissions(with_suffix(path, suffix), Permissions::from_mode(0o600)); // it may not exist
    }
}

/// Options for a writable file with mode 0600, so that no other user can read it.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

/// Creates an empty file for SQLite to fill, or uses an existing empty one.
pub(super) fn create_private(path: &Path) -> Result<(), OpenError> {
    private()
        .create(true)
        .truncate(false)
        .open(path)
        .and_then(|file| file.set_permissions(Permissions::from_mode(0o600)))
        .map_err(|error| OpenError::io(path, "created", &error))
}

/// The folder and its mode, if other users can access it. The files are private, but their names and sizes are visible,
/// and a user with write permission can replace them.
pub(super) fn open_folder(path: &Path) -> Option<(&Path, u32)> {
    let folder = folder_of(path);
    let mode = std::fs::metadata(folder).ok()?.permissions().mode() & 0o777;
    (mode & 0o007 != 0).then_some((folder, mode))
}

pub(super) fn warn_of_open_folder(path: &Path) {
    if let Some((folder, mode)) = open_folder(path) {
        tracing::warn!(
            folder = %folder.display(),
            "other users can access the database's folder (mode {mode:03o}); use a separate folder with 'chmod 700'"
        );
    }
}
