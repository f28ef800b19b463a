//! Request ids, which appear in the log and the audit log.

use crate::{domain::random_text, http::server::Proxies};
use poem::http::{HeaderMap, HeaderName};
use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The header with the request id, in both directions.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

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

impl Proxies {
    /// The id from a trusted proxy, if it has only harmless characters.
    pub fn request_id<'h>(&self, peer: IpAddr, headers: &'h HeaderMap) -> Option<&'h str> {
        let given = headers.get(REQUEST_ID).filter(|_| self.trusts(peer))?.to_str().ok()?;
        let harmless = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        ((1..=64).contains(&given.len()) && given.bytes().all(harmless)).then_some(given)
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

    #[test]
    fn a_request_id_is_taken_from_a_trusted_proxy_and_only_a_harmless_one() {
        let proxies = Proxies::new(vec!["10.0.0.1/32".parse().unwrap()]);
        let given = |peer: &str, id: &str| {
            let headers = HeaderMap::from_iter([(REQUEST_ID, id.parse().unwrap())]);
            proxies.request_id(peer.parse().unwrap(), &headers).map(str::to_owned)
        };
        assert_eq!(given("10.0.0.1", "Abc-1._2").as_deref(), Some("Abc-1._2"));
        assert_eq!(given("10.0.0.2", "abc"), None);
        assert_eq!(given("10.0.0.1", "a b"), None);
        assert_eq!(given("10.0.0.1", ""), None);
        assert_eq!(given("10.0.0.1", &"a".repeat(65)), None);
    }
}
