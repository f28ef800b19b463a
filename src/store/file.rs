//! The database as a file: what is looked at before SQLite opens it, the lock beside it, and making a new one.

use rustix::{
    fs::{Access, CWD, OFlags, RenameFlags, access, renameat_with, statfs},
    io::Errno,
};
use std::{
    fs::{File, Metadata, OpenOptions, Permissions, TryLockError},
    io::{self, Read},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// Why a database can't be opened. Each text says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("there is no database at {}; 'usher serve' or 'usher migrate' makes one, or name another with --database", .0.display())]
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
    #[error("{} is in use by another 'usher serve' or 'usher migrate', perhaps under another name; stop that one first", .0.display())]
    InUse(PathBuf),
    #[error("there is something at {} already, and it is left as it is; choose another name", .0.display())]
    Exists(PathBuf),
    #[error("{} is not a regular file, and so no lock; remove it", .0.display())]
    NotALock(PathBuf),
    #[error("{} is not a regular file, and the database would keep changes in it; remove it", .0.display())]
    NotAFileBeside(PathBuf),
    #[error(
        "{path} has {links} names (hard links, as 'cp -al' makes them for snapshots), and each would have a write-ahead log of its \
         own; delete the others, or give this one a file of its own while nothing runs on it: 'cp -p {path} {path}.new && mv {path}.new {path}'",
        path = .path.display()
    )]
    Linked { path: PathBuf, links: u64 },
    #[error(
        "{log} belongs to another file than {path}, and holds changes that may be nowhere else; put the file that it belongs \
         to back in place and start again, or move {log} elsewhere if its changes are not wanted",
        path = .0.display(), log = beside(.0, "-wal").display()
    )]
    LogOfAnother(PathBuf),
    #[error("{} is a name that the database uses itself; give the copy another one", .0.display())]
    OwnName(PathBuf),
    #[error("the server that runs on {} has other files open: {displaced}", .path.display())]
    Displaced { path: PathBuf, displaced: Displaced },
    #[error("{} is on a network file system ({kind}), where SQLite's locks can't be trusted; keep it on a local disk", .path.display())]
    NetworkDisk { path: PathBuf, kind: &'static str },
    #[error("{} can't be {action}: {reason}; check the folder and its permissions", .path.display())]
    Io { path: PathBuf, action: &'static str, reason: String },
    #[error(
        "SQLite {found} is in use, and versions before {needed} can lose committed data (the WAL-reset bug); build against a newer one"
    )]
    OldSqlite { found: &'static str, needed: &'static str },
    #[error("{} is a copy that has not been put into use; run 'usher migrate' on it first", .0.display())]
    NotInUse(PathBuf),
    #[error("{} can't be opened safely: {reason}", .path.display())]
    Unsafe { path: PathBuf, reason: String },
}

impl OpenError {
    pub(super) fn io(path: &Path, action: &'static str, reason: &io::Error) -> Self {
        Self::Io { path: path.to_owned(), action, reason: reason.to_string() }
    }

    pub(super) fn sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
                Self::Damaged { path, reason: error.to_string() }
            }
            _ => Self::Io { path, action: "opened", reason: error.to_string() },
        }
    }
}

/// The one name of a database file, whatever it was called: absolute, and with links followed. The lock beside it is
/// then the same for everyone, and SQLite takes no name for an URI or for `:memory:`.
pub fn locate(path: &Path) -> Result<PathBuf, OpenError> {
    if let Ok(found) = std::fs::canonicalize(path) {
        return Ok(found);
    }
    if path.is_symlink() {
        return Err(OpenError::NotAFile(path.to_owned())); // it leads nowhere; what is made there would have two names
    }
    let name = path.file_name().ok_or_else(|| OpenError::NotAFile(path.to_owned()))?;
    let folder = std::fs::canonicalize(folder_of(path)).map_err(|error| OpenError::io(path, "created", &error))?;
    Ok(folder.join(name))
}

/// What the first bytes of a file say about it. Whether it is whole only SQLite can tell: after a kill what is missing
/// in it may be in the log or the journal beside it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// No file, an empty one, or one whose creation was cut short: there is nothing to lose.
    Nothing,
    Database {
        application_id: u32,
    },
}

