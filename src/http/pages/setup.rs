//! Setting up: the first administrator.

use super::{
    account_form::{self, Typed},
    admin::protect,
    form::{self, FormView, Refusal},
    link,
    sign_in::{sign_in_and_lead_to, visit},
};
use crate::{
    domain::{OfSetup, SetupToken},
    http::{
        auth::Visitor,
        wire::{error::ApiError, form::Form},
    },
};
use poem::{Request, Response, Result, handler};

/// The set-up link, and the form behind it.
#[handler]
pub(super) async fn show(visitor: Visitor, request: &Request) -> Result<Response> {
    if let Some(response) = link::take::<OfSetup>(&visitor, request) {
        return Ok(response);
    }
    let token = link::opened(&visitor)?;
    if !visitor.context.app.setup.is_open(&visitor.caller, &token).await.map_err(ApiError::from)? {
        return Err(link::ended().into());
    }
    Ok(form(&visitor, &token, &Typed::default(), true, None)?)
}

/// Creates the administrator, and leads on to the first app; or shows the form again.
#[handler]
pub(super) async fn create_admin(visitor: Visitor, sent: Form) -> Result<Response> {
    let (app, keep) = (&visitor.context.app, sent.is_ticked("keep"));
    let token = link::sent(&visitor, &sent)?;
    let created = match account_form::read(app, &sent, None) {
        Ok(account) => app.setup.create_admin(&visitor.caller, &token, account, visit(&visitor, keep)).await,
        Err(error) => Err(error),
    };
    match created {
        Ok(Some(signed_in)) => {
            let mut response = sign_in_and_lead_to(&visitor, &signed_in, keep, protect::PATH);
            link::forget(&visitor, &mut response);
            Ok(response)
        }
        Ok(None) => Err(link::ended().into()),
        Err(error) => Ok(form(&visitor, &token, &Typed::of(&sent), keep, Some(&Refusal::of(error)?))?),
    }
}

fn form(
    visitor: &Visitor,
    token: &SetupToken,
    typed: &Typed<'_>,
    keep: bool,
    refusal: Option<&Refusal>,
) -> Result<Response, ApiError> {
    let view = FormView {
        title: "Create the first administrator".to_owned(),
        action: "/setup".into(),
        hidden: vec![link::seal(token)],
        fields: account_form::fields(typed, None, &visitor.context.app.policy().passwords),
        ticks: form::keep(keep),
        button: "Create administrator",
        notice: Some(match visitor.caller.signed_in().map(|signed_in| &signed_in.user.username) {
            Some(own) => format!("You are signed in as {own}, who is signed out in this browser."),
            None => "Administrators create accounts, and decide who may enter which app.".to_owned(),
        }),
        ..FormView::default()
    };
    view.show(visitor, refusal)
}
