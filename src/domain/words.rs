//! Entries of the audit log as sentences, for people: "ada ended a session of bob".

use super::{Action, AuditEntry, UserId, Username};
use std::collections::HashMap;

/// The usernames that accounts have now, by their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usernames(HashMap<i64, Option<Username>>);

impl Usernames {
    /// From the accounts that there are. One without a username is damaged.
    pub fn of(accounts: impl IntoIterator<Item = (i64, Option<Username>)>) -> Self {
        Self(accounts.into_iter().collect())
    }

    /// `None` if the account was deleted, or can't be read.
    pub fn get(&self, id: i64) -> Option<&Username> {
        self.0.get(&id).and_then(Option::as_ref)
    }

    /// An account in a sentence.
    fn name(&self, id: i64) -> String {
        match self.0.get(&id) {
            Some(Some(name)) => name.to_string(),
            Some(None) => format!("account {id}"),
            None => format!("account {id} (deleted)"),
        }
    }
}

impl AuditEntry {
    /// What happened, as a sentence without a full stop. It contains usernames, and nothing else that somebody typed.
    pub fn in_words(&self, names: &Usernames) -> String {
        self.told(names, None)
    }

    /// The same for the owner of an account, whom it addresses: "You signed in". Accounts without a name here are not named.
    pub fn told_to(&self, owner: UserId, names: &Usernames) -> String {
        let words = self.told(names, Some(owner.get()));
        let known = self.actor.into_iter().chain(self.subject).filter_map(|id| names.get(id));
        let begins_as_typed = known.into_iter().any(|name| words.starts_with(name.as_str()));
        match words.split_at_checked(1) {
            Some((first, rest)) if !begins_as_typed => first.to_uppercase() + rest,
            _ => words,
        }
    }

    fn told(&self, names: &Usernames, reader: Option<i64>) -> String {
        let sentence = Sentence { entry: self, names, reader };
        let (words, says_count) = match Action::parse(&self.action) {
            Ok(action) => sentence.of(action),
            Err(_) => (format!("{} did something that this version does not know", sentence.who()), false),
        };
        if says_count || self.count <= 1 { words } else { format!("{words}, {} times", self.count) }
    }
}

/// What a sentence is made of.
struct Sentence<'e> {
    entry: &'e AuditEntry,
    names: &'e Usernames,
    /// The account whose owner it addresses.
    reader: Option<i64>,
}

