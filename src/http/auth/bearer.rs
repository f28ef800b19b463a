//! The security scheme: identifies callers by their `Authorization` header.

use crate::http::wire::error::{ApiError, ErrorCode};
use crate::{
    domain::{Actor, Caller, SessionToken, begins_as_a_token},
    http::context::Context,
};
use poem::{
    Request,
    http::{HeaderMap, header},
};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use std::sync::Arc;

pub(super) const SCHEME: &str = "sessionToken";

/// A caller with a valid session; all others are refused with `401`.
pub struct SignedInCaller(pub Caller);

/// Any caller. An invalid token is still an error, and never the same as none.
pub struct AnyCaller(pub Caller);

/// The text of a token in the form of RFC 6750, section 2.1, and the bare token. Other schemes count as no token.
pub(super) fn token_text(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid());
    }
    let text = value.to_str().map_err(|_| invalid())?.trim();
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim_start())),
        Some((first, _)) if begins_as_a_token(first) => Err(invalid()), // a bare token, and more
        Some(_) => Ok(None),
        None => Ok(Some(text).filter(|text| !text.is_empty())),
    }
}

pub(super) fn invalid() -> ApiError {
    ApiError::new(ErrorCode::InvalidToken)
}

/// The holder of a session token.
pub(super) async fn holder(context: &Context, text: &str) -> Result<Actor, ApiError> {
    let token = SessionToken::parse(text).ok_or_else(invalid)?;
    Ok(Actor::SignedIn(Arc::new(context.app.sessions.authenticate(&token).await?)))
}

/// Identifies the caller, and stores the account for the access log.
async fn caller(request: &Request) -> Result<Caller, ApiError> {
    let context = Context::of(request)?;
    let actor = match token_text(request.headers())? {
        None => Actor::Anonymous,
        Some(text) => holder(context, text).await?,
    };
    Ok(context.caller(actor))
}

pub(super) fn register_scheme(registry: &mut Registry) {
    let scheme = MetaSecurityScheme {
        ty: "http",
        description: Some(
            "The token that `POST /auth/login` answers with, as `Authorization: Bearer <token>`; the bare token is accepted too",
        ),
        name: None,
        key_in: None,
        scheme: Some("bearer"),
        bearer_format: Some("ush_ and 49 characters of base62"),
        flows: None,
        openid_connect_url: None,
    };
    registry.create_security_scheme(SCHEME, scheme);
}

/// Implements the extractor of a type with a method `read`, and documents its operations as taking a session token.
macro_rules! takes_session_token {
    ($type:ty, optional: $optional:literal) => {
        impl<'a> poem_openapi::ApiExtractor<'a> for $type {
            const TYPES: &'static [poem_openapi::ApiExtractorType] = &[poem_openapi::ApiExtractorType::SecurityScheme];
            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut poem_openapi::registry::Registry) {
                $crate::http::auth::bearer::register_scheme(registry);
            }

            fn security_schemes() -> Vec<&'static str> {
                vec![$crate::http::auth::bearer::SCHEME]
            }

            fn has_security_fallback() -> bool {
                $optional
            }

            async fn from_request(
                request: &'a poem::Request,
                _body: &mut poem::RequestBody,
                _options: poem_openapi::ExtractParamOptions<()>,
            ) -> poem::Result<Self> {
                Ok(Self::read(request).await?)
            }
        }
    };
}
pub(super) use takes_session_token;

takes_session_token!(SignedInCaller, optional: false);
takes_session_token!(AnyCaller, optional: true);

impl SignedInCaller {
    pub(super) async fn read(request: &Request) -> Result<Self, ApiError> {
        let caller = caller(request).await?;
        match caller.actor {
            Actor::SignedIn(_) => Ok(Self(caller)),
            Actor::Anonymous | Actor::AppToken(_) | Actor::Shell => {
                Err(ApiError::new(ErrorCode::AuthenticationRequired))
            }
        }
    }
}

impl AnyCaller {
    async fn read(request: &Request) -> Result<Self, ApiError> {
        Ok(Self(caller(request).await?))
    }
}
