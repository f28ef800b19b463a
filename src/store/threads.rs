//! The threaded door: work that writes, scans or waits runs here, never on an async worker.

use super::connection::WRITER_WAIT;
use crate::domain::Error;
use rusqlite::Connection;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Instant,
};
use tokio::sync::oneshot;

pub(super) type Pool = r2d2::Pool<r2d2_sqlite::SqliteConnectionManager>;
type Job = Box<dyn FnOnce(&Pool) + Send>;

/// Beyond this many waiting jobs the answer is "overloaded" at once.
const QUEUE: usize = 4096;

/// Threads that take jobs in order. Dropping this waits for what has been taken on.
pub(super) struct Threads {
    jobs: Option<SyncSender<Job>>,
    /// Jobs that no thread has begun.
    waiting: Arc<AtomicUsize>,
    handles: Vec<JoinHandle<()>>,
}

impl Threads {
    /// `count` threads over a pool with as many connections.
    pub(super) fn start(name: &str, count: u32, pool: &Pool) -> std::io::Result<Self> {
        let (jobs, queue) = sync_channel::<Job>(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        let start = |n: u32| {
            let (queue, pool) = (queue.clone(), pool.clone());
            std::thread::Builder::new().name(format!("{name}-{n}")).spawn(move || run(&queue, &pool))
        };
        let handles = (0..count).map(start).collect::<Result<_, _>>()?;
        Ok(Self { jobs: Some(jobs), waiting: Arc::default(), handles })
    }

    /// How many jobs no thread has begun.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Runs `work` on one of the threads. What has waited for longer than the writer may is given up, not begun.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let (asked, waiting) = (Instant::now(), self.waiting.clone());
        let job: Job = Box::new(move |pool| {
            waiting.fetch_sub(1, Ordering::Relaxed);
            let result = if asked.elapsed() > WRITER_WAIT {
                Err(Error::Overloaded)
            } else {
                pool.get()
                    .map_err(|error| Error::Storage(error.to_string()))
                    .and_then(|mut connection| work(&mut connection))
            };
            let _ = answer.send(result); // nobody may be waiting any more; the work is done all the same
        });
        let jobs = self.jobs.as_ref().expect("only Drop takes the sender");
        self.waiting.fetch_add(1, Ordering::Relaxed); // before it is sent, so that it is never less than none
        let Err(refused) = jobs.try_send(job) else {
            return answered.await.unwrap_or_else(|_| Err(Error::Internal("a database job panicked".into())));
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        match refused {
            TrySendError::Full(_) => Err(Error::Overloaded),
            TrySendError::Disconnected(_) => Err(Error::Internal("the database threads are gone".into())),
        }
    }
}

fn run(queue: &Mutex<Receiver<Job>>, pool: &Pool) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // A job that panics loses its answer, not the thread: its connection rolls back when dropped.
        let _ = catch_unwind(AssertUnwindSafe(|| job(pool)));
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        drop(self.jobs.take());
        for handle in self.handles.drain(..) {
            let _ = handle.join();
        }
    }
}
