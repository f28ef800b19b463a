//! Accounts over HTTP.

use super::user::{Found, User, entity_tag};
use crate::{
    app::{self, App, IssuedReset, NewAccount},
    domain::{
        EmailAddress, PageSize, Password, ResetToken, Role, SearchPrefix, Timestamp, UserChanges, UserCursor,
        UserFilter, UserId, UserSort, Username,
    },
    http::{
        auth::{AnyCaller, SignedInCaller},
        wire::{
            body::{Body, Json, body},
            error::{ApiError, ErrorCode},
            if_match::IfMatch,
            path::{IdPath, Path},
            query::{self, Cursor, Query, query},
            schema::{Example, Nullable, Optional, answer},
        },
    },
};
use poem_openapi::{ApiResponse, OpenApi};
use serde_json::{Value, json};
use std::sync::Arc;

pub struct Users {
    pub app: Arc<App>,
}

/// Which codes each operation here can answer with, beside those that every operation has.
pub const FAILURES: &[(&str, &[ErrorCode])] = &[
    (
        "createUser",
        &[
            ErrorCode::InvalidInvitation,
            ErrorCode::RegistrationClosed,
            ErrorCode::InvitationRequired,
            ErrorCode::UsernameTaken,
            ErrorCode::EmailTaken,
            ErrorCode::TooManyAttempts,
        ],
    ),
    ("listUsers", &[ErrorCode::Forbidden]),
    ("getUser", &[ErrorCode::UserNotFound]),
    (
        "updateUser",
        &[
            ErrorCode::UserNotFound,
            ErrorCode::Forbidden,
            ErrorCode::ReauthenticationRequired,
            ErrorCode::PreconditionFailed,
            ErrorCode::UsernameTaken,
            ErrorCode::EmailTaken,
            ErrorCode::LastAdmin,
            ErrorCode::TooManyAttempts,
        ],
    ),
    ("createPasswordReset", &[ErrorCode::Forbidden, ErrorCode::UserNotFound]),
    ("unlockUser", &[ErrorCode::Forbidden, ErrorCode::UserNotFound]),
    (
        "deleteUser",
        &[
            ErrorCode::UserNotFound,
            ErrorCode::ReauthenticationRequired,
            ErrorCode::PreconditionFailed,
            ErrorCode::LastAdmin,
        ],
    ),
];

body! {
    /// What it takes to make an account.
    NewUser as "NewUser" {
        /// 1 to 64 letters, digits, dots, underscores and hyphens, starting with a letter or digit; unique without regard to case
        required username: Username,
        /// A plain ASCII address; unique without regard to case
        required email: EmailAddress,
        /// At least as long as the server asks (8 characters, or more), at most 256 characters (Unicode code points), without NUL. Common passwords and the account's own username or address are refused, unless the server allows them
        required password: Password,
        /// The token of an invitation, where registration asks for one. It gives the account its role, and is spent by a registration that succeeds
        optional invitation: String,
    }
}

impl Example for NewUser {
    fn example() -> Value {
        json!({"username": "ada", "email": "ada@example.com", "password": "correct horse battery staple"})
    }
}

body! {
    /// What to change; what is left out stays as it is.
    UserUpdate as "UserUpdate" {
        /// See NewUser
        optional username: Username,
        /// See NewUser. To change one's own needs a fresh sign-in or `current_password`
        optional email: EmailAddress,
        /// See NewUser. To change one's own needs a fresh sign-in or `current_password`; all other sessions of the account end
        optional password: Password,
        /// Shows that you know your password, when you change your own password or address. Given with a change of your own account it must be right; for somebody else's it is not asked
        optional current_password: String,
        /// Administrators only
        optional role: Role,
        /// Administrators only. Disabling ends all sessions of the account
        optional disabled: bool,
    }
}

impl Example for UserUpdate {
    fn example() -> Value {
        json!({"email": "ada@example.org", "current_password": "correct horse battery staple"})
    }
}

impl From<UserUpdate> for UserChanges {
    fn from(update: UserUpdate) -> Self {
        let UserUpdate { username, email, password, current_password, role, disabled } = update;
        Self { username, email, password, current_password, role, disabled }
    }
}

