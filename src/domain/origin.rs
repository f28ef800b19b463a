//! The origin of a web app: where a browser loaded it from.

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Scheme, host, and the port unless it is the default of the scheme: as browsers write it in the `Origin` header
/// (WHATWG URL, "origin", serialized). Each origin has exactly one spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// A scheme, a host, and a port.
    pub const MAX_LENGTH: usize = "https://".len() + MAX_DOMAIN_LENGTH + ":65535".len();
    /// What every origin looks like. `parse` takes less: hosts that can be, and ports only where they are needed.
    pub const PATTERN: &str = r"^https?://[a-z0-9._:\[\]-]+$";

    /// Accepts only the spelling that browsers use, because no other would ever match. The error shows that spelling.
    pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        match text {
            "*" => return Err("* is not allowed; list the origins that may read the answers".into()),
            "null" => return Err("null is not allowed, because all files and sandboxed pages send it".into()),
            _ => {}
        }
        let origin = Self::usual_spelling(text)?;
        if origin.0 == text {
            return Ok(origin);
        }
        Err(format!("write it as browsers send it: {origin}").into())
    }

    /// Takes any spelling, such as a proxy's: with capital letters, or with the scheme's own port.
    pub fn normalized(text: &str) -> Result<Self, Cow<'static, str>> {
        Self::usual_spelling(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }

    /// The host and, unless it is the scheme's own, the port: what browsers send in the `Host` header.
    pub fn authority(&self) -> &str {
        let scheme = if self.is_https() { "https://" } else { "http://" };
        self.0.strip_prefix(scheme).unwrap_or_default()
    }

    /// The host without a port: cookies ignore ports (RFC 6265, section 8.5).
    pub fn host(&self) -> &str {
        split_port(self.authority()).map_or("", |(host, _)| host)
    }

    /// Whether browsers reach it without a network, and so treat it like one with TLS.
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        let inner = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.ends_with(".localhost") || inner.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Whether passwords on the way to it cross a network unprotected.
    pub fn is_unprotected(&self) -> bool {
        !self.is_https() && !self.is_loopback()
    }

    /// The origin of a URL, as browsers write it.
    fn usual_spelling(text: &str) -> Result<Self, Cow<'static, str>> {
        if is_plain(text) { Ok(Self(text.to_owned())) } else { Self::respelled(text) }
    }

    fn respelled(text: &str) -> Result<Self, Cow<'static, str>> {
        let expected = || {
            Cow::from(
                "must be http:// or https://, a host, and the port if it has one, such as https://app.example.com",
            )
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(expected)?;
        let scheme = scheme.to_ascii_lowercase();
        let usual_port = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return Err(expected()),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (host, port) = split_port(authority).ok_or_else(expected)?;
        if !host.is_ascii() {
            return Err("write the host in its ASCII form, which begins with xn--".into());
        }
        let host = usual_host(&host.to_ascii_lowercase()).ok_or_else(expected)?;
        let port = port.filter(|port| *port != usual_port).map(|port| format!(":{port}")).unwrap_or_default();
        Ok(Self(format!("{scheme}://{host}{port}")))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for Origin {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Whether a text is the usual spelling of an origin, as far as that is seen in one pass: a domain of small letters without a
/// port. Proxies ask about such an origin with each request.
fn is_plain(text: &str) -> bool {
    let Some(host) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else { return false };
    let mut label_length = 0;
    let is_domain = host.bytes().all(|byte| match byte {
        b'.' => std::mem::take(&mut label_length) > 0,
        b'a'..=b'z' | b'-' => {
            label_length += 1;
            label_length <= MAX_LABEL_LENGTH
        }
        _ => false,
    });
    is_domain && label_length > 0 && host.len() <= MAX_DOMAIN_LENGTH
}

/// Splits off the port, if there is one. A colon without digits means the default port.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let after_host = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let Some(colon) = authority[after_host..].find(':').map(|at| after_host + at) else {
        return Some((authority, None));
    };
    match &authority[colon + 1..] {
        "" => Some((&authority[..colon], None)),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            let port = digits.parse().ok().filter(|port| *port != 0)?;
            Some((&authority[..colon], Some(port)))
        }
        _ => None,
    }
}

