//! App tokens over HTTP.

use crate::{
    app::{App, IssuedAppToken, WantedAppToken},
    domain::{self, AppId, AppTokenId, AppTokenSecret, DisplayName, Timestamp, UserId},
    http::{
        auth::SignedInCaller,
        wire::{
            body::{Body, Json, body},
            error::{ApiError, ErrorCode},
            path::Path,
            schema::{Example, Item, Nullable, Seconds, answer},
        },
    },
};
use poem_openapi::{ApiResponse, OpenApi};
use serde_json::{Value, json};
use std::sync::Arc;

pub struct AppTokens {
    pub app: Arc<App>,
}

/// The codes that each operation here can answer with, in addition to those that every operation has.
pub const FAILURES: &[(&str, &[ErrorCode])] = &[
    (
        "createAppToken",
        &[
            ErrorCode::Forbidden,
            ErrorCode::UserNotFound,
            ErrorCode::AppNotFound,
            ErrorCode::TooManyAppTokens,
            ErrorCode::TooManyAttempts,
        ],
    ),
    ("listAppTokens", &[ErrorCode::UserNotFound]),
    ("deleteAppToken", &[ErrorCode::UserNotFound, ErrorCode::AppTokenNotFound]),
];

body! {
    /// The data of a new app token.
    NewAppToken as "NewAppToken" {
        /// What it is for, such as the client or the device: at most 100 characters, as a display name. It need not be unique
        required name: DisplayName,
        /// The app that it opens. The account must be allowed to enter it
        required app_id: AppId,
        /// How long it can be used, in seconds. Without it, the token works until it is revoked
        optional expires_in: Seconds,
    }
}

impl Example for NewAppToken {
    fn example() -> Value {
        json!({"name": "Music player", "app_id": 5, "expires_in": 7_776_000})
    }
}

answer! {
    /// An app token that can still be used.
    AppToken as "AppToken" {
        /// Never given to another app token
        id: AppTokenId,
        name: DisplayName,
        /// The only app that it opens
        app_id: AppId,
        /// The name of the app
        app_name: String,
        created_at: Timestamp,
        /// Null: it works until it is revoked
        expires_at: Nullable<Timestamp>,
        /// The last use, accurate to about a minute; null before the first
        last_used_at: Nullable<Timestamp>,
    }
}

impl From<domain::AppToken> for AppToken {
    fn from(token: domain::AppToken) -> Self {
        let domain::AppToken { id, name, app: app_id, app_name, created_at, expires_at, last_used_at } = token;
        let (expires_at, last_used_at) = (Nullable(expires_at), Nullable(last_used_at));
        Self { id, name, app_id, app_name, created_at, expires_at, last_used_at }
    }
}

impl Item for AppToken {
    const MAX: u32 = domain::AppToken::MAX_PER_USER;
}

impl Example for AppToken {
    fn example() -> Value {
        json!({
            "id": 7, "name": "Music player", "app_id": 5, "app_name": "Music", "created_at": "2026-11-22T10:00:00Z",
            "expires_at": "2027-02-20T10:00:00Z", "last_used_at": null
        })
    }
}

answer! {
    /// A new app token, with its secret.
    CreatedAppToken as "CreatedAppToken" {
        /// Never given to another app token
        id: AppTokenId,
        /// The client sends it to the app, as the password of `Authorization: Basic` with any username, or as `Bearer`. It is shown only here
        token: AppTokenSecret,
        name: DisplayName,
        /// The only app that it opens
        app_id: AppId,
        /// The name of the app
        app_name: String,
        created_at: Timestamp,
        /// Null: it works until it is revoked
        expires_at: Nullable<Timestamp>,
        /// Null, as it has not been used
        last_used_at: Nullable<Timestamp>,
    }
}

impl From<IssuedAppToken> for CreatedAppToken {
    fn from(issued: IssuedAppToken) -> Self {
        let IssuedAppToken { secret: token, token: shown } = issued;
        let AppToken { id, name, app_id, app_name, created_at, expires_at, last_used_at } = shown.into();
        Self { id, token, name, app_id, app_name, created_at, expires_at, last_used_at }
    }
}