query! {
    /// Which accounts to list, and how.
    ListUsers as "ListUsersQuery" {
        /// How many accounts a page has at most
        limit: PageSize,
        /// The `next_cursor` of the page before, with the same `sort`
        cursor: Cursor,
        /// How the username or the address begins, in any case
        q: SearchPrefix,
        /// Only accounts of this role
        role: Role,
        /// Only disabled accounts, or only enabled ones
        disabled: bool,
        /// What to sort by; with a hyphen in front, the other way round. Accounts that never signed in come before all others in `last_login_at`
        sort: UserSort,
        /// Whether to count all accounts that the filter lets through, which takes longer the more there are
        count: bool,
    }
}

answer! {
    /// A page of accounts.
    UserList as "UserList" {
        users: Vec<User>,
        /// Where the next page begins; null on the last one
        next_cursor: Nullable<String>,
        /// How many accounts the filter lets through. Only with `count=true`
        total: Optional<u64>,
    }
}

impl From<app::UserList> for UserList {
    fn from(list: app::UserList) -> Self {
        Self {
            users: list.page.items.into_iter().map(User::from).collect(),
            next_cursor: Nullable(list.page.next.map(|cursor| Cursor::text_of(&cursor.to_string()))),
            total: Optional(list.total),
        }
    }
}

impl Example for UserList {
    fn example() -> Value {
        json!({"users": [User::example()], "next_cursor": null})
    }
}

#[derive(ApiResponse)]
pub enum Listed {
    /// A page of accounts
    #[oai(status = 200)]
    Users(Json<UserList>),
}

#[derive(ApiResponse)]
pub enum Created {
    /// The account was made
    #[oai(status = 201)]
    User(
        Json<User>,
        /// The path of the account
        #[oai(header = "Location")]
        String,
        /// The account's revision, for `If-Match`
        #[oai(header = "ETag")]
        String,
    ),
}

answer! {
    /// A token that sets a new password once.
    PasswordResetIssued as "PasswordResetIssued" {
        /// To be handed to the owner of the account; it is shown only here
        token: ResetToken,
        expires_at: Timestamp,
    }
}

impl Example for PasswordResetIssued {
    fn example() -> Value {
        let token = "ushr_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg2Ylc5n";
        json!({"token": token, "expires_at": "2026-11-22T11:00:00Z"})
    }
}

impl From<IssuedReset> for PasswordResetIssued {
    fn from(reset: IssuedReset) -> Self {
        let IssuedReset { token, expires_at } = reset;
        Self { token, expires_at }
    }
}

#[derive(ApiResponse)]
pub enum ResetIssued {
    /// The token
    #[oai(status = 201)]
    Token(Json<PasswordResetIssued>),
}

#[derive(ApiResponse)]
pub enum Unlocked {
    /// The failed sign-ins of the account are forgotten
    #[oai(status = 204)]
    Done,
}

#[derive(ApiResponse)]
pub enum Deleted {
    /// The account is gone, with its sessions
    #[oai(status = 204)]
    Gone,
}

#[OpenApi]
impl Users {
    /// Register an account
    ///
    /// Open to everyone, to those with an invitation, or to nobody, as the server is set up (`--registration`);
    /// administrators can always make accounts. Without the invitation that is needed the answer is
    /// `invitation_required`. A token is not needed, but one that is sent must be valid. The address of
    /// an account counts as verified when an administrator made it, or when the invitation was for this address alone.
    /// An invitation for another address is an `invalid_invitation`. Many registrations from one address are slowed down
    /// with `429`, those that are told that a name is taken included.
    #[oai(path = "/users", method = "post", operation_id = "createUser")]
    async fn create(&self, caller: AnyCaller, body: Body<NewUser>) -> Result<Created, ApiError> {
        let NewUser { username, email, password, invitation } = body.0;
        let account = NewAccount { username, email, password, role: Role::User, invitation };
        let user = self.app.accounts.register(&caller.0, account).await?;
        let (location, tag) = (format!("/api/v1/users/{}", user.id), entity_tag(&user));
        Ok(Created::User(Json(user.into()), location, tag))
    }

