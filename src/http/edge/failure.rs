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

/// How failures look, by the path: programs get the envelope, and people a page, where pages are served.
#[derive(Clone, Copy)]
pub struct Renderers {
    page: Option<Renderer>,
    is_for_programs: bool,
}

impl Renderers {
    pub fn at(path: &str, page: Option<Renderer>) -> Self {
        let is_for_programs = path.starts_with("/api/") || matches!(path, "/api" | "/healthz" | "/readyz");
        Self { page, is_for_programs }
    }

    fn render(self, error: &ApiError, context: &Context) -> Response {
        match self.page.filter(|_| error.is_for_person || !self.is_for_programs) {
            Some(page) => page(error, context),
            None => envelope::response(error),
        }
    }
}

/// Logs a failure, where it is ours, and renders it.
///
/// That there is no handler for `OPTIONS` is how a preflight is noticed.
pub fn answer(
    error: ApiError,
    context: &Context,
    route: Option<&Route>,
    grant: Option<&Grant>,
    renderers: Renderers,
) -> Response {
    if let Some(internal) = &error.internal {
        let (request_id, code) = (&*context.request_id, error.code.as_str());
        tracing::error!(request_id, code, error = internal, "a request failed");
    }
    let others = route.filter(|_| error.code == ErrorCode::MethodNotAllowed);
    if let Some(answer) = others.and_then(|route| Grant::to_preflight(grant, &route.allow)) {
        return answer;
    }
    let mut response = renderers.render(&error, context);
    if let Some(route) = others {
        response.headers_mut().insert(header::ALLOW, route.allow.clone());
    }
    response
}
