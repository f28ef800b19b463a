//! The database: the only room that knows SQL.
//!
//! There are three doors. `point` looks rows up by key where it stands, on the async worker, because handing such work to
//! another thread costs more than the work; a method of `Reader` that is meant for it says so. `write` runs one
//! IMMEDIATE transaction on the writer's thread, and `scan` reads what may take long on others. Statements live beside
//! their row mappers, in files that are named after what they are about. No name of an SQL library leaves this folder.

mod audit;
mod audit_list;
mod backup;
mod check;
mod connection;
mod error;
mod file;
mod invitations;
mod maintenance;
mod measures;
mod migrate;
mod points;
mod policy;
mod records;
mod sessions;
mod threads;
mod throttle;
mod user_list;
mod users;

use crate::{
    clock::Clock,
    domain::{Action, AuditEvent, Caller, ChainPoint, Error, Timestamp, UserId},
};
pub use audit::Pruned;
pub use check::{Finding, Verdict};
use connection::Purpose;
use error::OrDomain;
use file::{Identity, OpenFiles};
pub use file::{Lock, OpenError, locate};
pub use measures::{Rows, StoreMeasures};
pub use migrate::{Prepared, SchemaStatus};
use points::Points;
use rusqlite::Connection;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use threads::{Patience, Pool, Threads};

/// The bundled SQLite must have the fix of the WAL-reset bug (sqlite.org/wal.html, section 11).
const NEEDED_SQLITE: (i32, &str) = (3_051_003, "3.51.3");

/// While one long list is read, look-ups that found no connection free still have a thread.
const SCAN_THREADS: u32 = 2;

/// An open database. Dropping it finishes what has been taken on.
pub struct Store {
    files: Arc<OpenFiles>,
    clock: Clock,
    points: Points,
    /// Until when transactions may wait for other processes, once the server is to end.
    end: Arc<OnceLock<Instant>>,
    /// How many look-ups had to run on a thread.
    fallbacks: AtomicU64,
    writer: Threads,
    scans: Threads,
    /// Last, because it must be dropped after the connections.
    _lock: Option<Lock>,
}

impl Store {
    /// Takes the right to serve or migrate a database. A file that is not ours is refused before anything is put beside it.
    pub fn lock(path: &Path) -> Result<Lock, OpenError> {
        Self::schema_status(path)?;
        Lock::acquire(path)
    }

    /// Makes the database if there is none, and brings an older one up to date. Holding the lock is what allows it.
    pub fn prepare(path: &Path, lock: &Lock) -> Result<Prepared, OpenError> {
        check_sqlite()?;
        migrate::prepare(path, lock)
    }

    /// How the file's schema compares with this program's, without writing.
    pub fn schema_status(path: &Path) -> Result<SchemaStatus, OpenError> {
        check_sqlite()?;
        file::refuse_displaced(path)?;
        migrate::status(path)
    }

    /// The policy with which a server was last started on the database, by the names of its settings; empty if none was.
    pub fn policy(path: &Path) -> Result<BTreeMap<String, String>, OpenError> {
        check_sqlite()?;
        file::refuse_displaced(path)?;
        policy::read(path)
    }

    /// Opens a database whose schema is up to date, perhaps beside a server. `workers` is how many threads look rows up at
    /// the same time.
    pub fn open(path: &Path, workers: u32, clock: Clock) -> Result<Self, OpenError> {
        file::refuse_displaced(path)?;
        Self::open_with(path, workers, clock, None)
    }

    /// The same for the server, which holds the lock for as long as the database is open.
    pub fn open_locked(path: &Path, workers: u32, clock: Clock, lock: Lock) -> Result<Self, OpenError> {
        Self::open_with(path, workers, clock, Some(lock))
    }

