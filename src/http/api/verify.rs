//! The question of a reverse proxy: may this caller pass, and who are they?

use crate::{
    app::{App, Shown},
    domain::{Actor, Caller, DisplayName, Error, GroupName, Origin, Role, User},
    http::{
        auth::{ForwardedRequest, Manner, RequestKind, start_of},
        wire::{
            error::{ApiError, ErrorCode},
            query::{FromParameter, Query, query},
            schema::ApiSchema,
        },
    },
};
use poem::{
    IntoResponse, Request, Response,
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse, OpenApi,
    registry::{MetaHeader, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
    types::Type,
};
use std::{borrow::Cow, sync::Arc};

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
        /// `401`: a person who must sign in first is answered with `401` and the `Location` to lead them to, not with `302`.
        /// For nginx, which passes on only `401` and `403`
        refuse: Refuse,
    }
}

/// How a person is refused who must sign in first.
#[derive(Debug)]
pub struct Refuse;

impl FromParameter for Refuse {
    fn from_parameter(text: &str) -> Result<Self, Cow<'static, str>> {
        if text == "401" { Ok(Self) } else { Err("must be 401".into()) }
    }
}

impl ApiSchema for Refuse {
    fn schema() -> MetaSchemaRef {
        let items = vec!["401".into()];
        MetaSchemaRef::Inline(Box::new(MetaSchema { enum_items: items, ..MetaSchema::new("string") }))
    }
}

/// What a proxy is told.
#[derive(Debug)]
pub enum Verified {
    /// The token is valid, and its account has the role: the values of `IDENTITY`.
    Caller([HeaderValue; 6]),
    /// A person must sign in first, here.
    Elsewhere(HeaderValue),
}

/// The headers that say who the caller is, with what the spec says of them.
const IDENTITY: [(HeaderName, &str, &str); 6] = [
    (
        HeaderName::from_static("remote-user"),
        "Remote-User",
        "The username in lower case. It can be changed, and then taken by another account",
    ),
    (
        HeaderName::from_static("remote-user-id"),
        "Remote-User-Id",
        "The account's id, which is never given to another account. Use it as the key",
    ),
    (
        HeaderName::from_static("remote-email"),
        "Remote-Email",
        "The e-mail address if it is verified, else `<id>@unverified.invalid`, where no mail arrives",
    ),
    (HeaderName::from_static("remote-role"), "Remote-Role", "`user` or `admin`"),
    (HeaderName::from_static("remote-name"), "Remote-Name", "The display name in UTF-8, else the username"),
    (
        HeaderName::from_static("remote-groups"),
        "Remote-Groups",
        "The names of the account's groups in lower case, sorted, with commas between them. Empty if there are none",
    ),
];

impl Verified {
    fn caller(user: &User) -> Result<Self, ApiError> {
        let username = user.username.as_str().to_ascii_lowercase();
        // What its owner only typed may be somebody else's address. `.invalid` is nobody's (RFC 6761, section 6.4).
        let verified = user.email_verified.then(|| user.email.to_string());
        let email = verified.unwrap_or_else(|| format!("{}@unverified.invalid", user.id));
        let name = user.display_name.as_ref().map_or_else(|| user.username.as_str(), DisplayName::as_str);
        let groups = user.groups.iter().map(GroupName::key).collect::<Vec<_>>().join(",");
        Ok(Self::Caller([
            value(username)?,
            HeaderValue::from(user.id.get()),
            value(email)?,
            HeaderValue::from_static(user.role.as_str()),
            value(name.to_owned())?,
            value(groups)?,
        ]))
    }

    fn elsewhere(location: String) -> Result<Self, ApiError> {
        Ok(Self::Elsewhere(value(location)?))
    }
}

/// The text of a header, whose bytes beyond ASCII are UTF-8.
fn value(text: String) -> Result<HeaderValue, ApiError> {
    HeaderValue::try_from(text)
        .map_err(|_| Error::Internal("a header of an answer would have control characters".into()).into())
}

impl IntoResponse for Verified {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        match self {
            Self::Caller(values) => {
                let headers = response.headers_mut();
                // With room for those that every answer has.
                headers.reserve(2 * values.len());
                headers.extend(IDENTITY.into_iter().map(|(name, ..)| name).zip(values));
            }
            Self::Elsewhere(location) => {
                response.set_status(StatusCode::FOUND);
                response.headers_mut().insert(header::LOCATION, location);
            }
        }
        response
    }
}

/// By hand, because the derived one makes the names of its headers again for each answer, a sixth of the request.
impl ApiResponse for Verified {
    fn meta() -> MetaResponses {
        let text = |name: &str, description: &str| MetaHeader {
            name: name.to_owned(),
            description: Some(description.to_owned()),
            required: true,
            deprecated: false,
            schema: String::schema_ref(),
        };
        let answer = |status, description, headers| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![],
            headers,
        };
        let caller = IDENTITY.iter().map(|(_, name, description)| text(name, description)).collect();
        let elsewhere = vec![text("Location", "Where the sign-in for the app begins")];
        let responses = vec![
            answer(
                200,
                "The token is valid, and its account has the role. There is no body. Only `Remote-Groups` can be empty",
                caller,
            ),
            answer(302, "A person must sign in first, at the address in `Location`", elsewhere),
        ];
        MetaResponses { responses }
    }

    fn register(_registry: &mut Registry) {}
}

