//! Signing in.

use super::{
    failure::wait,
    view::{Field, Layout, html, is_unprotected, see_other, with_faults},
};
use crate::{
    app::BrowserVisit,
    domain::{Error, Faults},
    http::{
        auth::{Visitor, cookie::CookieName},
        wire::{error::ApiError, form::Form},
    },
};
use askama::Template;
use poem::{
    Response, Result, handler,
    http::{HeaderValue, StatusCode, header},
};

#[derive(Template)]
#[template(path = "sign_in.html", config = "src/http/pages/askama.toml")]
struct SignInPage<'p> {
    layout: Layout<'p>,
    fields: Vec<Field<'p>>,
    keep: bool,
    /// Why nobody was signed in.
    refusal: Option<String>,
    /// Whether passwords cross a network unprotected.
    unprotected: bool,
}

impl<'p> SignInPage<'p> {
    fn new(visitor: &'p Visitor, login: &'p str, keep: bool, refusal: Option<String>, faults: &'p Faults) -> Self {
        let field = |name, label, kind, autocomplete, value| Field {
            name,
            label,
            kind,
            autocomplete,
            value,
            fault: None,
            focus: false,
        };
        let fields = vec![
            field("login", "Username or e-mail", "text", "username", login),
            field("password", "Password", "password", "current-password", ""),
        ];
        let name = visitor.caller.signed_in().map(|signed_in| signed_in.user.username.as_str());
        Self {
            layout: Layout::new(&visitor.context.app.policy().instance_name, name),
            fields: with_faults(fields, faults, if login.is_empty() { "login" } else { "password" }),
            keep,
            refusal,
            unprotected: is_unprotected(&visitor.public_url),
        }
    }
}

#[handler]
pub(super) fn show(visitor: Visitor) -> Result<Response> {
    let faults = Faults::default();
    Ok(html(StatusCode::OK, &SignInPage::new(&visitor, "", true, None, &faults))?)
}

/// Opens a session, or shows the form again with what was typed, the password aside.
#[handler]
pub(super) async fn sign_in(visitor: Visitor, form: Form) -> Result<Response> {
    let (login, password, keep) = (form.text("login"), form.text("password"), form.is_ticked("keep"));
    let visit = BrowserVisit {
        keep,
        known: visitor.known.as_ref().map(|token| token.hash()),
        user_agent: visitor.user_agent.clone(),
    };
    let error = match visitor.context.app.sign_in.in_browser(&visitor.caller, login, password, visit).await {
        Ok(signed_in) => {
            let max_age = keep.then_some(signed_in.lifetime);
            let mut response = see_other("/");
            let cookies = [
                visitor.cookie(CookieName::Session, signed_in.token.reveal(), max_age),
                visitor.cookie(CookieName::Known, signed_in.known.reveal(), Some(signed_in.known_for)),
            ];
            for cookie in cookies {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            return Ok(response);
        }
        Err(error) => error,
    };
    let refusal = match &error {
        Error::InvalidCredentials => {
            "The username, the e-mail address or the password is wrong, or the account is disabled.".to_owned()
        }
        Error::TooManyAttempts(_) => String::new(),
        Error::Overloaded => "The service is busy. Wait a few seconds, then try again.".to_owned(),
        _ => return Err(ApiError::from(error).into()),
    };
    let error = ApiError::from(error);
    let retry_after = error.retry_after_seconds();
    let refusal = match retry_after {
        Some(seconds) if refusal.is_empty() => format!("Too many attempts. Wait {}, then try again.", wait(seconds)),
        _ => refusal,
    };
    let faults = Faults::default();
    let page = SignInPage::new(&visitor, login, keep, Some(refusal), &faults);
    let mut response = html(error.code.status(), &page)?;
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(response)
}
