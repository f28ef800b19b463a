//! What every request passes: its id, the client's IP address, routing, rendering of failures, headers of every answer,
//! CORS, and the access log.

mod access_log;
mod client;
mod cors;
mod failure;
mod framing;
mod request_id;
mod routes;
mod unread_body;

pub use access_log::TARGET as REQUEST_TARGET;
pub use failure::Renderer;
pub use routes::{Routes, handler};

use super::{
    context::{Context, Draining},
    metrics::Metrics,
    server::{Connection, Proxies},
    settings::HttpSettings,
    wire::{
        error::{ApiError, ErrorCode},
        headers::put_common_headers,
        request_id::RequestIds,
    },
};
use crate::app::App;
use access_log::Answered;
use cors::{Cors, Grant};
use failure::Renderers;
use futures_util::FutureExt;
use poem::{Addr, Endpoint, Request, Response};
use routes::Route;
use std::{
    net::{IpAddr, Ipv4Addr},
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::Instant,
};

/// Wraps all routes.
pub struct Edge {
    routes: Routes,
    app: Arc<App>,
    proxies: Proxies,
    cors: Cors,
    draining: Arc<Draining>,
    /// Request metrics, if they are enabled.
    metrics: Option<Arc<Metrics>>,
    /// How failures look to people, where there are pages.
    failure_page: Option<Renderer>,
    request_ids: RequestIds,
}

impl Edge {
    pub fn new(
        routes: Routes,
        app: Arc<App>,
        settings: &HttpSettings,
        draining: Arc<Draining>,
        metrics: Option<Arc<Metrics>>,
        failure_page: Option<Renderer>,
    ) -> Self {
        Self {
            routes,
            app,
            proxies: Proxies::new(settings.trusted_proxies.clone()),
            cors: Cors::new(&settings.cors_origins),
            draining,
            metrics,
            failure_page,
            request_ids: RequestIds::new(),
        }
    }

    fn context(&self, request: &Request, path_parameters: Vec<String>) -> Context {
        let peer = match request.remote_addr().0 {
            Addr::SocketAddr(address) => address.ip(),
            _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        };
        let given = self.proxies.request_id(peer, request.headers());
        let client = self.proxies.client(peer, request.headers());
        if client.ip.is_none() {
            self.app.report_undeclared_proxy(peer.to_canonical());
        }
        Context {
            app: self.app.clone(),
            client,
            peer: peer.to_canonical(),
            is_from_trusted_proxy: self.proxies.trusts(peer),
            request_id: given.map_or_else(|| self.request_ids.next(), Into::into),
            connection: request.data::<Arc<Connection>>().cloned().unwrap_or_default(),
            draining: self.draining.clone(),
            uri: request.uri().clone(),
            form: OnceLock::new(),
            path_parameters,
            signed_in: OnceLock::new(),
            user: OnceLock::new(),
        }
    }
}

/// Returns the answer of the route, or the failure if the request is ambiguous or has no route. A panic in a handler
/// becomes an answer, not a dropped connection.
async fn call(route: Option<&Route>, request: Request) -> poem::Result<Response> {
    framing::admit(&request)?;
    let answer = route.ok_or_else(|| ApiError::new(ErrorCode::NotFound))?.call(request);
    let caught = AssertUnwindSafe(answer).catch_unwind().await;
    caught.unwrap_or_else(|_| Err(ApiError::internal("a handler panicked").into()))
}

impl Endpoint for Edge {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let begun = Instant::now();
        let (method, grant) = (access_log::method_name(request.method()), self.cors.grant(&request));
        let renderers = Renderers::at(request.uri().path(), self.failure_page);
        let (route, parameters) = self.routes.find(request.uri().path()).unzip();
        let context = Arc::new(self.context(&request, parameters.unwrap_or_default()));
        request.set_data(context.clone());
        unread_body::drain_when_dropped(&mut request);
        let mut response = match call(route, request).await {
            Ok(response) => response,
            Err(error) => failure::answer(error.into(), &context, route, grant.as_ref(), renderers),
        };
        put_common_headers(&mut response, &context.request_id);
        Grant::put_headers(grant, &mut response);
        let client = context.client.ip.map(|ip| context.connection.text_of(ip));
        let answered = Answered {
            method,
            route: route.map_or("unmatched", |route| route.template),
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
