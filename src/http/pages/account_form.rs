//! The fields of a new account, for every page that creates one.

use super::form::{Field, name_limits};
use crate::{
    app::{App, NewAccount},
    domain::{EmailAddress, Error, Faults, Password, PasswordPolicy, Role, Username},
    http::wire::form::Form,
};

/// What was typed, the password aside.
#[derive(Default)]
pub struct Typed<'p> {
    pub username: &'p str,
    pub email: &'p str,
}

impl<'p> Typed<'p> {
    pub fn of(sent: &'p Form) -> Self {
        Self { username: sent.text("username"), email: sent.text("email") }
    }
}

/// The fields. An e-mail address that an invitation has fixed can't be changed.
pub fn fields<'p>(typed: &Typed<'p>, fixed: Option<&'p EmailAddress>, policy: &PasswordPolicy) -> Vec<Field<'p>> {
    let username = Field::new("username", "Username", "text", "username", typed.username);
    let email =
        Field::new("email", "E-mail address", "email", "email", fixed.map_or(typed.email, EmailAddress::as_str));
    vec![
        username.with_help(name_limits(Username::MAX_LENGTH)),
        if fixed.is_some() { email.with_help("The invitation is for this e-mail address.").fixed() } else { email },
        new_password("Password", policy),
    ]
}

/// The field of a password that is to be set.
pub fn new_password(label: &'static str, policy: &PasswordPolicy) -> Field<'static> {
    let limits = format!("{} to {} characters.", policy.min_length, Password::MAX_LENGTH);
    Field::new("password", label, "password", "new-password", "").with_help(limits)
}

/// Reads the fields, and reports all that is wrong with them together.
pub fn read(app: &App, sent: &Form, fixed: Option<&EmailAddress>) -> Result<NewAccount, Error> {
    let (mut faults, typed) = (Faults::default(), Typed::of(sent));
    let username = faults.collect("username", Username::parse(typed.username));
    let email = fixed.map_or_else(|| EmailAddress::parse(typed.email), |fixed| Ok(fixed.clone()));
    let email = faults.collect("email", email);
    let names = [typed.username, email.as_ref().map_or(typed.email, EmailAddress::as_str)];
    let password = faults.collect("password", app.accounts.accept_password(sent.text("password"), &names));
    match (username, email, password) {
        (Some(username), Some(email), Some(password)) => {
            Ok(NewAccount { username, email, password, role: Role::User, invitation: None })
        }
        _ => Err(Error::Invalid(faults)),
    }
}

/// The same for a password alone. Whether it is a name of its account is found out where that is known.
pub fn read_password(app: &App, sent: &Form) -> Result<Password, Error> {
    let mut faults = Faults::default();
    let password = faults.collect("password", app.accounts.accept_password(sent.text("password"), &[]));
    password.ok_or(Error::Invalid(faults))
}
