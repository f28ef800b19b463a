//! The cookies of browsers: their names, and how they are read and written (RFC 6265bis).

use cookie::{Cookie, SameSite};
use poem::http::{HeaderMap, HeaderValue, header};
use std::time::Duration;

/// Which of our cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookieName {
    /// The session of a browser.
    Session,
    /// The session with an app, on the app's host.
    App,
    /// What binds somebody's way from an app to the sign-in page and back to one browser, on the app's host.
    Flow,
    /// A browser in which somebody has signed in before.
    Known,
    /// The token of the link that was opened last.
    Link,
}

impl CookieName {
    /// With https the name has a prefix, for which browsers see to it that no other host, no path and no plain http has set
    /// the cookie.
    fn text(self, secure: bool) -> &'static str {
        match (self, secure) {
            (Self::Session, true) => "__Host-usher",
            (Self::Session, false) => "usher",
            (Self::App, true) => "__Host-usher-app",
            (Self::App, false) => "usher-app",
            (Self::Flow, true) => "__Host-usher-flow",
            (Self::Flow, false) => "usher-flow",
            (Self::Known, true) => "__Host-usher-known",
            (Self::Known, false) => "usher-known",
            (Self::Link, true) => "__Host-usher-link",
            (Self::Link, false) => "usher-link",
        }
    }
}

/// The value of a cookie. One that is sent twice counts as none: one of the two may come from somebody else.
pub fn read(headers: &HeaderMap, name: CookieName, secure: bool) -> Option<&str> {
    // As bytes: others' cookies may hold anything, and must not hide ours.
    let pairs = headers.get_all(header::COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let of_name = |pair: &'_ [u8]| {
        let pair = pair.trim_ascii();
        let value = pair.strip_prefix(name.text(secure).as_bytes())?.strip_prefix(b"=")?;
        Some(pair.len() - value.len())
    };
    let mut values = pairs.filter_map(|pair| of_name(pair).map(|at| &pair.trim_ascii()[at..]));
    let only = values.next()?;
    if values.next().is_some() { None } else { std::str::from_utf8(only).ok() }
}

/// A `Set-Cookie` header. Without `max_age` the cookie goes when the browser is closed.
pub fn set(name: CookieName, secure: bool, value: &str, max_age: Option<Duration>) -> HeaderValue {
    let mut cookie = Cookie::build((name.text(secure), value)).path("/").http_only(true).same_site(SameSite::Lax);
    cookie = cookie.secure(secure);
    if let Some(max_age) = max_age.and_then(|age| age.try_into().ok()) {
        cookie = cookie.max_age(max_age);
    }
    HeaderValue::from_str(&cookie.build().to_string()).expect("names, tokens and attributes are plain text")
}

/// A `Set-Cookie` header that removes the cookie.
pub fn remove(name: CookieName, secure: bool) -> HeaderValue {
    set(name, secure, "", Some(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn a_cookie_is_found_among_others_and_by_its_whole_name() {
        for (lines, found) in [
            (&["a=1; __Host-usher=x; b=2"] as &[_], Some("x")),
            (&["a=1", "__Host-usher=x"], Some("x")),
            (&["usher=x"], None),
            (&["__Host-usher-known=x"], None),
            (&["__host-usher=x"], None),
            (&["a=__Host-usher=x"], None),
            (&["a=José; __Host-usher=x; b=\u{1f36a}"], Some("x")),
            (&[], None),
        ] {
            assert_eq!(read(&headers(lines), CookieName::Session, true), found, "{lines:?}");
        }
        assert_eq!(read(&headers(&["usher=x"]), CookieName::Session, false), Some("x"));
    }

    #[test]
    fn a_cookie_that_is_sent_twice_counts_as_none() {
        let with_other = &["usher=x", "usher=y; a=José"] as &[_];
        for lines in [with_other, &["usher=x; usher=y"] as &[_], &["usher=x", "usher=x"], &["usher=x; usher="]] {
            assert_eq!(read(&headers(lines), CookieName::Session, false), None, "{lines:?}");
        }
    }

    #[test]
    fn a_cookie_is_for_this_host_alone_and_out_of_the_reach_of_scripts() {
        let kept = set(CookieName::Session, true, "x", Some(Duration::from_mins(1)));
        assert_eq!(kept, "__Host-usher=x; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60");
        assert_eq!(set(CookieName::Known, false, "x", None), "usher-known=x; HttpOnly; SameSite=Lax; Path=/");
        assert_eq!(remove(CookieName::Session, false), "usher=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0");
    }
}
