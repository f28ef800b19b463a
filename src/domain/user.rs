//! Accounts: who someone is, and what about an account can change.

use super::{DisplayName, Faults, GroupName, Password, PasswordHash, Timestamp, UserId};
use std::{borrow::Cow, fmt};

/// An account of which something can't be read, because somebody else wrote to the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedUser {
    pub id: UserId,
    /// What is wrong with which field.
    pub faults: Faults,
}

impl fmt::Display for DamagedUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> = self.faults.iter().map(|(field, fault)| format!("{field} {fault}")).collect();
        let Self { id, .. } = self;
        write!(
            f,
            "the account {id} is damaged: {}; repair it with 'usher user set-username {id} NAME', 'set-email', 'set-role', \
             'set-display-name' or 'enable', or delete it with 'usher user delete {id}'",
            faults.join(", ")
        )
    }
}

/// Folds a text, so that texts that differ only in case become equal. Usernames and e-mail addresses are ASCII.
pub fn fold(text: &str) -> String {
    text.to_ascii_lowercase()
}

/// A username: ASCII, unique without regard to case, kept as typed. Apps show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// In characters, which are bytes here. The same limit is in `schema.sql` (changing it needs a migration), in the help of
    /// `--username`, and in the description of `NewUser`.
    pub const MAX_LENGTH: usize = 64;
    pub const PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]*$";

    pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if text.is_empty() {
            return Err("must not be empty".into());
        }
        if text.chars().count() > Self::MAX_LENGTH {
            return Err(format!("must have at most {} characters", Self::MAX_LENGTH).into());
        }
        if !text.bytes().all(allowed) || !text.as_bytes()[0].is_ascii_alphanumeric() {
            return Err(
                "must consist of the letters A-Z and a-z, digits, '.', '_' and '-', and start with a letter or digit"
                    .into(),
            );
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same text for all that differ only in case.
    pub fn key(&self) -> String {
        fold(&self.0)
    }
}

/// An e-mail address in ASCII: the grammar of WHATWG's `input type=email`, the lengths of RFC 5321, section 4.5.3.1.
/// Unique without regard to case, kept as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// RFC 5321 allows a path of 256 octets, of which two are its angle brackets.
    pub const MAX_LENGTH: usize = 254;
    pub const MAX_LOCAL_LENGTH: usize = 64;
    pub const MAX_LABEL_LENGTH: usize = 63;
    /// Together with `MAX_LENGTH`, this pattern matches exactly what `parse` accepts.
    pub const PATTERN: &str = "^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$";

    pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        let local_byte = |b: u8| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b);
        let label = |label: &str| {
            (1..=Self::MAX_LABEL_LENGTH).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let well_formed = text.split_once('@').is_some_and(|(local, domain)| {
            (1..=Self::MAX_LOCAL_LENGTH).contains(&local.len())
                && local.bytes().all(local_byte)
                && domain.split('.').all(label)
        });
        if text.len() > Self::MAX_LENGTH {
            return Err(format!("must have at most {} characters", Self::MAX_LENGTH).into());
        }
        if !well_formed {
            return Err("must be an e-mail address such as name@example.com".into());
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same text for all that differ only in case.
    pub fn key(&self) -> String {
        fold(&self.0)
    }
}

macro_rules! shown_as_text {
    ($($type:ty),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    )*};
}
shown_as_text!(Username, EmailAddress, Role);

/// How a person at the shell says which account is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserSelector {
    Id(UserId),
    Email(EmailAddress),
    Username(Username),
}

impl UserSelector {
    /// Digits are an id, text with an `@` is an e-mail address, and anything else is a username.
    pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return UserId::parse(text).map(Self::Id).ok_or_else(|| "is not an id: ids are 1, 2, 3 and so on".into());
        }
        if text.contains('@') {
            EmailAddress::parse(text).map(Self::Email)
        } else {
            Username::parse(text).map(Self::Username)
        }
    }
}

impl fmt::Display for UserSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Email(email) => email.fmt(f),
            Self::Username(username) => username.fmt(f),
        }
    }
}

/// What someone may do: an administrator everything, a user what concerns their own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    User,
    Admin,
}

impl Role {
    pub const ALL: [Role; 2] = [Role::User, Role::Admin];

    pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| "must be \"user\" or \"admin\"".into())
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Role::User => "user",
            Role::Admin => "admin",
        }
    }
}

/// An account, as it is shown to everybody who may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub username: Username,
    pub email: EmailAddress,
    /// False if its owner only typed it. True if an administrator or the command line set it.
    pub email_verified: bool,
    pub role: Role,
    pub disabled: bool,
    /// Counts the changes of the account (not its sign-ins), from 1.
    pub revision: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub last_login_at: Option<Timestamp>,
    pub display_name: Option<DisplayName>,
    /// The names of its groups, sorted without regard to case. They can change without the account's revision.
    pub groups: Vec<GroupName>,
}

/// An account, with the hash that its password is checked against.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub user: User,
    pub password_hash: PasswordHash,
    /// Counts the account's passwords. A new hash of the same password does not count.
    pub password_version: i64,
}

/// An account that is about to be stored, with the password already hashed.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub username: Username,
    pub email: EmailAddress,
    pub email_verified: bool,
    pub role: Role,
    pub password_hash: PasswordHash,
}

