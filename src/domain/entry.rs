//! Entering an app with the session of a browser: where somebody was going, and what travels with them until they are there.

use super::{AppId, Origin, SessionId, SignedIn, Timestamp, TokenHash};
use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use std::{fmt, net::IpAddr, time::Duration};

/// A place in an app: a path with its query, never a URL, so that it leads nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppPath(String);

impl AppPath {
    /// In bytes.
    pub const MAX_LENGTH: usize = 2_000;

    /// Takes a path as browsers send it. Whatever else it may be, such as the address of another host, becomes the app's
    /// first page: `//host` and `/\host` lead elsewhere, and so do paths with control characters, which browsers drop.
    pub fn of(text: &str) -> Self {
        let is_path = text.starts_with('/') && !text.starts_with("//");
        let is_plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        let stays = is_path && is_plain && text.len() <= Self::MAX_LENGTH && !leads_to_us(text);
        Self(if stays { text.to_owned() } else { "/".to_owned() })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a path is, or becomes in a browser or a proxy, one of those that are passed on to us: without percent-encoding,
/// and with dot segments removed (RFC 3986, section 5.2.4). Those with dot segments count as such.
fn leads_to_us(path: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = percent_decode_str(path).decode_utf8_lossy();
    path.starts_with("/_usher/") || path.split('/').any(|segment| segment == "." || segment == "..")
}

impl fmt::Display for AppPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An app as its door knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    pub app: AppId,
    pub name: String,
    pub origin: Origin,
    /// Whether the account that was asked for may enter.
    pub may_enter: bool,
    /// When a proxy last asked about it, accurate to about a minute.
    pub verified_at: Option<Timestamp>,
}

/// When a proxy last asked about an app, accurate to about a minute, and from which IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastAsked {
    pub at: Timestamp,
    pub from: Option<IpAddr>,
}

impl Door {
    /// Whether the stored time is old enough to be worth a write.
    pub fn is_worth_recording(&self, now: Timestamp) -> bool {
        self.verified_at.is_none_or(|at| now.distance(at) > Duration::from_mins(1))
    }
}

/// The SHA-256 of what a browser keeps in a cookie of the app's host until it has entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NonceHash([u8; 32]);

impl NonceHash {
    pub const LENGTH: usize = 32;

    pub fn of(nonce: &str) -> Self {
        Self(Sha256::digest(nonce).into())
    }

    pub fn from_stored(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What travels in the address of the sign-in page: which app somebody was going to, where in it, since when, and in which
/// browser. It is signed, so that nobody else can make one, and it opens nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    pub app: AppId,
    pub path: AppPath,
    pub begun_at: Timestamp,
    pub nonce: NonceHash,
}

impl Flow {
    /// How long somebody may take to sign in. Later the app is asked again.
    pub const LIFETIME: Duration = Duration::from_hours(1);
    const MAC_LENGTH: usize = 32;
    const FIXED_LENGTH: usize = 8 + 8 + NonceHash::LENGTH;

    pub fn sign(&self, key: &[u8; 32]) -> String {
        let mut bytes = Vec::with_capacity(Self::FIXED_LENGTH + self.path.0.len() + Self::MAC_LENGTH);
        bytes.extend(self.app.get().to_be_bytes());
        bytes.extend(self.begun_at.as_millis().to_be_bytes());
        bytes.extend(self.nonce.as_bytes());
        bytes.extend(self.path.0.as_bytes());
        let mac = mac(key, &bytes).finalize().into_bytes();
        bytes.extend(mac);
        Base64UrlUnpadded::encode_string(&bytes)
    }

