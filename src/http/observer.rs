//! What is told about each answer: one line of the log. Never a path, a query, a header or a body, for people paste
//! tokens anywhere.

use crate::domain::UserId;
use poem::http::{Method, StatusCode};
use std::time::Duration;

/// One answered request.
pub(super) struct Served<'a> {
    pub method: &'a Method,
    /// The route's template, such as `/api/v1/users/{user_id}`, or `unmatched`.
    pub route: &'a str,
    pub status: StatusCode,
    pub took: Duration,
    pub request_id: &'a str,
    /// The client's address as text, where it is known.
    pub client: Option<&'a str>,
    pub user: Option<UserId>,
}

/// Methods that anybody can make up are one.
fn known(method: &Method) -> &str {
    const KNOWN: [Method; 9] = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
        Method::PATCH,
        Method::TRACE,
        Method::CONNECT,
    ];
    if KNOWN.contains(method) { method.as_str() } else { "other" }
}

/// Called once for every answer.
pub(super) fn served(served: &Served<'_>) {
    // `display`: these texts need no quotes, and looking for what to escape takes longer than writing them.
    tracing::info!(
        target: "usher::request",
        method = display(known(served.method)),
        route = display(served.route),
        status = served.status.as_u16(),
        micros = u64::try_from(served.took.as_micros()).unwrap_or(u64::MAX),
        request_id = display(served.request_id),
        client = served.client.map(display),
        user = served.user.map(UserId::get),
        "answered"
    );
}
