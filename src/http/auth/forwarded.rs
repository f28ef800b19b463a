//! What a proxy says of the request that it asks about, and of the host for which it hands one over.

use super::{
    basic,
    bearer::{SignedInCaller, holder, invalid, takes_session_token, token_text},
    cookie::{self, CookieName},
    user_agent,
};
use crate::{
    domain::{Actor, AppPath, AppSessionToken, AppTokenSecret, Caller, Origin, begins_as_a_token},
    http::{
        context::Context,
        wire::error::{ApiError, ErrorCode},
    },
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use poem::{
    FromRequest, Request, RequestBody,
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
};
use std::{net::IpAddr, sync::Arc, time::Duration};
use zeroize::Zeroizing;

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The origin at which a browser reaches an app, as a trusted proxy forwards it. `None` where none is forwarded, or where
/// the peer is not trusted.
fn origin(context: &Context, headers: &HeaderMap) -> Result<Option<Origin>, ApiError> {
    if !context.is_from_trusted_proxy {
        return Ok(None);
    }
    match (only(headers, &FORWARDED_PROTO)?, only(headers, &FORWARDED_HOST)?) {
        (None, None) => Ok(None),
        (Some(scheme @ ("http" | "https")), Some(host)) if host.bytes().all(is_of_host) => {
            Origin::normalized(&[scheme, "://", host].concat()).map(Some).map_err(|_| unreadable())
        }
        _ => Err(unreadable()),
    }
}

fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte)
}

/// The value of a header. One that is sent twice, or that is no plain text, is no way to enter.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, ApiError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| unreadable()),
        _ => Err(unreadable()),
    }
}

fn unreadable() -> ApiError {
    ApiError::with_message(ErrorCode::Forbidden, "the X-Forwarded headers of the proxy can't be read")
}

/// A request to an app, that a proxy asks about.
pub struct ForwardedRequest {
    /// Who sent a session token of ours with it; else nobody.
    pub caller: Caller,
    /// The app's origin; `None` where the proxy forwards none.
    pub to: Option<Origin>,
    /// Whether a page of another origin made the browser send it, and it may change something or shows an app token that the
    /// browser remembers.
    pub is_forged: bool,
    pub app_token: Option<AppTokenSecret>,
    pub app_cookie: Option<AppSessionToken>,
    context: Arc<Context>,
}

impl ForwardedRequest {
    /// The IP address of the proxy that asks.
    pub fn proxy(&self) -> IpAddr {
        self.context.peer
    }

    /// Whether there is a sign-in page to lead people to.
    pub fn has_pages(&self) -> bool {
        self.context.app.policy().public_url.is_some()
    }

    /// The caller, once it is known who they are.
    pub fn caller_of(&self, actor: Actor) -> Caller {
        self.context.caller(actor)
    }

    /// Whether a token in `Authorization` decides, and not the cookie.
    pub fn has_token(&self) -> bool {
        self.app_token.is_some() || self.caller.signed_in().is_some()
    }
}

fn forwarded_method(headers: &HeaderMap) -> Result<&str, ApiError> {
    only(headers, &FORWARDED_METHOD)?.ok_or_else(unreadable)
}

/// How to refuse a request to an app: what its sender can do with the answer. Most requests are not refused, and need not be
/// read so far.
pub struct Manner {
    pub kind: RequestKind,
    pub path: AppPath,
    /// Whether a native client may be asking, which waits to be asked for an app token by the scheme `Basic`.
    pub offers_basic: bool,
}

impl Manner {
    pub fn of(request: &Request, app: &Origin) -> Result<Self, ApiError> {
        let headers = request.headers();
        let uri = headers.get(&FORWARDED_URI).and_then(|uri| uri.to_str().ok()).unwrap_or("/");
        // A proxy that asks about our own paths does not pass them on, and would lead people round in circles.
        let is_ours = uri.starts_with("/_usher/");
        Ok(Self {
            kind: if is_ours { RequestKind::Other } else { RequestKind::of(forwarded_method(headers)?, headers)? },
            path: AppPath::of(uri),
            offers_basic: offers_basic(app, headers),
        })
    }
}

