//! Signing in.

use super::{
    form::{Field, FormView, Refusal, keep},
    view::{Way, see_other},
};
use crate::{
    app::{BrowserSignIn, BrowserVisit},
    domain::{AppPath, Registration},
    http::{
        auth::{QUERY, Visitor, cookie::CookieName},
        wire::{error::ApiError, form::Form, query::parameter},
    },
};
use percent_encoding::utf8_percent_encode;
use poem::{Request, Response, Result, handler, http::header};

/// What the form shows when it is sent to a browser.
pub(super) struct Filled<'p> {
    pub login: &'p str,
    pub keep: bool,
    /// What travels with somebody who is going to an app, and the app.
    pub flow: &'p str,
    pub app: Option<&'p str>,
    /// The page that somebody was going to.
    pub to: &'p str,
}

impl Default for Filled<'_> {
    fn default() -> Self {
        Self { login: "", keep: true, flow: "", app: None, to: "" }
    }
}

/// The form. Where everybody may register, it leads there, too.
pub(super) fn form(visitor: &Visitor, filled: &Filled<'_>, refusal: Option<&Refusal>) -> Result<Response, ApiError> {
    let may_register = visitor.context.app.policy().registration == Registration::Open;
    let view = FormView {
        title: filled.app.map_or_else(|| "Sign in".to_owned(), |app| format!("Sign in to {app}")),
        action: "/sign-in".into(),
        hidden: carried(filled.flow).into_iter().chain(carried_to(filled.to)).collect(),
        fields: vec![
            Field::new("login", "Username or e-mail", "text", "username", filled.login),
            Field::new("password", "Password", "password", "current-password", ""),
        ],
        ticks: keep(filled.keep),
        button: "Sign in",
        otherwise: may_register.then(|| Way {
            before: "No account yet?",
            to: with_flow("/register", filled.flow).into(),
            label: "Create an account",
        }),
        ..FormView::default()
    };
    view.show(visitor, refusal)
}

/// What travels with a form to an app, if somebody is going to one.
pub(super) fn carried(flow: &str) -> Vec<(&'static str, String)> {
    if flow.is_empty() { vec![] } else { vec![("flow", flow.to_owned())] }
}

/// The same for a page that somebody was going to.
fn carried_to(to: &str) -> Option<(&'static str, String)> {
    Some(("to", to.to_owned())).filter(|_| !to.is_empty())
}

/// A page on the way to an app, if somebody is going to one.
pub(super) fn with_flow(path: &str, flow: &str) -> String {
    if flow.is_empty() { path.to_owned() } else { format!("{path}?flow={}", utf8_percent_encode(flow, QUERY)) }
}

#[handler]
pub(super) fn show(visitor: Visitor, request: &Request) -> Result<Response> {
    let to = parameter(request, "to").unwrap_or_default();
    Ok(form(&visitor, &Filled { to: &to, ..Filled::default() }, None)?)
}

/// Opens a session, or shows the form again with what was typed, the password aside.
#[handler]
pub(super) async fn sign_in(visitor: Visitor, sent: Form) -> Result<Response> {
    let (login, keep, flow, to) = (sent.text("login"), sent.is_ticked("keep"), sent.text("flow"), sent.text("to"));
    let visit = visit(&visitor, keep);
    match visitor.context.app.sign_in.in_browser(&visitor.caller, login, sent.text("password"), visit).await {
        Ok(signed_in) if flow.is_empty() => {
            // Whatever was sent along leads to no other host.
            Ok(sign_in_and_lead_to(&visitor, &signed_in, keep, AppPath::of(to).as_str()))
        }
        Ok(signed_in) => Ok(lead_on(&visitor, &signed_in, keep, flow)),
        Err(error) => {
            let app = visitor.context.app.entry.destination(&visitor.caller, flow).await.map_err(ApiError::from)?;
            let filled = Filled { login, keep, flow, app: app.as_deref(), to };
            Ok(form(&visitor, &filled, Some(&Refusal::of(error)?))?)
        }
    }
}

/// What a browser sends with a form that signs somebody in.
pub(super) fn visit(visitor: &Visitor, keep: bool) -> BrowserVisit {
    let known = visitor.known.as_ref().map(|token| token.hash());
    BrowserVisit { keep, known, user_agent: visitor.user_agent.clone() }
}

/// Sets the cookies, and leads to the app that somebody was going to, or to the first page.
pub(super) fn lead_on(visitor: &Visitor, signed_in: &BrowserSignIn, keep: bool, flow: &str) -> Response {
    let to = with_flow(if flow.is_empty() { "/" } else { "/continue" }, flow);
    sign_in_and_lead_to(visitor, signed_in, keep, &to)
}

/// Sets the cookies, and leads to a page.
pub(super) fn sign_in_and_lead_to(visitor: &Visitor, signed_in: &BrowserSignIn, keep: bool, to: &str) -> Response {
    with_cookies(see_other(to), visitor, signed_in, keep)
}

/// Sets the cookies with an answer.
pub(super) fn with_cookies(
    mut response: Response,
    visitor: &Visitor,
    signed_in: &BrowserSignIn,
    keep: bool,
) -> Response {
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
