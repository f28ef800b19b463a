//! Deleting one's own account.

use super::SECTIONS;
use crate::{
    app::ExpectedRevision,
    http::{
        auth::{Member, cookie::CookieName},
        pages::{
            confirm::needs_recent_sign_in,
            deletion,
            form::{FormView, Refusal},
            view::{Layout, html, page},
        },
        wire::{error::ApiError, form::Form},
    },
};
use poem::{
    Response, Result, handler,
    http::{StatusCode, header},
};

pub const PATH: &str = "/account/delete";

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
    let (user, typed) = (member.user(), sent.text(deletion::FIELD));
    let deleted = match deletion::confirm(user.username.as_str(), typed) {
        Ok(()) => member.context.app.accounts.delete(&member.caller, Some(user.id), ExpectedRevision::Any).await,
        Err(error) => Err(error),
    };
    match deleted {
        Ok(()) => Ok(gone(&member)?),
        Err(error) => Ok(form(&member, typed, Some(&deletion::refusal(error)?))?),
    }
}

fn form(member: &Member, typed: &str, refusal: Option<&Refusal>) -> Result<Response, ApiError> {
    let view = FormView {
        title: "Delete account".to_owned(),
        action: PATH.into(),
        fields: vec![deletion::field("Your username", member.user().username.as_str(), typed)],
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
