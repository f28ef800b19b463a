//! The history of an account, as its owner may see it: what they did, and what was done to the account.

use super::{Action, AuditEntry, Timestamp, UserId, Username, Usernames};

/// Who did something to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryActor {
    Owner,
    /// Another account.
    Other,
    CommandLine,
    /// Somebody who was not signed in.
    Unknown,
}

impl HistoryActor {
    pub const ALL: &[Self] = &[Self::Owner, Self::Other, Self::CommandLine, Self::Unknown];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Other => "other",
            Self::CommandLine => "command_line",
            Self::Unknown => "unknown",
        }
    }

    fn of(entry: &AuditEntry, owner: UserId) -> Self {
        match entry.actor {
            Some(id) if id == owner.get() => Self::Owner,
            Some(_) => Self::Other,
            // Only the command line sends no request; attempts that were counted have lost theirs.
            None if entry.ip.is_none() && entry.request_id.is_none() && !is_attempt(&entry.action) => Self::CommandLine,
            None => Self::Unknown,
        }
    }
}

impl serde::Serialize for HistoryActor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// An entry of the audit log without what is none of the owner's business: the ids of other accounts, and the IP addresses
/// of those who acted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    pub id: i64,
    pub at: Timestamp,
    pub action: String,
    pub actor: HistoryActor,
    /// Of another account that acted, if the owner may know it.
    pub actor_username: Option<Username>,
    pub ip: Option<String>,
    pub count: i64,
    /// What happened, told to the owner.
    pub text: String,
}

impl HistoryEntry {
    /// `names` has those of other accounts that the owner may know.
    pub fn new(entry: AuditEntry, owner: UserId, names: &Usernames) -> Self {
        let (text, actor) = (entry.told_to(owner, names), HistoryActor::of(&entry, owner));
        let AuditEntry { id, at, action, actor: other, ip, count, .. } = entry;
        let actor_username = other.filter(|_| actor == HistoryActor::Other).and_then(|id| names.get(id).cloned());
        // The one who acted may have been an administrator then.
        let ip = ip.filter(|_| actor != HistoryActor::Other);
        Self { id, at, action, actor, actor_username, ip, count, text }
    }
}

/// Whether entries of this action may stand for several attempts, whose requests differ.
fn is_attempt(action: &str) -> bool {
    let attempts = [
        Action::SignInFailed,
        Action::PasswordConfirmed,
        Action::AccessDenied,
        Action::AttemptThrottled,
        Action::EntryCodeRefused,
    ];
    attempts.iter().any(|attempt| attempt.as_str() == action)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ChainHash;

    fn entry(action: Action, actor: Option<i64>, request_id: Option<&str>, ip: Option<&str>) -> HistoryEntry {
        let entry = AuditEntry {
            id: 1,
            at: Timestamp::from_millis(0),
            action: action.as_str().to_owned(),
            actor,
            subject: Some(1),
            ip: ip.map(str::to_owned),
            request_id: request_id.map(str::to_owned),
            count: 1,
            hash: ChainHash::START,
        };
        // The owner has the id 1, an administrator is known, and another account is not.
        let names = Usernames::of([(2, Username::parse("root").ok())]);
        HistoryEntry::new(entry, UserId::new(1).unwrap(), &names)
    }

    #[test]
    fn who_acted_is_told_as_far_as_it_concerns_the_owner() {
        let (ip, request) = (Some("203.0.113.7"), Some("r"));
        for (action, id, request, ip, shown) in [
            (Action::SignedIn, Some(1), request, ip, (HistoryActor::Owner, None, ip)),
            (Action::UserDisabled, Some(2), request, ip, (HistoryActor::Other, Some("root"), None)),
            (Action::AccessDenied, Some(3), request, ip, (HistoryActor::Other, None, None)),
            (Action::UserDisabled, None, None, None, (HistoryActor::CommandLine, None, None)),
            (Action::SignInFailed, None, request, ip, (HistoryActor::Unknown, None, ip)),
            (Action::SignInFailed, None, None, None, (HistoryActor::Unknown, None, None)),
            (Action::PasswordReset, None, request, None, (HistoryActor::Unknown, None, None)),
        ] {
            let entry = entry(action, id, request, ip);
            let name = entry.actor_username.as_ref().map(Username::as_str);
            assert_eq!((entry.actor, name, entry.ip.as_deref()), shown, "{action:?} {id:?} {request:?}");
        }
    }
}
