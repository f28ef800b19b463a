//! The entries of the audit log, and how many are kept.

use super::{Caller, ChainHash, Timestamp, UserId, chain::ChainedEntry};
use std::{borrow::Cow, fmt, net::IpAddr, sync::Arc, time::Duration};

macro_rules! actions {
    ($($(#[doc = $doc:literal])* $name:ident => $text:literal,)*) => {
        /// What happened. The texts are public and must not change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action { $($(#[doc = $doc])* $name,)* }

        impl Action {
            pub const ALL: &[Action] = &[$(Action::$name,)*];

            pub fn as_str(self) -> &'static str {
                match self { $(Action::$name => $text,)* }
            }

            /// The meaning, for people.
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
    /// An account was created by its owner, by an administrator or on the command line.
    UserRegistered => "user.registered",
    /// Accounts were imported from a file. The entry's `count` is their number.
    UserImported => "user.imported",
    /// The username, the e-mail address or the display name was changed, or the e-mail address was verified.
    UserUpdated => "user.updated",
    /// An account has a new password.
    UserPasswordChanged => "user.password_changed",
    /// The role of an account was changed, or an account was imported as an administrator.
    UserRoleChanged => "user.role_changed",
    /// An account was disabled, which ends its sessions and revokes its app tokens.
    UserDisabled => "user.disabled",
    /// A disabled account was enabled.
    UserEnabled => "user.enabled",
    /// An account was deleted, with its sessions and tokens.
    UserDeleted => "user.deleted",
    /// The failed sign-ins of an account were cleared, so that its owner is no longer slowed down.
    UserUnlocked => "user.unlocked",
    /// The owner of an account sent the right `current_password` with a change of the account, or confirmed it on a page.
    PasswordConfirmed => "user.password_confirmed",
    /// A reset token was created for an account.
    ResetIssued => "user.reset_issued",
    /// A new password was set with a reset token.
    PasswordReset => "user.password_reset",
    /// An invitation was created.
    InvitationCreated => "invitation.created",
    /// An invitation was deleted, or became void because its creator is no longer an administrator.
    InvitationDeleted => "invitation.deleted",
    /// An account was registered with an invitation; the actor is the creator of the invitation.
    InvitationSpent => "invitation.spent",
    /// A set-up link was created, at the start of a server without an administrator or on the command line.
    SetupLinkIssued => "setup.link_issued",
    /// The first administrator was created with a set-up link.
    SetUp => "setup.completed",
    /// A group was created.
    GroupCreated => "group.created",
    /// A group was renamed.
    GroupRenamed => "group.renamed",
    /// A group was deleted.
    GroupDeleted => "group.deleted",
    /// An account was added to a group.
    GroupMemberAdded => "group.member_added",
    /// An account was removed from a group.
    GroupMemberRemoved => "group.member_removed",
    /// An app was registered.
    AppCreated => "app.created",
    /// The name, the URL or the access of an app was changed.
    AppChanged => "app.changed",
    /// An app was deleted, which ends the sessions in it and revokes its app tokens.
    AppDeleted => "app.deleted",
    /// A user signed in.
    SignedIn => "session.signed_in",
    /// A user signed out.
    SignedOut => "session.signed_out",
    /// Sessions of an account were ended from another session, by an administrator or on the command line.
    SessionsRevoked => "session.revoked",
    /// A browser entered an app behind a proxy with its session.
    AppEntered => "app.entered",
    /// An app token was created for an account.
    AppTokenCreated => "app_token.created",
    /// App tokens of an account were revoked: one by itself, or all because all sessions of the account were ended. The entry's `count` is their number.
    AppTokenRevoked => "app_token.revoked",
    /// A code for entering an app was shown a second time, in another browser or at another app.
    EntryCodeRefused => "app.code_refused",
    /// A sign-in failed: a wrong password, an unknown e-mail address or a disabled account. Also a wrong `current_password`.
    SignInFailed => "session.sign_in_failed",
    /// A caller asked for something that they may not do, and got `403`.
    AccessDenied => "access.denied",
    /// The database was backed up to a file.
    DatabaseBackedUp => "database.backed_up",
    /// An administrator downloaded entries of the audit log as a file.
    AuditExported => "audit.exported",
    /// An attempt was refused with `429`, and its credentials were not checked.
    AttemptThrottled => "attempt.throttled",
}

/// One entry. It names accounts by their ids only, and never contains text that somebody typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    pub at: Timestamp,
    pub action: Action,
    /// The account that did it; `None` for an unknown caller, or the command line.
    pub actor: Option<UserId>,
    /// The account that was affected.
    pub subject: Option<UserId>,
    pub ip: Option<IpAddr>,
    pub request_id: Option<Arc<str>>,
    /// How many identical events this entry stands for: more than one if they came too fast to be recorded one by one.
    pub count: u32,
}

impl AuditEvent {
    /// The same entry for several identical events.
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

/// An entry as it is read. An action that only a later version knows, or an id that no account can have, is shown as it is
/// stored. As JSON, it has the shape that the API answers with.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
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

/// Selects the entries that match all given values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuditFilter {
    pub action: Option<Action>,
    pub actor: Option<UserId>,
    pub subject: Option<UserId>,
    /// Only entries from this time on.
    pub since: Option<Timestamp>,
    /// Only entries before this time.
    pub until: Option<Timestamp>,
}

impl AuditFilter {
    /// How much later than its time an entry may have been written and is still found by `since` and `until`. Attempts that
    /// are counted by the minute are written when the minute is over, and bear the time of the first of them.
    pub const MAX_DELAY: Duration = Duration::from_mins(5);
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
    /// Older entries are deleted.
    pub retention: Duration,
    /// Beyond this number, the oldest entries are deleted.
    pub max_rows: u32,
}

impl AuditLimits {
    pub const DEFAULT: Self = Self { retention: Duration::from_hours(90 * 24), max_rows: 1_000_000 };

    /// Each hourly sweep deletes at most this span of the log because of its age. If the clock jumps ahead by years, ninety
    /// days of entries last a week, in which somebody can notice.
    pub const MAX_SWEEP_SPAN: Duration = Duration::from_hours(12);
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
