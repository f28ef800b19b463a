//! Signing in.

use super::{
    failure::wait,
    view::{Field, Layout, html, is_unprotected, page, see_other},
};
use crate::{
    app::{BrowserSignIn, BrowserVisit},
    domain::Error,
    http::{
        auth::{QUERY, Visitor, cookie::CookieName},
        wire::{
            error::{ApiError, ErrorCode},
            form::Form,
        },
    },
};
use percent_encoding::utf8_percent_encode;
use poem::{
    Response, Result, handler,
    http::{HeaderValue, StatusCode, header},
};

page! {
    SignInPage from "sign_in.html" {
        fields: Vec<Field<'p>>,
        keep: bool,
        /// The app that somebody is going to, and what travels with them.
        app: Option<&'p str>,
        flow: &'p str,
        /// Why nobody was signed in.
        refusal: Option<&'p str>,
        /// Whether passwords cross a network unprotected.
        unprotected: bool,
    }
}

/// What the form shows when it is sent to a browser.
pub(super) struct Filled<'p> {
    pub login: &'p str,
    pub keep: bool,
    pub flow: &'p str,
    pub app: Option<&'p str>,
    /// The status of the page, and why nobody was signed in.
    pub refusal: Option<(StatusCode, &'p str)>,
}

impl Default for Filled<'_> {
    fn default() -> Self {
        Self { login: "", keep: true, flow: "", app: None, refusal: None }
    }
}

/// The form.
pub(super) fn form(visitor: &Visitor, filled: &Filled<'_>) -> Result<Response, ApiError> {
    let field = |name, label, kind, autocomplete, value, focus| Field { name, label, kind, autocomplete, value, focus };
    let is_new = filled.login.is_empty();
    let fields = vec![
        field("login", "Username or e-mail", "text", "username", filled.login, is_new),
        field("password", "Password", "password", "current-password", "", !is_new),
    ];
    let (status, refusal) = filled.refusal.unzip();
    let page = SignInPage {
        layout: Layout::of(visitor),
        fields,
        keep: filled.keep,
        app: filled.app,
        flow: filled.flow,
        refusal,
        unprotected: is_unprotected(&visitor.public_url),
    };
    html(status.unwrap_or(StatusCode::OK), &page)
}

#[handler]
pub(super) fn show(visitor: Visitor) -> Result<Response> {
    Ok(form(&visitor, &Filled::default())?)
}

/// Opens a session, or shows the form again with what was typed, the password aside.
#[handler]
pub(super) async fn sign_in(visitor: Visitor, sent: Form) -> Result<Response> {
    let (login, keep, flow) = (sent.text("login"), sent.is_ticked("keep"), sent.text("flow"));
    let known = visitor.known.as_ref().map(|token| token.hash());
    let visit = BrowserVisit { keep, known, user_agent: visitor.user_agent.clone() };
    match visitor.context.app.sign_in.in_browser(&visitor.caller, login, sent.text("password"), visit).await {
        Ok(signed_in) => Ok(lead_on(&visitor, &signed_in, keep, flow)),
        Err(error) => {
            let app = visitor.context.app.entry.destination(&visitor.caller, flow).await.map_err(ApiError::from)?;
            let filled = Filled { login, keep, flow, app: app.as_deref(), refusal: None };
            Ok(refuse(&visitor, error, filled)?)
        }
    }
}

/// Sets the cookies, and leads to the app that somebody was going to, or to the first page.
fn lead_on(visitor: &Visitor, signed_in: &BrowserSignIn, keep: bool, flow: &str) -> Response {
    let mut response = match flow {
        "" => see_other("/"),
        flow => see_other(&format!("/continue?flow={}", utf8_percent_encode(flow, QUERY))),
    };
    let max_age = keep.then_some(signed_in.lifetime);
    let cookies = [
        visitor.cookie(CookieName::Session, signed_in.token.reveal(), max_age),
        visitor.cookie(CookieName::Known, signed_in.known.reveal(), Some(signed_in.known_for)),
    ];
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The form again, with what a person can do about it. Other failures have a page of their own.
fn refuse(visitor: &Visitor, error: Error, filled: Filled<'_>) -> Result<Response, ApiError> {
    let error = ApiError::from(error);
    let retry_after = error.retry_after_seconds();
    let text = match (error.code, retry_after) {
        (ErrorCode::InvalidCredentials, _) => {
            "The username, the e-mail address or the password is wrong, or the account is disabled.".to_owned()
        }
        (ErrorCode::TooManyAttempts, Some(seconds)) => {
            format!("Too many attempts. Wait {}, then try again.", wait(seconds))
        }
        (ErrorCode::Overloaded, _) => "The service is busy. Wait a few seconds, then try again.".to_owned(),
        _ => return Err(error),
    };
    let mut response = form(visitor, &Filled { refusal: Some((error.code.status(), &text)), ..filled })?;
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(response)
}