impl Sentence<'_> {
    /// Whether somebody did it to their own account.
    fn is_own(&self) -> bool {
        self.entry.actor.is_some() && self.entry.actor == self.entry.subject
    }

    fn is_reader(&self, id: Option<i64>) -> bool {
        id.is_some() && id == self.reader
    }

    /// An account.
    fn name(&self, id: i64) -> String {
        match self.reader {
            Some(reader) if reader == id => "you".to_owned(),
            Some(_) if self.names.get(id).is_none() => "somebody else".to_owned(),
            _ => self.names.name(id),
        }
    }

    /// Who did it. Only the command line sends no request.
    fn who(&self) -> String {
        let AuditEntry { actor, ip, request_id, .. } = self.entry;
        match actor {
            Some(id) => self.name(*id),
            None if ip.is_none() && request_id.is_none() => self.command_line().to_owned(),
            None => "somebody".to_owned(),
        }
    }

    /// Somebody without an account here, who can open the database.
    fn command_line(&self) -> &'static str {
        if self.reader.is_some() { "somebody at the server" } else { "the command line" }
    }

    /// Who tried it. Attempts that were counted have lost their request, and the command line is refused nothing.
    fn who_tried(&self) -> String {
        self.entry.actor.map_or_else(|| "somebody".to_owned(), |id| self.name(id))
    }

    /// To whom it was done.
    fn whom(&self) -> String {
        self.entry.subject.map_or_else(|| "somebody".to_owned(), |id| self.name(id))
    }

    /// The account that it was done to.
    fn account(&self) -> String {
        match self.entry.subject {
            id if self.is_reader(id) => if self.is_own() { "your own account" } else { "your account" }.to_owned(),
            Some(id) if self.reader.is_some() && self.names.get(id).is_none() => "another account".to_owned(),
            Some(id) if self.is_own() => match self.names.get(id) {
                Some(_) => "their own account".to_owned(),
                None => "its own account".to_owned(),
            },
            Some(id) => self.names.get(id).map_or_else(|| self.names.name(id), |name| format!("{name}'s account")),
            None => "an unknown account".to_owned(),
        }
    }

    /// `an invitation`, or `3 invitations`.
    fn some(&self, one: &str, many: &str) -> String {
        if self.entry.count == 1 { one.to_owned() } else { format!("{} {many}", self.entry.count) }
    }

    /// The words, and whether they say how many.
    fn of(&self, action: Action) -> (String, bool) {
        let (who, whom, account, is_own) = (self.who(), self.whom(), self.account(), self.is_own());
        let words = match action {
            Action::UserImported => return (format!("{who} imported {}", self.some("1 account", "accounts")), true),
            Action::InvitationCreated | Action::InvitationDeleted => {
                let did = if action == Action::InvitationCreated { "created" } else { "deleted" };
                return (format!("{who} {did} {}", self.some("an invitation", "invitations")), true);
            }
            Action::SessionsRevoked => {
                let whose = match (is_own, self.is_reader(self.entry.subject)) {
                    (true, true) => "your own",
                    (true, false) => "their own",
                    (false, true) => "yours",
                    (false, false) => &whom,
                };
                return (format!("{who} ended {} of {whose}", self.some("a session", "sessions")), true);
            }
            Action::UserRegistered if who == "somebody" => format!("{whom} registered"),
            Action::UserRegistered => format!("{who} created {account}"),
            Action::UserUpdated => format!("{who} changed {account}"),
            Action::UserPasswordChanged if is_own => format!("{who} set a new password"),
            Action::UserPasswordChanged => format!("{who} set a new password for {whom}"),
            Action::UserRoleChanged => format!("{who} changed the role of {account}"),
            Action::UserDisabled => format!("{who} disabled {account}"),
            Action::UserEnabled => format!("{who} enabled {account}"),
            Action::UserDeleted => self.deleted(),
            Action::UserUnlocked => format!("{who} unlocked {account}"),
            Action::PasswordConfirmed if self.is_reader(self.entry.subject) => "you confirmed your password".to_owned(),
            Action::PasswordConfirmed => format!("{} confirmed the password of {account}", self.who_tried()),
            Action::ResetIssued => format!("{who} created a reset token for {account}"),
            Action::PasswordReset => format!("somebody set a new password for {whom} with a reset token"),
            Action::InvitationSpent => self.spent(),
            Action::SetupLinkIssued => "a set-up link was created".to_owned(),
            Action::SetUp => format!("{whom} became the first administrator with a set-up link"),
            Action::GroupCreated => format!("{who} created a group"),
            Action::GroupRenamed => format!("{who} renamed a group"),
            Action::GroupDeleted => format!("{who} deleted a group"),
            Action::GroupMemberAdded => format!("{who} added {account} to a group"),
            Action::GroupMemberRemoved => format!("{who} removed {account} from a group"),
            Action::AppCreated => format!("{who} registered an app"),
            Action::AppChanged => format!("{who} changed an app"),
            Action::AppDeleted => format!("{who} deleted an app"),
            Action::SignedIn => format!("{whom} signed in"),
            Action::SignedOut => format!("{whom} signed out"),
            Action::AppTokenCreated => format!("{who} created an app token for {account}"),
            Action::AppTokenRevoked => {
                return (format!("{who} revoked {} of {account}", self.some("an app token", "app tokens")), true);
            }
            Action::AppEntered => format!("{whom} entered an app"),
            Action::EntryCodeRefused => {
                let enter = if self.is_reader(self.entry.subject) { "enter" } else { "enters" };
                format!("a code with which {whom} {enter} an app was shown wrongly, and refused")
            }
            Action::SignInFailed if is_own => format!("{who} sent a wrong current password"),
            Action::SignInFailed => format!("{} failed to sign in to {account}", self.who_tried()),
            Action::AccessDenied => self.denied(),
            Action::DatabaseBackedUp => "the database was backed up".to_owned(),
            Action::AuditExported => format!("{who} exported the audit log"),
            Action::AttemptThrottled => {
                let was = if self.is_reader(self.entry.actor) { "were" } else { "was" };
                let at = if self.entry.subject.is_some() { format!(" at {account}") } else { String::new() };
                format!("{} {was} slowed down{at}", self.who_tried())
            }
        };
        (words, false)
    }

    /// An account that was deleted is not called so again.
    fn deleted(&self) -> String {
        if self.reader.is_some() {
            return format!("{} deleted {}", self.who(), self.account());
        }
        let id = self.entry.subject.unwrap_or_default();
        let bare = self.names.get(id).map_or_else(|| format!("account {id}"), |name| format!("{name}'s account"));
        if self.is_own() {
            format!("{bare} was deleted by its owner")
        } else {
            format!("{} deleted {bare}", self.who())
        }
    }

    /// The actor is who created the invitation.
    fn spent(&self) -> String {
        let from = self.entry.actor.map_or_else(|| self.command_line().to_owned(), |id| self.name(id));
        format!("{} registered with an invitation from {from}", self.whom())
    }

    fn denied(&self) -> String {
        let who = self.who_tried();
        match self.entry.subject {
            // In a browser, what needs a recent sign-in is refused at first, too.
            _ if self.is_reader(self.entry.actor) => {
                "you asked for something that is not allowed, or needs your password again".to_owned()
            }
            Some(_) => format!("{who} asked for something about {} that is not allowed", self.account()),
            None => format!("{who} asked for something that is not allowed"),
        }
    }
}

#[cfg(test)]
mod tests;
