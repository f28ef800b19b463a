//! Threads for work that writes, scans or waits, which must not run on an async worker.

use super::connection::{Manager, WRITER_WAIT};
use crate::domain::Error;
use rusqlite::Connection;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel},
    },
    thread::JoinHandle,
    time::Instant,
};
use tokio::sync::oneshot;

pub(super) type Pool = r2d2::Pool<Manager>;

/// Work on a connection of a pool.
pub(super) type Job = Box<dyn FnOnce(&Pool) + Send>;

/// The maximum number of waiting jobs. Beyond it, callers get "overloaded" at once.
const QUEUE: usize = 4096;

/// How long a caller waits. Callers whose time is over get "overloaded".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Five seconds until the job begins; then as long as it takes.
    UntilBegun,
    /// Five seconds in all.
    UntilDone,
    /// No limit.
    Endless,
}

/// Threads that run jobs in order. Dropping this waits for the accepted jobs.
pub(super) struct Threads<J> {
    jobs: Option<SyncSender<J>>,
    /// Jobs that no thread has taken.
    waiting: Arc<AtomicUsize>,
    handles: Vec<JoinHandle<()>>,
    deadlines: Sender<(Instant, Weak<dyn GiveUp>)>,
}

/// The threads' end of the queue.
pub(super) struct Queue<J> {
    jobs: Arc<Mutex<Receiver<J>>>,
    waiting: Arc<AtomicUsize>,
}

impl<J> Queue<J> {
    /// The next job. Waits for one, and returns `None` when no more will come.
    pub(super) fn next(&self) -> Option<J> {
        let job = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(job)
    }

    /// The next job, if one is waiting.
    pub(super) fn next_waiting(&self) -> Option<J> {
        let job = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).try_recv().ok()?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(job)
    }
}

impl<J: Send + 'static> Threads<J> {
    /// Starts threads that call `run`, which takes jobs until no more come, and one that watches the deadlines of callers.
    pub(super) fn start(
        name: &str,
        count: u32,
        run: impl Fn(&Queue<J>) + Clone + Send + 'static,
    ) -> std::io::Result<Self> {
        let (jobs, queue) = sync_channel::<J>(QUEUE);
        let (queue, waiting) = (Arc::new(Mutex::new(queue)), Arc::<AtomicUsize>::default());
        let start = |n: u32| {
            let (run, queue) = (run.clone(), Queue { jobs: queue.clone(), waiting: waiting.clone() });
            std::thread::Builder::new().name(format!("{name}-{n}")).spawn(move || run(&queue))
        };
        let handles = (0..count).map(start).collect::<Result<_, _>>()?;
        let (deadlines, due) = channel();
        // This thread is not joined: it ends by itself, a few seconds after the last job.
        std::thread::Builder::new().name(format!("{name}-due")).spawn(move || watch(&due))?;
        Ok(Self { jobs: Some(jobs), waiting, handles, deadlines })
    }

    /// How many jobs no thread has taken.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Sends a job to the threads, and waits for its answer.
    pub(super) async fn send<T: Send + 'static>(
        &self,
        patience: Patience,
        job: impl FnOnce(Arc<Turn<T>>) -> J,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let turn = Arc::new(Turn::new(answer, patience));
        let job = job(turn.clone());
        let jobs = self.jobs.as_ref().expect("only Drop takes the sender");
        self.waiting.fetch_add(1, Ordering::Relaxed); // before it is sent, so that the count never underflows
        let sent = jobs.try_send(job);
        if let Err(refused) = sent {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(match refused {
                TrySendError::Full(_) => Error::Overloaded,
                TrySendError::Disconnected(_) => Error::Internal("the database threads are gone".into()),
            });
        }
        if let Some(until) = turn.until {
            let waits: Weak<Turn<T>> = Arc::downgrade(&turn);
            let _ = self.deadlines.send((until, waits)); // the other end lives as long as this one
        }
        drop(turn); // so that a panicking job drops the only sender of its answer
        answered.await.unwrap_or_else(|_| Err(Error::Internal("a database job panicked".into())))
    }
}

impl Threads<Job> {
    /// Starts one thread for each connection of the pool.
    pub(super) fn over(name: &str, pool: &Pool) -> std::io::Result<Self> {
        let pool = pool.clone();
        Self::start(name, pool.max_size(), move |queue| {
            while let Some(job) = queue.next() {
                // A job that panics loses its answer, not the thread: its connection rolls back when dropped.
                let _ = catch_unwind(AssertUnwindSafe(|| job(&pool)));
            }
        })
    }

