//! Request ids that proxies have given.

use crate::http::{server::Proxies, wire::headers::REQUEST_ID};
use poem::http::HeaderMap;
use std::net::IpAddr;

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
