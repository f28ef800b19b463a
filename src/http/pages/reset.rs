//! Setting a new password with a link that an administrator gave out.
//!
//! The link decides whose password is set, no matter who is signed in. If that is somebody else, the page says so before: the owner
//! of the link takes their place in this browser, as at the sign-in.

use super::{
    account_form,
    form::{self, Field, FormView, Refusal},
    link,
    sign_in::{lead_on, visit},
};
use crate::{
    domain::{OfReset, ResetToken, User},
    http::{
        auth::Visitor,
        wire::{
            error::{ApiError, OfPage},
            form::Form,
        },
    },
};
use poem::{Request, Response, Result, handler, http::StatusCode};

/// A link, and the form behind it, which names the account.
#[handler]
pub(super) async fn show(visitor: Visitor, request: &Request) -> Result<Response> {
    if let Some(response) = link::take::<OfReset>(&visitor, request) {
        return Ok(response);
    }
    let reset = Resetting::with(&visitor, link::opened(&visitor)?).await?;
    Ok(reset.form(true, None)?)
}

/// Sets the password and signs its owner in, or shows the form again.
#[handler]
pub(super) async fn set_password(visitor: Visitor, sent: Form) -> Result<Response> {
    let reset = Resetting::with(&visitor, link::sent(&visitor, &sent)?).await?;
    Ok(reset.run(&sent).await?)
}

/// Somebody who sets a new password.
struct Resetting<'v> {
    visitor: &'v Visitor,
    token: ResetToken,
    owner: User,
}

impl<'v> Resetting<'v> {
    async fn with(visitor: &'v Visitor, token: ResetToken) -> Result<Self, ApiError> {
        let owner = visitor.context.app.resets.account(&visitor.caller, &token).await?;
        Ok(Self { visitor, token, owner })
    }

    fn form(&self, keep: bool, refusal: Option<&Refusal>) -> Result<Response, ApiError> {
        let name = self.owner.username.as_str();
        let own = self.visitor.caller.signed_in().map(|signed_in| &signed_in.user);
        let elsewhere = format!("Once it is set, {name} is signed out everywhere else.");
        let view = FormView {
            title: "Set a new password".to_owned(),
            action: "/reset".into(),
            hidden: vec![link::seal(&self.token)],
            fields: vec![
                // A password manager stores the new password under this name.
                Field::new("username", "Username", "text", "username", name).fixed(),
                account_form::new_password("New password", &self.visitor.context.app.policy().passwords),
            ],
            ticks: form::keep(keep),
            button: "Set password",
            notice: Some(match own.filter(|own| own.id != self.owner.id) {
                Some(own) => {
                    format!("You are signed in as {}, who is signed out in this browser. {elsewhere}", own.username)
                }
                None => elsewhere,
            }),
            ..FormView::default()
        };
        view.show(self.visitor, refusal)
    }

    async fn run(&self, sent: &Form) -> Result<Response, ApiError> {
        let (visitor, keep) = (self.visitor, sent.is_ticked("keep"));
        let app = &visitor.context.app;
        let set = match account_form::read_password(app, sent) {
            Ok(password) => {
                let visit = visit(visitor, keep);
                app.resets.reset_password_in_browser(&visitor.caller, &self.token, password, visit).await
            }
            Err(error) => Err(error),
        };
        match set {
            Ok(Some(signed_in)) => {
                let mut response = lead_on(visitor, &signed_in, keep, "");
                link::forget(visitor, &mut response);
                Ok(response)
            }
            Ok(None) => Err(disabled()),
            Err(error) => self.form(keep, Some(&Refusal::of(error)?)),
        }
    }
}

/// The password is set, and nobody is signed in.
fn disabled() -> ApiError {
    let text = "nobody can sign in to it until an administrator enables it. Ask one of them";
    let page = &OfPage { status: StatusCode::FORBIDDEN, title: "The password is set, but the account is disabled" };
    ApiError::of_page(page, text)
}
