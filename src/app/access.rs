//! Permissions: one function, called before work begins and again inside each transaction.

use crate::domain::{Actor, Caller, Error, Registration, Role, UserChanges, UserId};

/// An operation to be allowed or refused. A target of `None` is an id that no account can have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operation {
    /// Creating an account.
    Register {
        role: Role,
        /// Who may register, as the server is set up.
        mode: Registration,
        /// Whether an invitation was sent along.
        invited: bool,
    },
    ListUsers,
    ReadUser(Option<UserId>),
    /// Changing what owners may change.
    ChangeUser(Option<UserId>),
    /// Changing an account's role, or disabling or enabling it.
    ChangeRights(Option<UserId>),
    DeleteUser(Option<UserId>),
    /// Opening a session. The password decides who may.
    SignIn,
    SignOut,
    /// Getting a code for an app. Whether the app may be entered is decided by the app.
    EnterApp,
    /// Entering an app with such a code. The code decides.
    RedeemCode,
    /// Listing an account's sessions, or ending them.
    Sessions(Option<UserId>),
    /// Creating an app token for this account.
    CreateAppToken(Option<UserId>),
    /// Listing an account's app tokens, or revoking them.
    AppTokens(Option<UserId>),
    /// Reading what happened to this account.
    ReadHistory(Option<UserId>),
    /// Creating a reset token for this account.
    IssueReset(Option<UserId>),
    /// Setting a new password with a reset token. The token decides who may.
    ResetPassword,
    /// Clearing an account's failed sign-ins.
    Unlock(Option<UserId>),
    /// Creating a set-up link.
    IssueSetupLink,
    /// Creating the first administrator. The token of the set-up link decides who may.
    SetUp,
    /// Creating, listing and deleting invitations.
    Invite,
    /// Creating, listing, renaming and deleting groups, and ending the sessions of their accounts.
    ManageGroups,
    /// Registering, listing, changing and deleting apps.
    ManageApps,
    /// Adding an account to a group, or removing it.
    ManageMember(Option<UserId>),
    /// Passing a proxy with this role. Administrators have all roles.
    PassAs(Role),
    /// Importing accounts with their password hashes.
    ImportUsers,
    /// Exporting accounts with their password hashes, and backing up the database. For the shell alone: with hashes, a stolen
    /// session of an administrator would be everybody's password to guess at.
    TransferUsers,
    ReadAudit,
    /// Taking the audit log away as a file.
    ExportAudit,
    /// Reading what is wrong with the service.
    ReadHealth,
    /// Storing the settings that commands follow while a server runs.
    SetPolicy,
}

impl Operation {
    /// The operation for these changes.
    pub fn of_changes(target: Option<UserId>, changes: &UserChanges) -> Self {
        let changes_rights = changes.role.is_some() || changes.disabled.is_some();
        if changes_rights { Self::ChangeRights(target) } else { Self::ChangeUser(target) }
    }

    /// The account that a refusal is recorded for.
    pub fn subject(&self) -> Option<UserId> {
        match *self {
            Self::ReadUser(target)
            | Self::ChangeUser(target)
            | Self::ChangeRights(target)
            | Self::DeleteUser(target)
            | Self::Sessions(target)
            | Self::CreateAppToken(target)
            | Self::AppTokens(target)
            | Self::ReadHistory(target)
            | Self::IssueReset(target)
            | Self::Unlock(target)
            | Self::ManageMember(target) => target,
            Self::Register { .. }
            | Self::ListUsers
            | Self::SignIn
            | Self::SignOut
            | Self::EnterApp
            | Self::RedeemCode
            | Self::ResetPassword
            | Self::IssueSetupLink
            | Self::SetUp
            | Self::Invite
            | Self::ManageGroups
            | Self::ManageApps
            | Self::PassAs(_)
            | Self::ImportUsers
            | Self::TransferUsers
            | Self::ReadAudit
            | Self::ExportAudit
            | Self::ReadHealth
            | Self::SetPolicy => None,
        }
    }

