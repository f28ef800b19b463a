//! A new password.

use super::SECTIONS;
use crate::{
    app::ExpectedRevision,
    domain::UserChanges,
    http::{
        auth::Member,
        pages::{
            account_form,
            confirm::needs_recent_sign_in,
            done::Done,
            form::{Field, FormView, Refusal},
            view::{Layout, see_other},
        },
        wire::{
            error::{ApiError, OfPage},
            form::Form,
        },
    },
};
use poem::{Response, Result, handler, http::StatusCode};

pub const PATH: &str = "/account/password";

#[handler]
pub fn show(member: Member) -> Result<Response> {
    needs_recent_sign_in(&member)?;
    Ok(form(&member, None)?)
}

/// Sets the password; or shows the form again.
#[handler]
pub async fn save(member: Member, sent: Form) -> Result<Response> {
    if !sent.is_ticked("password") {
        return Ok(see_other(PATH)); // the sign-in was confirmed meanwhile, and passwords don't come along
    }
    if sent.text("username") != member.user().username.as_str() {
        return Err(somebody_else().into());
    }
    let app = &member.context.app;
    let saved = match account_form::read_password(app, &sent) {
        Ok(password) => {
            let changes = UserChanges { password: Some(password), ..UserChanges::default() };
            app.accounts.update(&member.caller, Some(member.user().id), changes, ExpectedRevision::Any).await
        }
        Err(error) => Err(error),
    };
    match saved {
        Ok(_) => Ok(Done::PasswordSet.at(super::profile::PATH)),
        Err(error) => Ok(form(&member, Some(&Refusal::of(error)?))?),
    }
}

fn form(member: &Member, refusal: Option<&Refusal>) -> Result<Response, ApiError> {
    let view = FormView {
        title: "Password".to_owned(),
        action: PATH.into(),
        fields: vec![
            // A password manager stores the new password under this name.
            Field::new("username", "Username", "text", "username", member.user().username.as_str()).fixed(),
            account_form::new_password("New password", &member.context.app.policy().passwords),
        ],
        button: "Set password",
        notice: Some(
            "You stay signed in here, and in the apps that you entered from this browser. All your other sessions end, \
             and links to reset the password become void. Your app tokens stay."
                .to_owned(),
        ),
        ..FormView::default()
    };
    view.show_in(Layout::of(member).within(&SECTIONS, PATH), member, refusal)
}

/// The form was shown to somebody who is not signed in any more: another has signed in meanwhile, in another tab.
fn somebody_else() -> ApiError {
    let text = "after this form was shown, the account was renamed, or somebody else signed in in this browser. Nothing was \
                changed. Open the page again";
    ApiError::of_page(&OfPage { status: StatusCode::CONFLICT, title: "This form is for another account" }, text)
}