    /// List accounts
    ///
    /// For administrators. Pages follow each other by `next_cursor`; accounts that are made or deleted meanwhile
    /// neither repeat others nor hide them. Unknown and repeated parameters are refused. Where another program has
    /// damaged an account in the database, lists fail with `internal_error` rather than leave it out: `usher check` names
    /// it, and it can still be changed or deleted by its id.
    #[oai(path = "/users", method = "get", operation_id = "listUsers")]
    async fn list(&self, caller: SignedInCaller, query: Query<ListUsers>) -> Result<Listed, ApiError> {
        let ListUsers { limit, cursor, q, role, disabled, sort, count } = query.0;
        let (filter, sort) = (UserFilter { prefix: q, role, disabled, except: vec![] }, sort.unwrap_or_default());
        let after = cursor.map(|cursor| UserCursor::parse(cursor.place()).filter(|cursor| cursor.sort == sort));
        let after = after.map(|read| read.ok_or_else(|| query::fault("cursor", Cursor::fault()))).transpose()?;
        let size = limit.unwrap_or_default();
        let list = self.app.accounts.list(&caller.0, filter, sort, after, size, count == Some(true)).await?;
        Ok(Listed::Users(Json(list.into())))
    }

    /// Read an account
    ///
    /// One's own, or as an administrator anyone's. Everyone else gets the same `404` for an account that exists and for
    /// one that does not; so does an id that is not a positive integer in canonical decimal.
    #[oai(path = "/users/:user_id", method = "get", operation_id = "getUser")]
    async fn read(
        &self,
        caller: SignedInCaller,
        /// The account's id
        user_id: Path<IdPath<UserId>>,
    ) -> Result<Found, ApiError> {
        Ok(Found::new(self.app.accounts.get(&caller.0, user_id.0.0).await?))
    }

    /// Change an account
    ///
    /// One's own, or as an administrator anyone's. Fields that are left out stay; `{}` changes nothing. A new password
    /// ends every other session of the account. What is wrong is said in this order: `401`, `400`, `404`, `403`, `412`,
    /// `409`. Many changes of one's own account are slowed down with `429`; those that are told that a name is taken
    /// count, and so does every `current_password`. A wrong one also counts as a failed sign-in of the caller's IP address,
    /// but not as one at the account: others who sign in to it notice nothing.
    #[oai(path = "/users/:user_id", method = "put", operation_id = "updateUser")]
    async fn update(
        &self,
        caller: SignedInCaller,
        /// The account's id
        user_id: Path<IdPath<UserId>>,
        #[oai(name = "If-Match")] if_match: IfMatch,
        body: Body<UserUpdate>,
    ) -> Result<Found, ApiError> {
        let user = self.app.accounts.update(&caller.0, user_id.0.0, body.0.into(), if_match.0).await?;
        Ok(Found::new(user))
    }

    /// Delete an account
    ///
    /// One's own, or as an administrator anyone's. Deleting one's own needs a session that signed in within
    /// `--reauthenticate-after` (15 minutes by default), else `403 reauthentication_required`: sign in again first. The
    /// account's id is never used again.
    #[oai(path = "/users/:user_id", method = "delete", operation_id = "deleteUser")]
    async fn delete(
        &self,
        caller: SignedInCaller,
        /// The account's id
        user_id: Path<IdPath<UserId>>,
        #[oai(name = "If-Match")] if_match: IfMatch,
    ) -> Result<Deleted, ApiError> {
        self.app.accounts.delete(&caller.0, user_id.0.0, if_match.0).await?;
        Ok(Deleted::Gone)
    }

    /// Let somebody set a new password
    ///
    /// For administrators: makes a token to hand over, with which the password of the account can be set once, by
    /// `POST /auth/password-reset`. Earlier tokens of the account are void. Takes no body.
    #[oai(path = "/users/:user_id/password-reset", method = "post", operation_id = "createPasswordReset")]
    async fn issue_reset(
        &self,
        caller: SignedInCaller,
        /// The account's id
        user_id: Path<IdPath<UserId>>,
    ) -> Result<ResetIssued, ApiError> {
        let issued = self.app.resets.issue(&caller.0, user_id.0.0).await?;
        Ok(ResetIssued::Token(Json(issued.into())))
    }

    /// Unlock an account
    ///
    /// For administrators: forgets the failed sign-ins that were counted for the account, from wherever they came, so
    /// that its owner can sign in again. What each IP address has failed at all accounts together stays counted. Those
    /// who guess at the account can notice that they are let through again, and so that it exists. Takes no body.
    #[oai(path = "/users/:user_id/unlock", method = "post", operation_id = "unlockUser")]
    async fn unlock(
        &self,
        caller: SignedInCaller,
        /// The account's id
        user_id: Path<IdPath<UserId>>,
    ) -> Result<Unlocked, ApiError> {
        self.app.accounts.unlock(&caller.0, user_id.0.0).await?;
        Ok(Unlocked::Done)
    }
}
