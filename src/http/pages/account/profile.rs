//! One's own names and e-mail address.

use super::SECTIONS;
use crate::http::{
    auth::Member,
    pages::{
        done::Done,
        form::{FormView, Refusal},
        profile_form::{self, Typed},
        view::Layout,
    },
    wire::{error::ApiError, form::Form},
};
use poem::{Response, Result, handler};

pub const PATH: &str = "/account";

#[handler]
pub fn show(member: Member) -> Result<Response> {
    Ok(form(&member, &Typed::from_user(member.user()), None)?)
}

/// Changes what is not as it was; or shows the form again.
#[handler]
pub async fn save(member: Member, sent: Form) -> Result<Response> {
    let (user, typed) = (member.user(), Typed::of(&sent));
    let saved = match typed.changes(user) {
        Ok(changes) => {
            let expected = profile_form::expected(user, &sent);
            member.context.app.accounts.update(&member.caller, Some(user.id), changes, expected).await
        }
        Err(error) => Err(error),
    };
    match saved {
        Ok(_) => Ok(Done::Saved.at(PATH)),
        Err(error) => Ok(form(&member, &typed, Some(&Refusal::of(error)?))?),
    }
}

fn form(member: &Member, typed: &Typed<'_>, refusal: Option<&Refusal>) -> Result<Response, ApiError> {
    let view = FormView {
        title: "Profile".to_owned(),
        action: PATH.into(),
        ..profile_form::form(member.user(), typed, false, refusal)
    };
    view.show_in(Layout::of(member).within(&SECTIONS, PATH), member, refusal)
}
