//! Signing in and out over HTTP.

use super::user::{Found, User};
use crate::{
    app::{App, SignIn},
    domain::{Password, SessionToken, Timestamp},
    http::{
        auth::{AnyCaller, SignedInCaller, user_agent},
        wire::{
            body::{Body, Json, body},
            error::{ApiError, ErrorCode},
            schema::{Example, answer},
        },
    },
};
use poem::http::HeaderMap;
use poem_openapi::{ApiResponse, OpenApi};
use serde_json::{Value, json};
use std::sync::Arc;

pub struct Auth {
    pub app: Arc<App>,
}

/// The codes that each operation here can answer with, in addition to those that every operation has.
pub const FAILURES: &[(&str, &[ErrorCode])] = &[
    ("login", &[ErrorCode::InvalidCredentials, ErrorCode::TooManyAttempts]),
    ("logout", &[]),
    ("resetPassword", &[ErrorCode::InvalidResetToken, ErrorCode::TooManyAttempts]),
    ("getMe", &[]),
];

body! {
    /// The credentials. Any strings are accepted; malformed ones are answered like wrong ones.
    Login as "Login" {
        /// The account's e-mail address, in any case
        required email: String,
        required password: String,
    }
}

impl Example for Login {
    fn example() -> Value {
        json!({"email": "ada@example.com", "password": "correct horse battery staple"})
    }
}

answer! {
    /// A new session.
    LoginAnswer as "SignIn" {
        /// The session's token. Keep it secret; it is shown only here
        token: SessionToken,
        /// Always `Bearer`
        token_type: &'static str,
        /// When the session ends, even if it is used. It ends earlier if it is not used
        expires_at: Timestamp,
        user: User,
    }
}

impl Example for LoginAnswer {
    fn example() -> Value {
        let token = "ush_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg2Ylc5n";
        json!({"token": token, "token_type": "Bearer", "expires_at": "2026-12-22T10:00:00Z", "user": User::example()})
    }
}

impl From<SignIn> for LoginAnswer {
    fn from(sign_in: SignIn) -> Self {
        let SignIn { token, expires_at, user } = sign_in;
        Self { token, token_type: "Bearer", expires_at, user: user.into() }
    }
}

body! {
    /// A reset token and the new password.
    PasswordReset as "PasswordReset" {
        /// The reset token that an administrator created
        required token: String,
        /// See NewUser
        required password: Password,
    }
}

impl Example for PasswordReset {
    fn example() -> Value {
        let token = "ushr_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg2Ylc5n";
        json!({"token": token, "password": "correct horse battery staple"})
    }
}

#[derive(ApiResponse)]
pub enum Reset {
    /// The password was set, and all sessions of the account have ended
    #[oai(status = 204)]
    Done,
}

answer! {
    /// The result, for people.
    Message as "Message" {
        message: &'static str,
    }
}

impl Example for Message {
    fn example() -> Value {
        json!({"message": SIGNED_OUT})
    }
}

const SIGNED_OUT: &str = "signed out";

#[derive(ApiResponse)]
pub enum SignedIn {
    /// A session was created
    #[oai(status = 200)]
    Session(Json<LoginAnswer>),
}

#[derive(ApiResponse)]
pub enum SignedOut {
    /// The session has ended; its token no longer works
    #[oai(status = 200)]
    Message(Json<Message>),
}

#[OpenApi]
impl Auth {
    /// Sign in
    ///
    /// An unknown e-mail address, a wrong password and a disabled account get the same answer after the same time. A session
    /// token is optional, but if it is sent it must be valid. Too many failures from one IP address or for one account are
    /// answered with `429`, whether or not the account exists. Failures from elsewhere do not slow down an IP
    /// address that the account knows. It knows the IP addresses that signed in to it, registered it or used its reset
    /// token. Other IP addresses must wait, unless an administrator unlocks the account. A sign-in or a new password of its
    /// owner does not shorten the wait.
    #[oai(path = "/auth/login", method = "post", operation_id = "login")]
    async fn login(&self, caller: AnyCaller, headers: &HeaderMap, body: Body<Login>) -> Result<SignedIn, ApiError> {
        let Login { email, password } = body.0;
        let signed_in = self.app.sign_in.with_password(&caller.0, &email, &password, user_agent(headers)).await?;
        Ok(SignedIn::Session(Json(signed_in.into())))
    }

    /// Sign out
    ///
    /// Ends the session of the token. Other sessions of the account stay open.
    #[oai(path = "/auth/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, caller: SignedInCaller) -> Result<SignedOut, ApiError> {
        self.app.sessions.sign_out(&caller.0).await?;
        Ok(SignedOut::Message(Json(Message { message: SIGNED_OUT })))
    }

    /// Set a new password with a reset token
    ///
    /// The token comes from an administrator. It works once, and only for a short time. All sessions of the account end,
    /// and its app tokens are revoked. A
    /// request that fails does not use up the token. The answer to a wrong token reveals nothing about any account. Too many
    /// wrong tokens from one IP address are answered with `429`.
    #[oai(path = "/auth/password-reset", method = "post", operation_id = "resetPassword")]
    async fn reset_password(&self, caller: AnyCaller, body: Body<PasswordReset>) -> Result<Reset, ApiError> {
        let PasswordReset { token, password } = body.0;
        self.app.resets.reset_password(&caller.0, &token, password).await?;
        Ok(Reset::Done)
    }

    /// Read the caller's account
    ///
    /// Returns the account that the session token belongs to. Apps use it to identify their callers.
    #[oai(path = "/auth/me", method = "get", operation_id = "getMe")]
    async fn me(&self, caller: SignedInCaller) -> Result<Found, ApiError> {
        let caller = caller.0;
        Ok(Found::new(self.app.accounts.get(&caller, caller.user_id()).await?))
    }
}
