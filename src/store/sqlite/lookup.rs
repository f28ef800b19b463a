//! The door for look-ups: connections that are used where the work stands, without waiting.

use super::{connection::Manager, threads::Pool};
use rusqlite::Connection;
use std::sync::{
    Mutex, TryLockError,
    atomic::{AtomicUsize, Ordering},
};

type Pooled = r2d2::PooledConnection<Manager>;

/// As many connections as there are threads that look rows up, taken from their pool once and for all. A thread tries
/// the same one first each time, so that what SQLite knows stays in that processor's cache.
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

    /// How many are in use right now.
    pub(super) fn in_use(&self) -> usize {
        let busy = |connection: &&Mutex<Pooled>| matches!(connection.try_lock(), Err(TryLockError::WouldBlock));
        self.connections.iter().filter(busy).count()
    }

    /// Does the work on a connection that nobody uses, or returns `None` at once.
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