/// An account in a file that moves it from one service to another. It has no id, because each service assigns its own.
#[derive(Debug, Clone)]
pub struct UserRecord {
    pub username: Username,
    pub email: EmailAddress,
    pub email_verified: bool,
    pub role: Role,
    pub disabled: bool,
    /// As the other service stored it.
    pub password_hash: PasswordHash,
    /// `None` means the time of the import.
    pub created_at: Option<Timestamp>,
    pub display_name: Option<DisplayName>,
}

/// The changes that a caller requests. Fields that are `None` keep their values. It must not be logged or shown, because it
/// contains a password as typed.
#[derive(Clone, Default)]
pub struct UserChanges {
    pub username: Option<Username>,
    pub email: Option<EmailAddress>,
    pub password: Option<Password>,
    /// Proves that the caller knows the current password.
    pub current_password: Option<String>,
    pub role: Option<Role>,
    pub disabled: Option<bool>,
    /// `Some(None)` removes it.
    pub display_name: Option<Option<DisplayName>>,
}

/// The new values of an account's row.
#[derive(Debug, Clone)]
pub struct UserUpdate {
    pub username: Username,
    pub email: EmailAddress,
    pub email_verified: bool,
    pub role: Role,
    pub disabled: bool,
    pub display_name: Option<DisplayName>,
    /// `None` keeps the password.
    pub password_hash: Option<PasswordHash>,
}

impl UserUpdate {
    /// The values that the account has now.
    pub fn of(user: &User) -> Self {
        Self {
            username: user.username.clone(),
            email: user.email.clone(),
            email_verified: user.email_verified,
            role: user.role,
            disabled: user.disabled,
            display_name: user.display_name.clone(),
            password_hash: None,
        }
    }

    /// Whether writing this would change anything about `user`.
    pub fn changes(&self, user: &User) -> bool {
        self.password_hash.is_some()
            || self.username != user.username
            || self.email != user.email
            || self.email_verified != user.email_verified
            || self.role != user.role
            || self.disabled != user.disabled
            || self.display_name != user.display_name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_is_positive_canonical_decimal() {
        for (text, id) in [("1", Some(1)), ("42", Some(42)), ("9223372036854775807", Some(i64::MAX))] {
            assert_eq!(UserId::parse(text).map(UserId::get), id);
        }
        for text in ["", "0", "-1", "+1", "01", "1e3", "1.0", " 1", "1 ", "9223372036854775808", "\u{661}", "0x1"] {
            assert_eq!(UserId::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_username_is_ascii_and_starts_with_a_letter_or_digit() {
        for good in ["a", "Z9", "0", "john.doe_42-x", &"a".repeat(64)] {
            assert_eq!(Username::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".a",
            "-a",
            "_a",
            "a b",
            " a",
            "a ",
            "a\n",
            "\u{212a}elvin",
            "d\u{131}n",
            "a\u{200b}",
            "a\u{202e}b",
            &"a".repeat(65),
            "a@b",
        ] {
            assert!(Username::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_address_has_one_at_sign_and_the_lengths_of_the_mail_standard() {
        let long = |local: usize, domain: usize| format!("{}@{}", "a".repeat(local), "d".repeat(domain));
        for good in ["a@b", "first.last+tag@sub.example.com", "!#$%&'*+/=?^_`{|}~-@x.org", &long(64, 63)] {
            assert_eq!(EmailAddress::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "a",
            "@",
            "a@",
            "@b",
            "a@b@c",
            "a b@c",
            "a@b..c",
            "a@-b",
            "a@b-",
            "a@.b",
            "\u{e4}@b",
            "a@b\u{212a}",
            "a@b\n",
            " a@b",
            &long(65, 3),
            &long(3, 64),
        ] {
            assert!(EmailAddress::parse(bad).is_err(), "{bad:?}");
        }
        let labels = vec!["d".repeat(62); 4].join(".");
        assert!(EmailAddress::parse(&format!("aa@{labels}")).is_ok());
        assert!(EmailAddress::parse(&format!("aaa@{labels}")).is_err(), "254 characters are accepted, 255 are not");
    }

    #[test]
    fn an_account_is_meant_by_its_id_its_address_or_its_username() {
        assert_eq!(UserSelector::parse("42"), Ok(UserSelector::Id(UserId::new(42).unwrap())));
        assert!(matches!(UserSelector::parse("ada@example.com"), Ok(UserSelector::Email(_))));
        assert!(matches!(UserSelector::parse("4da"), Ok(UserSelector::Username(_))));
        for bad in ["", "0", "042", "99999999999999999999", "a@", "-a", "a b"] {
            assert!(UserSelector::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn the_published_pattern_makes_names_that_parse(name in &Username::PATTERN[1..Username::PATTERN.len() - 1]) {
            prop_assert_eq!(Username::parse(&name).is_ok(), name.len() <= Username::MAX_LENGTH);
        }

        #[test]
        fn the_published_pattern_makes_addresses_that_parse(address in &EmailAddress::PATTERN[1..EmailAddress::PATTERN.len() - 1]) {
            prop_assert_eq!(EmailAddress::parse(&address).is_ok(), address.len() <= EmailAddress::MAX_LENGTH);
        }

        #[test]
        fn parsing_any_text_never_panics_and_keeps_what_it_accepts(text in "\\PC{0,80}|[a-z@.-]{0,20}") {
            if let Ok(name) = Username::parse(&text) { prop_assert_eq!(name.as_str(), &text); }
            if let Ok(address) = EmailAddress::parse(&text) { prop_assert_eq!(address.as_str(), &text); }
            if let Some(id) = UserId::parse(&text) { prop_assert_eq!(id.to_string(), text); }
        }
    }
}
