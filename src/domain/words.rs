//! Entries of the audit log as sentences, for people: "ada ended a session of bob".

use super::{Action, AuditEntry, Username};
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
        let sentence = Sentence { entry: self, names };
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
}

impl Sentence<'_> {
    /// Whether somebody did it to their own account.
    fn is_own(&self) -> bool {
        self.entry.actor.is_some() && self.entry.actor == self.entry.subject
    }

    /// Who did it. Only the command line sends no request.
    fn who(&self) -> String {
        let AuditEntry { actor, ip, request_id, .. } = self.entry;
        match actor {
            Some(id) => self.names.name(*id),
            None if ip.is_none() && request_id.is_none() => "the command line".to_owned(),
            None => "somebody".to_owned(),
        }
    }

    /// Who tried it. Attempts that were counted have lost their request, and the command line is refused nothing.
    fn who_tried(&self) -> String {
        self.entry.actor.map_or_else(|| "somebody".to_owned(), |id| self.names.name(id))
    }

    /// To whom it was done.
    fn whom(&self) -> String {
        self.entry.subject.map_or_else(|| "somebody".to_owned(), |id| self.names.name(id))
    }

    /// The account that it was done to.
    fn account(&self) -> String {
        match self.entry.subject {
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
                let whose = if is_own { "their own" } else { &whom };
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
                format!("a code with which {whom} enters an app was shown wrongly, and refused")
            }
            Action::SignInFailed if self.entry.actor.is_some() => format!("{who} sent a wrong current password"),
            Action::SignInFailed => format!("somebody failed to sign in to {account}"),
            Action::AccessDenied => self.denied(),
            Action::DatabaseBackedUp => "the database was backed up".to_owned(),
            Action::AttemptThrottled if self.entry.subject.is_none() => format!("{} was slowed down", self.who_tried()),
            Action::AttemptThrottled => format!("{} was slowed down at {account}", self.who_tried()),
        };
        (words, false)
    }

    /// An account that was deleted is not called so again.
    fn deleted(&self) -> String {
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
        let from = self.entry.actor.map_or_else(|| "the command line".to_owned(), |id| self.names.name(id));
        format!("{} registered with an invitation from {from}", self.whom())
    }

    fn denied(&self) -> String {
        let who = self.who_tried();
        match self.entry.subject {
            Some(_) => format!("{who} asked for something about {} that is not allowed", self.account()),
            None => format!("{who} asked for something that is not allowed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ChainHash, Timestamp};

    /// There are ada (1), bob (2) and a damaged account (3).
    fn names() -> Usernames {
        let name = |text| Username::parse(text).ok();
        Usernames::of([(1, name("ada")), (2, name("bob")), (3, None)])
    }

    fn entry(
        action: &str,
        actor: Option<i64>,
        subject: Option<i64>,
        count: i64,
        request_id: Option<&str>,
    ) -> AuditEntry {
        AuditEntry {
            id: 1,
            at: Timestamp::from_millis(0),
            action: action.to_owned(),
            actor,
            subject,
            ip: None,
            request_id: request_id.map(str::to_owned),
            count,
            hash: ChainHash::START,
        }
    }

    /// In a request.
    fn words(action: Action, actor: Option<i64>, subject: Option<i64>, count: i64) -> String {
        entry(action.as_str(), actor, subject, count, Some("r")).in_words(&names())
    }

    /// On the command line, or counted.
    fn bare(action: Action, actor: Option<i64>, subject: Option<i64>, count: i64) -> String {
        entry(action.as_str(), actor, subject, count, None).in_words(&names())
    }

    #[test]
    fn every_action_is_told_of_others_of_oneself_and_of_the_command_line() {
        for (action, of_other, of_own, of_shell) in [
            (
                Action::UserRegistered,
                "ada created bob's account",
                "ada created their own account",
                "the command line created bob's account",
            ),
            (
                Action::UserUpdated,
                "ada changed bob's account",
                "ada changed their own account",
                "the command line changed bob's account",
            ),
            (
                Action::UserPasswordChanged,
                "ada set a new password for bob",
                "ada set a new password",
                "the command line set a new password for bob",
            ),
            (
                Action::UserRoleChanged,
                "ada changed the role of bob's account",
                "ada changed the role of their own account",
                "the command line changed the role of bob's account",
            ),
            (
                Action::UserDisabled,
                "ada disabled bob's account",
                "ada disabled their own account",
                "the command line disabled bob's account",
            ),
            (
                Action::UserEnabled,
                "ada enabled bob's account",
                "ada enabled their own account",
                "the command line enabled bob's account",
            ),
            (
                Action::UserUnlocked,
                "ada unlocked bob's account",
                "ada unlocked their own account",
                "the command line unlocked bob's account",
            ),
            (
                Action::ResetIssued,
                "ada created a reset token for bob's account",
                "ada created a reset token for their own account",
                "the command line created a reset token for bob's account",
            ),
            (
                Action::GroupMemberAdded,
                "ada added bob's account to a group",
                "ada added their own account to a group",
                "the command line added bob's account to a group",
            ),
            (
                Action::GroupMemberRemoved,
                "ada removed bob's account from a group",
                "ada removed their own account from a group",
                "the command line removed bob's account from a group",
            ),
            (
                Action::AppTokenRevoked,
                "ada revoked an app token of bob's account",
                "ada revoked an app token of their own account",
                "the command line revoked an app token of bob's account",
            ),
            (
                Action::AppTokenCreated,
                "ada created an app token for bob's account",
                "ada created an app token for their own account",
                "the command line created an app token for bob's account",
            ),
            (
                Action::SessionsRevoked,
                "ada ended a session of bob",
                "ada ended a session of their own",
                "the command line ended a session of bob",
            ),
        ] {
            assert_eq!(words(action, Some(1), Some(2), 1), of_other);
            assert_eq!(words(action, Some(1), Some(1), 1), of_own);
            assert_eq!(bare(action, None, Some(2), 1), of_shell);
        }
        for (action, rest) in [
            (Action::GroupCreated, "created a group"),
            (Action::GroupRenamed, "renamed a group"),
            (Action::GroupDeleted, "deleted a group"),
            (Action::AppCreated, "registered an app"),
            (Action::AppChanged, "changed an app"),
            (Action::AppDeleted, "deleted an app"),
            (Action::InvitationCreated, "created an invitation"),
            (Action::InvitationDeleted, "deleted an invitation"),
            (Action::UserImported, "imported 1 account"),
        ] {
            assert_eq!(words(action, Some(1), None, 1), format!("ada {rest}"));
            assert_eq!(bare(action, None, None, 1), format!("the command line {rest}"));
        }
    }

    #[test]
    fn what_is_done_with_a_password_a_token_or_a_code_is_told_of_its_account() {
        assert_eq!(words(Action::UserRegistered, None, Some(2), 1), "bob registered");
        assert_eq!(words(Action::InvitationSpent, Some(1), Some(2), 1), "bob registered with an invitation from ada");
        assert_eq!(
            words(Action::InvitationSpent, None, Some(2), 1),
            "bob registered with an invitation from the command line"
        );
        assert_eq!(
            words(Action::PasswordReset, None, Some(2), 1),
            "somebody set a new password for bob with a reset token"
        );
        assert_eq!(bare(Action::SetupLinkIssued, None, None, 1), "a set-up link was created");
        assert_eq!(words(Action::SetUp, None, Some(1), 1), "ada became the first administrator with a set-up link");
        assert_eq!(words(Action::SignedIn, Some(1), Some(1), 1), "ada signed in");
        assert_eq!(words(Action::SignedOut, Some(1), Some(1), 1), "ada signed out");
        assert_eq!(words(Action::AppEntered, Some(1), Some(1), 1), "ada entered an app");
        assert_eq!(bare(Action::DatabaseBackedUp, None, None, 1), "the database was backed up");
        assert_eq!(
            words(Action::PasswordConfirmed, Some(1), Some(1), 1),
            "ada confirmed the password of their own account"
        );
    }

    #[test]
    fn attempts_are_told_whether_or_not_they_were_counted() {
        for tell in [words, bare] {
            let failed = |subject, count| tell(Action::SignInFailed, None, subject, count);
            assert_eq!(failed(Some(2), 1), "somebody failed to sign in to bob's account");
            assert_eq!(failed(Some(2), 12), "somebody failed to sign in to bob's account, 12 times");
            assert_eq!(failed(None, 1), "somebody failed to sign in to an unknown account");
            assert_eq!(
                tell(Action::AttemptThrottled, None, Some(2), 3),
                "somebody was slowed down at bob's account, 3 times"
            );
            assert_eq!(tell(Action::AttemptThrottled, None, None, 1), "somebody was slowed down");
            assert_eq!(
                tell(Action::AccessDenied, None, None, 2),
                "somebody asked for something that is not allowed, 2 times"
            );
            assert_eq!(tell(Action::AccessDenied, Some(1), None, 1), "ada asked for something that is not allowed");
            assert_eq!(
                tell(Action::AccessDenied, Some(1), Some(2), 1),
                "ada asked for something about bob's account that is not allowed"
            );
            assert_eq!(tell(Action::SignInFailed, Some(1), Some(1), 1), "ada sent a wrong current password");
            assert_eq!(
                tell(Action::PasswordConfirmed, None, Some(1), 2),
                "somebody confirmed the password of ada's account, 2 times"
            );
            assert_eq!(
                tell(Action::EntryCodeRefused, None, Some(2), 1),
                "a code with which bob enters an app was shown wrongly, and refused"
            );
        }
    }

    #[test]
    fn what_is_done_to_many_says_how_many() {
        assert_eq!(words(Action::SessionsRevoked, Some(1), Some(2), 3), "ada ended 3 sessions of bob");
        assert_eq!(words(Action::SessionsRevoked, Some(1), Some(1), 3), "ada ended 3 sessions of their own");
        assert_eq!(words(Action::InvitationCreated, Some(1), None, 20), "ada created 20 invitations");
        assert_eq!(words(Action::InvitationDeleted, Some(1), None, 20), "ada deleted 20 invitations");
        assert_eq!(bare(Action::UserImported, None, None, 1_000), "the command line imported 1000 accounts");
    }

    #[test]
    fn accounts_that_are_gone_or_damaged_are_called_by_their_ids() {
        assert_eq!(words(Action::UserDeleted, Some(1), Some(7), 1), "ada deleted account 7");
        assert_eq!(words(Action::UserDeleted, Some(7), Some(7), 1), "account 7 was deleted by its owner");
        assert_eq!(
            words(Action::SessionsRevoked, Some(7), Some(3), 1),
            "account 7 (deleted) ended a session of account 3"
        );
        assert_eq!(words(Action::UserUpdated, Some(7), Some(8), 1), "account 7 (deleted) changed account 8 (deleted)");
        assert_eq!(words(Action::UserUpdated, Some(7), Some(7), 1), "account 7 (deleted) changed its own account");
    }

    #[test]
    fn what_a_later_version_or_a_vandal_wrote_is_not_repeated() {
        let entry = entry("<script>", Some(1), Some(-5), -3, None);
        assert_eq!(entry.in_words(&names()), "ada did something that this version does not know");
    }

    #[test]
    fn no_sentence_of_any_action_is_empty_or_names_the_action() {
        for action in Action::ALL {
            for (actor, subject) in [(None, None), (None, Some(2)), (Some(1), None), (Some(1), Some(2))] {
                let told = words(*action, actor, subject, 2);
                assert!(told.split(' ').count() > 1 && !told.contains(action.as_str()), "{told}");
            }
        }
    }
}