/// What is escaped in a parameter of a query: all but letters, digits, and what signed text is made of.
pub const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// Where the way to a place in an app begins, on the host of the app.
pub fn start_of(app: &Origin, path: &AppPath) -> String {
    format!("{app}/_usher/start?to={}", utf8_percent_encode(path.as_str(), QUERY))
}

/// What a browser does with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// It shows the answer to a person, and follows it elsewhere.
    Navigation,
    /// It shows the answer to a person who has sent a form.
    SentForm,
    /// A program reads the answer.
    Other,
}

impl RequestKind {
    fn of(method: &str, headers: &HeaderMap) -> Result<Self, ApiError> {
        let (mode, dest) = (only(headers, &SEC_FETCH_MODE)?, only(headers, &SEC_FETCH_DEST)?);
        let says_nothing = mode.is_none() && dest.is_none() && !headers.contains_key(&SEC_FETCH_SITE);
        let accepts_pages = || {
            let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
            accepted.flat_map(|accept| accept.split(',')).any(|kind| kind.trim().starts_with("text/html"))
        };
        let navigates = (mode == Some("navigate") && dest.is_none_or(|dest| dest == "document"))
            || (says_nothing && accepts_pages());
        Ok(match (navigates, method) {
            (true, "GET" | "HEAD") => Self::Navigation,
            (true, _) => Self::SentForm,
            (false, _) => Self::Other,
        })
    }
}

takes_session_token!(ForwardedRequest, optional: false);

impl ForwardedRequest {
    async fn read(request: &Request) -> Result<Self, ApiError> {
        let (context, headers) = (Context::shared(request)?, request.headers());
        match origin(context, headers)? {
            None => Ok(Self::without_origin(context, SignedInCaller::read(request).await?)),
            Some(app) => match Self::to_app(context, headers, &app).await {
                Ok(read) => Ok(Self { to: Some(app), ..read }),
                Err(error) => Err(error.offering_basic(offers_basic(&app, headers))),
            },
        }
    }

    fn without_origin(context: &Arc<Context>, SignedInCaller(caller): SignedInCaller) -> Self {
        Self { caller, to: None, is_forged: false, app_token: None, app_cookie: None, context: context.clone() }
    }

    async fn to_app(context: &Arc<Context>, headers: &HeaderMap, app: &Origin) -> Result<Self, ApiError> {
        let method = forwarded_method(headers)?;
        let shown = shown(context, headers).await?;
        let app_cookie = cookie::read(headers, CookieName::App, app.is_https()).and_then(AppSessionToken::parse);
        Ok(Self {
            is_forged: !shown.is_bearer
                && is_forged(method, headers, app, app_cookie.is_some(), shown.app_token.is_some())?,
            caller: context.caller(shown.actor),
            app_token: shown.app_token,
            app_cookie,
            context: context.clone(),
            to: None,
        })
    }
}

/// What a request to an app shows of ours in `Authorization`.
struct Shown {
    /// The holder of a session token; else nobody.
    actor: Actor,
    app_token: Option<AppTokenSecret>,
    /// Whether it is by a scheme of which browsers know nothing. They send `Basic` by themselves, once they have asked.
    is_bearer: bool,
}

/// Judges what begins as our tokens do. What else an app puts into `Authorization` is none of ours.
async fn shown(context: &Context, headers: &HeaderMap) -> Result<Shown, ApiError> {
    let nothing = Shown { actor: Actor::Anonymous, app_token: None, is_bearer: false };
    let values = headers.get_all(header::AUTHORIZATION);
    if !values.iter().any(is_ours) {
        return Ok(nothing);
    }
    if let Some(password) = values.iter().find_map(our_password) {
        let secret = AppTokenSecret::parse(&password).filter(|_| values.iter().count() == 1).ok_or_else(invalid)?;
        return Ok(Shown { app_token: Some(secret), ..nothing });
    }
    let Some(text) = token_text(headers)? else { return Ok(nothing) };
    if AppTokenSecret::begins(text) {
        let secret = AppTokenSecret::parse(text).ok_or_else(invalid)?;
        return Ok(Shown { app_token: Some(secret), is_bearer: true, ..nothing });
    }
    Ok(Shown { actor: holder(context, text).await?, is_bearer: true, ..nothing })
}

