//! The one place where a failure becomes an answer.

use super::{cors::Grant, routes::Route};
use crate::http::{
    context::Context,
    wire::{
        envelope,
        error::{ApiError, ErrorCode},
    },
};
use poem::{Response, http::header};

/// Puts a failure on record, where it is ours, and renders it. Every path answers in the API's form so far; a subtree with
/// another one (pages for people, RFC 6749 for OAuth) is told apart here, by the path.
///
/// That there is no handler for `OPTIONS` is how a preflight is noticed.
pub fn answer(error: ApiError, context: &Context, route: Option<&Route>, grant: Option<&Grant>) -> Response {
    if let Some(internal) = &error.internal {
        let (request_id, code) = (&*context.request_id, error.code.as_str());
        tracing::error!(request_id, code, error = internal, "a request failed");
    }
    let others = route.filter(|_| error.code == ErrorCode::MethodNotAllowed);
    if let Some(answer) = others.and_then(|route| Grant::to_preflight(grant, &route.allow)) {
        return answer;
    }
    let mut response = envelope::response(&error);
    if let Some(route) = others {
        response.headers_mut().insert(header::ALLOW, route.allow.clone());
    }
    response
}
