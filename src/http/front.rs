//! What every request passes on its way in and out: an id, the client's address, the envelope for whatever failed, the
//! headers that every answer carries, what browsers are told, and the observer.

use super::{
    HttpSettings,
    beside::Draining,
    client::{Proxies, REQUEST_ID},
    connection::Connection,
    cors::{Cors, Grant},
    error::{ApiError, ErrorCode},
    leftover,
    metrics::Metrics,
    observer::{self, Served},
    openapi,
};
use crate::{
    app::App,
    domain::{Client, UserId, random_text},
};
use poem::{
    Addr, Endpoint, IntoResponse, PathPattern, Request, Response,
    error::NotFoundError,
    http::{HeaderName, HeaderValue, Method, Version, header},
};
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// What is known about a request before anything reads it. Travels as the request's data.
pub(super) struct Context {
    pub app: Arc<App>,
    pub client: Client,
    pub request_id: Arc<str>,
    pub connection: Arc<Connection>,
    pub draining: Arc<Draining>,
    /// Who sent it, once that is known.
    pub user: OnceLock<UserId>,
}

impl Context {
    pub fn of(request: &Request) -> Result<&Context, ApiError> {
        let context = request.data::<Arc<Context>>();
        context.map(Arc::as_ref).ok_or_else(|| ApiError::internal("a request came past the front"))
    }
}

/// One path of the service: how the router spells it leads to how the spec does, and which methods it has.
#[derive(Debug)]
pub(super) struct Path {
    pub template: String,
    pub allow: HeaderValue,
}

/// Around all routes.
pub(super) struct Front<E> {
    routes: E,
    app: Arc<App>,
    proxies: Proxies,
    cors: Cors,
    paths: &'static HashMap<String, Path>,
    draining: Arc<Draining>,
    /// Where requests are counted, if anybody may ask.
    metrics: Option<Arc<Metrics>>,
    request_ids: RequestIds,
}

impl<E: Endpoint> Front<E> {
    pub fn new(
        routes: E,
        app: Arc<App>,
        settings: &HttpSettings,
        draining: Arc<Draining>,
        metrics: Option<Arc<Metrics>>,
    ) -> Self {
        Self {
            routes,
            app,
            proxies: Proxies::new(settings.trusted_proxies.clone()),
            cors: Cors::new(&settings.cors_origins),
            paths: openapi::paths(),
            draining,
            metrics,
            request_ids: RequestIds::new(),
        }
    }

    fn context(&self, request: &Request) -> Context {
        let peer = match request.remote_addr().0 {
            Addr::SocketAddr(address) => address.ip(),
            _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        };
        let given = self.proxies.request_id(peer, request.headers());
        let client = self.proxies.client(peer, request.headers());
        if client.ip.is_none() {
            self.app.meet_undeclared_proxy(peer.to_canonical());
        }
        Context {
            app: self.app.clone(),
            client,
            request_id: given.map_or_else(|| self.request_ids.next(), Into::into),
            connection: request.data::<Arc<Connection>>().cloned().unwrap_or_default(),
            draining: self.draining.clone(),
            user: OnceLock::new(),
        }
    }

    /// The one place where a failure becomes a response. That there is no method OPTIONS is how the router tells which
    /// path a preflight is about.
    fn answer_failure(
        &self,
        error: poem::Error,
        context: &Context,
        grant: Option<&Grant>,
    ) -> (Response, Option<&'static Path>) {
        let path = if error.is::<NotFoundError>() { None } else { self.path(error.data()) };
        let error = ApiError::from(error);
        if let Some(internal) = &error.internal {
            tracing::error!(
                request_id = &*context.request_id,
                code = error.code.as_str(),
                error = internal,
                "a request failed"
            );
        }
        let not_allowed = error.code == ErrorCode::MethodNotAllowed;
        let mut response = error.into_response();
        if let Some(path) = path.filter(|_| not_allowed) {
            if let Some(answer) = Grant::to_preflight(grant, &path.allow) {
                return (answer, Some(path));
            }
            response.headers_mut().insert(header::ALLOW, path.allow.clone());
        }
        (response, path)
    }

