//! Headers that answers on every port carry.

use poem::{
    Response,
    http::{HeaderName, HeaderValue, header},
};

/// The header with the request id, in both directions.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Adds `no-store`, `nosniff` and the id of the request.
pub fn put_common_headers(response: &mut Response, request_id: &str) {
    put_security_headers(response);
    if let Ok(id) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
}

fn put_security_headers(response: &mut Response) {
    const NOSNIFF: HeaderName = header::X_CONTENT_TYPE_OPTIONS;
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(NOSNIFF, HeaderValue::from_static("nosniff"));
}
