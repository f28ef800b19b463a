//! Requests that a page of another site makes a browser send, which are refused by what browsers say of themselves (Fetch
//! Metadata; OWASP, "Cross-Site Request Forgery Prevention").

use crate::{
    domain::Origin,
    http::wire::error::{ApiError, ErrorCode},
};
use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, header};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses an unsafe request that does not come from a page of the public URL. `Sec-Fetch-Site` decides where it was sent;
/// else `Origin` must be the public URL. Without both, the request is refused.
pub fn refuse(method: &Method, headers: &HeaderMap, public_url: &Origin) -> Result<(), ApiError> {
    if method.is_safe() {
        return Ok(());
    }
    let is_own = match only(headers, &SEC_FETCH_SITE) {
        Some(site) => site.is_some_and(|site| site == "same-origin" || site == "none"),
        None => only(headers, &header::ORIGIN).flatten().is_some_and(|origin| origin == public_url.as_str()),
    };
    if is_own { Ok(()) } else { Err(ApiError::with_message(ErrorCode::Forbidden, CROSS_SITE)) }
}

/// Whether a page of another site led a browser here.
pub fn comes_from_elsewhere(headers: &HeaderMap) -> bool {
    let site = only(headers, &SEC_FETCH_SITE);
    site.is_some_and(|site| site.is_none_or(|site| site != "same-origin" && site != "none"))
}

const CROSS_SITE: &str =
    "this request came from a page of another site, and nothing was changed; open the form here and send it again";

/// `None` where the header was not sent, `Some(None)` where it was sent more than once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<Option<&'h HeaderValue>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    Some(values.next().is_none().then_some(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_say_where_a_request_comes_from() {
        let ours = Origin::parse("https://auth.example.com").unwrap();
        let (site, origin) = ("sec-fetch-site", "origin");
        for (method, sent, admitted) in [
            ("POST", &[(site, "same-origin")] as &[_], true),
            ("POST", &[(site, "none")], true),
            ("POST", &[(site, "same-site")], false),
            ("POST", &[(site, "cross-site")], false),
            ("POST", &[(site, "")], false),
            ("POST", &[(site, "same-origin"), (site, "same-origin")], false),
            ("POST", &[(site, "cross-site"), (origin, "https://auth.example.com")], false),
            ("POST", &[(site, "same-origin"), (origin, "https://evil.example")], true),
            ("POST", &[(origin, "https://auth.example.com")], true),
            ("POST", &[(origin, "https://auth.example.com:444")], false),
            ("POST", &[(origin, "http://auth.example.com")], false),
            ("POST", &[(origin, "https://evil.example")], false),
            ("POST", &[(origin, "null")], false),
            ("POST", &[(origin, "https://auth.example.com"), (origin, "https://evil.example")], false),
            ("POST", &[], false),
            ("PUT", &[], false),
            ("DELETE", &[(site, "cross-site")], false),
            ("GET", &[(site, "cross-site")], true),
            ("HEAD", &[], true),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in sent {
                headers.append(*name, value.parse().unwrap());
            }
            let method = method.parse().unwrap();
            assert_eq!(refuse(&method, &headers, &ours).is_ok(), admitted, "{method} {sent:?}");
        }
    }
}
