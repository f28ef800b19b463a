//! The failures of use cases.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

/// The faults of the input, by field. Empty if the input is valid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(BTreeMap<Cow<'static, str>, Cow<'static, str>>);

impl Faults {
    /// More faults than this are not listed: nobody sends twenty wrong fields by accident.
    pub const MAX_LISTED: usize = 20;

    /// Adds a fault of `field`. Only the first fault of a field is kept.
    pub fn add(&mut self, field: impl Into<Cow<'static, str>>, fault: impl Into<Cow<'static, str>>) {
        let field = field.into();
        if self.0.len() < Self::MAX_LISTED || self.0.contains_key(&field) {
            self.0.entry(field).or_insert_with(|| fault.into());
        }
    }

    /// Returns the value, or adds its fault.
    pub fn collect<T>(&mut self, field: &'static str, parsed: Result<T, Cow<'static, str>>) -> Option<T> {
        parsed.map_err(|fault| self.add(field, fault)).ok()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn contains(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    /// What is wrong with a field.
    pub fn of(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(AsRef::as_ref)
    }

    /// Field and fault, by field name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(field, fault)| (field.as_ref(), fault.as_ref()))
    }
}

/// Why a use case failed. One variant for each case that callers can distinguish.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the input is invalid")]
    Invalid(Faults),
    #[error("a session token is required")]
    AuthenticationRequired,
    #[error("the session token is invalid, expired or revoked")]
    InvalidToken,
    #[error("the e-mail address or the password is wrong")]
    InvalidCredentials,
    #[error("you may not do this")]
    Forbidden,
    #[error("sign in again, or send the current password")]
    ReauthenticationRequired,
    #[error("registration is closed")]
    RegistrationClosed,
    #[error("registration requires an invitation")]
    InvitationRequired,
    #[error("the invitation is invalid, expired or already used")]
    InvalidInvitation,
    #[error("the reset token is invalid, expired or already used")]
    InvalidResetToken,
    /// Somebody is guessing, or it looks like it. The next attempt may come after this long.
    #[error("too many attempts; wait before the next one")]
    TooManyAttempts(Duration),
    #[error("there is no such user")]
    UserNotFound,
    #[error("there is no such session")]
    SessionNotFound,
    #[error("there is no such invitation")]
    InvitationNotFound,
    #[error("there is no such group")]
    GroupNotFound,
    #[error("this name belongs to another group; choose another")]
    GroupNameTaken,
    #[error("an app lets this group in; change or delete the app first")]
    GroupInUse,
    #[error("there is no such app")]
    AppNotFound,
    #[error("this host belongs to another app or to the public URL; apps need hosts of their own, whatever the port")]
    HostTaken,
    #[error("there is no such app token")]
    AppTokenNotFound,
    #[error("an account can have 100 app tokens at most; revoke one that is no longer needed")]
    TooManyAppTokens,
    #[error("an account can be in 32 groups at most")]
    TooManyGroups,
    #[error("the account has changed since you read it")]
    PreconditionFailed,
    #[error("this username is taken; choose another")]
    UsernameTaken,
    #[error("this e-mail address is taken; use another")]
    EmailTaken,
    #[error("the last enabled administrator can't be deleted, disabled or demoted")]
    LastAdmin,
    /// There is too much work at the moment. Callers can try again soon.
    #[error("the service is overloaded; try again")]
    Overloaded,
    /// The database can't be read or written: a full or read-only disk, a file gone. The text says what to do, and is for
    /// the log.
    #[error("the database is unavailable: {0}")]
    Storage(String),
    /// A fault of this program or of its data. The text is for the log, never for a caller.
    #[error("internal error: {0}")]
    Internal(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fault_of_a_field_stands_and_twenty_are_listed() {
        let mut faults = Faults::default();
        for n in 0..30 {
            faults.add(format!("field{n:02}"), "is wrong");
        }
        faults.add("field00", "is something else");
        assert_eq!(faults.len(), Faults::MAX_LISTED);
        assert_eq!(faults.iter().next(), Some(("field00", "is wrong")));
    }
}
