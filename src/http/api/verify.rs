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
        /// The role that the account must hold; administrators hold `user`, too. Left out, any will do
        role: Role,
    }
}

#[derive(ApiResponse)]
pub enum Verified {
    /// The token is valid, and its account holds the role. Without a body; no header is ever empty
    #[oai(status = 200)]
    Caller(
        /// The username in lower case. It can be changed, freed and taken by somebody else
        #[oai(header = "Remote-User")]
        String,
        /// The account's id, which is never given to another account: the one header to key on
        #[oai(header = "Remote-User-Id")]
        String,
        /// The address if it is verified, else `<id>@unverified.invalid`, where no mail arrives
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
    /// May this caller pass?
    ///
    /// For nginx `auth_request`, Caddy `forward_auth` and Traefik `ForwardAuth`: the proxy asks before each request, with the
    /// caller's `Authorization`, and passes the request on to an app with the headers of a `200`. Apps should key on
    /// `Remote-User-Id`.
    #[oai(path = "/auth/verify", method = "get", operation_id = "verify")]
    #[allow(clippy::unused_async, reason = "a handler must be asynchronous; the account was read with the session")]
    async fn verify(&self, caller: SignedInCaller, query: Query<VerifyQuery>) -> Result<Verified, ApiError> {
        let role = query.0.role.unwrap_or(Role::User);
        Ok(self.app.sessions.verify(&caller.0, role)?.into())
    }
}
