//! The thread that writes. Changes that wait at the same time are committed together, because most of what a commit takes
//! is the wait for the disk. Each is undone by itself if it fails, and none is confirmed before the commit.

use super::{
    connection,
    error::OrDomain,
    migrate,
    open_files::OpenFiles,
    still_there,
    threads::{Pool, Queue, Turn},
};
use crate::{domain::Error, store::sql::Sql};
use rusqlite::{Connection, Transaction};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

/// How many changes are committed together.
const MAX_TOGETHER: u32 = 32;
/// For how long they join one another.
pub(super) const JOIN_TIME: Duration = Duration::from_millis(5);

/// What the writer's thread works with.
#[derive(Clone)]
pub(super) struct Writing {
    pub pool: Pool,
    pub files: Arc<OpenFiles>,
    /// The deadline of waits for other processes, once the server is stopping.
    pub end: Arc<OnceLock<Instant>>,
    /// How long others join a transaction. Other processes wait for the lock meanwhile, and callers for their answers.
    pub join_time: Duration,
}

/// What one caller changes.
pub(super) trait Change: Send {
    /// Returns `false` if the caller gave up.
    fn begin(&self) -> bool;
    /// Until when it may wait for other processes.
    fn wait(&self) -> Instant;
    /// Whether it can be committed together with others: long work delays only its own answer.
    fn is_short(&self) -> bool;
    /// Whether its caller already got "overloaded".
    fn is_given_up(&self) -> bool;
    /// Runs the work, once. If this returns `false`, what it wrote must be undone.
    fn run(&mut self, sql: &Connection) -> bool;
    /// Answers with the result of the work, or with the failure of the transaction: that of a work may rest on what another
    /// one wrote in it.
    fn answer(self: Box<Self>, failure: Option<&Error>);
}

/// Work that has a caller.
pub(super) struct Asked<T, W> {
    turn: Arc<Turn<T>>,
    work: Option<W>,
    /// Nothing as long as the work has not run, and if it panicked.
    result: Option<Result<T, Error>>,
}

impl<T, W> Asked<T, W> {
    pub(super) fn new(turn: Arc<Turn<T>>, work: W) -> Self {
        Self { turn, work: Some(work), result: None }
    }
}

impl<T: Send, W: FnOnce(&dyn Sql) -> Result<T, Error> + Send> Change for Asked<T, W> {
    fn begin(&self) -> bool {
        self.turn.begin()
    }

    fn wait(&self) -> Instant {
        self.turn.wait()
    }

    fn is_short(&self) -> bool {
        self.turn.is_short()
    }

    fn is_given_up(&self) -> bool {
        self.turn.is_given_up()
    }

    fn run(&mut self, sql: &Connection) -> bool {
        let work = self.work.take().expect("it runs once");
        self.result = catch_unwind(AssertUnwindSafe(|| work(sql))).ok();
        matches!(self.result, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, failure: Option<&Error>) {
        let Self { turn, work, result } = *self;
        match (result, failure) {
            (Some(_), Some(failure)) => turn.answer(Err(failure.clone())),
            (Some(result), None) => turn.answer(result),
            (None, Some(failure)) if work.is_some() => turn.answer(Err(failure.clone())),
            (None, _) => {} // it panicked, which its caller learns from the sender that is dropped here
        }
    }
}

impl Writing {
    /// Writes until no more changes come.
    pub(super) fn run(&self, queue: &Queue<Box<dyn Change>>) {
        let mut left = None;
        while let Some(change) = left.take().or_else(|| queue.next()) {
            if change.begin() {
                left = catch_unwind(AssertUnwindSafe(|| self.write(change, queue))).ok().flatten();
            }
        }
    }

