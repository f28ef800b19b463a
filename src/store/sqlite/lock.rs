//! The right to serve or migrate a database: a lock file next to it.

use super::{
    file,
    open_error::{Displaced, OpenError},
    open_files::{Identity, OPEN_FILES, OpenFiles, open_regular},
    paths::with_suffix,
};
use rustix::fs::OFlags;
use std::{
    fs::{File, Permissions, TryLockError},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    time::Duration,
};

/// The right to serve or migrate a database, held until dropped. It is an exclusive lock on `<database>.lock`, and on Linux
/// another on the database itself. The first exists before the database does. The second still holds if the lock file is
/// deleted, and for other names of the same file, such as a bind mount.
///
/// Drop it after the last connection: closing the database file drops the locks that SQLite holds on it.
#[derive(Debug)]
pub struct Lock {
    /// Released before `name`: if the name is free, so is the database.
    _database: Option<File>,
    name: File,
}

impl Lock {
    pub(super) fn acquire(database: &Path) -> Result<Self, OpenError> {
        let path = with_suffix(database, ".lock");
        loop {
            let name = open_lock(&path)?;
            lock_exclusively(&name, &path, database)?;
            // If the file was deleted or replaced before it was locked, others use another one: try again.
            let locked = name.metadata().map_err(|error| OpenError::io(&path, "read", &error))?;
            if Identity::of(&path).ok() == Some(Identity::from(&locked)) {
                if OpenFiles::recorded(database).is_some_and(|recorded| recorded.log_is_at_another_database()) {
                    return Err(OpenError::LogOfAnother(database.to_owned()));
                }
                let _ = name.set_len(0); // forget the files of the previous holder
                let database = if LOCKS_ARE_INDEPENDENT { Some(lock_database(database)?) } else { None };
                return Ok(Self { name, _database: database });
            }
        }
    }

    /// Records in the lock file which files the server has open, for commands that run meanwhile.
    pub(super) fn record(&self, open: &OpenFiles) {
        // On a full disk they are not recorded, and commands notice only missing files.
        let _ = self.name.write_all_at(open.to_record().as_bytes(), 0);
    }
}

/// Creates an empty, private file for a copy, locked while it is open.
pub(super) fn create_draft(path: &Path) -> Result<File, OpenError> {
    let file = open_lock(path)?;
    if LOCKS_ARE_INDEPENDENT {
        lock_exclusively(&file, path, path)?;
    }
    file.set_len(0)
        .and_then(|()| file.set_permissions(Permissions::from_mode(0o600)))
        .map_err(|error| OpenError::io(path, "written", &error))?;
    Ok(file)
}

/// Whether flock and the POSIX locks that SQLite uses are independent. On BSD and macOS, flock would lock SQLite out.
const LOCKS_ARE_INDEPENDENT: bool = cfg!(target_os = "linux");

/// Opens or creates the file to lock. Opening a pipe would wait for its other end, and opening a device may do anything.
fn open_lock(path: &Path) -> Result<File, OpenError> {
    if std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(OpenError::NotALock(path.to_owned()));
    }
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
    file::private()
        .read(true)
        .create(true)
        .truncate(false)
        .custom_flags(flags)
        .open(path)
        .map_err(|error| OpenError::io(path, "created", &error))
}

fn lock_database(path: &Path) -> Result<File, OpenError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => file::create_private(path)
            .and_then(|()| File::open(path).map_err(|error| OpenError::io(path, "read", &error)))?,
        opened => opened.map_err(|error| OpenError::io(path, "read", &error))?,
    };
    lock_exclusively(&file, path, path)?;
    Ok(file)
}

/// Tries for half a second: commands that check for a server, and servers that are starting, hold a lock briefly.
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

/// Refuses a database if its server has other files open than those in place: writes would be lost. For processes that
/// work while a server runs. Call it before this process opens the database (see `inspect`).
pub(super) fn refuse_displaced(path: &Path) -> Result<(), OpenError> {
    refuse_displaced_with(path, || ())
}

/// The same, with what others do at its most delicate moment.
fn refuse_displaced_with(path: &Path, meanwhile: impl FnOnce()) -> Result<(), OpenError> {
    // Under another name of the file, it would look as if the server's log was missing.
    if let Ok(metadata) = std::fs::metadata(path) {
        file::refuse_links(path, &metadata)?;
    }
    let lock = with_suffix(path, ".lock");
    // If the lock is free, it is held until the end, so that nobody starts between the first look and the last.
    let name = open_regular(&lock);
    let is_served = name.as_ref().is_some_and(is_locked);
    let checked = match name.as_ref().and_then(|_| OpenFiles::recorded(path)) {
        Some(recorded) => recorded.check(),
        None if is_served => return Ok(()), // the server is starting
        None => OPEN_FILES
            .iter()
            .map(|suffix| with_suffix(path, suffix))
            .find(|name| !name.exists())
            .map_or(Ok(()), |name| Err(Displaced(name))),
    };
    meanwhile();
    let Err(displaced) = checked else { return Ok(()) };
    if !is_served && !open_regular(path).as_ref().is_some_and(is_locked) {
        return Ok(());
    }
    if name.is_none() && lock.exists() {
        return refuse_displaced(path); // the holder of the database has only just created it
    }
    Err(OpenError::Displaced { path: path.to_owned(), displaced })
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

    /// As several `usher migrate` do to each other: the files that a server adds are not there.
    #[test]
    fn a_database_that_is_taken_while_it_is_looked_at_is_not_one_whose_server_lost_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("usher.db");
        for is_first in [true, false] {
            let mut taken = None;
            let looked = refuse_displaced_with(&database, || taken = Lock::acquire(&database).ok());
            assert!(looked.is_ok(), "{looked:?}");
            assert_eq!(taken.is_some(), is_first, "a lock that is known to be free is not taken meanwhile");
        }
        assert!(Lock::acquire(&database).is_ok());
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
        Lock::acquire(&database).unwrap().record(&OpenFiles::of(&database).unwrap());
        std::fs::rename(&database, &moved).unwrap();
        std::fs::write(&database, "another").unwrap();
        let recorded = std::fs::read(&lock).unwrap();

        assert!(matches!(Lock::acquire(&database), Err(OpenError::LogOfAnother(_))));

        assert!(
            !recorded.is_empty() && std::fs::read(&lock).unwrap() == recorded,
            "what it says is kept for the next one"
        );
        std::fs::rename(&moved, &database).unwrap();
        assert!(Lock::acquire(&database).is_ok());
    }
}
