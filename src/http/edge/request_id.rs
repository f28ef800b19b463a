//! The ids of requests, under which the log and the audit log know them.

use crate::domain::random_text;
use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Ids that (but for a chance in billions) no other request has, and that don't reveal how many there were: a prefix that
/// is drawn at the start, and a count that is hidden by a keyed hash.
pub struct RequestIds {
    prefix: String,
    key: RandomState,
    last: AtomicU64,
}

impl RequestIds {
    pub fn new() -> Self {
        let prefix = random_text(8).to_string();
        Self { prefix, key: RandomState::new(), last: AtomicU64::new(0) }
    }

    pub fn next(&self) -> Arc<str> {
        let hidden = self.key.hash_one(self.last.fetch_add(1, Ordering::Relaxed));
        format!("{}-{hidden:016x}", self.prefix).into()
    }
}
