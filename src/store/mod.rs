//! The database: the only room that knows SQL.
//!
//! There are three ways in. `point` looks up rows by key directly on the async worker, because a thread switch costs more
//! than the look-up; methods of `Reader` that are fast enough say "for `point`". `write` runs one IMMEDIATE transaction on
//! the writer's thread. `scan` runs slow reads on other threads. The statements are in `tables`, in SQL that more than one
//! engine accepts; everything specific to SQLite is in `sqlite`.

mod check;
mod sql;
mod sqlite;
mod stats;
mod tables;

use crate::{
    clock::Clock,
    domain::{
        Action, App, AuditEvent, Caller, ChainPoint, Error, LastAsked, PasswordHash, Timestamp, UserId, UserRecord,
    },
};
pub use check::{Finding, Verdict};
use sql::Sql;
use sqlite::{Engine, Patience};
pub use sqlite::{Lock, OpenError, Prepared, SchemaStatus, locate};
pub use stats::{Rows, SessionCounts, StoreStats};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};
pub use tables::Pruned;

/// An open database. Dropping it waits for the work that was accepted.
pub struct Store {
    engine: Engine,
    clock: Clock,
    /// The number of look-ups that had to run on a thread.
    fallbacks: AtomicU64,
}

impl Store {
    /// Takes the right to serve or migrate a database. A file that is not ours is refused before anything is put beside it.
    pub fn lock(path: &Path) -> Result<Lock, OpenError> {
        sqlite::lock(path)
    }

    /// Creates the database if there is none, and upgrades an older one. The caller must hold the lock.
    pub fn prepare(path: &Path, lock: &Lock) -> Result<Prepared, OpenError> {
        sqlite::prepare(path, lock)
    }

    /// Compares the file's schema version with this program's, without writing.
    pub fn schema_status(path: &Path) -> Result<SchemaStatus, OpenError> {
        sqlite::schema_status(path)
    }

    /// The policy of the last `usher serve` on the database, by the names of its settings; empty if there was none.
    pub fn policy(path: &Path) -> Result<BTreeMap<String, String>, OpenError> {
        sqlite::look(path, |reader| reader.policy())
    }

    /// The apps of a database, and when a proxy last asked about each. Those that can't be read are left out.
    pub fn apps(path: &Path) -> Result<Vec<(App, Option<LastAsked>)>, OpenError> {
        sqlite::look(path, |reader| reader.readable_apps())
    }

    /// Opens a database with the current schema, also while a server runs on it. `workers` is the number of threads
    /// that look up rows at the same time.
    pub fn open(path: &Path, workers: u32, clock: Clock) -> Result<Self, OpenError> {
        sqlite::refuse_displaced(path)?;
        Ok(Self::over(Engine::open(path, workers, None)?, clock))
    }

    /// The same for the server, which holds the lock while the database is open.
    pub fn open_locked(path: &Path, workers: u32, clock: Clock, lock: Lock) -> Result<Self, OpenError> {
        Ok(Self::over(Engine::open(path, workers, Some(lock))?, clock))
    }

    fn over(engine: Engine, clock: Clock) -> Self {
        Self { engine, clock, fallbacks: AtomicU64::new(0) }
    }

    /// Looks up rows by key on the current thread; the work must take microseconds. If every connection is in use or
    /// the file is locked, the same work runs on a thread that may wait.
    pub async fn point<T: Send + 'static>(
        &self,
        work: impl Fn(&Reader<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let here = self.engine.look_up(|sql| work(&Reader { sql }));
        match here {
            None | Some(Err(Error::Overloaded)) => {
                self.fallbacks.fetch_add(1, Ordering::Relaxed);
                self.scan(work).await
            }
            Some(found) => found,
        }
    }