    /// Whether a change needs a recent sign-in from those who are signed in in a browser, where a session stays open for
    /// weeks: all that administrators change, what belongs to others, and tokens that outlive the session.
    /// A new password or e-mail address of one's own and the deletion of one's account need it from everybody, and their use
    /// cases see to it.
    pub fn needs_recent_sign_in(&self, caller: &Caller) -> bool {
        let of_another = |target: Option<UserId>| target.is_none_or(|id| !caller.owns(id));
        match *self {
            Self::ChangeUser(target) | Self::DeleteUser(target) | Self::Sessions(target) => of_another(target),
            Self::Register { .. } => caller.administers(),
            Self::ChangeRights(_)
            | Self::CreateAppToken(_)
            | Self::AppTokens(_)
            | Self::IssueReset(_)
            | Self::Unlock(_)
            | Self::Invite
            | Self::ManageGroups
            | Self::ManageApps
            | Self::ManageMember(_)
            | Self::ImportUsers
            | Self::ExportAudit
            | Self::TransferUsers => true,
            Self::ListUsers
            | Self::ReadUser(_)
            | Self::ReadHistory(_)
            | Self::SignIn
            | Self::SignOut
            | Self::EnterApp
            | Self::RedeemCode
            | Self::ResetPassword
            | Self::IssueSetupLink
            | Self::SetUp
            | Self::PassAs(_)
            | Self::ReadAudit
            | Self::ReadHealth
            | Self::SetPolicy => false,
        }
    }

    /// Whether a password or a token decides, and not the caller's session. That session may end meanwhile.
    pub fn has_its_own_proof(&self) -> bool {
        matches!(self, Self::SignIn | Self::ResetPassword | Self::RedeemCode | Self::SetUp)
    }
}

/// Allows or refuses an operation. Callers who may not see an account get the same answer as if it did not exist.
pub(super) fn decide(actor: &Actor, operation: &Operation) -> Result<(), Error> {
    let (id, role) = match actor {
        Actor::Shell => return Ok(()),
        Actor::SignedIn(signed_in) => (Some(signed_in.user.id), signed_in.user.role),
        Actor::AppToken(owner) => {
            return match operation {
                Operation::PassAs(role) if *role == Role::User || owner.role == Role::Admin => Ok(()),
                Operation::PassAs(_) => Err(Error::Forbidden),
                _ => Err(Error::InvalidToken),
            };
        }
        Actor::Anonymous => (None, Role::User),
    };
    let is_admin = role == Role::Admin;
    let signed_in = || id.map(|_| ()).ok_or(Error::AuthenticationRequired);
    let sees = |target: &Option<UserId>| match (id, target) {
        (None, _) => Err(Error::AuthenticationRequired),
        (Some(own), Some(target)) if own == *target || is_admin => Ok(()),
        (Some(_), _) => Err(Error::UserNotFound),
    };
    let administers = || signed_in().and(if is_admin { Ok(()) } else { Err(Error::Forbidden) });
    match operation {
        Operation::SignIn | Operation::ResetPassword | Operation::RedeemCode | Operation::SetUp => Ok(()),
        Operation::SignOut | Operation::EnterApp | Operation::PassAs(Role::User) => signed_in(),
        Operation::Register { role: Role::Admin, .. }
        | Operation::IssueSetupLink
        | Operation::TransferUsers
        | Operation::SetPolicy => Err(Error::Forbidden),
        Operation::Register { role: Role::User, .. } if is_admin => Ok(()),
        Operation::Register { role: Role::User, mode, invited } => match mode {
            Registration::Open => Ok(()),
            Registration::Invite if *invited => Ok(()),
            Registration::Invite => Err(Error::InvitationRequired),
            Registration::Closed => Err(Error::RegistrationClosed),
        },
        Operation::ListUsers
        | Operation::IssueReset(_)
        | Operation::Unlock(_)
        | Operation::Invite
        | Operation::ManageGroups
        | Operation::ManageApps
        | Operation::ManageMember(_)
        | Operation::ImportUsers
        | Operation::ReadAudit
        | Operation::ExportAudit
        | Operation::ReadHealth
        | Operation::PassAs(Role::Admin) => administers(),
        Operation::ReadUser(target)
        | Operation::ChangeUser(target)
        | Operation::DeleteUser(target)
        | Operation::Sessions(target)
        | Operation::AppTokens(target)
        | Operation::ReadHistory(target) => sees(target),
        Operation::CreateAppToken(target) => {
            sees(target).and(if id == *target { Ok(()) } else { Err(Error::Forbidden) })
        }
        Operation::ChangeRights(target) => sees(target).and_then(|()| administers()),
    }
}

impl Caller {
    /// Whether this is an administrator, or the shell.
    pub(super) fn administers(&self) -> bool {
        matches!(self.actor, Actor::Shell) || self.signed_in().is_some_and(|caller| caller.user.role == Role::Admin)
    }

    /// Whether the account with this id is the caller's own.
    pub(super) fn owns(&self, id: UserId) -> bool {
        self.user_id() == Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EmailAddress, Session, SessionId, SessionKind, SignedIn, Timestamp, User, Username};
    use std::sync::Arc;

