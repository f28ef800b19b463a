//! The fields of an account, for its owner and for administrators.

use super::{
    form::{Choice, Field, FormView, Refusal, it_is_now},
    view,
};
use crate::{
    app::ExpectedRevision,
    domain::{DisplayName, EmailAddress, Error, Faults, Role, User, UserChanges, Username},
    http::wire::{error::ErrorCode, form::Form},
};

/// The account and its revision that a form was made from.
const REVISION: &str = "revision";

/// What was typed.
pub struct Typed<'p> {
    display_name: &'p str,
    username: &'p str,
    email: &'p str,
    /// For administrators only.
    role: Option<&'p str>,
    /// The one that the form was made from.
    revision: Option<&'p str>,
}

impl<'p> Typed<'p> {
    /// What the account has.
    pub fn from_user(user: &'p User) -> Self {
        Self {
            display_name: user.display_name.as_ref().map_or("", DisplayName::as_str),
            username: user.username.as_str(),
            email: user.email.as_str(),
            role: Some(user.role.as_str()),
            revision: None,
        }
    }

    pub fn of(sent: &'p Form) -> Self {
        Self {
            display_name: sent.text("display_name"),
            username: sent.text("username"),
            email: sent.text("email"),
            role: Some(sent.text("role")).filter(|role| !role.is_empty()),
            revision: Some(sent.text(REVISION)),
        }
    }

    /// What is to be changed, with all that is wrong with it. What was not changed is left out.
    pub fn changes(&self, user: &User) -> Result<UserChanges, Error> {
        let (mut faults, mut changes, now) = (Faults::default(), UserChanges::default(), Typed::from_user(user));
        if self.display_name != now.display_name {
            let name = Some(self.display_name).filter(|name| !name.is_empty());
            changes.display_name = match name {
                Some(name) => faults.collect("display_name", DisplayName::parse(name)).map(Some),
                None => Some(None),
            };
        }
        if self.username != now.username {
            changes.username = faults.collect("username", Username::parse(self.username));
        }
        if self.email != now.email {
            changes.email = faults.collect("email", EmailAddress::parse(self.email));
        }
        if let Some(role) = self.role.filter(|role| Some(*role) != now.role) {
            changes.role = faults.collect("role", Role::parse(role));
        }
        if faults.is_empty() { Ok(changes) } else { Err(Error::Invalid(faults)) }
    }
}

/// The revision that the form was made from: a change that came between is noticed.
pub fn expected(user: &User, sent: &Form) -> ExpectedRevision {
    let is_of = |(id, _): &(&str, &str)| *id == user.id.to_string();
    let revision = sent.text(REVISION).split_once('.').filter(is_of).and_then(|(_, revision)| revision.parse().ok());
    ExpectedRevision::OneOf(revision.map(|revision| (user.id.get(), revision)).into_iter().collect())
}

/// The form, with what was typed. If somebody else has changed the account meanwhile, what it has now stands beside each
/// field.
pub fn form<'p>(user: &User, typed: &Typed<'p>, with_role: bool, refusal: Option<&Refusal>) -> FormView<'p> {
    let was_changed = refusal.is_some_and(|refusal| refusal.code == ErrorCode::PreconditionFailed);
    // Only a form that says what was changed meanwhile may replace it.
    let seen = typed.revision.filter(|_| !was_changed);
    let now = Typed::from_user(user);
    let field = |name, label, kind, autocomplete, value: &'p str, now: &str, help: &str| {
        let meanwhile = it_is_now(value, now).filter(|_| was_changed);
        let help = meanwhile.or_else(|| Some(help.to_owned()).filter(|help| !help.is_empty()));
        Field { help, ..Field::new(name, label, kind, autocomplete, value) }
    };
    let called = "How pages and apps call the account. May stay empty.";
    let display_name =
        field("display_name", "Display name", "text", "name", typed.display_name, now.display_name, called);
    let roles = Role::ALL.map(|role| (role.as_str().to_owned(), view::role(role).to_owned()));
    let role = with_role.then(|| {
        let help = (was_changed && typed.role != now.role).then(|| format!("It is now {}.", view::role(user.role)));
        Choice { help, ..Choice::new("role", "Role", roles, typed.role.unwrap_or_default()) }
    });
    FormView {
        hidden: vec![(REVISION, seen.map_or_else(|| format!("{}.{}", user.id, user.revision), str::to_owned))],
        fields: vec![
            display_name.optional(),
            field("username", "Username", "text", "username", typed.username, now.username, ""),
            field("email", "E-mail address", "email", "email", typed.email, now.email, ""),
        ],
        choices: role.into_iter().collect(),
        takes_focus: false,
        ..FormView::default()
    }
}