/// A domain, or an IP address in its canonical form (WHATWG URL, "host serializer").
fn usual_host(host: &str) -> Option<String> {
    if let Some(address) = host.strip_prefix('[') {
        let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
        return Some(match (address.to_ipv4_mapped(), address.segments()) {
            (Some(_), [.., high, low]) => format!("[::ffff:{high:x}:{low:x}]"),
            (None, _) => format!("[{address}]"),
        });
    }
    // A host whose last label is numeric must be an IPv4 address.
    let numeric = |label: &str| label.bytes().all(|b| b.is_ascii_digit()) || label.starts_with("0x");
    if host.split('.').next_back().is_some_and(numeric) {
        return host.parse::<Ipv4Addr>().ok().map(|address| address.to_string());
    }
    is_domain(host).then(|| host.to_owned())
}

/// RFC 1035, section 2.3.4.
const MAX_LABEL_LENGTH: usize = 63;
const MAX_DOMAIN_LENGTH: usize = 253;

fn is_domain(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=MAX_LABEL_LENGTH).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    host.len() <= MAX_DOMAIN_LENGTH && host.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_origin_is_what_browsers_send() {
        for text in [
            "https://app.example.com",
            "https://app.example.com:8443",
            "http://localhost:5173",
            "http://127.0.0.1:8080",
            "https://[2001:db8::1]",
            "https://[::ffff:102:304]:444",
            "https://my_app.example",
            "https://xn--bcher-kva.example",
            "http://example.com:443",
        ] {
            assert_eq!(Origin::parse(text).map(|origin| origin.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn another_spelling_is_refused_with_the_right_one() {
        for (text, right) in [
            ("https://app.example.com/", "https://app.example.com"),
            ("https://app.example.com/some/path?query#part", "https://app.example.com"),
            ("HTTPS://App.Example.COM", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("http://app.example.com:80/", "http://app.example.com"),
            ("http://app.example.com:", "http://app.example.com"),
            ("http://app.example.com:08080", "http://app.example.com:8080"),
            ("http://[2001:DB8:0:0:0:0:0:1]:80", "http://[2001:db8::1]"),
            ("http://[::ffff:1.2.3.4]", "http://[::ffff:102:304]"),
        ] {
            let fault = Origin::parse(text).unwrap_err();
            assert!(fault.contains(&format!(": {right}")), "{text}: {fault}");
        }
    }

    #[test]
    fn what_can_be_no_origin_is_refused() {
        for text in [
            "",
            "*",
            "null",
            "app.example.com",
            "https://",
            "https://*",
            "https://*.example.com",
            "//app.example.com",
            "https:app.example.com",
            "file:///index.html",
            "ftp://example.com",
            "https://user@example.com",
            "https://user:password@example.com",
            "https://example.com:0",
            "https://example.com:65536",
            "https://example.com:80a",
            "https://example.com:+80",
            "https://a..b",
            "https://.example.com",
            "https://example.com.",
            "https://a b",
            "https://bücher.example",
            "https://127.1",
            "https://0x7f.0.0.1",
            "https://1.2.3.4.5",
            "https://[::1",
            "https://::1",
            "https://[::1]8080",
            "https://a,https://b",
        ] {
            assert!(Origin::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_origin_has_a_host_and_an_authority_and_may_be_loopback() {
        for (text, authority, host, https, loopback) in [
            ("https://auth.example.com", "auth.example.com", "auth.example.com", true, false),
            ("https://auth.example.com:8443", "auth.example.com:8443", "auth.example.com", true, false),
            ("http://127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1", false, true),
            ("http://[::1]:8080", "[::1]:8080", "[::1]", false, true),
            ("http://localhost", "localhost", "localhost", false, true),
            ("http://app.localhost:1", "app.localhost:1", "app.localhost", false, true),
            ("http://notlocalhost", "notlocalhost", "notlocalhost", false, false),
            ("http://128.0.0.1", "128.0.0.1", "128.0.0.1", false, false),
        ] {
            let origin = Origin::parse(text).unwrap();
            let found = (origin.authority(), origin.host(), origin.is_https(), origin.is_loopback());
            assert_eq!(found, (authority, host, https, loopback), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_seen_at_once_is_what_the_long_way_says(text in "https?://[a-z.-]{0,70}|https?://[a-z0-9.:/_-]{0,12}|.{0,9}") {
            if is_plain(&text) {
                prop_assert_eq!(Origin::respelled(&text), Ok(Origin(text)));
            }
        }

        #[test]
        fn no_text_makes_parsing_panic_and_what_is_suggested_is_accepted(text in "[hH]ttps?://[^a]{0,8}|\\PC{0,20}|http://[a-zA-Z0-9.:\\[\\]/]{0,20}") {
            if let Ok(right) = Origin::usual_spelling(&text) {
                prop_assert_eq!(Origin::parse(right.as_str()), Ok(right));
            }
        }
    }
}