/// Whether a value of `Authorization` begins as our tokens do, or is of the scheme `Basic` and its password does.
fn is_ours(value: &HeaderValue) -> bool {
    let begins = |text: &str| text.split_whitespace().any(begins_as_a_token);
    value.to_str().is_ok_and(begins) || our_password(value).is_some()
}

fn our_password(value: &HeaderValue) -> Option<Zeroizing<String>> {
    basic::password(value).filter(|password| begins_as_a_token(password))
}

/// Whether to ask for an app token by `Basic`: for an app with TLS, if nothing says that a browser is asking, which would show
/// a dialog to a person.
fn offers_basic(app: &Origin, headers: &HeaderMap) -> bool {
    let says_so = [SEC_FETCH_SITE, SEC_FETCH_MODE, SEC_FETCH_DEST].iter().any(|name| headers.contains_key(name));
    let has_cookie =
        || [CookieName::App, CookieName::Flow].into_iter().any(|name| cookie::read(headers, name, true).is_some());
    app.is_https() && !says_so && !has_cookie()
}

/// Whether an unsafe request, or the beginning of a WebSocket, comes from another origin than the app's own. One of which a
/// browser says nothing may, if it carries the cookie; without a cookie it opens nothing. An app token by `Basic` is
/// remembered by browsers and sent with whatever another site makes them ask for, which no `SameSite` keeps them from: of
/// one, safe requests are judged, too.
fn is_forged(
    method: &str,
    headers: &HeaderMap,
    app: &Origin,
    with_cookie: bool,
    by_basic: bool,
) -> Result<bool, ApiError> {
    let is_safe = Method::from_bytes(method.as_bytes()).is_ok_and(|method| method.is_safe())
        && !headers.contains_key(header::SEC_WEBSOCKET_KEY);
    if is_safe && !by_basic {
        return Ok(false);
    }
    if let Some(site) = only(headers, &SEC_FETCH_SITE)? {
        return Ok(site != "same-origin" && site != "none");
    }
    Ok(!is_safe && only(headers, &header::ORIGIN)?.map_or(with_cookie, |origin| origin != app.as_str()))
}

/// So long that tabs which a browser restores share it: each would get another, and only the last one would do.
const FLOW_COOKIE_LIFETIME: Duration = Duration::from_hours(30 * 24);

/// A browser at a path of ours on the host of an app, to which a trusted proxy passes it on.
pub struct AppVisitor {
    pub context: Arc<Context>,
    pub caller: Caller,
    /// The origin of the app, as the proxy forwards it.
    pub at: Origin,
    pub flow_cookie: Option<String>,
    pub has_app_cookie: bool,
    pub user_agent: Option<String>,
}

impl AppVisitor {
    /// A `Set-Cookie` header of the app's host.
    pub fn cookie(&self, name: CookieName, value: &str) -> poem::http::HeaderValue {
        let max_age = (name == CookieName::Flow).then_some(FLOW_COOKIE_LIFETIME);
        cookie::set(name, self.at.is_https(), value, max_age)
    }
}

impl<'a> FromRequest<'a> for AppVisitor {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        let (context, headers) = (Context::shared(request).map_err(ApiError::from)?, request.headers());
        let at = origin(context, headers)?.ok_or_else(|| not_forwarded(context))?;
        let read = |name| cookie::read(headers, name, at.is_https());
        Ok(Self {
            context: context.clone(),
            caller: context.caller(Actor::Anonymous),
            flow_cookie: read(CookieName::Flow).map(str::to_owned),
            has_app_cookie: read(CookieName::App).is_some(),
            user_agent: user_agent(headers),
            at,
        })
    }
}

fn not_forwarded(context: &Context) -> ApiError {
    let text = if context.is_from_trusted_proxy {
        "the proxy does not say for which host it asks: it must set X-Forwarded-Proto and X-Forwarded-Host".to_owned()
    } else {
        format!(
            "the request came from {}, which is not a --trusted-proxy, so it can't be told for which app it is",
            context.peer
        )
    };
    ApiError::with_message(ErrorCode::Forbidden, text)
}
