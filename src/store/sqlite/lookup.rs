//! Look-ups on the current thread, with connections that never wait.

use super::{connection::Manager, threads::Pool};
use rusqlite::Connection;
use std::sync::{
    Mutex, TryLockError,
    atomic::{AtomicUsize, Ordering},
};

type Pooled = r2d2::PooledConnection<Manager>;

/// One connection for each thread that looks up rows, taken from the pool for good. A thread always tries the same one
/// first, so that its cache stays on the same processor.
pub(super) struct Lookups {
    connections: Vec<Mutex<Pooled>>,
}

impl Lookups {
    pub(super) fn take_all(pool: &Pool) -> Result<Self, r2d2::Error> {
        let connections = (0..pool.max_size()).map(|_| pool.get().map(Mutex::new)).collect::<Result<_, _>>()?;
        Ok(Self { connections })
    }

    pub(super) fn count(&self) -> usize {
        self.connections.len()
    }

    /// How many connections are in use now.
    pub(super) fn in_use(&self) -> usize {
        let busy = |connection: &&Mutex<Pooled>| matches!(connection.try_lock(), Err(TryLockError::WouldBlock));
        self.connections.iter().filter(busy).count()
    }

    /// Runs the work on a free connection, or returns `None` if there is none.
    pub(super) fn with<T>(&self, work: impl FnOnce(&Connection) -> T) -> Option<T> {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static OWN: usize = THREADS.fetch_add(1, Ordering::Relaxed);
        }
        let count = self.connections.len();
        let own = OWN.with(|own| *own);
        let free = (0..count).find_map(|n| match self.connections[(own + n) % count].try_lock() {
            Ok(connection) => Some(connection),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()), // a look-up leaves nothing behind
            Err(TryLockError::WouldBlock) => None,
        });
        free.map(|connection| work(&connection))
    }
}