    fn path(&self, pattern: Option<&PathPattern>) -> Option<&'static Path> {
        pattern.and_then(|pattern| self.paths.get(&*pattern.0))
    }
}

impl<E: Endpoint<Output = Response>> Endpoint for Front<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let begun = Instant::now();
        let context = Arc::new(self.context(&request));
        let (method, grant) = (observer::method_name(request.method()), self.cors.grant(&request));
        request.set_data(context.clone());
        leftover::take_whole(&mut request);
        let result = match admit(&mut request) {
            Ok(()) => self.routes.call(request).await,
            Err(error) => Err(error),
        };
        let (mut response, path) = match result {
            Ok(response) => {
                let path = self.path(response.data());
                (response, path)
            }
            Err(error) => self.answer_failure(error, &context, grant.as_ref()),
        };
        put_common_headers(&mut response, &context.request_id);
        Grant::put_headers(grant, &mut response);
        let client = context.client.ip.map(|ip| context.connection.text_of(ip));
        let served = Served {
            method,
            route: path.map_or("unmatched", |path| &path.template),
            status: response.status(),
            took: begun.elapsed(),
            request_id: &context.request_id,
            client: client.as_deref(),
            user: context.user.get().copied(),
        };
        observer::served(&served, self.metrics.as_deref());
        Ok(response)
    }
}

/// Refuses what could be read differently by a proxy in front (RFC 9112, sections 3.2 and 6.1), and what has no path.
fn admit(request: &mut Request) -> poem::Result<()> {
    let headers = request.headers();
    let hosts = headers.get_all(header::HOST).iter().count();
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let plainly_framed = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    };
    if !plainly_framed || hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Err(ApiError::new(ErrorCode::MalformedRequest).into());
    }
    if request.method() == Method::CONNECT {
        return Err(NotFoundError.into());
    }
    if let Some(path) = without_foreign_bytes(request.uri().path()) {
        *request.uri_mut() = path.parse().map_err(|_| NotFoundError)?;
    }
    Ok(())
}

/// Escapes of bytes beyond ASCII are part of no route and of no id, and the router takes offence at those that are no
/// UTF-8: each becomes a hyphen. `None` where there are none.
fn without_foreign_bytes(path: &str) -> Option<String> {
    let is_foreign = |escape: &str| escape.as_bytes().first().is_some_and(|digit| b"89abcdefABCDEF".contains(digit));
    let mut escapes = path.split('%');
    let mut plain = escapes.next()?.to_owned();
    let mut found = false;
    for escape in escapes {
        match escape.get(2..) {
            Some(rest) if is_foreign(escape) => {
                found = true;
                plain.push('-');
                plain.push_str(rest);
            }
            _ => {
                plain.push('%');
                plain.push_str(escape);
            }
        }
    }
    found.then_some(plain)
}

/// What is said about every answer on every port: it is for now, and is what it says it is.
pub(super) fn put_headers_of_all(response: &mut Response) {
    const NOSNIFF: HeaderName = header::X_CONTENT_TYPE_OPTIONS;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(NOSNIFF, HeaderValue::from_static("nosniff"));
}

fn put_common_headers(response: &mut Response, request_id: &str) {
    put_headers_of_all(response);
    if let Ok(id) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
}

/// Ids that (but for a chance in billions) no other request has, and that don't tell how many there were: a prefix that is drawn at the start, and a
/// count that is hidden by a keyed hash.
struct RequestIds {
    prefix: String,
    key: RandomState,
    last: AtomicU64,
}

impl RequestIds {
    fn new() -> Self {
        let prefix = random_text(8).to_string();
        Self { prefix, key: RandomState::new(), last: AtomicU64::new(0) }
    }

    fn next(&self) -> Arc<str> {
        let hidden = self.key.hash_one(self.last.fetch_add(1, Ordering::Relaxed));
        format!("{}-{hidden:016x}", self.prefix).into()
    }
}
