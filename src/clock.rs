//! The time: the system's, or one that a test sets.

use crate::domain::Timestamp;
use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Where everything that compares or stores a time gets it from. Clones show the same time.
#[derive(Debug, Clone)]
pub enum Clock {
    System,
    /// Moved by hand.
    Set(Arc<SetTime>),
}

/// What a clock shows that a test sets.
#[derive(Debug)]
pub struct SetTime {
    /// Milliseconds since 1970.
    now: AtomicI64,
    /// Milliseconds since the clock was made; never runs backwards.
    steady: AtomicU64,
}

/// When this process first asked for the steady time.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Clock {
    /// A clock that stands still until it is moved.
    pub fn set_to(now: Timestamp) -> Self {
        Self::Set(Arc::new(SetTime { now: AtomicI64::new(now.as_millis()), steady: AtomicU64::new(0) }))
    }

    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
            }
            Self::Set(time) => Timestamp::from_millis(time.now.load(Ordering::Relaxed)),
        }
    }

    /// How long it has been running: for spans that must not change when somebody sets the time.
    pub fn steady(&self) -> Duration {
        match self {
            Self::System => BEGAN.elapsed(),
            Self::Set(time) => Duration::from_millis(time.steady.load(Ordering::Relaxed)),
        }
    }

    /// Moves a clock that was set forward. The system's clock can't be moved from here, and stays.
    pub fn advance(&self, span: Duration) {
        if let Self::Set(time) = self {
            time.now.store((self.now() + span).as_millis(), Ordering::Relaxed);
            let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
            time.steady.fetch_add(millis, Ordering::Relaxed);
        }
    }

    /// Sets a clock that was set once again, backwards too. The system's clock stays.
    pub fn set(&self, now: Timestamp) {
        if let Self::Set(time) = self {
            time.now.store(now.as_millis(), Ordering::Relaxed);
        }
    }
}
