//! Deleting one's own account.

use super::{SECTIONS, needs_recent_sign_in};
use crate::{
    app::ExpectedRevision,
    domain::{Error, Faults},
    http::{
        auth::{Member, cookie::CookieName},
        pages::{
            form::{Field, FormView, Refusal},
            view::{Layout, html, page},
        },
        wire::{
            error::{ApiError, ErrorCode},
            form::Form,
        },
    },
};
use poem::{
    Response, Result, handler,
    http::{StatusCode, header},
};

pub const PATH: &str = "/account/delete";

/// The field in which the username is typed.
const USERNAME: &str = "typed_username";

page! {
    DeletedPage from "deleted.html" {
        username: &'p str,
    }
}

#[handler]
pub fn show(member: Member) -> Result<Response> {
    needs_recent_sign_in(&member)?;
    Ok(form(&member, "", None)?)
}

/// Deletes the account of somebody who has typed its name; or shows the form again.
#[handler]
pub async fn delete(member: Member, sent: Form) -> Result<Response> {
    let (user, typed) = (member.user(), sent.text(USERNAME));
    let deleted = if typed.eq_ignore_ascii_case(user.username.as_str()) {
        member.context.app.accounts.delete(&member.caller, Some(user.id), ExpectedRevision::Any).await
    } else {
        let mut faults = Faults::default();
        faults.add(USERNAME, "does not match");
        Err(Error::Invalid(faults))
    };
    match deleted {
        Ok(()) => Ok(gone(&member)?),
        Err(error) => Ok(form(&member, typed, Some(&refusal(error)?))?),
    }
}

fn refusal(error: Error) -> Result<Refusal, ApiError> {
    let mut refusal = Refusal::of(error)?;
    let text = match refusal.code {
        ErrorCode::ValidationFailed => "Nothing was deleted. Type your username to confirm.",
        ErrorCode::LastAdmin => {
            "Nothing was deleted: you are the last administrator who can sign in. Make somebody else one first."
        }
        _ => return Ok(refusal),
    };
    text.clone_into(&mut refusal.text);
    Ok(refusal)
}

fn form(member: &Member, typed: &str, refusal: Option<&Refusal>) -> Result<Response, ApiError> {
    let username = &member.user().username;
    let view = FormView {
        title: "Delete account".to_owned(),
        action: PATH.into(),
        fields: vec![
            Field::new(USERNAME, "Your username", "text", "off", typed)
                .with_help(format!("To confirm, type {username} here.")),
        ],
        button: "Delete my account",
        notice: Some(
            "This can’t be undone. Your profile, your sessions and your tokens are deleted, and you are signed out \
             everywhere. What the apps hold of you stays there: delete it in each app before."
                .to_owned(),
        ),
        ..FormView::default()
    };
    view.show_in(Layout::of(member).within(&SECTIONS, PATH), member, refusal)
}

/// Says so, and removes the cookie.
fn gone(member: &Member) -> Result<Response, ApiError> {
    let layout = Layout::new(member.context.app.policy(), None);
    let mut response = html(StatusCode::OK, &DeletedPage { layout, username: member.user().username.as_str() })?;
    response.headers_mut().append(header::SET_COOKIE, member.without_cookie(CookieName::Session));
    Ok(response)
}
