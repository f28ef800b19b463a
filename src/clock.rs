//! The time: the system's, or one that a test sets.

use crate::domain::Timestamp;
use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The source of every time that is compared or stored. Clones show the same time.
#[derive(Debug, Clone)]
pub enum Clock {
    System,
    /// Moved by hand.
    Set(Arc<SetTime>),
}

/// The times of a clock that a test sets.
#[derive(Debug)]
pub struct SetTime {
    /// Milliseconds since 1970.
    now: AtomicI64,
    /// Milliseconds since the clock was created; never runs backwards.
    steady: AtomicU64,
}

/// When this process first asked for the steady time.
static BEGAN: LazyLock<Duration> = LazyLock::new(steady_now);

/// Also runs while the machine is suspended. Otherwise waking it up would look like a jump of the clock.
#[cfg(target_os = "linux")]
fn steady_now() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(now).unwrap_or_default()
}

/// On other systems, a suspended machine may look like one whose clock jumped.
#[cfg(not(target_os = "linux"))]
fn steady_now() -> Duration {
    static ORIGIN: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
    ORIGIN.elapsed()
}

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
            Self::Set(time) => Timestamp::from_millis(time.now.load(Ordering::SeqCst)),
        }
    }

    /// How long the clock has been running. Use it for spans that must not change when somebody sets the time.
    pub fn steady(&self) -> Duration {
        match self {
            Self::System => steady_now().saturating_sub(*BEGAN),
            Self::Set(time) => Duration::from_millis(time.steady.load(Ordering::SeqCst)),
        }
    }

    /// Moves a test's clock forward. The system's clock does not change. The steady time moves first: a reader who reads
    /// it last sees no jump.
    pub fn advance(&self, span: Duration) {
        if let Self::Set(time) = self {
            let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
            time.steady.fetch_add(millis, Ordering::SeqCst);
            time.now.store((self.now() + span).as_millis(), Ordering::SeqCst);
        }
    }

    /// Sets a test's clock, also to an earlier time. The system's clock does not change.
    pub fn set(&self, now: Timestamp) {
        if let Self::Set(time) = self {
            time.now.store(now.as_millis(), Ordering::SeqCst);
        }
    }
}
