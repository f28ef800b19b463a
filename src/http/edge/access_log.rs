//! The access log: one line for each answer. It never contains a path, a query, a header or a body, because people
//! paste tokens anywhere.

use crate::domain::UserId;
use poem::http::{Method, StatusCode};
use std::time::Duration;

/// The target of these lines, by which the log recognizes them.
pub const TARGET: &str = "usher::request";

/// One answered request.
pub struct Answered<'a> {
    /// See `method_name`.
    pub method: &'static str,
    /// The route's template, such as `/api/v1/users/{user_id}`, or `unmatched`.
    pub route: &'static str,
    pub status: StatusCode,
    pub took: Duration,
    pub request_id: &'a str,
    /// The client's IP address as text, if known.
    pub client: Option<&'a str>,
    pub user: Option<UserId>,
}

/// The name of a method. Unknown ones are "other", so that clients can't make up values.
pub fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "other",
    }
}

/// Called once for every answer.
pub fn write(answered: &Answered<'_>) {
    tracing::info!(
        target: TARGET,
        method = answered.method,
        route = answered.route,
        status = answered.status.as_u16(),
        micros = u64::try_from(answered.took.as_micros()).unwrap_or(u64::MAX),
        request_id = answered.request_id,
        client = answered.client,
        user = answered.user.map(UserId::get),
        "answered"
    );
}
