//! What is written down about who did what, and what is kept of it.

use super::{Caller, ChainHash, Timestamp, UserId, chain::ChainedEntry};
use std::{borrow::Cow, fmt, net::IpAddr, sync::Arc, time::Duration};

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

            /// What that means, for people.
            pub fn meaning(self) -> &'static str {
                match self { $(Action::$name => concat!($($doc),*).trim_ascii(),)* }
            }

            pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
                let known = Self::ALL.iter().find(|action| action.as_str() == text);
                known.copied().ok_or_else(|| "must be one of the actions that the spec lists".into())
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
    /// An account has a new password.
    UserPasswordChanged => "user.password_changed",
    /// An account became an administrator's, or ceased to be one.
    UserRoleChanged => "user.role_changed",
    /// An account was disabled, which ends its sessions.
    UserDisabled => "user.disabled",
    /// A disabled account was enabled.
    UserEnabled => "user.enabled",
    /// An account was deleted with all that belonged to it.
    UserDeleted => "user.deleted",
    /// The failed sign-ins of an account were forgotten, so that its owner is no longer slowed down.
    UserUnlocked => "user.unlocked",
    /// The owner of an account gave its current password with a change of it, and it was right.
    PasswordConfirmed => "user.password_confirmed",
    /// A reset token was made for an account.
    ResetIssued => "user.reset_issued",
    /// A reset token was spent on a new password.
    PasswordReset => "user.password_reset",
    /// An invitation was made.
    InvitationCreated => "invitation.created",
    /// An invitation was taken back, or went with the right of its maker to make it.
    InvitationDeleted => "invitation.deleted",
    /// An account was made with an invitation; the actor is who made that.
    InvitationSpent => "invitation.spent",
    /// A session was opened.
    SignedIn => "session.signed_in",
    /// A session was ended by its owner.
    SignedOut => "session.signed_out",
    /// Sessions of an account were ended by its owner from another one, by an administrator or the shell.
    SessionsRevoked => "session.revoked",
    /// A wrong password, an unknown address or a disabled account; also a wrong `current_password`.
    SignInFailed => "session.sign_in_failed",
    /// Someone asked for what is not theirs to do, and was answered with `403`.
    AccessDenied => "access.denied",
    /// The whole database was copied into a file.
    DatabaseBackedUp => "database.backed_up",
    /// An attempt that came too soon after others, and was not looked at.
    AttemptThrottled => "attempt.throttled",
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

    /// The hash of this entry, numbered `id`, and of the hash before it.
    pub fn chain(&self, id: i64, before: &ChainHash) -> ChainHash {
        let ip = self.ip.map(|ip| ip.to_string());
        let entry = ChainedEntry {
            id,
            at: self.at.as_millis(),
            action: self.action.as_str().as_bytes(),
            actor: self.actor.map(UserId::get),
            subject: self.subject.map(UserId::get),
            ip: ip.as_deref().map(str::as_bytes),
            request_id: self.request_id.as_deref().map(str::as_bytes),
            count: self.count.into(),
        };
        entry.hash(before)
    }
}

/// An entry as it is read, by whatever version it was written: an action that only a later version knows, or an id that no account can
/// have, is shown as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    pub id: i64,
    pub at: Timestamp,
    pub action: String,
    pub actor: Option<i64>,
    pub subject: Option<i64>,
    pub ip: Option<String>,
    pub request_id: Option<String>,
    pub count: i64,
    pub hash: ChainHash,
}

/// Which entries are read: those that have all of what is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuditFilter {
    pub action: Option<Action>,
    pub actor: Option<UserId>,
    pub subject: Option<UserId>,
}

/// Where a page of the log begins: before the entry of this id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditCursor(pub i64);

impl AuditCursor {
    /// Reads what `Display` wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let id = text.strip_prefix("audit ")?;
        id.parse().ok().filter(|number: &i64| number.to_string() == id).map(Self)
    }
}

impl fmt::Display for AuditCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "audit {}", self.0)
    }
}

/// How much of the log is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLimits {
    /// What is older goes.
    pub retention: Duration,
    /// Of more entries than this the oldest go.
    pub max_rows: u32,
}

impl AuditLimits {
    pub const DEFAULT: Self = Self { retention: Duration::from_hours(90 * 24), max_rows: 1_000_000 };

    /// At each hourly sweep, age takes away no more than this span of the log, so that a clock that jumps ahead by years
    /// leaves a week to notice: ninety days go in as many half days, one an hour.
    pub const SPAN_AT_ONCE: Duration = Duration::from_hours(12);
}

impl Default for AuditLimits {
    fn default() -> Self {
        Self::DEFAULT
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
        assert!(Action::ALL.iter().all(|action| Action::parse(action.as_str()) == Ok(*action)));
        assert!(Action::parse("user.").is_err());
    }

    #[test]
    fn a_cursor_reads_back() {
        for id in [i64::MIN, 0, 1, i64::MAX] {
            assert_eq!(AuditCursor::parse(&AuditCursor(id).to_string()), Some(AuditCursor(id)));
        }
        for bad in ["", "1", "audit", "audit ", "audit +1", "audit 01", "audit 1 ", "id 1", "audit 9223372036854775808"]
        {
            assert_eq!(AuditCursor::parse(bad), None, "{bad:?}");
        }
    }
}