    fn open_with(path: &Path, workers: u32, clock: Clock, lock: Option<Lock>) -> Result<Self, OpenError> {
        check_sqlite()?;
        migrate::require_current(path)?;
        file::warn_of_open_folder(path);
        file::warn_of_read_only(path);
        let opened = Identity::of(path).map_err(|error| OpenError::io(path, "read", &error))?;
        let opener = Arc::new(scheduled_thread_pool());
        let pool = |purpose, size| build_pool(path, opened, purpose, size, opener.clone());
        let (writing, scanning) = (pool(Purpose::Thread, 1)?, pool(Purpose::Thread, SCAN_THREADS)?);
        let threads = |name, pool: &Pool| {
            Threads::start(name, pool.max_size(), pool).map_err(|error| OpenError::io(path, "opened", &error))
        };
        let points = Points::take_all(&pool(Purpose::Point, workers)?)
            .map_err(|error| OpenError::Unsafe { path: path.to_owned(), reason: error.to_string() })?;
        let files = OpenFiles::of(path).map_err(|error| OpenError::io(path, "opened", &error))?;
        if let Some(lock) = &lock {
            lock.note(&files);
        }
        Ok(Self {
            files: Arc::new(files),
            clock,
            points,
            end: Arc::default(),
            fallbacks: AtomicU64::new(0),
            writer: threads("usher-writer", &writing)?,
            scans: threads("usher-scan", &scanning)?,
            _lock: lock,
        })
    }

    /// Looks rows up by key, here and now; the work must take microseconds. Where every connection is in use or the
    /// file is locked, the same work runs on a thread that may wait.
    pub async fn point<T: Send + 'static>(
        &self,
        work: impl Fn(&Reader<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let here = self.points.with(|connection| work(&Reader { connection }));
        match here {
            None | Some(Err(Error::Overloaded)) => {
                self.fallbacks.fetch_add(1, Ordering::Relaxed);
                self.scan(work).await
            }
            Some(found) => found,
        }
    }

    /// Reads what may take long: lists, searches, counts. It begins within five seconds, or not at all.
    pub async fn scan<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.scans.run(Patience::UntilBegun, move |connection, _| work(&Reader { connection })).await
    }

    /// Runs one transaction, which is on disk when this returns `Ok` and has left no trace when it returns `Err`.
    /// What the work records is written to the audit log in the same transaction.
    ///
    /// After five seconds this returns [`Error::Overloaded`], whatever the writer does, and a transaction that is not being
    /// committed by then leaves no trace either. Only of one that is (a disk that takes seconds for a commit) nobody can
    /// say at that moment what will come of it.
    pub async fn write<T: Send + 'static>(
        &self,
        caller: &Caller,
        work: impl FnOnce(&mut Writer<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.write_with(Patience::UntilDone, caller, work).await
    }

    /// The same for work that nobody waits for with a request, or that takes long by its nature: it waits for its turn.
    pub async fn write_without_deadline<T: Send + 'static>(
        &self,
        caller: &Caller,
        work: impl FnOnce(&mut Writer<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.write_with(Patience::Endless, caller, work).await
    }

    async fn write_with<T: Send + 'static>(
        &self,
        patience: Patience,
        caller: &Caller,
        work: impl FnOnce(&mut Writer<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (caller, clock) = (caller.clone(), self.clock.clone());
        let (files, end) = (self.files.clone(), self.end.clone());
        self.writer
            .run(patience, move |connection, turn| {
                connection::make_writable(connection, &files).or_domain()?;
                let transaction =
                    connection::begin_within(connection, turn.wait(), || end.get().copied()).or_domain()?;
                migrate::require_not_migrated(&transaction)?;
                let reader = Reader { connection: &transaction };
                let mut writer = Writer { reader, caller, now: clock.now(), events: Vec::new() };
                let value = work(&mut writer)?;
                let events = std::mem::take(&mut writer.events);
                writer.append_audit(&events)?;
                still_there(&files)?; // what goes into a file that was removed is lost, and not confirmed
                if turn.is_given_up() {
                    return Err(Error::Overloaded); // the caller has been told so
                }
                transaction.commit().or_domain()?;
                Ok(value)
            })
            .await
    }

    /// From now on no transaction waits for other processes beyond `end`, also one that waits already.
    pub fn end_by(&self, end: Instant) {
        let _ = self.end.set(end); // the server ends once
    }

    /// Copies a database into a new, private file, also while a server writes to it: verified, and as it is at one moment,
    /// with everything that was confirmed before. Returns where the copy's audit log ends. This process must not have the
    /// database open.
    pub fn back_up(path: &Path, target: &Path) -> Result<ChainPoint, OpenError> {
        check_sqlite()?;
        file::refuse_displaced(path)?;
        migrate::require_current(path)?;
        backup::back_up(path, target)
    }

    /// Looks at a database from all sides, also while a server runs on it, and changes nothing. `tell` hears of each
    /// subject in turn. A point of the audit log that was kept elsewhere is looked for in it.
    pub fn examine(
        path: &Path,
        now: Timestamp,
        kept: Option<ChainPoint>,
        tell: &mut dyn FnMut(Finding),
    ) -> Option<ChainPoint> {
        check::examine(path, now, kept, tell)
    }

    /// Whether the database answers, and still consists of the files that were opened.
    pub async fn check(&self) -> Result<(), Error> {
        still_there(&self.files)?;
        self.point(|reader| reader.connection.query_row("SELECT 1 FROM audit_state", [], |_| Ok(())).or_domain()).await
    }
}