    /// Writes a change, with those that wait behind it. Returns one that can't be committed together with them.
    fn write(&self, first: Box<dyn Change>, queue: &Queue<Box<dyn Change>>) -> Option<Box<dyn Change>> {
        let mut group = Group { kept: vec![first], undone: vec![], left: None };
        let committed = self.commit(&mut group, queue);
        for change in group.kept.into_iter().chain(group.undone) {
            change.answer(committed.as_ref().err());
        }
        group.left
    }

    fn commit(&self, group: &mut Group, queue: &Queue<Box<dyn Change>>) -> Result<(), Error> {
        let mut connection = self.pool.get().map_err(|error| Error::Storage(error.to_string()))?;
        connection::make_writable(&mut connection, &self.files).or_domain()?;
        let until = group.kept[0].wait();
        let mut transaction = connection::begin_within(&connection, until, || self.end.get().copied()).or_domain()?;
        migrate::require_not_migrated(&transaction)?;
        let begun = Instant::now();
        if !group.kept[0].run(&transaction) {
            return Ok(()); // there is nothing else in the transaction
        }
        while group.has_room() && begun.elapsed() < self.join_time {
            let Some(mut next) = queue.next_waiting() else { break };
            if !next.is_short() {
                group.left = Some(next);
                break;
            }
            if !next.begin() {
                continue;
            }
            let joined = join(&mut transaction, &mut *next);
            if matches!(joined, Ok(true)) { &mut group.kept } else { &mut group.undone }.push(next);
            joined?;
        }
        still_there(&self.files)?; // writes to a removed file are lost, so they must fail
        // Who has given up got that answer already, so nothing may change.
        if group.kept.iter().any(|change| change.is_given_up()) {
            return Err(Error::Overloaded);
        }
        transaction.commit().or_domain()
    }
}

/// Changes in one transaction.
struct Group {
    /// At least one: the first, whether or not it ran.
    kept: Vec<Box<dyn Change>>,
    /// Those that failed. They are answered with the others, since they may have failed because of what those wrote.
    undone: Vec<Box<dyn Change>>,
    /// One that can't be committed together with them.
    left: Option<Box<dyn Change>>,
}

impl Group {
    fn has_room(&self) -> bool {
        self.kept[0].is_short() && self.kept.len() + self.undone.len() < MAX_TOGETHER as usize
    }
}

/// Runs a change within a transaction, or undoes it and returns `false`. Fails if the whole transaction is undone, as SQLite
/// does by itself when the disk is full.
fn join(transaction: &mut Transaction<'_>, change: &mut dyn Change) -> Result<bool, Error> {
    let savepoint = transaction.savepoint().or_domain()?;
    let is_kept = change.run(&savepoint);
    let ended = if is_kept { savepoint.commit() } else { savepoint.finish() };
    match ended {
        Ok(()) => Ok(is_kept),
        Err(_) => Err(Error::Storage("a change failed in such a way that SQLite undid those beside it, too".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        connection::{Manager, Purpose, open},
        lock,
        open_files::Identity,
        prepare,
        threads::{Patience, Threads},
    };
    use super::*;
    use futures_executor::block_on;
    use scheduled_thread_pool::ScheduledThreadPool;
    use std::sync::{Mutex, mpsc::channel};

    type Work = Box<dyn FnOnce(&dyn Sql) -> Result<i64, Error> + Send>;

    /// A database in which changes leave marks, and another connection that sees those that are committed.
    struct Marks {
        folder: tempfile::TempDir,
        writer: Threads<Box<dyn Change>>,
        other: Arc<Mutex<Connection>>,
    }

    impl Marks {
        fn new() -> Self {
            Self::joined_for(Duration::MAX)
        }

        fn joined_for(join_time: Duration) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("usher.db");
            prepare(&path, &lock(&path).unwrap()).unwrap();
            let other = open(&path).unwrap();
            other.execute_batch("CREATE TABLE marks (n INTEGER NOT NULL)").unwrap();
            let opener = Arc::new(ScheduledThreadPool::builder().num_threads(1).build());
            let manager = Manager { path: path.clone(), opened: Identity::of(&path).unwrap(), purpose: Purpose::Write };
            let writing = Writing {
                pool: manager.pool(1, 1, opener).unwrap(),
                files: Arc::new(OpenFiles::of(&path).unwrap()),
                end: Arc::default(),
                join_time,
            };
            let writer = Threads::start("marks", 1, move |queue| writing.run(queue)).unwrap();
            Self { folder, writer, other: Arc::new(Mutex::new(other)) }
        }

        /// Leaves a mark, and returns the number of marks that others see before the commit.
        fn mark(&self, n: i64) -> Work {
            let other = self.other.clone();
            Box::new(move |sql| {
                sql.change("INSERT INTO marks (n) VALUES (?1)", &[crate::store::sql::Value::Number(n)])?;
                Ok(count(&other))
            })
        }

        /// Leaves a mark, and then does something else.
        fn mark_and(&self, n: i64, then: impl FnOnce() -> Result<i64, Error> + Send + 'static) -> Work {
            let mark = self.mark(n);
            Box::new(move |sql| mark(sql).and_then(|_| then()))
        }

        fn left(&self) -> Vec<i64> {
            let other = self.other.lock().unwrap();
            let mut statement = other.prepare("SELECT n FROM marks ORDER BY n").unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        }

        /// The answers to changes that come while the writer is busy.
        fn answers(&self, changes: Vec<(Patience, Work)>) -> Vec<Result<i64, Error>> {
            self.answers_but_late(usize::MAX, changes)
        }

        /// The same where the caller of one gives up after it has run.
        fn answers_but_late(&self, late: usize, changes: Vec<(Patience, Work)>) -> Vec<Result<i64, Error>> {
            let write_as = |is_late: bool, patience, work: Work| {
                block_on(self.writer.send(patience, |turn| {
                    let change: Box<dyn Change> = Box::new(Asked::new(turn, work));
                    if is_late { Box::new(Late(change)) } else { change }
                }))
            };
            let write = |patience, work| write_as(false, patience, work);
            let ((begin, begun), (release, held)) = (channel(), channel::<()>());
            std::thread::scope(|scope| {
                let busy: Work = Box::new(move |_| {
                    begin.send(()).unwrap();
                    Ok(held.recv().map_or(0, |()| 0))
                });
                scope.spawn(|| write(Patience::Endless, busy));
                begun.recv().unwrap();
                let mut waiting = Vec::new();
                for (n, (patience, work)) in changes.into_iter().enumerate() {
                    waiting.push(scope.spawn(move || write_as(n == late, patience, work)));
                    while self.writer.waiting() <= n {
                        std::thread::yield_now();
                    }
                }
                drop(release);
                waiting.into_iter().map(|change| change.join().unwrap()).collect()
            })
        }
    }

    /// A change whose caller gives up after it has run.
    struct Late(Box<dyn Change>);

    impl Change for Late {
        fn begin(&self) -> bool {
            self.0.begin()
        }
        fn wait(&self) -> Instant {
            self.0.wait()
        }
        fn is_short(&self) -> bool {
            self.0.is_short()
        }
        fn is_given_up(&self) -> bool {
            true
        }
        fn run(&mut self, sql: &Connection) -> bool {
            self.0.run(sql)
        }
        fn answer(self: Box<Self>, failure: Option<&Error>) {
            self.0.answer(failure);
        }
    }

    fn count(other: &Mutex<Connection>) -> i64 {
        other.lock().unwrap().query_row("SELECT count(*) FROM marks", [], |row| row.get(0)).unwrap()
    }

    fn short(work: Work) -> (Patience, Work) {
        (Patience::UntilDone, work)
    }

    #[test]
    fn changes_that_wait_are_committed_together_and_one_that_fails_is_undone_alone() {
        let marks = Marks::new();
        let answers = marks.answers(vec![
            short(marks.mark(1)),
            short(marks.mark_and(2, || Err(Error::Forbidden))),
            short(marks.mark_and(3, || panic!("in a transaction"))),
            short(marks.mark(4)),
        ]);
        let panicked = Err(Error::Internal("a database job panicked".into()));
        assert_eq!(answers, [Ok(0), Err(Error::Forbidden), panicked, Ok(0)]);
        assert_eq!(marks.left(), [1, 4]);
    }

    #[test]
    fn what_was_given_up_leaves_no_trace_although_others_came_after_it() {
        let marks = Marks::new();
        let changes = (0..3).map(|n| short(marks.mark(n))).collect();
        assert_eq!(marks.answers_but_late(1, changes), vec![Err(Error::Overloaded); 3]);
        assert!(marks.left().is_empty());
    }

    #[test]
    fn a_refusal_that_may_rest_on_what_was_not_committed_is_not_told() {
        let marks = Marks::new();
        let changes = vec![short(marks.mark(1)), short(marks.mark_and(2, || Err(Error::UsernameTaken)))];
        assert_eq!(marks.answers_but_late(0, changes), vec![Err(Error::Overloaded); 2]);
        assert!(marks.left().is_empty());
    }

    #[test]
    fn the_first_of_several_fails_alone_as_well() {
        let marks = Marks::new();
        let answers = marks.answers(vec![short(marks.mark_and(1, || Err(Error::Forbidden))), short(marks.mark(2))]);
        assert_eq!(answers, [Err(Error::Forbidden), Ok(0)]);
        assert_eq!(marks.left(), [2]);
    }

    #[test]
    fn no_more_than_so_many_changes_are_committed_together() {
        let marks = Marks::new();
        let changes = (0..=i64::from(MAX_TOGETHER)).map(|n| short(marks.mark(n))).collect();
        let mut seen = marks.answers(changes);
        assert_eq!(seen.pop(), Some(Ok(MAX_TOGETHER.into())));
        assert!(seen.iter().all(|seen| *seen == Ok(0)), "{seen:?}");
    }

    #[test]
    fn nothing_joins_a_transaction_once_its_time_is_over() {
        let marks = Marks::joined_for(Duration::ZERO);
        assert_eq!(marks.answers(vec![short(marks.mark(1)), short(marks.mark(2))]), [Ok(0), Ok(1)]);
    }

    #[test]
    fn long_work_is_committed_alone() {
        let marks = Marks::new();
        let long = (Patience::Endless, marks.mark(2));
        assert_eq!(marks.answers(vec![short(marks.mark(1)), long, short(marks.mark(3))]), [Ok(0), Ok(1), Ok(2)]);
    }

    #[test]
    fn when_the_commit_fails_nobody_is_told_that_it_is_done() {
        let marks = Marks::new();
        let path = marks.folder.path().join("usher.db");
        let (from, to) = (path.clone(), path.with_extension("moved"));
        let moved = marks.mark_and(2, move || Ok(std::fs::rename(&from, &to).map_or(0, |()| 1)));
        let answers = marks.answers(vec![short(marks.mark(1)), short(moved), short(marks.mark(3))]);
        assert!(answers.iter().all(|answer| matches!(answer, Err(Error::Storage(_)))), "{answers:?}");
        assert!(marks.left().is_empty());
    }

    #[test]
    fn what_undoes_the_whole_transaction_is_a_failure_of_all_changes_in_it() {
        let marks = Marks::new();
        let mark = marks.mark(2);
        let undo: Work = Box::new(move |sql| mark(sql).and_then(|_| Ok(sql.change("ROLLBACK", &[]).map(|_| 0)?)));
        let answers = marks.answers(vec![short(marks.mark(1)), short(undo), short(marks.mark(3))]);
        assert!(answers[..2].iter().all(|answer| matches!(answer, Err(Error::Storage(_)))), "{answers:?}");
        assert_eq!((&answers[2], marks.left()), (&Ok(0), vec![3]));
    }
}
