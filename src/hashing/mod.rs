//! Password hashing: Argon2id (RFC 9106) on a few threads of its own.
//!
//! Each hash costs tens of milliseconds and megabytes, so how many run at a time and how many wait is bounded. A
//! `Place` is asked for first, before anything about an account is known; without one the answer is "overloaded". Each
//! thread keeps its memory between hashes, and gives it back when nobody has needed it for a while.
//!
//! Hashes that another service left behind are verified here, too. Those that cost much more than ours, in whatever form,
//! are slow ones: they run one at a time, and others pass them in the queue.

mod argon;
mod foreign;
mod pool;
mod queue;
mod scheme;
mod stats;
mod stored;

pub use pool::{HashPool, Place};
pub use scheme::{Cost, Scheme, Unverifiable};
pub use stats::{HashStats, Waits};
pub use stored::{is_unusable, recognize};