    /// Runs a slow read: a list, a search or a count. It begins within five seconds, or fails with
    /// [`Error::Overloaded`].
    pub async fn scan<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.engine.scan(move |sql| work(&Reader { sql })).await
    }

    /// Runs one transaction. If this returns `Ok`, it is on disk; if it returns `Err`, it has left no trace. Audit events
    /// that the work records are written in the same transaction. The work may run again, so it must change nothing but the
    /// database.
    ///
    /// After five seconds this returns [`Error::Overloaded`], and the transaction leaves no trace; nor do others that would
    /// have been committed with it. The exception is one that is being committed at that moment, on a very slow disk: it may
    /// still succeed.
    pub async fn write<T: Send + 'static>(
        &self,
        caller: &Caller,
        work: impl Fn(&mut Writer<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.write_with(Patience::UntilDone, caller, work).await
    }

    /// The same for background work, and for work that is slow by its nature. It waits for its turn without a deadline.
    pub async fn write_without_deadline<T: Send + 'static>(
        &self,
        caller: &Caller,
        work: impl Fn(&mut Writer<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.write_with(Patience::Endless, caller, work).await
    }

    async fn write_with<T: Send + 'static>(
        &self,
        patience: Patience,
        caller: &Caller,
        work: impl Fn(&mut Writer<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (caller, clock) = (caller.clone(), self.clock.clone());
        let transact = move |sql: &dyn Sql| {
            let mut writer = Writer { reader: Reader { sql }, caller, now: clock.now(), events: Vec::new() };
            let value = work(&mut writer)?;
            writer.write_events()?;
            Ok(value)
        };
        self.engine.write(patience, transact).await
    }

    /// Passes every account to `each`, in the order of ids and from one consistent snapshot, until `each` fails. `each`
    /// gets what it returned for the account before. However long that takes, it delays no other work.
    pub async fn fold_records<T: Send + 'static, E: Send + 'static>(
        &self,
        start: T,
        each: impl FnMut(T, &UserRecord) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, Error> {
        self.engine.fold_records(start, each).await
    }

    /// From now on no transaction waits for other processes beyond `end`, not even one that is already waiting.
    pub fn end_by(&self, end: Instant) {
        self.engine.end_by(end);
    }

    /// Copies a database into a new, private file, also while a server writes to it. The copy is verified, and is a
    /// consistent snapshot with everything confirmed before. Returns the end of its audit log. This process must not
    /// have the database open.
    pub fn back_up(path: &Path, target: &Path) -> Result<ChainPoint, OpenError> {
        sqlite::back_up(path, target)
    }

    /// Checks a database, also while a server runs on it, and changes nothing. Calls `report` for each subject in turn.
    /// If a point of the audit log was kept elsewhere (`kept`), checks that the log contains it. `hash_fault` says what
    /// is wrong with a stored hash.
    pub fn examine(
        path: &Path,
        now: Timestamp,
        kept: Option<ChainPoint>,
        hash_fault: fn(&PasswordHash) -> Option<String>,
        report: &mut dyn FnMut(Finding),
    ) -> Option<ChainPoint> {
        sqlite::examine(path, now, kept, hash_fault, report)
    }

    /// Whether the database answers, and its files are still those that were opened.
    pub async fn check(&self) -> Result<(), Error> {
        self.engine.still_there()?;
        self.point(|reader| reader.audit_head().map(drop)).await
    }

    /// What `examine` finds out about the files, the disk and the version, of the database that is open.
    pub fn surroundings(&self) -> [Finding; 3] {
        self.engine.surroundings()
    }

    pub fn stats(&self) -> StoreStats {
        self.engine.stats(self.fallbacks.load(Ordering::Relaxed))
    }
}

/// Reads. Its results may be outdated as soon as they are returned.
pub struct Reader<'c> {
    sql: &'c dyn Sql,
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
    /// The time of this transaction.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// On whose behalf this is written.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Records for the audit log what is being done, and to which account.
    pub fn record(&mut self, action: Action, subject: Option<UserId>) {
        let event = AuditEvent::new(self.now, action, &self.caller, subject);
        self.events.push(event);
    }

    /// The same for an action that another account allowed, such as the creator of an invitation.
    pub fn record_by(&mut self, actor: Option<UserId>, action: Action, subject: Option<UserId>) {
        let event = AuditEvent::new(self.now, action, &self.caller, subject);
        self.events.push(AuditEvent { actor, ..event });
    }

    /// Records `count` identical events as one entry; zero records nothing.
    pub fn record_times(&mut self, action: Action, subject: Option<UserId>, count: u32) {
        if count > 0 {
            self.events.push(AuditEvent::new(self.now, action, &self.caller, subject).times(count));
        }
    }

    /// Writes what was noted so far, in work that notes very much.
    fn write_events(&mut self) -> Result<(), Error> {
        let events = std::mem::take(&mut self.events);
        self.append_audit(&events)
    }

    /// Records an event that happened before, or stands for several.
    pub fn record_event(&mut self, event: AuditEvent) {
        self.events.push(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AuditFilter;
    use futures_executor::block_on;
    use std::sync::Arc;

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
        assert_eq!(store.stats().fallbacks, 1);
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
        assert_eq!(store.stats().fallbacks, 1);
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
        let actions = |reader: &Reader<'_>| {
            Ok(reader.sql.only("SELECT group_concat(action) FROM audit", &[], |row| row.text(0).map(str::to_owned))?)
        };
        assert_eq!(block_on(store.point(actions)).unwrap(), "user.registered");
    }

    #[test]
    fn a_write_not_answered_in_five_seconds_is_overloaded_and_leaves_no_trace() {
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
