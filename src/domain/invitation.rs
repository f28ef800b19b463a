//! Invitations, and who may register.

use super::{EmailAddress, Faults, InvitationId, Role, Timestamp, TokenHash, UserId};
use std::{borrow::Cow, fmt};

/// An invitation that has not been used, without its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    pub id: InvitationId,
    /// The only e-mail address that may register with it. It then counts as verified. `None` allows every e-mail address.
    pub email: Option<EmailAddress>,
    /// The role of the account that is created with it.
    pub role: Role,
    /// The administrator who created it; `None` for the command line.
    pub created_by: Option<UserId>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

impl Invitation {
    /// Whether it can be used with this e-mail address.
    pub fn is_for(&self, email: &EmailAddress) -> bool {
        self.email.as_ref().is_none_or(|fixed| fixed.as_str().eq_ignore_ascii_case(email.as_str()))
    }
}

/// An invitation of which something can't be read, because another program wrote to the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedInvitation {
    pub id: InvitationId,
    /// What is wrong with which field.
    pub faults: Faults,
}

impl fmt::Display for DamagedInvitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> = self.faults.iter().map(|(field, fault)| format!("{field} {fault}")).collect();
        let Self { id, .. } = self;
        write!(
            f,
            "the invitation {id} is damaged: {}; delete it with 'usher invitation delete {id}'",
            faults.join(", ")
        )
    }
}

/// An invitation that is about to be stored.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    pub token_hash: TokenHash,
    pub email: Option<EmailAddress>,
    pub role: Role,
    pub expires_at: Timestamp,
}

/// How many invitations are created at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvitationCount(u32);

impl InvitationCount {
    pub const MAX: u32 = 100;
    pub const ONE: Self = Self(1);

    pub fn new(number: u64) -> Result<Self, Cow<'static, str>> {
        let number = u32::try_from(number).ok().filter(|number| (1..=Self::MAX).contains(number));
        number.map(Self).ok_or_else(Self::fault)
    }

    pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        text.parse().map_or_else(|_| Err(Self::fault()), Self::new)
    }

    pub fn fault() -> Cow<'static, str> {
        format!("must be a whole number from 1 to {}", Self::MAX).into()
    }

    pub fn get(self) -> u32 {
        self.0
    }
}

/// Who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Registration {
    /// Everybody.
    #[default]
    Open,
    /// People who have an invitation.
    Invite,
    /// Nobody. Administrators can always create accounts.
    Closed,
}

impl Registration {
    pub const ALL: [Self; 3] = [Self::Open, Self::Invite, Self::Closed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Invite => "invite",
            Self::Closed => "closed",
        }
    }
}

impl serde::Serialize for Registration {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