fn still_there(files: &OpenFiles) -> Result<(), Error> {
    files.check().map_err(|displaced| Error::Storage(displaced.to_string()))
}

/// The bundled library is new enough today; this is for builds that link another one.
fn check_sqlite() -> Result<(), OpenError> {
    let (needed, text) = NEEDED_SQLITE;
    if rusqlite::version_number() < needed {
        return Err(OpenError::OldSqlite { found: rusqlite::version(), needed: text });
    }
    Ok(())
}

/// One thread opens the connections of all pools.
fn scheduled_thread_pool() -> scheduled_thread_pool::ScheduledThreadPool {
    scheduled_thread_pool::ScheduledThreadPool::builder().num_threads(1).thread_name_pattern("usher-open").build()
}

/// A pool whose connections stay open: one that is opened later could be of another file under the same name.
fn build_pool(
    path: &Path,
    opened: Identity,
    purpose: Purpose,
    size: u32,
    opener: Arc<scheduled_thread_pool::ScheduledThreadPool>,
) -> Result<Pool, OpenError> {
    let name = path.to_owned();
    let manager = r2d2_sqlite::SqliteConnectionManager::file(path)
        .with_flags(connection::flags())
        .with_init(move |connection| connection::prepare(connection, purpose, &name, opened));
    r2d2::Pool::builder()
        .max_size(size)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_on_check_out(false)
        .connection_timeout(Duration::from_secs(5))
        .thread_pool(opener)
        .build(manager)
        .map_err(|error| OpenError::Unsafe { path: path.to_owned(), reason: error.to_string() })
}

/// Reads. What it finds is true at one moment and may be history the next.
pub struct Reader<'c> {
    connection: &'c Connection,
}

/// Reads and writes within one transaction, on behalf of one caller.
pub struct Writer<'c> {
    reader: Reader<'c>,
    caller: Caller,
    now: Timestamp,
    events: Vec<AuditEvent>,
}

impl<'c> std::ops::Deref for Writer<'c> {
    type Target = Reader<'c>;

    fn deref(&self) -> &Reader<'c> {
        &self.reader
    }
}

