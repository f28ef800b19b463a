//! The time: the system's, or one that a test sets.

use crate::domain::Timestamp;
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Where everything that compares or stores a time gets it from. Clones show the same time.
#[derive(Debug, Clone)]
pub enum Clock {
    System,
    /// Milliseconds since 1970, moved by hand.
    Set(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands still until it is moved.
    pub fn set_to(now: Timestamp) -> Self {
        Self::Set(Arc::new(AtomicI64::new(now.as_millis())))
    }

    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
            }
            Self::Set(millis) => Timestamp::from_millis(millis.load(Ordering::Relaxed)),
        }
    }

    /// Moves a clock that was set forward. The system's clock can't be moved from here, and stays.
    pub fn advance(&self, span: Duration) {
        if let Self::Set(millis) = self {
            millis.store((self.now() + span).as_millis(), Ordering::Relaxed);
        }
    }

    /// Sets a clock that was set once again, backwards too. The system's clock stays.
    pub fn set(&self, now: Timestamp) {
        if let Self::Set(millis) = self {
            millis.store(now.as_millis(), Ordering::Relaxed);
        }
    }
}
