//! The first page.

use super::view::{Layout, html, page, see_other};
use crate::{
    domain::{Door, Role},
    http::{auth::Visitor, wire::error::ApiError},
};
use poem::{Response, Result, handler, http::StatusCode};

page! {
    HomePage from "home.html" {
        name: &'p str,
        /// Those that may be entered.
        apps: Vec<Door>,
        is_admin: bool,
    }
}

page! {
    NoAdminPage from "no_admin.html" {
    }
}

/// One's apps. To the sign-in for those who are not signed in. Without an administrator, it says how to create one.
#[handler]
pub(super) async fn show(visitor: Visitor) -> Result<Response> {
    let app = &visitor.context.app;
    if let Some(signed_in) = visitor.caller.signed_in() {
        let user = &signed_in.user;
        let page = HomePage {
            layout: Layout::of(&visitor),
            name: user.display_name.as_ref().map_or(user.username.as_str(), |name| name.as_str()),
            apps: app.entry.open_doors(&visitor.caller).await.map_err(ApiError::from)?,
            is_admin: user.role == Role::Admin,
        };
        return Ok(html(StatusCode::OK, &page)?);
    }
    if app.has_admin().await.map_err(ApiError::from)? {
        return Ok(see_other("/sign-in"));
    }
    Ok(html(StatusCode::OK, &NoAdminPage { layout: Layout::of(&visitor) })?)
}