    fn signed_in(id: i64, role: Role) -> Actor {
        let (at, id) = (Timestamp::from_millis(0), UserId::new(id).unwrap());
        let user = User {
            id,
            username: Username::parse("x").unwrap(),
            email: EmailAddress::parse("x@y").unwrap(),
            email_verified: false,
            role,
            disabled: false,
            revision: 1,
            created_at: at,
            updated_at: at,
            last_login_at: None,
            display_name: None,
            groups: vec![],
        };
        let session = Session {
            id: SessionId::generate(),
            user_id: id,
            kind: SessionKind::Api,
            created_at: at,
            authenticated_at: at,
            last_used_at: at,
            expires_at: at,
        };
        Actor::SignedIn(Arc::new(SignedIn { user, session }))
    }

    /// One row an operation; in it anonymous, a user, an administrator and the shell. The account asked about is the
    /// second's and the third's own where the row says `own`.
    #[test]
    fn who_may_do_what() {
        let (ok, anonymous, hidden) = (Ok(()), Err(Error::AuthenticationRequired), Err(Error::UserNotFound));
        let (own, other) = (UserId::new(1), UserId::new(2));
        let plain = UserChanges { username: Username::parse("y").ok(), ..UserChanges::default() };
        let role = UserChanges { role: Some(Role::Admin), ..UserChanges::default() };
        let disabled = UserChanges { disabled: Some(true), ..UserChanges::default() };
        let forbidden = Err(Error::Forbidden);
        let (uninvited, closed) = (Err(Error::InvitationRequired), Err(Error::RegistrationClosed));
        let register = |role, mode, invited| Operation::Register { role, mode, invited };
        let table = [
            ("register", register(Role::User, Registration::Open, false), [&ok, &ok, &ok, &ok]),
            ("register invited", register(Role::User, Registration::Invite, true), [&ok, &ok, &ok, &ok]),
            (
                "register uninvited",
                register(Role::User, Registration::Invite, false),
                [&uninvited, &uninvited, &ok, &ok],
            ),
            (
                "register where it is closed",
                register(Role::User, Registration::Closed, true),
                [&closed, &closed, &ok, &ok],
            ),
            (
                "register an administrator",
                register(Role::Admin, Registration::Open, true),
                [&forbidden, &forbidden, &forbidden, &ok],
            ),
            ("list", Operation::ListUsers, [&anonymous, &forbidden, &ok, &ok]),
            ("issue a reset", Operation::IssueReset(other), [&anonymous, &forbidden, &ok, &ok]),
            ("unlock", Operation::Unlock(other), [&anonymous, &forbidden, &ok, &ok]),
            ("invite", Operation::Invite, [&anonymous, &forbidden, &ok, &ok]),
            ("manage groups", Operation::ManageGroups, [&anonymous, &forbidden, &ok, &ok]),
            ("manage apps", Operation::ManageApps, [&anonymous, &forbidden, &ok, &ok]),
            ("join a group", Operation::ManageMember(own), [&anonymous, &forbidden, &ok, &ok]),
            ("read own", Operation::ReadUser(own), [&anonymous, &ok, &ok, &ok]),
            ("read other", Operation::ReadUser(other), [&anonymous, &hidden, &ok, &ok]),
            ("read nobody", Operation::ReadUser(None), [&anonymous, &hidden, &hidden, &ok]),
            ("change own", Operation::of_changes(own, &plain), [&anonymous, &ok, &ok, &ok]),
            ("change other", Operation::of_changes(other, &plain), [&anonymous, &hidden, &ok, &ok]),
            ("own role", Operation::of_changes(own, &role), [&anonymous, &forbidden, &ok, &ok]),
            ("other's role", Operation::of_changes(other, &role), [&anonymous, &hidden, &ok, &ok]),
            ("own disabled", Operation::of_changes(own, &disabled), [&anonymous, &forbidden, &ok, &ok]),
            ("other's disabled", Operation::of_changes(other, &disabled), [&anonymous, &hidden, &ok, &ok]),
            ("delete own", Operation::DeleteUser(own), [&anonymous, &ok, &ok, &ok]),
            ("delete other", Operation::DeleteUser(other), [&anonymous, &hidden, &ok, &ok]),
            ("pass as a user", Operation::PassAs(Role::User), [&anonymous, &ok, &ok, &ok]),
            ("pass as an administrator", Operation::PassAs(Role::Admin), [&anonymous, &forbidden, &ok, &ok]),
            ("own sessions", Operation::Sessions(own), [&anonymous, &ok, &ok, &ok]),
            ("other's sessions", Operation::Sessions(other), [&anonymous, &hidden, &ok, &ok]),
            ("own history", Operation::ReadHistory(own), [&anonymous, &ok, &ok, &ok]),
            ("other's history", Operation::ReadHistory(other), [&anonymous, &hidden, &ok, &ok]),
            ("own app tokens", Operation::AppTokens(own), [&anonymous, &ok, &ok, &ok]),
            ("other's app tokens", Operation::AppTokens(other), [&anonymous, &hidden, &ok, &ok]),
            ("create an app token", Operation::CreateAppToken(own), [&anonymous, &ok, &ok, &ok]),
            ("create another's app token", Operation::CreateAppToken(other), [&anonymous, &hidden, &forbidden, &ok]),
            ("create nobody's app token", Operation::CreateAppToken(None), [&anonymous, &hidden, &hidden, &ok]),
            ("import", Operation::ImportUsers, [&anonymous, &forbidden, &ok, &ok]),
            ("transfer", Operation::TransferUsers, [&forbidden, &forbidden, &forbidden, &ok]),
            ("store the policy", Operation::SetPolicy, [&forbidden, &forbidden, &forbidden, &ok]),
            ("sign in", Operation::SignIn, [&ok, &ok, &ok, &ok]),
            ("sign out", Operation::SignOut, [&anonymous, &ok, &ok, &ok]),
            ("enter an app", Operation::EnterApp, [&anonymous, &ok, &ok, &ok]),
            ("show a code", Operation::RedeemCode, [&ok, &ok, &ok, &ok]),
            ("reset a password", Operation::ResetPassword, [&ok, &ok, &ok, &ok]),
            ("create a set-up link", Operation::IssueSetupLink, [&forbidden, &forbidden, &forbidden, &ok]),
            ("set up", Operation::SetUp, [&ok, &ok, &ok, &ok]),
            ("read the audit log", Operation::ReadAudit, [&anonymous, &forbidden, &ok, &ok]),
            ("export the audit log", Operation::ExportAudit, [&anonymous, &forbidden, &ok, &ok]),
            ("read what is wrong", Operation::ReadHealth, [&anonymous, &forbidden, &ok, &ok]),
        ];
        let actors = [Actor::Anonymous, signed_in(1, Role::User), signed_in(1, Role::Admin), Actor::Shell];
        for (name, operation, expected) in &table {
            for (actor, expected) in actors.iter().zip(expected) {
                assert_eq!(&decide(actor, operation), *expected, "{name} {actor:?}");
            }
        }
    }