/// Looks at a file without SQLite, and without writing. Only before this process has the database open: closing
/// a descriptor of the file drops the locks that SQLite holds on it (POSIX advisory locks belong to the process).
pub(super) fn inspect(path: &Path) -> Result<Found, OpenError> {
    refuse_network_disks(path)?;
    refuse_odd_files_beside(path)?;
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return nothing(path),
        Err(error) => return Err(OpenError::io(path, "read", &error)),
    };
    if !metadata.is_file() {
        return Err(OpenError::NotAFile(path.to_owned()));
    }
    refuse_links(path, &metadata)?;
    if OpenFiles::noted(path).is_some_and(|noted| noted.left_its_log_beside_another()) {
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

/// What is written under one of several names would be looked for beside another one.
fn refuse_links(path: &Path, metadata: &Metadata) -> Result<(), OpenError> {
    match metadata.nlink() {
        links if links > 1 && metadata.is_file() => Err(OpenError::Linked { path: path.to_owned(), links }),
        _ => Ok(()),
    }
}

/// SQLite opens what has these names: a pipe would keep it waiting for the other end, and a device may do anything.
fn refuse_odd_files_beside(path: &Path) -> Result<(), OpenError> {
    let names = ["-journal", "-wal", "-shm"].map(|suffix| beside(path, suffix));
    let odd = names.into_iter().find(|name| std::fs::metadata(name).is_ok_and(|found| !found.is_file()));
    odd.map_or(Ok(()), |name| Err(OpenError::NotAFileBeside(name)))
}

/// An empty file beside a write-ahead log is what is left of a database, not a new one. SQLite would delete the log.
fn nothing(path: &Path) -> Result<Found, OpenError> {
    if std::fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0) {
        return Err(OpenError::LogAlone(path.to_owned()));
    }
    Ok(Found::Nothing)
}

/// The beginning of a file, unless it is shorter.
fn first_bytes<const COUNT: usize>(path: &Path) -> Result<Option<[u8; COUNT]>, OpenError> {
    let mut bytes = [0; COUNT];
    match File::open(path).and_then(|mut file| file.read_exact(&mut bytes)) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(OpenError::io(path, "read", &error)),
    }
}

/// Whether the rollback journal beside a file says that the file was empty before (sqlite.org/fileformat2.html, section 3).
/// After a loss of power the pages of a database that was being created may be there without the first one.
fn was_being_created(path: &Path) -> Result<bool, OpenError> {
    const JOURNAL: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    let journal = beside(path, "-journal");
    if !std::fs::metadata(&journal).is_ok_and(|metadata| metadata.is_file()) {
        return Ok(false);
    }
    let header: Option<[u8; 20]> = first_bytes(&journal)?;
    Ok(header.is_some_and(|header| header.starts_with(&JOURNAL) && header[16..20] == [0; 4]))
}

/// A file system on which locks or shared memory don't work, or may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OddDisk {
    Network(&'static str),
    Doubtful(&'static str),
}

/// Which file system a file is on, where that is not a usual one.
pub(super) fn odd_disk(path: &Path) -> Option<OddDisk> {
    const ODD: [(i64, OddDisk); 6] = [
        (0x6969, OddDisk::Network("NFS")),
        (0x517B, OddDisk::Network("SMB")),
        (0xFF53_4D42, OddDisk::Network("CIFS")),
        (0xFE53_4D42, OddDisk::Network("SMB2")),
        (0x6573_5546, OddDisk::Doubtful("FUSE")),
        (0x0102_1997, OddDisk::Doubtful("9p")),
    ];
    // A folder that can't be asked is reported by whatever opens the file.
    #[allow(clippy::useless_conversion, reason = "the width of f_type differs between platforms")]
    let kind = statfs(folder_of(path)).map(|found| i64::from(found.f_type) & 0xFFFF_FFFF).ok()?;
    ODD.iter().find(|(magic, _)| *magic == kind).map(|(_, disk)| *disk)
}

fn refuse_network_disks(path: &Path) -> Result<(), OpenError> {
    match odd_disk(path) {
        Some(OddDisk::Network(kind)) => return Err(OpenError::NetworkDisk { path: path.to_owned(), kind }),
        Some(OddDisk::Doubtful(kind)) => {
            tracing::warn!(database = %path.display(), "the database is on {kind}, where SQLite's locks may not work; a local disk is safer");
        }
        None => {}
    }
    Ok(())
}

pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `usher.db` and `-wal` make `usher.db-wal`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Renames a file, unless there is something of the new name.
pub(super) fn rename_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can do it.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if to.symlink_metadata().is_ok() => {
            Err(io::ErrorKind::AlreadyExists.into())
        }
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => std::fs::rename(from, to),
        renamed => Ok(renamed?),
    }
}

