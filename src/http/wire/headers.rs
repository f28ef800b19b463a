//! Headers that answers on every port carry.

use poem::{
    Response,
    http::{HeaderName, HeaderValue, header},
};

/// Adds `no-store` and `nosniff`.
pub fn put_security_headers(response: &mut Response) {
    const NOSNIFF: HeaderName = header::X_CONTENT_TYPE_OPTIONS;
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(NOSNIFF, HeaderValue::from_static("nosniff"));
}
