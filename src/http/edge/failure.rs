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

/// Logs internal failures, and renders the answer. So far every path answers in the format of the API. Other formats (HTML
/// pages, OAuth errors as in RFC 6749) would be chosen here, by path.
///
/// Preflights arrive here because no route has a handler for `OPTIONS`.
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
