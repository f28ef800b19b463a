//! What is served beside the API: health, readiness, the spec and its human-readable page.

use super::{error::ApiError, error::ErrorCode, front::Context, openapi};
use poem::{
    IntoResponse, Request, Response, Result, handler,
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use serde_json::json;
use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering},
};

/// Nothing from another host, whatever the page's scripts try.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data:; \
     font-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn status(text: &str) -> Response {
    Response::builder().content_type("application/json").body(json!({"status": text}).to_string())
}

/// The process answers. Touches nothing.
#[handler]
pub(super) fn healthz() -> Response {
    status("ok")
}

/// Whether the server has been told to stop. Shared by the handler and `serve`.
#[derive(Debug, Default)]
pub(super) struct Draining(AtomicBool);

impl Draining {
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The database answers, is the file that was opened, and the server is not about to stop.
#[handler]
pub(super) async fn readyz(request: &Request) -> Result<Response> {
    let context = Context::of(request)?;
    if context.draining.0.load(Ordering::Relaxed) {
        return Err(ApiError::saying(ErrorCode::Overloaded, "the server is stopping").into());
    }
    context.app.check().await.map_err(ApiError::from)?;
    Ok(status("ready"))
}

/// The spec, as `usher openapi` prints it.
#[handler]
pub(super) fn spec() -> Response {
    static SPEC: OnceLock<String> = OnceLock::new();
    Response::builder().content_type("application/json").body(SPEC.get_or_init(openapi::spec).as_str())
}

/// There is nothing better to show to who opens the root, for now.
#[handler]
pub(super) fn to_docs() -> Response {
    let status = StatusCode::TEMPORARY_REDIRECT;
    Response::builder().status(status).header(header::LOCATION, "/docs").finish()
}

/// The spec, for people.
#[handler]
pub(super) fn docs() -> Response {
    static PAGE: OnceLock<String> = OnceLock::new();
    let mut response =
        Response::builder().content_type("text/html; charset=utf-8").body(PAGE.get_or_init(openapi::page).as_str());
    let policy: HeaderName = header::CONTENT_SECURITY_POLICY;
    response.headers_mut().insert(policy, HeaderValue::from_static(DOCS_POLICY));
    response.into_response()
}