/// Whether a database can't be written by who runs this. Commands of root are not held up by modes.
pub(super) fn is_read_only(path: &Path) -> bool {
    access(path, Access::WRITE_OK).is_err()
}

pub(super) fn warn_of_read_only(path: &Path) {
    if is_read_only(path) {
        tracing::warn!(database = %path.display(), "the database can only be read; changes are refused until it can be written, too");
    }
}

/// What SQLite puts beside a database has its mode. Beside one that can only be read that would hinder later writing.
pub(super) fn make_private_beside(path: &Path) {
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::set_permissions(beside(path, suffix), Permissions::from_mode(0o600)); // it may not be there
    }
}

/// Opens for writing with mode 0600: nobody else on the machine reads it.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

/// Makes an empty file for SQLite to fill, or takes the empty one that is there.
pub(super) fn create_private(path: &Path) -> Result<(), OpenError> {
    private()
        .create(true)
        .truncate(false)
        .open(path)
        .and_then(|file| file.set_permissions(Permissions::from_mode(0o600)))
        .map_err(|error| OpenError::io(path, "created", &error))
}

/// The right to serve or migrate a database, held until dropped: an exclusive lock on `<database>.lock`, and where that
/// does not get in SQLite's way one on the database itself. The first is there before the database is; the second holds
/// when the first is deleted, and for other names of the same file, such as a bind mount.
///
/// To be dropped after the last connection: closing the database here drops the locks that SQLite holds on it.
#[derive(Debug)]
pub struct Lock {
    name: File,
    _database: Option<File>,
}

impl Lock {
    pub(super) fn acquire(database: &Path) -> Result<Self, OpenError> {
        let path = beside(database, ".lock");
        loop {
            let name = open_lock(&path)?;
            lock_exclusively(&name, &path, database)?;
            // One that was deleted or replaced before it was locked is not the one that others look at.
            let locked = name.metadata().map_err(|error| OpenError::io(&path, "read", &error))?;
            if Identity::of(&path).ok() == Some(Identity::from(&locked)) {
                if OpenFiles::noted(database).is_some_and(|noted| noted.left_its_log_beside_another()) {
                    return Err(OpenError::LogOfAnother(database.to_owned()));
                }
                let _ = name.set_len(0); // which files its last holder had open
                let database = if LOCKS_ARE_APART { Some(lock_database(database)?) } else { None };
                return Ok(Self { name, _database: database });
            }
        }
    }

    /// Notes beside the database which files its server has open, for the commands beside it.
    pub(super) fn note(&self, open: &OpenFiles) {
        let noted: Vec<String> =
            open.identities.iter().map(|Identity(device, inode)| format!("{device} {inode}")).collect();
        // On a full disk they are not noted, and commands see only that a file is missing.
        let _ = self.name.write_all_at((noted.join(" ") + "\n").as_bytes(), 0);
    }
}

/// Makes an empty, private file to write a copy into, locked as long as it is open.
pub(super) fn create_draft(path: &Path) -> Result<File, OpenError> {
    let file = open_lock(path)?;
    if LOCKS_ARE_APART {
        lock_exclusively(&file, path, path)?;
    }
    file.set_len(0)
        .and_then(|()| file.set_permissions(Permissions::from_mode(0o600)))
        .map_err(|error| OpenError::io(path, "written", &error))?;
    Ok(file)
}

/// Whether locks of whole files (flock) and those of SQLite (POSIX) know nothing of each other. On a BSD or macOS the one
/// would keep SQLite out.
const LOCKS_ARE_APART: bool = cfg!(target_os = "linux");

