//! The spec, for programs and for people.

use super::api::openapi;
use poem::{
    IntoResponse, Response, handler,
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use std::sync::OnceLock;

/// Nothing is loaded from another host, whatever the page's scripts try.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data:; \
     font-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The spec, as `usher openapi` prints it.
#[handler]
pub(super) fn spec() -> Response {
    static SPEC: OnceLock<String> = OnceLock::new();
    Response::builder().content_type("application/json").body(SPEC.get_or_init(openapi::spec).as_str())
}

/// The root redirects to the documentation, for now.
#[handler]
pub(super) fn to_docs() -> Response {
    let status = StatusCode::TEMPORARY_REDIRECT;
    Response::builder().status(status).header(header::LOCATION, "/docs").finish()
}

/// The spec, for people.
#[handler]
pub(super) fn page() -> Response {
    static PAGE: OnceLock<String> = OnceLock::new();
    let mut response =
        Response::builder().content_type("text/html; charset=utf-8").body(PAGE.get_or_init(openapi::page).as_str());
    let policy: HeaderName = header::CONTENT_SECURITY_POLICY;
    response.headers_mut().insert(policy, HeaderValue::from_static(DOCS_POLICY));
    response.into_response()
}
