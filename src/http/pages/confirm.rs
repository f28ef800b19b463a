//! Asking somebody for their password again, whose sign-in is too old for what they ask for.
//!
//! It happens wherever a use case says so, for a page that they open and for a form that they send. What they have sent comes
//! along unseen, all but passwords, and the browser sends it again once the password was right: nothing is typed twice.

use super::{
    form::{Field, Refusal, again, mark},
    sign_in::{visit, with_cookies},
    view::{Layout, html, page, see_other},
};
use crate::{
    domain::{AppPath, Error},
    http::{
        auth::Member,
        context::Context,
        wire::{error::ApiError, form::Form},
    },
};
use poem::{
    Response, Result, handler,
    http::{StatusCode, header},
};

/// The names of our own fields begin so, beside those that come along.
const OURS: &str = "confirm-";
const PASSWORD: &str = "confirm-password";
const USERNAME: &str = "confirm-username";
const TO: &str = "confirm-to";
/// Whether the browser is to send the other fields there.
const SENDS: &str = "confirm-sends";

page! {
    ConfirmPage from "confirm.html" {
        hidden: Vec<(String, String)>,
        /// A password manager knows the password under this name.
        username: Field<'p>,
        password: Field<'p>,
        refusal: Option<&'p str>,
        sends: bool,
        unprotected: bool,
    }
}

/// Where somebody was going, with what they have sent.
struct Way<'p> {
    to: AppPath,
    sends: bool,
    fields: Vec<(&'p str, &'p str)>,
}

impl<'p> Way<'p> {
    /// With these of the fields that were sent. Passwords are typed again.
    fn with(to: AppPath, sends: bool, sent: impl Iterator<Item = (&'p str, &'p str)>) -> Self {
        let comes_along = |name: &str| !name.starts_with(OURS) && !name.ends_with("password");
        Self { to, sends, fields: sent.filter(|(name, _)| comes_along(name)).collect() }
    }

    fn form(&self, layout: Layout<'_>, unprotected: bool, refusal: Option<&Refusal>) -> Result<Response, ApiError> {
        let name = layout.signed_in.unwrap_or_default();
        let username = Field::new(USERNAME, "Username", "text", "username", name).fixed();
        let mut hidden = vec![(TO.to_owned(), self.to.to_string())];
        hidden.extend(self.sends.then(|| (SENDS.to_owned(), "yes".to_owned())));
        hidden.extend(self.fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mut fields = [Field::new(PASSWORD, "Password", "password", "current-password", "")];
        mark(&mut fields, refusal);
        let [password] = fields;
        let text = refusal.map(|refusal| refusal.text.as_str());
        let page = ConfirmPage { layout, hidden, username, password, refusal: text, sends: self.sends, unprotected };
        Ok(again(html(refusal.map_or(StatusCode::FORBIDDEN, |refusal| refusal.status), &page)?, refusal))
    }
}

/// The form, in place of the page or the answer that somebody asked for.
pub fn ask(context: &Context) -> Result<Response, ApiError> {
    let to = AppPath::of(context.uri.path_and_query().map_or("/", |to| to.as_str()));
    let sent = context.form.get();
    let fields = sent.into_iter().flat_map(|sent| sent.iter()).map(|(name, value)| (name.as_str(), value.as_str()));
    let policy = context.app.policy();
    let unprotected = policy.public_url.as_ref().is_some_and(|url| url.is_unprotected());
    let name = context.signed_in.get().map(|signed_in| signed_in.user.username.as_str());
    Way::with(to, sent.is_some(), fields).form(Layout::new(policy, name), unprotected, None)
}

/// Refuses those whose sign-in is too old for what a form does before they fill it in.
pub fn needs_recent_sign_in(member: &Member) -> Result<(), ApiError> {
    if member.context.app.sign_in.is_recent(&member.caller) {
        return Ok(());
    }
    Err(Error::ReauthenticationRequired.into())
}

/// There is nothing to confirm for those who come here by themselves.
#[handler]
pub(super) fn show(_member: Member) -> Response {
    see_other("/")
}

/// Gives the session a new token, and leads on; or asks again.
#[handler]
pub(super) async fn confirm(member: Member, sent: Form) -> Result<Response> {
    let sign_in = &member.context.app.sign_in;
    let keep = sign_in.is_kept(&member.caller);
    let way = Way::with(AppPath::of(sent.text(TO)), sent.is_ticked(SENDS), sent.beginning_with(""));
    match sign_in.again(&member.caller, sent.text(PASSWORD), visit(&member, keep)).await {
        Ok(signed_in) => Ok(with_cookies(way.leads_on(), &member, &signed_in, keep)),
        Err(error) => {
            let is_wrong = error == Error::InvalidCredentials;
            let mut refusal = Refusal::of(error)?;
            if is_wrong {
                "The password is wrong.".clone_into(&mut refusal.text);
            }
            Ok(way.form(Layout::of(&member), member.public_url.is_unprotected(), Some(&refusal))?)
        }
    }
}

impl Way<'_> {
    /// Opens the page, or has the browser send the form again to where it was sent (RFC 9110, section 15.4.8).
    fn leads_on(&self) -> Response {
        if !self.sends {
            return see_other(self.to.as_str());
        }
        let status = StatusCode::TEMPORARY_REDIRECT;
        Response::builder().status(status).header(header::LOCATION, self.to.as_str()).finish()
    }
}