impl Example for CreatedAppToken {
    fn example() -> Value {
        let mut example = AppToken::example();
        example["token"] = "ushp_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg2Ylc5n".into();
        example
    }
}

answer! {
    /// The app tokens of an account, the newest first.
    AppTokenList as "AppTokenList" {
        app_tokens: Vec<AppToken>,
    }
}

impl From<Vec<domain::AppToken>> for AppTokenList {
    fn from(tokens: Vec<domain::AppToken>) -> Self {
        Self { app_tokens: tokens.into_iter().map(AppToken::from).collect() }
    }
}

impl Example for AppTokenList {
    fn example() -> Value {
        json!({"app_tokens": [AppToken::example()]})
    }
}

#[derive(ApiResponse)]
pub enum Created {
    /// The app token was created
    #[oai(status = 201)]
    AppToken(Json<CreatedAppToken>),
}

#[derive(ApiResponse)]
pub enum Listed {
    /// The app tokens
    #[oai(status = 200)]
    AppTokens(Json<AppTokenList>),
}

#[derive(ApiResponse)]
pub enum Deleted {
    /// The app token was revoked and no longer works
    #[oai(status = 204)]
    Gone,
}

#[OpenApi]
impl AppTokens {
    /// Create an app token
    ///
    /// For a native client, such as a music player or `git`, that can't show a sign-in page: it opens one app behind a proxy,
    /// and nothing here. Only the owner of an account can create one. An app that does not exist, and one that the account
    /// may not enter, are both `404 app_not_found`. An account can have 100; beyond that the answer is
    /// `409 too_many_app_tokens`. New ones count as changes of one's own account, and too many of these are answered with
    /// `429`.
    ///
    /// It works as long as the account is enabled and may enter the app. A new password that its owner sets with a session
    /// leaves it; whatever ends all sessions of the account revokes it: `DELETE /users/{user_id}/sessions`, a password reset,
    /// a password that an administrator sets, and disabling.
    #[oai(path = "/users/:user_id/app-tokens", method = "post", operation_id = "createAppToken")]
    async fn create(
        &self,
        caller: SignedInCaller,
        /// The account's id
        user_id: Path<Option<UserId>>,
        body: Body<NewAppToken>,
    ) -> Result<Created, ApiError> {
        let NewAppToken { name, app_id, expires_in } = body.0;
        let wanted = WantedAppToken { name, app: Some(app_id), expires_in: expires_in.map(|Seconds(span)| span) };
        Ok(Created::AppToken(Json(self.app.app_tokens.create(&caller.0, user_id.0, wanted).await?.into())))
    }

    /// List an account's app tokens
    ///
    /// Users can list their own app tokens; administrators can list those of every account. Those that have expired are not
    /// shown.
    #[oai(path = "/users/:user_id/app-tokens", method = "get", operation_id = "listAppTokens")]
    async fn list(
        &self,
        caller: SignedInCaller,
        /// The account's id
        user_id: Path<Option<UserId>>,
    ) -> Result<Listed, ApiError> {
        Ok(Listed::AppTokens(Json(self.app.app_tokens.list(&caller.0, user_id.0).await?.into())))
    }

    /// Revoke an app token
    ///
    /// Users can revoke their own app tokens; administrators can revoke those of every account. Acts on the next request to
    /// the app.
    #[oai(path = "/users/:user_id/app-tokens/:token_id", method = "delete", operation_id = "deleteAppToken")]
    async fn delete(
        &self,
        caller: SignedInCaller,
        /// The account's id
        user_id: Path<Option<UserId>>,
        /// The app token's id
        token_id: Path<Option<AppTokenId>>,
    ) -> Result<Deleted, ApiError> {
        self.app.app_tokens.revoke(&caller.0, user_id.0, token_id.0).await?;
        Ok(Deleted::Gone)
    }
}