#[OpenApi]
impl Verify {
    /// Authorize a request for a reverse proxy
    ///
    /// For nginx `auth_request`, Caddy `forward_auth` and Traefik `ForwardAuth`. The proxy asks before each request, and sends
    /// the caller's headers. If the answer is `200`, it passes the request on to the app with the headers of this answer.
    /// Apps should use `Remote-User-Id` as the key.
    ///
    /// A proxy that is a `--trusted-proxy` says for which app it asks, by `X-Forwarded-Proto`, `X-Forwarded-Host`,
    /// `X-Forwarded-Method` and `X-Forwarded-Uri`. Then the app must be registered, its `access` must let the account in, and
    /// beside session tokens the cookie that single sign-on sets on the app's host is accepted. A person who is not signed in
    /// is sent to the sign-in page; anything else gets `401`. Requests that could change something and come from another
    /// origin get `403`, unless they carry a bearer token. So do requests of any kind that carry an app token by `Basic`, if
    /// `Sec-Fetch-Site` says that they come from elsewhere.
    ///
    /// A native client shows an app token of that app, by `Authorization: Bearer` or as the password of `Basic` with any
    /// username. For an app with https, a `401` offers `Basic`, too, unless a browser seems to be asking. Values of
    /// `Authorization` that are not tokens of ours are left to the app.
    #[oai(path = "/auth/verify", method = "get", operation_id = "verify")]
    async fn verify(
        &self,
        asked: &Request,
        request: ForwardedRequest,
        query: Query<VerifyQuery>,
    ) -> Result<Verified, ApiError> {
        let role = query.0.role.unwrap_or(Role::User);
        let Some(app) = &request.to else {
            return Verified::caller(self.app.sessions.verify(&request.caller, role)?);
        };
        match self.enter(&request, app).await {
            Ok(caller) => Verified::caller(self.app.sessions.verify(&caller, role)?),
            Err(refusal) => elsewhere(refusal, &request, app, Manner::of(asked, app)?, query.0.refuse.is_some()),
        }
    }
}

impl Verify {
    /// Who may enter the app.
    async fn enter(&self, request: &ForwardedRequest, app: &Origin) -> Result<Caller, ApiError> {
        if request.is_forged {
            return Err(ApiError::with_message(ErrorCode::Forbidden, FORGED));
        }
        let shown = match (&request.caller.actor, &request.app_token) {
            (Actor::SignedIn(signed_in), _) => Shown::Session(signed_in),
            (_, Some(secret)) => Shown::AppToken(secret),
            (_, None) => Shown::Cookie(request.app_cookie.as_ref()),
        };
        let entered = self.app.entry.verify(app, shown, request.proxy()).await;
        let is_stranger = matches!(entered, Err(Error::AuthenticationRequired | Error::InvalidToken));
        if is_stranger && !self.app.entry.is_asked(app, request.proxy()).await? {
            return Err(ApiError::with_message(ErrorCode::Forbidden, UNREGISTERED));
        }
        let kept_out = |error| match error {
            Error::Forbidden => ApiError::with_message(ErrorCode::Forbidden, KEPT_OUT),
            error => error.into(),
        };
        Ok(request.caller_of(entered.map_err(kept_out)?))
    }
}

const KEPT_OUT: &str = "your account may not enter this app";
const FORGED: &str = "this request comes from a page of another origin";
const UNREGISTERED: &str = "no app is registered for the host that the proxy forwards";
const NOT_SENT: &str = "you are no longer signed in, so what you have just sent did not reach the app; go back, open the page again in a new tab to sign in, and then send it again";

/// A person who opens a page of the app is sent to the start of the sign-in, which also says why somebody may not enter.
/// A proxy that passes on nothing but `401` and `403` is told where that is. What else goes wrong is told to people on a page.
fn elsewhere(
    refusal: ApiError,
    request: &ForwardedRequest,
    app: &Origin,
    manner: Manner,
    refuse: bool,
) -> Result<Verified, ApiError> {
    let is_unknown = matches!(refusal.code, ErrorCode::AuthenticationRequired | ErrorCode::InvalidToken);
    let is_kept_out = refusal.message == KEPT_OUT;
    let by_cookie = !request.has_token();
    let has_pages = request.has_pages();
    match manner.kind {
        RequestKind::Navigation if has_pages && by_cookie && (is_unknown || is_kept_out) => {
            let location = start_of(app, &manner.path);
            if !refuse {
                return Verified::elsewhere(location);
            }
            Err(ApiError::new(ErrorCode::AuthenticationRequired).leading_to(location))
        }
        RequestKind::SentForm if is_unknown => {
            Err(ApiError::with_message(ErrorCode::AuthenticationRequired, NOT_SENT).for_person())
        }
        RequestKind::Navigation | RequestKind::SentForm => Err(refusal.for_person()),
        RequestKind::Other => Err(refusal.offering_basic(manner.offers_basic)),
    }
}
