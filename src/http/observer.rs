//! What is told about each answer: one line of the log, and the metrics where there are any. Never a path, a query, a
//! header or a body, for people paste tokens anywhere.

use super::metrics::Metrics;
use crate::domain::UserId;
use poem::http::{Method, StatusCode};
use std::time::Duration;

/// One answered request.
pub(super) struct Served<'a> {
    /// See `method_name`.
    pub method: &'static str,
    /// The route's template, such as `/api/v1/users/{user_id}`, or `unmatched`.
    pub route: &'static str,
    pub status: StatusCode,
    pub took: Duration,
    pub request_id: &'a str,
    /// The client's address as text, where it is known.
    pub client: Option<&'a str>,
    pub user: Option<UserId>,
}

/// Methods that anybody can make up are one.
pub(super) fn method_name(method: &Method) -> &'static str {
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
pub(super) fn served(served: &Served<'_>, metrics: Option<&Metrics>) {
    if let Some(metrics) = metrics {
        metrics.record(served);
    }
    // `display`: these texts need no quotes, and looking for what to escape takes longer than writing them.
    tracing::info!(
        target: "usher::request",
        method = display(served.method),
        route = display(served.route),
        status = served.status.as_u16(),
        micros = u64::try_from(served.took.as_micros()).unwrap_or(u64::MAX),
        request_id = display(served.request_id),
        client = served.client.map(display),
        user = served.user.map(UserId::get),
        "answered"
    );
}
