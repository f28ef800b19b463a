//! Password hashing: Argon2id (RFC 9106) on a few threads of its own.
//!
//! Each hash costs tens of milliseconds and megabytes, so the number of running and of waiting hashes is limited. Callers
//! take a `Place` first, before they look up an account; if there is none, the answer is "overloaded". Each thread keeps its
//! memory between hashes, and frees it after a while without work.
//!
//! Hashes of other services are verified here, too. Hashes that cost much more than new ones are "slow": only one of them
//! runs at a time, and others overtake them in the queue.

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