    /// Runs `work` on one of the threads. A job that is given up before it begins never runs.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        patience: Patience,
        work: impl FnOnce(&mut Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.send(patience, |turn: Arc<Turn<T>>| {
            let job: Job = Box::new(move |pool| {
                if turn.begin() {
                    let connection = pool.get().map_err(|error| Error::Storage(error.to_string()));
                    turn.answer(connection.and_then(|mut connection| work(&mut connection)));
                }
            });
            job
        })
        .await
    }
}

/// The state between a job and its caller: the job begins, or the caller gives up, whichever comes first.
pub(super) struct Turn<T> {
    patience: Patience,
    /// When the caller gives up.
    until: Option<Instant>,
    stage: Mutex<Stage<T>>,
}

enum Stage<T> {
    Waiting(oneshot::Sender<Result<T, Error>>),
    Begun(oneshot::Sender<Result<T, Error>>),
    /// Answered, or given up.
    Over,
}

impl<T> Turn<T> {
    fn new(answer: oneshot::Sender<Result<T, Error>>, patience: Patience) -> Self {
        let until = (patience != Patience::Endless).then(|| Instant::now() + WRITER_WAIT);
        Self { patience, until, stage: Mutex::new(Stage::Waiting(answer)) }
    }

    fn stage(&self) -> MutexGuard<'_, Stage<T>> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns `false` if the caller gave up.
    pub(super) fn begin(&self) -> bool {
        let mut stage = self.stage();
        match std::mem::replace(&mut *stage, Stage::Over) {
            Stage::Waiting(answer) => *stage = Stage::Begun(answer),
            Stage::Begun(_) | Stage::Over => return false,
        }
        true
    }

    /// The caller may have disconnected; the work is done all the same.
    pub(super) fn answer(&self, result: Result<T, Error>) {
        if let Stage::Begun(answer) = std::mem::replace(&mut *self.stage(), Stage::Over) {
            let _ = answer.send(result);
        }
    }

    /// Whether the caller already got "overloaded".
    pub(super) fn is_given_up(&self) -> bool {
        matches!(*self.stage(), Stage::Over)
    }

    /// Whether the caller waits for the work to be done, but not for long.
    pub(super) fn is_short(&self) -> bool {
        self.patience == Patience::UntilDone
    }

    /// How long the job may wait for other processes: no longer than its caller waits.
    pub(super) fn wait(&self) -> Instant {
        self.until.unwrap_or_else(|| Instant::now() + WRITER_WAIT)
    }
}

/// Something whose deadline can pass.
trait GiveUp: Send + Sync {
    fn give_up(&self);
}

impl<T: Send> GiveUp for Turn<T> {
    fn give_up(&self) {
        let mut stage = self.stage();
        *stage = match std::mem::replace(&mut *stage, Stage::Over) {
            begun @ Stage::Begun(_) if self.patience == Patience::UntilBegun => begun,
            Stage::Waiting(answer) | Stage::Begun(answer) => {
                let _ = answer.send(Err(Error::Overloaded));
                Stage::Over
            }
            Stage::Over => Stage::Over,
        };
    }
}

/// All callers have the same time limit, so deadlines arrive in order. A separate thread is needed because commands
/// have no runtime with timers.
fn watch(due: &Receiver<(Instant, Weak<dyn GiveUp>)>) {
    for (until, turn) in due {
        if turn.strong_count() > 0 {
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
        }
        if let Some(turn) = turn.upgrade() {
            turn.give_up();
        }
    }
}

impl<J> Drop for Threads<J> {
    fn drop(&mut self) {
        drop(self.jobs.take());
        for handle in self.handles.drain(..) {
            let _ = handle.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_begun_is_waited_for_by_who_is_patient_until_it_begins() {
        for (patience, answered) in [(Patience::UntilBegun, Ok(1)), (Patience::UntilDone, Err(Error::Overloaded))] {
            let (answer, mut received) = oneshot::channel();
            let turn = Turn::new(answer, patience);
            assert!(turn.begin());
            turn.give_up();
            turn.answer(Ok(1));
            assert_eq!(received.try_recv().expect("an answer"), answered);
        }
    }
}
