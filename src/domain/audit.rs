//! What is written down about who did what, and the chain that ties the entries together.

use super::{Caller, Timestamp, UserId};
use sha2::{Digest, Sha256};
use std::{fmt, net::IpAddr, sync::Arc};

macro_rules! actions {
    ($($(#[doc = $doc:literal])* $name:ident => $text:literal,)*) => {
        /// What happened. The texts are public and stay.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action { $($(#[doc = $doc])* $name,)* }

        impl Action {
            pub const ALL: &[Action] = &[$(Action::$name,)*];

            pub fn as_str(self) -> &'static str {
                match self { $(Action::$name => $text,)* }
            }
        }
    };
}

actions! {
    /// An account was made, by its owner, an administrator or the shell.
    UserRegistered => "user.registered",
    /// Accounts were taken over from a file: as many as the entry counts.
    UserImported => "user.imported",
    /// Username or address changed, or the address was verified.
    UserUpdated => "user.updated",
    UserPasswordChanged => "user.password_changed",
    UserRoleChanged => "user.role_changed",
    UserDisabled => "user.disabled",
    UserEnabled => "user.enabled",
    UserDeleted => "user.deleted",
    /// A reset token was made for an account.
    ResetIssued => "user.reset_issued",
    /// A reset token was spent on a new password.
    PasswordReset => "user.password_reset",
    InvitationCreated => "invitation.created",
    InvitationDeleted => "invitation.deleted",
    /// An account was made with an invitation.
    InvitationSpent => "invitation.spent",
    SignedIn => "session.signed_in",
    SignedOut => "session.signed_out",
    /// Sessions of an account were ended by its owner from another one, by an administrator or the shell.
    SessionsRevoked => "session.revoked",
    /// A wrong password, an unknown address or a disabled account; also a wrong `current_password`.
    SignInFailed => "session.sign_in_failed",
    /// Someone asked for what is not his to do.
    AccessDenied => "access.denied",
}

/// One entry. Accounts appear as ids, never as names; what someone typed never appears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    pub at: Timestamp,
    pub action: Action,
    /// Who did it; `None` is someone unknown, or the shell.
    pub actor: Option<UserId>,
    /// To whose account.
    pub subject: Option<UserId>,
    pub ip: Option<IpAddr>,
    pub request_id: Option<Arc<str>>,
    /// How many alike this entry stands for: more than one where they came too fast to be written one by one.
    pub count: u32,
}

impl AuditEvent {
    /// The same entry for several alike.
    #[must_use]
    pub fn times(self, count: u32) -> Self {
        Self { count, ..self }
    }

    pub fn new(at: Timestamp, action: Action, caller: &Caller, subject: Option<UserId>) -> Self {
        Self {
            at,
            action,
            actor: caller.user_id(),
            subject,
            ip: caller.client.ip,
            request_id: caller.request_id.clone(),
            count: 1,
        }
    }

    /// SHA-256 over this entry, numbered `id`, and the hash of the one before. Each part is preceded by its length in
    /// eight bytes, so that no two entries have the same encoding; an absent part has the length `u64::MAX`.
    pub fn chain(&self, id: i64, before: &ChainHash) -> ChainHash {
        const VERSION: &[u8] = b"usher audit 1";
        let mut hash = Sha256::new();
        let mut part = |bytes: Option<&[u8]>| {
            hash.update(bytes.map_or(u64::MAX, |bytes| bytes.len() as u64).to_be_bytes());
            hash.update(bytes.unwrap_or_default());
        };
        let number = |id: Option<UserId>| id.map(|id| id.get().to_be_bytes());
        part(Some(VERSION));
        part(Some(&before.0));
        part(Some(&id.to_be_bytes()));
        part(Some(&self.at.as_millis().to_be_bytes()));
        part(Some(self.action.as_str().as_bytes()));
        part(number(self.actor).as_ref().map(|bytes| &bytes[..]));
        part(number(self.subject).as_ref().map(|bytes| &bytes[..]));
        part(self.ip.map(|ip| ip.to_string()).as_deref().map(str::as_bytes));
        part(self.request_id.as_deref().map(str::as_bytes));
        part(Some(&self.count.to_be_bytes()));
        ChainHash(hash.finalize().into())
    }
}

/// The hash of one entry, which the next one contains.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChainHash(pub [u8; 32]);

impl ChainHash {
    /// What stands before the first entry.
    pub const START: ChainHash = ChainHash([0; 32]);
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainHash({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> AuditEvent {
        AuditEvent {
            at: Timestamp::from_millis(1),
            action: Action::SignedIn,
            actor: UserId::new(1),
            subject: None,
            ip: None,
            request_id: None,
            count: 1,
        }
    }

    #[test]
    fn every_part_of_an_entry_and_its_place_change_its_hash() {
        let base = event().chain(1, &ChainHash::START);
        let others = [
            event().chain(2, &ChainHash::START),
            event().chain(1, &base),
            AuditEvent { at: Timestamp::from_millis(2), ..event() }.chain(1, &ChainHash::START),
            AuditEvent { action: Action::SignedOut, ..event() }.chain(1, &ChainHash::START),
            AuditEvent { actor: None, subject: UserId::new(1), ..event() }.chain(1, &ChainHash::START),
            AuditEvent { ip: Some([127, 0, 0, 1].into()), ..event() }.chain(1, &ChainHash::START),
            AuditEvent { request_id: Some("".into()), ..event() }.chain(1, &ChainHash::START),
            AuditEvent { count: 2, ..event() }.chain(1, &ChainHash::START),
        ];
        assert!(others.iter().all(|other| *other != base));
    }

    #[test]
    fn the_texts_of_actions_are_unique() {
        let texts: std::collections::HashSet<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
        assert_eq!(texts.len(), Action::ALL.len());
    }
}
