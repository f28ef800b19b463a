//! Accounts over HTTP.

use super::user::{Found, User, entity_tag};
use crate::{
    app::{self, App, IssuedReset, NewAccount},
    domain::{
        DisplayName, EmailAddress, PageSize, Password, ResetToken, Role, SearchPrefix, Timestamp, UserChanges,
        UserCursor, UserFilter, UserId, UserSort, Username,
    },
    http::{
        auth::{AnyCaller, SignedInCaller},
        wire::{
            body::{Body, Json, NoBody, body},
            error::{ApiError, ErrorCode},
            if_match::IfMatch,
            path::Path,
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

/// The codes that each operation here can answer with, in addition to those that every operation has.
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
    (
        "createPasswordReset",
        &[ErrorCode::Forbidden, ErrorCode::UserNotFound, ErrorCode::RequestTimeout, ErrorCode::PayloadTooLarge],
    ),
    (
        "unlockUser",
        &[ErrorCode::Forbidden, ErrorCode::UserNotFound, ErrorCode::RequestTimeout, ErrorCode::PayloadTooLarge],
    ),
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
    /// The data of a new account.
    NewUser as "NewUser" {
        /// 1 to 64 letters, digits, dots, underscores and hyphens, starting with a letter or digit; unique without regard to case
        required username: Username,
        /// An e-mail address in ASCII; unique without regard to case
        required email: EmailAddress,
        /// At least as long as the server requires (8 characters or more), at most 256 characters (Unicode code points), without NUL. Common passwords, the username and the e-mail address are refused, unless the server allows them
        required password: Password,
        /// The token of an invitation, if registration requires one. The invitation sets the role of the account. Only a successful registration uses it up
        optional invitation: String,
    }
}

impl Example for NewUser {
    fn example() -> Value {
        json!({"username": "ada", "email": "ada@example.com", "password": "correct horse battery staple"})
    }
}

body! {
    /// The fields to change. Omitted fields keep their values.
    UserUpdate as "UserUpdate" {
        /// See NewUser
        optional username: Username,
        /// See NewUser. Changing your own needs a recent sign-in or `current_password`
        optional email: EmailAddress,
        /// See NewUser. Changing your own needs a recent sign-in or `current_password`. All other sessions of the account end; if an administrator sets it for somebody else, the app tokens are revoked, too
        optional password: Password,
        /// Proves that you know your password when you change your own password or e-mail address. If it is sent with a change of your own account, it must be right. It is not needed for other accounts
        optional current_password: String,
        /// What you want to be called: at most 100 characters of any script, the first and the last visible, without control characters, line separators and characters that change the direction of text. It is brought into Unicode's normalization form C. An empty string removes it
        optional display_name: Option<DisplayName>,
        /// Administrators only
        optional role: Role,
        /// Administrators only. Disabling ends all sessions of the account and revokes its app tokens
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
        let UserUpdate { username, email, password, current_password, display_name, role, disabled } = update;
        Self { username, email, password, current_password, role, disabled, display_name }
    }
}

query! {
    /// Which accounts to list, and how.
    ListUsers as "ListUsersQuery" {
        /// The maximum number of accounts on a page
        limit: PageSize,
        /// The `next_cursor` of the previous page, with the same `sort`
        cursor: Cursor,
        /// The first characters of the username or the e-mail address, in any case
        q: SearchPrefix,
        /// Only accounts with this role
        role: Role,
        /// Only disabled accounts, or only enabled ones
        disabled: bool,
        /// The field to sort by; a leading hyphen reverses the order. With `last_login_at`, accounts that never signed in come first
        sort: UserSort,
        /// Whether to count all accounts that match the filter. The more there are, the longer it takes
        count: bool,
    }
}

answer! {
    /// A page of accounts.
    UserList as "UserList" {
        users: Vec<User>,
        /// Where the next page begins; null on the last page
        next_cursor: Nullable<String>,
        /// The number of accounts that match the filter. Only with `count=true`
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
    /// The account was created
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
        /// Give it to the owner of the account. It is shown only here
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
    /// The failed sign-ins of the account were cleared
    #[oai(status = 204)]
    Done,
}

#[derive(ApiResponse)]
pub enum Deleted {
    /// The account and its sessions were deleted
    #[oai(status = 204)]
    Gone,
}

#[OpenApi]
impl Users {
    /// Register an account
    ///
    /// The server's `--registration` decides who may register: everyone, people with an invitation, or nobody.
    /// Administrators can always create accounts. If an invitation is required and missing, the answer is
    /// `invitation_required`. A session token is optional, but if it is sent it must be valid. The e-mail address counts
    /// as verified if an administrator created the account, or if the invitation was for this e-mail address alone. An
    /// invitation for another e-mail address is answered with `invalid_invitation`. Too many registrations from one IP
    /// address are answered with `429`. Registrations that fail because a username or an e-mail address is taken count,
    /// too.
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
    /// For administrators. For the next page, send `next_cursor` as `cursor`. Accounts that are created or deleted in the meantime
    /// neither repeat nor hide others. Unknown and repeated parameters are refused. If another program has damaged an
    /// account in the database, the list fails with `internal_error` and does not leave the account out. `usher check`
    /// shows its id, by which it can still be changed or deleted.
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
    /// Users can read their own account; administrators can read every account. Other callers get the same `404` whether
    /// or not the account exists. An id that is not written as 1, 2, 3 … (no sign, no leading zero) is answered with `404`,
    /// too.
    #[oai(path = "/users/:user_id", method = "get", operation_id = "getUser")]
    async fn read(
        &self,
        caller: SignedInCaller,
        /// The account's id
        user_id: Path<Option<UserId>>,
    ) -> Result<Found, ApiError> {
        Ok(Found::new(self.app.accounts.get(&caller.0, user_id.0).await?))
    }

    /// Change an account
    ///
    /// Users can change their own account; administrators can change every account. Omitted fields keep their values;
    /// `{}` changes nothing. A new password ends every other session of the account. Errors are checked in this order:
    /// `401`, `400`, `404`, `403`, `412`, `409`. Too many changes of one's own account are answered with `429`. Changes
    /// that fail because a username or an e-mail address is taken count, and so does every `current_password`. A wrong
    /// `current_password` also counts as a failed sign-in from the caller's IP address. It does not count as a failed
    /// sign-in to the account, so other people who sign in to it are not slowed down.
    #[oai(path = "/users/:user_id", method = "put", operation_id = "updateUser")]
    async fn update(
        &self,
        caller: SignedInCaller,
        /// The account's id
        user_id: Path<Option<UserId>>,
        #[oai(name = "If-Match")] if_match: IfMatch,
        body: Body<UserUpdate>,
    ) -> Result<Found, ApiError> {
        let user = self.app.accounts.update(&caller.0, user_id.0, body.0.into(), if_match.0).await?;
        Ok(Found::new(user))
    }

    /// Delete an account
    ///
    /// Users can delete their own account; administrators can delete every account. To delete your own account, you must
    /// have signed in within `--reauthenticate-after` (15 minutes by default). Otherwise the answer is
    /// `403 reauthentication_required`: sign in again first. The id of the account is never used again.
    #[oai(path = "/users/:user_id", method = "delete", operation_id = "deleteUser")]
    async fn delete(
        &self,
        caller: SignedInCaller,
        /// The account's id
        user_id: Path<Option<UserId>>,
        #[oai(name = "If-Match")] if_match: IfMatch,
    ) -> Result<Deleted, ApiError> {
        self.app.accounts.delete(&caller.0, user_id.0, if_match.0).await?;
        Ok(Deleted::Gone)
    }

    /// Create a password reset token
    ///
    /// For administrators. Creates a token for the owner of the account. With it, `POST /auth/password-reset` sets a new
    /// password once. If the server has a public URL (see `GET /service`), the owner can open the link
    /// `{public_url}/reset?token={token}` instead. Earlier reset tokens of the account stop working. Takes no body.
    #[oai(path = "/users/:user_id/password-reset", method = "post", operation_id = "createPasswordReset")]
    async fn issue_reset(
        &self,
        caller: SignedInCaller,
        /// The account's id
        user_id: Path<Option<UserId>>,
        _body: NoBody,
    ) -> Result<ResetIssued, ApiError> {
        let issued = self.app.resets.issue(&caller.0, user_id.0).await?;
        Ok(ResetIssued::Token(Json(issued.into())))
    }

    /// Unlock an account
    ///
    /// For administrators. Clears the failed sign-ins that were counted for the account, from every IP address, so that
    /// its owner can sign in again. The failed sign-ins of an IP address to all accounts together stay counted. People
    /// who guess its password can notice that they are no longer slowed down, and so learn that the account exists. Takes
    /// no body.
    #[oai(path = "/users/:user_id/unlock", method = "post", operation_id = "unlockUser")]
    async fn unlock(
        &self,
        caller: SignedInCaller,
        /// The account's id
        user_id: Path<Option<UserId>>,
        _body: NoBody,
    ) -> Result<Unlocked, ApiError> {
        self.app.accounts.unlock(&caller.0, user_id.0).await?;
        Ok(Unlocked::Done)
    }
}