    /// Reads what `sign` wrote with the same key, and nothing else.
    pub fn open(text: &str, key: &[u8; 32]) -> Option<Self> {
        let bytes = Base64UrlUnpadded::decode_vec(text).ok()?;
        let (bytes, tag) = bytes.split_at_checked(bytes.len().checked_sub(Self::MAC_LENGTH)?)?;
        mac(key, bytes).verify_slice(tag).ok()?;
        let (app, rest) = bytes.split_first_chunk::<8>()?;
        let (begun_at, rest) = rest.split_first_chunk::<8>()?;
        let (nonce, path) = rest.split_first_chunk::<{ NonceHash::LENGTH }>()?;
        Some(Self {
            app: AppId::new(i64::from_be_bytes(*app))?,
            path: AppPath::of(std::str::from_utf8(path).ok()?),
            begun_at: Timestamp::from_millis(i64::from_be_bytes(*begun_at)),
            nonce: NonceHash::from_stored(*nonce),
        })
    }
}

fn mac(key: &[u8; 32], bytes: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length").chain_update(bytes)
}

/// A code as it is stored.
#[derive(Debug, Clone)]
pub struct EntryCodeState {
    pub app: AppId,
    /// The session of the browser that it was given to.
    pub session: SessionId,
    pub nonce: NonceHash,
    pub path: AppPath,
    pub expires_at: Timestamp,
    pub is_spent: bool,
}

/// Somebody who has entered an app, as one look-up finds them.
#[derive(Debug, Clone)]
pub struct EnteredApp {
    /// The session of the browser, with which the app's ends.
    pub signed_in: SignedIn,
    pub with_app: AppSession,
    pub door: Door,
}

/// A session with an app, as far as using it goes.
#[derive(Debug, Clone)]
pub struct AppSession {
    pub id: SessionId,
    pub last_used_at: Timestamp,
    pub expires_at: Timestamp,
}

/// A code that is about to be stored.
#[derive(Debug, Clone)]
pub struct NewEntryCode {
    pub hash: TokenHash,
    pub app: AppId,
    pub nonce: NonceHash,
    pub path: AppPath,
    pub expires_at: Timestamp,
}

impl NewEntryCode {
    /// How long a browser may take from the sign-in page to the app.
    pub const LIFETIME: Duration = Duration::from_mins(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_path_leads_nowhere_but_into_the_app() {
        for path in ["/", "/x", "/x?y=%2F%2Fz&a=//b", "/x//y", "/:80", "/@evil.example", "/_usher"] {
            assert_eq!(AppPath::of(path).as_str(), path);
        }
        for other in [
            "",
            "x",
            "//evil.example",
            "///x",
            "/\\evil.example",
            "\\\\evil.example",
            "/x\\y",
            "https://evil.example",
            "/\t/evil.example",
            "/x\ny",
            "/x\r\nset-cookie: a=b",
            "/x y",
            "/\u{e9}",
            "/%0a\u{0}",
            "javascript:alert(1)",
            "/_usher/sign-out",
            "/./_usher/start",
            "/x/../_usher/start",
            "/%2e/_usher/start",
            "/x/%2E%2e/_usher/start",
            "/%5fusher/start",
            "/%5Fusher%2fstart",
            "/..",
            "/_usher/start?to=/x",
        ] {
            assert_eq!(AppPath::of(other).as_str(), "/", "{other:?}");
        }
        let long = "/".to_owned() + &"x".repeat(AppPath::MAX_LENGTH - 1);
        assert_eq!(AppPath::of(&long).as_str(), long);
        assert_eq!(AppPath::of(&(long + "x")).as_str(), "/");
    }

    #[test]
    fn that_a_proxy_asked_is_worth_a_write_about_once_a_minute() {
        let at = |seconds: i64| Timestamp::from_millis(1_795_341_600_000 + seconds * 1_000);
        let door = |verified_at| Door {
            app: AppId::new(7).unwrap(),
            name: "Notes".to_owned(),
            origin: Origin::parse("https://notes.example").unwrap(),
            may_enter: true,
            verified_at,
        };
        assert!(door(None).is_worth_recording(at(0)));
        let after = [-61, -60, 0, 60, 61].map(|seconds| door(Some(at(0))).is_worth_recording(at(seconds)));
        assert_eq!(after, [true, false, false, false, true]);
    }

    fn flow() -> Flow {
        let (app, begun_at) = (AppId::new(7).unwrap(), Timestamp::from_millis(1_795_341_600_000));
        Flow { app, path: AppPath::of("/x?y=1"), begun_at, nonce: NonceHash::of("nonce") }
    }

    #[test]
    fn a_flow_is_read_as_it_was_signed_and_by_its_own_key_alone() {
        let text = flow().sign(&[1; 32]);
        assert_eq!(Flow::open(&text, &[1; 32]), Some(flow()));
        assert_eq!(Flow::open(&text, &[2; 32]), None);
        for at in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(Flow::open(std::str::from_utf8(&other).unwrap(), &[1; 32]), None, "at {at}");
        }
        assert_eq!(Flow::open(&text[..text.len() - 4], &[1; 32]), None);
    }

    proptest! {
        #[test]
        fn no_text_is_a_flow_or_makes_reading_panic(text in "[A-Za-z0-9_-]{0,200}|\\PC{0,50}") {
            prop_assert_eq!(Flow::open(&text, &[1; 32]), None);
        }

        #[test]
        fn what_becomes_of_a_path_is_a_path(text in "\\PC{0,50}|/[^a]{0,20}") {
            let path = AppPath::of(&text);
            prop_assert!(path.as_str().starts_with('/') && !path.as_str().starts_with("//"));
            prop_assert_eq!(AppPath::of(path.as_str()), path);
        }
    }
}
