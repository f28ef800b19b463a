//! The IP address of a client, and which proxy headers are trusted.

use crate::{domain::Client, http::server::Proxies};
use poem::http::{HeaderMap, HeaderName};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

impl Proxies {
    /// Returns the socket's peer. If that is a trusted proxy, returns the rightmost IP address in `X-Forwarded-For`
    /// that is not a trusted proxy. If an undeclared peer on this machine sends the header, it is a proxy whose clients
    /// are unknown.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Client {
        let peer = peer.to_canonical();
        if self.trusts(peer) {
            return Client { ip: Some(self.forwarded(headers).unwrap_or(peer)) };
        }
        if peer.is_loopback() && headers.contains_key(FORWARDED_FOR) {
            return Client { ip: None };
        }
        Client { ip: Some(peer) }
    }

    /// Reads the entries from right to left, because proxies append them. Stops at an unreadable one.
    fn forwarded(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let lines = headers.get_all(FORWARDED_FOR).iter().collect::<Vec<_>>();
        for line in lines.into_iter().rev() {
            for entry in line.to_str().ok()?.rsplit(',') {
                let address = read_address(entry.trim())?;
                if !self.trusts(address) {
                    return Some(address);
                }
            }
        }
        None
    }
}

/// Reads an IP address as proxies write it: bare, with a port, or in brackets. IPv4-mapped IPv6 becomes IPv4.
fn read_address(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let address = text.parse().ok().or_else(bracketed).or_else(|| text.parse().ok().map(|with: SocketAddr| with.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resolve(trusted: &[&str], peer: &str, lines: &[&str]) -> Option<String> {
        let proxies = Proxies::new(trusted.iter().map(|network| network.parse().unwrap()).collect());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).ip.map(|ip| ip.to_string())
    }

    #[test]
    fn the_peer_counts_unless_it_is_trusted() {
        assert_eq!(resolve(&[], "203.0.113.9", &["198.51.100.1"]).unwrap(), "203.0.113.9");
        assert_eq!(resolve(&["10.0.0.0/8"], "203.0.113.9", &["198.51.100.1"]).unwrap(), "203.0.113.9");
        assert_eq!(resolve(&["10.0.0.0/8"], "10.1.2.3", &["198.51.100.1"]).unwrap(), "198.51.100.1");
        assert_eq!(resolve(&["10.0.0.0/8"], "::ffff:10.1.2.3", &["198.51.100.1"]).unwrap(), "198.51.100.1");
        assert_eq!(resolve(&["10.0.0.0/8"], "10.1.2.3", &[]).unwrap(), "10.1.2.3");
    }

    #[test]
    fn the_rightmost_untrusted_entry_of_all_lines_is_the_client() {
        let trusted = ["127.0.0.1/32", "10.0.0.0/8"];
        assert_eq!(
            resolve(&trusted, "127.0.0.1", &["6.6.6.6, 198.51.100.1", "10.0.0.7, 10.0.0.8"]).unwrap(),
            "198.51.100.1"
        );
        assert_eq!(resolve(&trusted, "127.0.0.1", &["6.6.6.6", "198.51.100.1:4711"]).unwrap(), "198.51.100.1");
        assert_eq!(resolve(&trusted, "127.0.0.1", &["[2001:db8::1]:443"]).unwrap(), "2001:db8::1");
        assert_eq!(resolve(&trusted, "127.0.0.1", &["[2001:db8::1]"]).unwrap(), "2001:db8::1");
        assert_eq!(resolve(&trusted, "127.0.0.1", &["::ffff:198.51.100.1"]).unwrap(), "198.51.100.1");
    }

    #[test]
    fn an_unreadable_entry_means_the_peer() {
        for line in ["unknown", "", "198.51.100.1, junk", "198.51.100.1,", "_hidden", "198.51.100.1 198.51.100.2"] {
            assert_eq!(resolve(&["127.0.0.1/32"], "127.0.0.1", &[line]).unwrap(), "127.0.0.1", "{line:?}");
        }
    }

    #[test]
    fn a_proxy_on_this_machine_that_nobody_declared_hides_its_clients() {
        assert_eq!(resolve(&[], "127.0.0.1", &["198.51.100.1"]), None);
        assert_eq!(resolve(&[], "::1", &["198.51.100.1"]), None);
        assert_eq!(resolve(&[], "127.0.0.1", &[]).unwrap(), "127.0.0.1");
    }

    proptest! {
        #[test]
        fn any_address_reads_back_from_any_spelling(ip: IpAddr, port: u16) {
            prop_assert_eq!(read_address(&ip.to_string()), Some(ip.to_canonical()));
            prop_assert_eq!(read_address(&SocketAddr::new(ip, port).to_string()), Some(ip.to_canonical()));
        }

        #[test]
        fn no_text_makes_reading_panic(text in "\\PC{0,60}") {
            let _ = read_address(&text);
        }
    }
}