/// Opens or creates the file to lock. Opening a pipe would wait for its other end, and opening a device may do anything.
fn open_lock(path: &Path) -> Result<File, OpenError> {
    if std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(OpenError::NotALock(path.to_owned()));
    }
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
    private()
        .read(true)
        .create(true)
        .truncate(false)
        .custom_flags(flags)
        .open(path)
        .map_err(|error| OpenError::io(path, "created", &error))
}

fn lock_database(path: &Path) -> Result<File, OpenError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create_private(path).and_then(|()| File::open(path).map_err(|error| OpenError::io(path, "read", &error)))?
        }
        opened => opened.map_err(|error| OpenError::io(path, "read", &error))?,
    };
    lock_exclusively(&file, path, path)?;
    Ok(file)
}

/// A command that looks whether a server runs holds a lock for a moment, and so does a program that is just being started.
fn lock_exclusively(file: &File, path: &Path, database: &Path) -> Result<(), OpenError> {
    const TRIES: u32 = 50;
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            Err(TryLockError::Error(error)) => return Err(OpenError::io(path, "locked", &error)),
        }
    }
    Err(OpenError::InUse(database.to_owned()))
}

fn is_locked(file: &File) -> bool {
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Which file it is, whatever its name: device and inode.
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

/// The three files of an open database: itself, the write-ahead log, and the index of that.
const OPEN_FILES: [&str; 3] = ["", "-wal", "-shm"];

/// Which files a database consisted of when it was opened. What is written while one of them is not at its place any more
/// is lost, or destroys what others write.
#[derive(Debug)]
pub(super) struct OpenFiles {
    paths: [PathBuf; 3],
    identities: [Identity; 3],
}

impl OpenFiles {
    /// Those that are there now. A connection must be open.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let paths = OPEN_FILES.map(|suffix| beside(path, suffix));
        let [database, log, index] = &paths;
        let identities = [Identity::of(database)?, Identity::of(log)?, Identity::of(index)?];
        Ok(Self { paths, identities })
    }

    /// Those that the server noted. `None`: it did not, or there is no lock.
    fn noted(path: &Path) -> Option<Self> {
        let mut text = String::new();
        open_regular(&beside(path, ".lock"))?.read_to_string(&mut text).ok()?;
        let numbers: Vec<u64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
        let identities: Vec<Identity> = numbers.chunks_exact(2).map(|pair| Identity(pair[0], pair[1])).collect();
        let paths = OPEN_FILES.map(|suffix| beside(path, suffix));
        Some(Self { paths, identities: identities.try_into().ok()? })
    }

    pub(super) fn database(&self) -> (&Path, Identity) {
        (&self.paths[0], self.identities[0])
    }

    pub(super) fn paths(&self) -> &[PathBuf; 3] {
        &self.paths
    }

    /// Whether the log of these files stands beside another database, which it would be laid over.
    fn left_its_log_beside_another(&self) -> bool {
        let [database, log, _] = &self.paths;
        let is_another = Identity::of(database).is_ok_and(|found| found != self.identities[0]);
        let has_changes = std::fs::metadata(log).is_ok_and(|log| log.len() > 0);
        is_another && has_changes && Identity::of(log).ok() == Some(self.identities[1])
    }

    /// Fails unless each is where it was.
    pub(super) fn check(&self) -> Result<(), Displaced> {
        let mut files = self.paths.iter().zip(&self.identities);
        let displaced = files.find(|(path, identity)| Identity::of(path).ok().as_ref() != Some(identity));
        displaced.map_or(Ok(()), |(path, _)| Err(Displaced(path.clone())))
    }
}

/// A file of an open database is not at its place any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} was removed or replaced; if it is the database file, put it back first; then stop the server with SIGTERM, so that \
     it saves what it holds, and start it again", .0.display()
)]
pub struct Displaced(PathBuf);

