//! Turns failures into answers.

use super::{cors::Grant, routes::Route};
use crate::http::{
    context::Context,
    wire::{
        envelope,
        error::{ApiError, ErrorCode},
    },
};
use poem::{Response, http::header};

/// Renders a failure in the form of a subtree.
pub type Renderer = fn(&ApiError, &Context) -> Response;

/// Chooses the form of a failure by the path: programs get the envelope, and people a page, where pages are served.
pub fn renderer(path: &str, page: Option<Renderer>) -> Renderer {
    let is_for_programs = path.starts_with("/api/") || matches!(path, "/api" | "/healthz" | "/readyz");
    page.filter(|_| !is_for_programs).unwrap_or(|error, _| envelope::response(error))
}

/// Logs a failure, where it is ours, and renders it.
///
/// That there is no handler for `OPTIONS` is how a preflight is noticed.
pub fn answer(
    error: ApiError,
    context: &Context,
    route: Option<&Route>,
    grant: Option<&Grant>,
    render: Renderer,
) -> Response {
    if let Some(internal) = &error.internal {
        let (request_id, code) = (&*context.request_id, error.code.as_str());
        tracing::error!(request_id, code, error = internal, "a request failed");
    }
    let others = route.filter(|_| error.code == ErrorCode::MethodNotAllowed);
    if let Some(answer) = others.and_then(|route| Grant::to_preflight(grant, &route.allow)) {
        return answer;
    }
    let mut response = render(&error, context);
    if let Some(route) = others {
        response.headers_mut().insert(header::ALLOW, route.allow.clone());
    }
    response
}