    /// In a browser, for an account's owner where the row says `own`: whether a user and an administrator must have signed in
    /// recently.
    #[test]
    fn what_needs_a_recent_sign_in_in_a_browser() {
        let (own, other) = (UserId::new(1), UserId::new(2));
        let register = Operation::Register { role: Role::User, mode: Registration::Open, invited: false };
        let table = [
            ("register", register, [false, true]),
            ("list", Operation::ListUsers, [false, false]),
            ("read other", Operation::ReadUser(other), [false, false]),
            ("change own", Operation::ChangeUser(own), [false, false]),
            ("change other", Operation::ChangeUser(other), [true, true]),
            ("own role", Operation::ChangeRights(own), [true, true]),
            ("other's role", Operation::ChangeRights(other), [true, true]),
            ("delete own", Operation::DeleteUser(own), [false, false]),
            ("delete other", Operation::DeleteUser(other), [true, true]),
            ("end own sessions", Operation::Sessions(own), [false, false]),
            ("end other's sessions", Operation::Sessions(other), [true, true]),
            ("create an app token", Operation::CreateAppToken(own), [true, true]),
            ("revoke own app tokens", Operation::AppTokens(own), [true, true]),
            ("issue a reset", Operation::IssueReset(own), [true, true]),
            ("unlock", Operation::Unlock(own), [true, true]),
            ("invite", Operation::Invite, [true, true]),
            ("manage groups", Operation::ManageGroups, [true, true]),
            ("manage apps", Operation::ManageApps, [true, true]),
            ("join a group", Operation::ManageMember(own), [true, true]),
            ("import", Operation::ImportUsers, [true, true]),
            ("transfer", Operation::TransferUsers, [true, true]),
            ("export the audit log", Operation::ExportAudit, [true, true]),
            ("read what is wrong", Operation::ReadHealth, [false, false]),
            ("sign out", Operation::SignOut, [false, false]),
            ("enter an app", Operation::EnterApp, [false, false]),
            ("read the audit log", Operation::ReadAudit, [false, false]),
        ];
        let client = crate::domain::Client { ip: None };
        let callers =
            [Role::User, Role::Admin].map(|role| Caller { actor: signed_in(1, role), client, request_id: None });
        for (name, operation, expected) in table {
            assert_eq!(callers.each_ref().map(|caller| operation.needs_recent_sign_in(caller)), expected, "{name}");
        }
    }
}