/// Refuses a database beside whose server nothing can be written, because it has other files open than are there.
/// For those who work beside a server, and only before this process has the database open (see `inspect`).
pub(super) fn refuse_displaced(path: &Path) -> Result<(), OpenError> {
    // Under another name of its file a server seems to have lost its log.
    if let Ok(metadata) = std::fs::metadata(path) {
        refuse_links(path, &metadata)?;
    }
    let lock = open_regular(&beside(path, ".lock"));
    let is_served = lock.as_ref().is_some_and(is_locked);
    let checked = match lock.and_then(|_| OpenFiles::noted(path)) {
        Some(noted) => noted.check(),
        None if is_served => return Ok(()), // it is about to start
        None => OPEN_FILES
            .iter()
            .map(|suffix| beside(path, suffix))
            .find(|name| !name.exists())
            .map_or(Ok(()), |name| Err(Displaced(name))),
    };
    match checked {
        Err(displaced) if is_served || open_regular(path).as_ref().is_some_and(is_locked) => {
            Err(OpenError::Displaced { path: path.to_owned(), displaced })
        }
        _ => Ok(()),
    }
}

fn open_regular(path: &Path) -> Option<File> {
    let found = std::fs::symlink_metadata(path).ok()?;
    found.is_file().then(|| File::open(path).ok()).flatten()
}

/// The mode of the folder, where other users of the machine can reach it: the files are private, but their names and
/// sizes, and with write permission the files themselves, are within reach.
pub(super) fn open_folder(path: &Path) -> Option<(&Path, u32)> {
    let folder = folder_of(path);
    let mode = std::fs::metadata(folder).ok()?.permissions().mode() & 0o777;
    (mode & 0o007 != 0).then_some((folder, mode))
}

pub(super) fn warn_of_open_folder(path: &Path) {
    if let Some((folder, mode)) = open_folder(path) {
        tracing::warn!(
            folder = %folder.display(),
            "other users can reach the database's folder (mode {mode:03o}); a folder of its own with 'chmod 700' is safer"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many descriptors of this process are open on a file, which may have lost its name.
    fn descriptors(of: Identity) -> usize {
        let all = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        all.filter(|entry| Identity::of(&entry.path()).ok() == Some(of)).count()
    }

    /// One try, which comes to nothing on a machine that stands still for as long as a lock is waited for.
    fn lock_that_is_replaced_meanwhile_is_left_for_the_new_one() -> Result<(), OpenError> {
        // given: somebody holds the lock, and somebody else waits for it
        let folder = tempfile::tempdir().unwrap();
        let (database, path) = (folder.path().join("usher.db"), folder.path().join("usher.db.lock"));
        let held = open_lock(&path).unwrap();
        held.lock().unwrap();
        let old = Identity::of(&path).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| Lock::acquire(&database));
            while descriptors(old) < 2 && !waiting.is_finished() {
                std::thread::yield_now();
            }

            // when: it is replaced, and then let go
            let draft = folder.path().join("new");
            std::fs::write(&draft, "").unwrap();
            std::fs::rename(&draft, &path).unwrap();
            drop(held);

            // then: the one is locked that others find
            let _lock = waiting.join().unwrap()?;
            assert!(is_locked(&File::open(&path).unwrap()));
            Ok(())
        })
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_lock_that_was_replaced_while_it_was_waited_for_is_taken_again_by_its_name() {
        let outcome = (0..100).map(|_| lock_that_is_replaced_meanwhile_is_left_for_the_new_one());
        let mut decided = outcome.filter(|outcome| !matches!(outcome, Err(OpenError::InUse(_))));
        decided.next().expect("one of them is decided").unwrap();
    }

    #[test]
    fn a_log_that_came_to_stand_beside_another_file_before_the_lock_was_had_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let [database, log, index, lock, moved] =
            ["", "-wal", "-shm", ".lock", ".moved"].map(|suffix| folder.path().join(format!("usher.db{suffix}")));
        for path in [&database, &log, &index] {
            std::fs::write(path, "something").unwrap();
        }
        Lock::acquire(&database).unwrap().note(&OpenFiles::of(&database).unwrap());
        std::fs::rename(&database, &moved).unwrap();
        std::fs::write(&database, "another").unwrap();
        let noted = std::fs::read(&lock).unwrap();

        assert!(matches!(Lock::acquire(&database), Err(OpenError::LogOfAnother(_))));

        assert!(!noted.is_empty() && std::fs::read(&lock).unwrap() == noted, "what it says is kept for the next one");
        std::fs::rename(&moved, &database).unwrap();
        assert!(Lock::acquire(&database).is_ok());
    }
}
