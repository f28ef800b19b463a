//! The first page.

use super::view::{Layout, html, see_other};
use crate::http::{auth::Visitor, wire::error::ApiError};
use askama::Template;
use poem::{Response, Result, handler, http::StatusCode};

#[derive(Template)]
#[template(path = "home.html", config = "src/http/pages/askama.toml")]
struct HomePage<'p> {
    layout: Layout<'p>,
    name: &'p str,
}

#[derive(Template)]
#[template(path = "no_admin.html", config = "src/http/pages/askama.toml")]
struct NoAdminPage<'p> {
    layout: Layout<'p>,
}

/// To the sign-in for those who are not signed in. Without an administrator, it says how to create one.
#[handler]
pub(super) async fn show(visitor: Visitor) -> Result<Response> {
    let app = &visitor.context.app;
    let instance = &app.policy().instance_name;
    if let Some(signed_in) = visitor.caller.signed_in() {
        let name = signed_in.user.username.as_str();
        return Ok(html(StatusCode::OK, &HomePage { layout: Layout::new(instance, Some(name)), name })?);
    }
    if app.has_admin().await.map_err(ApiError::from)? {
        return Ok(see_other("/sign-in"));
    }
    Ok(html(StatusCode::OK, &NoAdminPage { layout: Layout::new(instance, None) })?)
}
