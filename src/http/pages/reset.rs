//! Setting a new password with a link that an administrator gave out.
//!
//! The link decides whose password is set, whoever is signed in. If that is somebody else, the page says so before: the owner
//! of the link takes their place in this browser, as at the sign-in.

use super::{
    account_form,
    failure::Stop,
    form::{Field, FormView, Refusal},
    link::{self, LinkFault},
    sign_in::{lead_on, visit},
    view::Way,
};
use crate::{
    domain::{Error, OfReset, ResetToken, User},
    http::{
        auth::Visitor,
        wire::{error::ApiError, form::Form},
    },
};
use poem::{Request, Response, Result, handler, http::StatusCode};

/// A link, and the form behind it, which names the account.
#[handler]
pub(super) async fn show(visitor: Visitor, request: &Request) -> Result<Response> {
    if let Some(response) = link::take::<OfReset>(&visitor, request) {
        return Ok(response);
    }
    let token = match link::opened(&visitor) {
        Ok(token) => token,
        Err(fault) => return Ok(fault.page::<OfReset>(&visitor)?),
    };
    match visitor.context.app.resets.account(&visitor.caller, &token).await {
        Ok(account) => Ok(form(&visitor, &token, &account, true, None)?),
        Err(error) => Ok(stop(&visitor, error)?),
    }
}

/// Sets the password and signs its owner in, or shows the form again.
#[handler]
pub(super) async fn set_password(visitor: Visitor, sent: Form) -> Result<Response> {
    let (app, keep) = (&visitor.context.app, sent.is_ticked("keep"));
    let token = match link::sent(&visitor, &sent) {
        Ok(token) => token,
        Err(fault) => return Ok(fault.page::<OfReset>(&visitor)?),
    };
    let account = match app.resets.account(&visitor.caller, &token).await {
        Ok(account) => account,
        Err(error) => return Ok(stop(&visitor, error)?),
    };
    let set = match account_form::read_password(app, &sent) {
        Ok(password) => {
            let visit = visit(&visitor, keep);
            app.resets.reset_password_in_browser(&visitor.caller, &token, password, visit).await
        }
        Err(error) => Err(error),
    };
    let mut response = match set {
        Ok(Some(signed_in)) => lead_on(&visitor, &signed_in, keep, ""),
        Ok(None) => disabled(&visitor)?,
        Err(Error::InvalidResetToken) => return Ok(stop(&visitor, Error::InvalidResetToken)?),
        Err(error) => return Ok(form(&visitor, &token, &account, keep, Some(&Refusal::of(error)?))?),
    };
    link::forget(&visitor, &mut response);
    Ok(response)
}

fn form(
    visitor: &Visitor,
    token: &ResetToken,
    account: &User,
    keep: bool,
    refusal: Option<&Refusal>,
) -> Result<Response, ApiError> {
    let name = account.username.as_str();
    let other = visitor.caller.signed_in().filter(|own| own.user.id != account.id).map(|own| &own.user.username);
    let elsewhere = format!("Once it is set, {name} is signed out everywhere else.");
    let view = FormView {
        title: "Set a new password".to_owned(),
        action: "/reset",
        hidden: vec![link::seal(token)],
        fields: vec![
            // A password manager stores the new password under this name.
            Field::new("username", "Username", "text", "username", name).fixed(),
            account_form::new_password("New password", &visitor.context.app.policy().passwords),
        ],
        keep,
        button: "Set password",
        notice: Some(match other {
            Some(other) => format!("You are signed in as {other}, who is signed out in this browser. {elsewhere}"),
            None => elsewhere,
        }),
        otherwise: None,
    };
    view.show(visitor, refusal)
}

/// Where a link ends that sets no password.
fn stop(visitor: &Visitor, error: Error) -> Result<Response, ApiError> {
    match error {
        Error::InvalidResetToken => LinkFault::Ended.page::<OfReset>(visitor),
        other => Err(other.into()),
    }
}

/// The password is set, and nobody is signed in.
fn disabled(visitor: &Visitor) -> Result<Response, ApiError> {
    let text = "Nobody can sign in to it until an administrator enables it. Ask one of them.".to_owned();
    let (title, way) = ("The password is set, but the account is disabled", Way::to("/sign-in", "Sign in"));
    Stop { status: StatusCode::FORBIDDEN, title, text, way }.page(visitor)
}
