//! The question of a reverse proxy: may this caller pass, and who are they?

use crate::{
    app::App,
    domain::{Role, User},
    http::{
        auth::SignedInCaller,
        wire::{
            error::{ApiError, ErrorCode},
            query::{Query, query},
        },
    },
};
use poem_openapi::{ApiResponse, OpenApi};
use std::sync::Arc;

pub struct Verify {
    pub app: Arc<App>,
}

/// Which codes the operation can answer with, beside those that every operation has.
pub const FAILURES: &[(&str, &[ErrorCode])] = &[("verify", &[ErrorCode::Forbidden])];

query! {
    /// Whom to let through.
    VerifyQuery as "VerifyQuery" {
        /// The role that the account must have; administrators have the role `user`, too. Without it, every role is accepted
        role: Role,
    }
}

#[derive(ApiResponse)]
pub enum Verified {
    /// The token is valid, and its account has the role. There is no body. No header is ever empty
    #[oai(status = 200)]
    Caller(
        /// The username in lower case. It can be changed, and then taken by another account
        #[oai(header = "Remote-User")]
        String,
        /// The account's id, which is never given to another account. Use it as the key
        #[oai(header = "Remote-User-Id")]
        String,
        /// The e-mail address if it is verified, else `<id>@unverified.invalid`, where no mail arrives
        #[oai(header = "Remote-Email")]
        String,
        /// `user` or `admin`
        #[oai(header = "Remote-Role")]
        String,
    ),
}

impl From<&User> for Verified {
    fn from(user: &User) -> Self {
        // What its owner only typed may be somebody else's address. `.invalid` is nobody's (RFC 6761, section 6.4).
        let verified = user.email_verified.then(|| user.email.to_string());
        let email = verified.unwrap_or_else(|| format!("{}@unverified.invalid", user.id));
        let name = user.username.as_str().to_ascii_lowercase();
        Self::Caller(name, user.id.to_string(), email, user.role.as_str().to_owned())
    }
}

#[OpenApi]
impl Verify {
    /// Authorize a request for a reverse proxy
    ///
    /// For nginx `auth_request`, Caddy `forward_auth` and Traefik `ForwardAuth`. The proxy asks before each request, and sends
    /// the caller's `Authorization` header. If the answer is `200`, it passes the request on to the app with the headers of
    /// this answer. Apps should use `Remote-User-Id` as the key.
    #[oai(path = "/auth/verify", method = "get", operation_id = "verify")]
    #[allow(clippy::unused_async, reason = "a handler must be asynchronous; the account was read with the session")]
    async fn verify(&self, caller: SignedInCaller, query: Query<VerifyQuery>) -> Result<Verified, ApiError> {
        let role = query.0.role.unwrap_or(Role::User);
        Ok(self.app.sessions.verify(&caller.0, role)?.into())
    }
}
