//! Signing out.

use super::view::{Layout, html, page, see_other};
use crate::{
    domain::Error,
    http::{
        auth::{Visitor, cookie::CookieName},
        wire::error::ApiError,
    },
};
use poem::{
    Response, Result, handler,
    http::{StatusCode, header},
};

page! {
    SignOutPage from "sign_out.html" {
        signed_in: bool,
    }
}

/// Changes nothing, so that a link on another site signs nobody out.
#[handler]
pub(super) fn show(visitor: Visitor) -> Result<Response> {
    let layout = Layout::of(&visitor);
    Ok(html(StatusCode::OK, &SignOutPage { layout, signed_in: visitor.is_signed_in() })?)
}

/// Ends the browser's session and everything that depends on it. Somebody whose session has ended already is signed out,
/// too.
#[handler]
pub(super) async fn sign_out(visitor: Visitor) -> Result<Response> {
    match visitor.context.app.sessions.sign_out(&visitor.caller).await {
        Ok(()) | Err(Error::AuthenticationRequired | Error::InvalidToken) => {}
        Err(error) => return Err(ApiError::from(error).into()),
    }
    let mut response = see_other("/sign-in");
    response.headers_mut().append(header::SET_COOKIE, visitor.without_cookie(CookieName::Session));
    Ok(response)
}
