//! What every request passes on its way in and out: an id, the client's IP address, the envelope for whatever failed, the
//! headers that every answer carries, what browsers may read, and the access log.

mod access_log;
mod client;
mod cors;
mod framing;
mod paths;
mod request_id;
mod unread_body;

pub use paths::Paths;

use super::{
    context::{Context, Draining},
    metrics::Metrics,
    server::{Connection, Proxies},
    settings::HttpSettings,
    wire::{
        error::{ApiError, ErrorCode},
        headers::put_headers_of_all,
    },
};
use crate::app::App;
use access_log::Answered;
use client::REQUEST_ID;
use cors::{Cors, Grant};
use paths::Path;
use poem::{
    Addr, Endpoint, IntoResponse, PathPattern, Request, Response,
    error::NotFoundError,
    http::{HeaderValue, header},
};
use request_id::RequestIds;
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, OnceLock},
    time::Instant,
};

/// Around all routes.
pub struct Edge<E> {
    routes: E,
    app: Arc<App>,
    proxies: Proxies,
    cors: Cors,
    paths: &'static Paths,
    draining: Arc<Draining>,
    /// Where requests are counted, if anybody may ask.
    metrics: Option<Arc<Metrics>>,
    request_ids: RequestIds,
}

impl<E: Endpoint> Edge<E> {
    pub fn new(
        routes: E,
        app: Arc<App>,
        settings: &HttpSettings,
        paths: &'static Paths,
        draining: Arc<Draining>,
        metrics: Option<Arc<Metrics>>,
    ) -> Self {
        Self {
            routes,
            app,
            proxies: Proxies::new(settings.trusted_proxies.clone()),
            cors: Cors::new(&settings.cors_origins),
            paths,
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
        pattern.and_then(|pattern| self.paths.get(&pattern.0))
    }
}

impl<E: Endpoint<Output = Response>> Endpoint for Edge<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let begun = Instant::now();
        let context = Arc::new(self.context(&request));
        let (method, grant) = (access_log::method_name(request.method()), self.cors.grant(&request));
        request.set_data(context.clone());
        unread_body::take_whole(&mut request);
        let result = match framing::admit(&mut request) {
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
        let answered = Answered {
            method,
            route: path.map_or("unmatched", |path| &path.template),
            status: response.status(),
            took: begun.elapsed(),
            request_id: &context.request_id,
            client: client.as_deref(),
            user: context.user.get().copied(),
        };
        if let Some(metrics) = &self.metrics {
            metrics.record(answered.method, answered.route, answered.status, answered.took);
        }
        access_log::write(&answered);
        Ok(response)
    }
}

fn put_common_headers(response: &mut Response, request_id: &str) {
    put_headers_of_all(response);
    if let Ok(id) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
}
