//! Probes for supervisors and load balancers: whether the process answers, and whether it is ready.

use super::{
    context::Context,
    wire::error::{ApiError, ErrorCode},
};
use poem::{Request, Response, Result, handler};
use serde_json::json;

fn status(text: &str) -> Response {
    Response::builder().content_type("application/json").body(json!({"status": text}).to_string())
}

/// The process answers. Uses no other resource.
#[handler]
pub(super) fn healthz() -> Response {
    status("ok")
}

/// The database answers and its files are in place, and the server is not stopping.
#[handler]
pub(super) async fn readyz(request: &Request) -> Result<Response> {
    let context = Context::of(request).map_err(ApiError::from)?;
    if context.draining.has_begun() {
        return Err(ApiError::with_message(ErrorCode::Overloaded, "the server is stopping").into());
    }
    context.app.check().await.map_err(ApiError::from)?;
    Ok(status("ready"))
}
