//! Creating one's own account, with an invitation or without one.
//!
//! Somebody who is signed in may do that, too, as anybody else may: the form is for a person, and an administrator who
//! fills it in creates no verified account. The new account takes the place of theirs in this browser, as at the sign-in, and
//! the page says so before.

use super::{
    account_form::{self, Typed},
    form::{FormView, Refusal, keep},
    link,
    sign_in::{carried, lead_on, visit, with_flow},
    view::Way,
};
use crate::{
    app::NewAccount,
    domain::{EmailAddress, Error, Invitation, InvitationToken, OfInvitation},
    http::{
        auth::Visitor,
        wire::{
            error::{ApiError, OfPage},
            form::Form,
            query::parameter,
        },
    },
};
use poem::{Request, Response, Result, handler, http::StatusCode};

/// The form, where everybody may register.
#[handler]
pub(super) fn show(visitor: Visitor, request: &Request) -> Result<Response> {
    visitor.context.app.accounts.may_register(&visitor.caller).map_err(ApiError::from)?;
    let flow = parameter(request, "flow").unwrap_or_default();
    Ok(Registering { visitor: &visitor, invited: None }.form(&Filled::new(&flow), None)?)
}

/// Creates the account and signs it in, or shows the form again.
#[handler]
pub(super) async fn register(visitor: Visitor, sent: Form) -> Result<Response> {
    visitor.context.app.accounts.may_register(&visitor.caller).map_err(ApiError::from)?;
    Ok(Registering { visitor: &visitor, invited: None }.run(&sent).await?)
}

/// A link to an invitation, and the form behind it.
#[handler]
pub(super) async fn show_invited(visitor: Visitor, request: &Request) -> Result<Response> {
    if let Some(response) = link::take::<OfInvitation>(&visitor, request) {
        return Ok(response);
    }
    let invited = Registering::with(&visitor, link::opened(&visitor)?).await?;
    Ok(invited.form(&Filled::new(""), None)?)
}

/// The same with an invitation.
#[handler]
pub(super) async fn register_invited(visitor: Visitor, sent: Form) -> Result<Response> {
    let invited = Registering::with(&visitor, link::sent(&visitor, &sent)?).await?;
    Ok(invited.run(&sent).await?)
}

/// What the form shows when it is sent to a browser.
struct Filled<'p> {
    typed: Typed<'p>,
    keep: bool,
    flow: &'p str,
}

impl<'p> Filled<'p> {
    fn new(flow: &'p str) -> Self {
        Self { typed: Typed::default(), keep: true, flow }
    }
}

/// Somebody who creates an account.
struct Registering<'v> {
    visitor: &'v Visitor,
    invited: Option<(InvitationToken, Invitation)>,
}

impl<'v> Registering<'v> {
    async fn with(visitor: &'v Visitor, token: InvitationToken) -> Result<Self, ApiError> {
        let invitation = visitor.context.app.invitations.find(&visitor.caller, &token).await?;
        Ok(Self { visitor, invited: Some((token, invitation)) })
    }

    /// The e-mail address that the invitation is for.
    fn fixed(&self) -> Option<&EmailAddress> {
        self.invited.as_ref().and_then(|(_, invitation)| invitation.email.as_ref())
    }

    fn form(&self, filled: &Filled<'_>, refusal: Option<&Refusal>) -> Result<Response, ApiError> {
        let passwords = &self.visitor.context.app.policy().passwords;
        let own = self.visitor.caller.signed_in().map(|signed_in| &signed_in.user.username);
        let mut hidden = carried(filled.flow);
        hidden.extend(self.invited.as_ref().map(|(token, _)| link::seal(token)));
        let view = FormView {
            title: "Create an account".to_owned(),
            action: if self.invited.is_some() { "/invited" } else { "/register" }.into(),
            hidden,
            fields: account_form::fields(&filled.typed, self.fixed(), passwords),
            ticks: keep(filled.keep),
            button: "Create account",
            notice: own.map(|own| {
                format!(
                    "You are signed in as {own}. Once the new account is created, {own} is signed out in this browser."
                )
            }),
            otherwise: own.is_none().then(|| Way {
                before: "You have an account?",
                to: with_flow(if filled.flow.is_empty() { "/sign-in" } else { "/enter" }, filled.flow).into(),
                label: "Sign in",
            }),
            ..FormView::default()
        };
        view.show(self.visitor, refusal)
    }

    async fn run(&self, sent: &Form) -> Result<Response, ApiError> {
        let (visitor, app) = (self.visitor, &self.visitor.context.app);
        let (keep, flow) = (sent.is_ticked("keep"), sent.text("flow"));
        let registered = match account_form::read(app, sent, self.fixed()) {
            Ok(account) => {
                let invitation = self.invited.as_ref().map(|(token, _)| token.reveal().to_owned());
                let account = NewAccount { invitation, ..account };
                app.accounts.register_in_browser(&visitor.caller, account, visit(visitor, keep)).await
            }
            Err(error) => Err(error),
        };
        match registered {
            Ok(signed_in) => {
                let mut response = lead_on(visitor, &signed_in, keep, flow);
                if self.invited.is_some() {
                    link::forget(visitor, &mut response);
                }
                Ok(response)
            }
            // Nothing that can be typed here would help.
            Err(Error::EmailTaken) if self.fixed().is_some() => Err(has_account()),
            Err(error) => {
                let filled = Filled { typed: Typed::of(sent), keep, flow };
                self.form(&filled, Some(&Refusal::of(error)?))
            }
        }
    }
}

/// The invitation is for an e-mail address that an account has.
fn has_account() -> ApiError {
    let text = "if it is yours, sign in. If you have forgotten its password, ask an administrator for a link";
    let page = &OfPage { status: StatusCode::CONFLICT, title: "There is an account with this e-mail address" };
    ApiError::of_page(page, text)
}
