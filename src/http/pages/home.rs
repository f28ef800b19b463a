//! The first page.

use super::view::{Layout, html, page, see_other};
use crate::http::{auth::Visitor, wire::error::ApiError};
use poem::{Response, Result, handler, http::StatusCode};

page! {
    HomePage from "home.html" {
        name: &'p str,
    }
}

page! {
    NoAdminPage from "no_admin.html" {
    }
}

/// To the sign-in for those who are not signed in. Without an administrator, it says how to create one.
#[handler]
pub(super) async fn show(visitor: Visitor) -> Result<Response> {
    let app = &visitor.context.app;
    if let Some(signed_in) = visitor.caller.signed_in() {
        let name = signed_in.user.username.as_str();
        return Ok(html(StatusCode::OK, &HomePage { layout: Layout::of(&visitor), name })?);
    }
    if app.has_admin().await.map_err(ApiError::from)? {
        return Ok(see_other("/sign-in"));
    }
    Ok(html(StatusCode::OK, &NoAdminPage { layout: Layout::of(&visitor) })?)
}
