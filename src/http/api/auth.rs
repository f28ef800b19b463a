//! Signing in and out over HTTP.

use super::user::{Found, User};
use crate::{
    app::{App, SignIn},
    domain::{Password, SessionToken, Timestamp, USER_AGENT_LENGTH},
    http::{
        auth::{AnyCaller, SignedInCaller},
        wire::{
            body::{Body, Json, body},
            error::{ApiError, ErrorCode},
            schema::{Example, answer},
        },
    },
};
use poem::http::{HeaderMap, header};
use poem_openapi::{ApiResponse, OpenApi};
use serde_json::{Value, json};
use std::sync::Arc;

pub struct Auth {
    pub app: Arc<App>,
}

/// Which codes each operation here can answer with, beside those that every operation has.
pub const FAILURES: &[(&str, &[ErrorCode])] = &[
    ("login", &[ErrorCode::InvalidCredentials, ErrorCode::TooManyAttempts]),
    ("logout", &[]),
    ("resetPassword", &[ErrorCode::InvalidResetToken, ErrorCode::TooManyAttempts]),
    ("getMe", &[]),
];

body! {
    /// What signs somebody in. Any strings will do; what is no address or no password is simply wrong.
    Login as "Login" {
        /// The account's address, in any case
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
        /// The session's token: keep it secret, it is shown only here
        token: SessionToken,
        /// Always `Bearer`
        token_type: &'static str,
        /// When the session ends, whatever its use; unused it ends earlier
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
    /// What sets a new password for somebody who has a token for it.
    PasswordReset as "PasswordReset" {
        /// The token that an administrator handed over
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
    /// The password is set, and all sessions of the account have ended
    #[oai(status = 204)]
    Done,
}

answer! {
    /// What was done, for people.
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
    /// A session was opened
    #[oai(status = 200)]
    Session(Json<LoginAnswer>),
}

#[derive(ApiResponse)]
pub enum SignedOut {
    /// The token is dead
    #[oai(status = 200)]
    Message(Json<Message>),
}

/// What the client calls itself, without control characters, and not too long.
fn user_agent(headers: &HeaderMap) -> Option<String> {
    let sent = headers.get(header::USER_AGENT)?;
    let text = String::from_utf8_lossy(sent.as_bytes());
    Some(text.chars().filter(|c| !c.is_control()).take(USER_AGENT_LENGTH).collect())
}

#[OpenApi]
impl Auth {
    /// Sign in
    ///
    /// An unknown address, a wrong password and a disabled account get the same answer after the same time. A token is
    /// not needed, but one that is sent must be valid. Many failures from one IP address or for one account are slowed down
    /// with `429`, also while there is no such account. Failures elsewhere don't slow down an IP address that has signed in
    /// to the account before, registered it, or spent its reset token. Time alone lets strangers go on, or an administrator
    /// who unlocks the account: a sign-in or a new password changes nothing for them.
    #[oai(path = "/auth/login", method = "post", operation_id = "login")]
    async fn login(&self, caller: AnyCaller, headers: &HeaderMap, body: Body<Login>) -> Result<SignedIn, ApiError> {
        let Login { email, password } = body.0;
        let signed_in = self.app.sign_in.with_password(&caller.0, &email, &password, user_agent(headers)).await?;
        Ok(SignedIn::Session(Json(signed_in.into())))
    }

    /// Sign out
    ///
    /// Ends the session whose token is sent. Other sessions of the account stay.
    #[oai(path = "/auth/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, caller: SignedInCaller) -> Result<SignedOut, ApiError> {
        self.app.sessions.sign_out(&caller.0).await?;
        Ok(SignedOut::Message(Json(Message { message: SIGNED_OUT })))
    }

    /// Set a new password with a token
    ///
    /// The token comes from an administrator, works once and for a short time. All sessions of the account end; it says
    /// nothing about the account whether the token was right. What fails spends no token. Many wrong tokens from one
    /// IP address are slowed down with `429`.
    #[oai(path = "/auth/password-reset", method = "post", operation_id = "resetPassword")]
    async fn reset_password(&self, caller: AnyCaller, body: Body<PasswordReset>) -> Result<Reset, ApiError> {
        let PasswordReset { token, password } = body.0;
        self.app.resets.reset_password(&caller.0, &token, password).await?;
        Ok(Reset::Done)
    }

    /// Who am I?
    ///
    /// The account whose session the token belongs to. This is what an app behind this service asks about its callers.
    #[oai(path = "/auth/me", method = "get", operation_id = "getMe")]
    async fn me(&self, caller: SignedInCaller) -> Result<Found, ApiError> {
        let caller = caller.0;
        Ok(Found::new(self.app.accounts.get(&caller, caller.user_id()).await?))
    }
}
