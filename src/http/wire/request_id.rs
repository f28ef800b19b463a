//! Request ids, which appear in the log and the audit log.

use crate::domain::random_text;
use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

const PREFIX_LENGTH: usize = 8;
const DIGITS: &[u8; 16] = b"0123456789abcdef";
const LENGTH: usize = PREFIX_LENGTH + 1 + 16;

/// Generates ids that are unique (except for a chance in billions) and don't reveal how many requests there were: a
/// random prefix for each start, and a counter hidden by a keyed hash.
pub struct RequestIds {
    /// The prefix, a hyphen, and space for the hidden counter.
    pattern: [u8; LENGTH],
    key: RandomState,
    last: AtomicU64,
}

impl RequestIds {
    pub fn new() -> Self {
        let mut pattern = [b'-'; LENGTH];
        pattern[..PREFIX_LENGTH].copy_from_slice(random_text(PREFIX_LENGTH).as_bytes());
        Self { pattern, key: RandomState::new(), last: AtomicU64::new(0) }
    }

    pub fn next(&self) -> Arc<str> {
        let hidden = self.key.hash_one(self.last.fetch_add(1, Ordering::Relaxed));
        let mut id = self.pattern;
        for (digits, byte) in id[PREFIX_LENGTH + 1..].chunks_exact_mut(2).zip(hidden.to_be_bytes()) {
            digits[0] = DIGITS[usize::from(byte >> 4)];
            digits[1] = DIGITS[usize::from(byte & 0xf)];
        }
        std::str::from_utf8(&id).expect("ASCII").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_prefix_and_sixteen_hexadecimal_digits_and_each_is_another() {
        let ids = RequestIds::new();
        let some: Vec<Arc<str>> = (0..1000).map(|_| ids.next()).collect();
        let (prefix, _) = some[0].split_once('-').expect("a hyphen");
        assert_eq!(prefix.len(), 8);
        for id in &some {
            let hidden = id.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')).expect("the same prefix");
            assert_eq!((hidden.len(), u64::from_str_radix(hidden, 16).is_ok()), (16, true), "{id}");
        }
        assert_eq!(some.iter().collect::<std::collections::HashSet<_>>().len(), some.len());
    }
}
