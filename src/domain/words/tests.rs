use super::*;
use crate::domain::{ChainHash, Timestamp};

/// There are ada (1), bob (2) and a damaged account (3).
fn names() -> Usernames {
    let name = |text| Username::parse(text).ok();
    Usernames::of([(1, name("ada")), (2, name("bob")), (3, None)])
}

fn entry(action: &str, actor: Option<i64>, subject: Option<i64>, count: i64, request_id: Option<&str>) -> AuditEntry {
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
        (Action::AuditExported, "exported the audit log"),
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
    assert_eq!(words(Action::SessionsRevoked, Some(7), Some(3), 1), "account 7 (deleted) ended a session of account 3");
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

#[test]
fn the_owner_of_an_account_is_addressed_and_others_are_named_if_they_may_be() {
    // The owner is cleo (7); of the others, ada and bob may be known, and 9 may not.
    let told = |action: Action, actor, subject, count| {
        entry(action.as_str(), actor, subject, count, Some("r")).told_to(UserId::new(7).unwrap(), &names())
    };
    let (own, by_ada, by_nine) = ((Some(7), Some(7)), (Some(1), Some(7)), (Some(9), Some(7)));
    let (of_bob, of_nine, stranger) = ((Some(7), Some(2)), (Some(7), Some(9)), (None, Some(7)));
    for (action, (actor, subject), count, words) in [
        (Action::SignedIn, own, 1, "You signed in"),
        (Action::UserUpdated, own, 1, "You changed your own account"),
        (Action::UserUpdated, by_ada, 1, "ada changed your account"),
        (Action::UserPasswordChanged, by_ada, 1, "ada set a new password for you"),
        (Action::SessionsRevoked, own, 2, "You ended 2 sessions of your own"),
        (Action::SessionsRevoked, by_ada, 1, "ada ended a session of yours"),
        (Action::SessionsRevoked, of_bob, 1, "You ended a session of bob"),
        (Action::SessionsRevoked, of_nine, 1, "You ended a session of somebody else"),
        (Action::UserDisabled, of_nine, 1, "You disabled another account"),
        (Action::UserRegistered, stranger, 1, "You registered"),
        (Action::InvitationSpent, by_ada, 1, "You registered with an invitation from ada"),
        (Action::InvitationSpent, of_bob, 1, "bob registered with an invitation from you"),
        (Action::PasswordReset, stranger, 1, "Somebody set a new password for you with a reset token"),
        (Action::PasswordConfirmed, stranger, 2, "You confirmed your password, 2 times"),
        (Action::SignInFailed, stranger, 3, "Somebody failed to sign in to your account, 3 times"),
        (Action::SignInFailed, by_nine, 1, "Somebody else failed to sign in to your account"),
        (Action::SignInFailed, own, 1, "You sent a wrong current password"),
        (Action::AttemptThrottled, own, 1, "You were slowed down at your own account"),
        (Action::AttemptThrottled, stranger, 1, "Somebody was slowed down at your account"),
        (Action::AccessDenied, own, 1, "You asked for something that is not allowed, or needs your password again"),
        (Action::AccessDenied, by_nine, 1, "Somebody else asked for something about your account that is not allowed"),
        (Action::EntryCodeRefused, stranger, 1, "A code with which you enter an app was shown wrongly, and refused"),
        (Action::AppTokenRevoked, own, 2, "You revoked 2 app tokens of your own account"),
    ] {
        assert_eq!(told(action, actor, subject, count), words);
    }
    let shell = entry(Action::UserDisabled.as_str(), None, Some(7), 1, None);
    assert_eq!(shell.told_to(UserId::new(7).unwrap(), &names()), "Somebody at the server disabled your account");
}

#[test]
fn no_sentence_for_an_owner_has_the_id_of_another_account() {
    for action in Action::ALL {
        for (actor, subject) in [(Some(99), Some(7)), (Some(7), Some(99)), (Some(99), Some(99)), (Some(7), None)] {
            let told = entry(action.as_str(), actor, subject, 1, Some("r"));
            let told = told.told_to(UserId::new(7).unwrap(), &Usernames::default());
            assert!(!told.contains("99") && !told.contains('7'), "{told}");
        }
    }
}