impl Writer<'_> {
    /// Notes for the audit log what is being done, and to whose account.
    pub fn record(&mut self, action: Action, subject: Option<UserId>) {
        let event = AuditEvent::new(self.now, action, &self.caller, subject);
        self.events.push(event);
    }

    /// The same for what is done with somebody else's leave.
    pub fn record_by(&mut self, actor: Option<UserId>, action: Action, subject: Option<UserId>) {
        let event = AuditEvent::new(self.now, action, &self.caller, subject);
        self.events.push(AuditEvent { actor, ..event });
    }

    /// The same for several alike; none are no entry.
    pub fn record_times(&mut self, action: Action, subject: Option<UserId>, count: u32) {
        if count > 0 {
            self.events.push(AuditEvent::new(self.now, action, &self.caller, subject).times(count));
        }
    }

    /// Notes something that happened before, or stands for several.
    pub fn record_event(&mut self, event: AuditEvent) {
        self.events.push(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AuditFilter;
    use futures_executor::block_on;

    fn store() -> (tempfile::TempDir, Arc<Store>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usher.db");
        let lock = Store::lock(&path).unwrap();
        Store::prepare(&path, &lock).unwrap();
        (folder, Arc::new(Store::open(&path, 1, Clock::System).unwrap()))
    }

    #[test]
    fn a_look_up_that_finds_no_connection_free_runs_on_a_thread() {
        let (_folder, store) = store();
        let other = store.clone();
        let found = store.point(move |_| {
            // The only connection is in use by this very look-up.
            let other = other.clone();
            let look_up = move || block_on(other.point(|_| Ok(std::thread::current().name().map(str::to_owned))));
            std::thread::spawn(look_up).join().expect("it does not panic")
        });
        assert!(block_on(found).unwrap().unwrap().starts_with("usher-scan"));
        assert_eq!(store.measures().fallbacks, 1);
    }

    #[test]
    fn a_look_up_that_finds_no_connection_free_is_answered_while_a_long_scan_goes_on() {
        let (_folder, store) = store();
        let (begin, begun) = std::sync::mpsc::channel();
        let (release, held) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let scan = scope.spawn(|| {
                block_on(store.scan(move |_| {
                    begin.send(()).unwrap();
                    Ok(held.recv())
                }))
            });
            begun.recv().unwrap();
            let other = store.clone();
            let found = store.point(move |_| {
                // The only connection is in use by this very look-up.
                let other = other.clone();
                std::thread::spawn(move || block_on(other.point(|reader| reader.has_enabled_admin()))).join().unwrap()
            });
            assert_eq!(block_on(found), Ok(false));
            drop(release);
            assert!(scan.join().unwrap().is_ok());
        });
        assert_eq!(store.measures().fallbacks, 1);
    }

    #[test]
    fn a_transaction_that_fails_leaves_no_trace_and_the_writer_goes_on() {
        let (_folder, store) = store();
        let caller = Caller::shell();
        let failed: Result<(), Error> = block_on(store.write(&caller, |writer| {
            writer.record(Action::UserDeleted, None);
            Err(Error::Forbidden)
        }));
        assert_eq!(failed, Err(Error::Forbidden));
        let panicked: Result<(), Error> = block_on(store.write(&caller, |_| panic!("in a transaction")));
        assert!(matches!(panicked, Err(Error::Internal(_))));
        let recorded = store.write(&caller, |writer| {
            writer.record(Action::UserRegistered, None);
            Ok(())
        });
        block_on(recorded).unwrap();
        let count = |reader: &Reader<'_>| {
            reader
                .connection
                .query_row("SELECT group_concat(action) FROM audit", [], |row| row.get::<_, String>(0))
                .or_domain()
        };
        assert_eq!(block_on(store.point(count)).unwrap(), "user.registered");
    }
    #[test]
    fn what_was_not_answered_in_five_seconds_is_told_so_whatever_the_writer_does_and_comes_to_nothing() {
        // given
        let (_folder, store) = store();
        let caller = Caller::shell();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (begin, begun) = std::sync::mpsc::channel();
        let register = |writer: &mut Writer<'_>| {
            writer.record(Action::UserRegistered, None);
            Ok(())
        };

        // when: the first transaction holds the writer, and lets go only when both callers have been answered
        std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                block_on(store.write(&caller, move |writer| {
                    begin.send(()).unwrap();
                    held.recv().unwrap();
                    register(writer)
                }))
            });
            begun.recv().unwrap();
            let second = scope.spawn(|| block_on(store.write(&caller, register)));
            let patient = scope.spawn(|| {
                block_on(store.write_without_deadline(&caller, |writer| {
                    writer.record(Action::UserImported, None);
                    Ok(())
                }))
            });

            // then
            assert_eq!(second.join().unwrap(), Err(Error::Overloaded), "queued");
            assert_eq!(first.join().unwrap(), Err(Error::Overloaded), "begun");
            release.send(()).unwrap();
            assert_eq!(patient.join().unwrap(), Ok(()));
        });
        let actions = block_on(store.scan(|reader| reader.audit_after(&AuditFilter::default(), 0, 9))).unwrap();
        assert_eq!(actions.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(), ["user.imported"]);
    }
}
