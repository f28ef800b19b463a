//! What is served over HTTP. poem lives here and nowhere else.
//!
//! A request comes in through `server`, passes the `edge`, and reaches the `api` for programs or the `pages` for people, which
//! read it with `auth` and `wire`.

mod api;
mod auth;
mod context;
mod docs;
mod edge;
mod metrics;
mod pages;
mod probes;
mod server;
mod settings;
mod wire;

pub use api::{answers, openapi::spec};
pub use edge::REQUEST_TARGET;
pub use pages::{Linked, link_of};
pub use settings::HttpSettings;
pub use wire::error::ErrorCode;

use crate::app::App;
use context::Draining;
use edge::{Edge, Renderer, Routes, handler};
use metrics::{Metrics, MetricsEndpoint};
use poem::{Endpoint, Response, http::Method};
use server::{Limits, Proxies};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
};
use wire::request_id::RequestIds;

const TRIM_EVERY: Duration = Duration::from_secs(5);

/// Where the server listens.
#[derive(Debug)]
pub struct Listeners {
    pub public: TcpListener,
    /// For `/metrics` only. Without it, nothing is counted.
    pub metrics: Option<TcpListener>,
}

/// How the server stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Every accepted request was answered.
    Drained,
    /// Some requests took longer than the shutdown timeout.
    TimedOut,
}

/// Every path of the service.
fn routes(app: &Arc<App>, docs: bool) -> Routes {
    let mut routes = Routes::default();
    for (template, methods, without_query) in api::routes(app) {
        routes.at(template, methods, without_query);
    }
    let mut get = |path, endpoint| routes.at(path, [(Method::GET, endpoint)], &[]);
    get("/healthz", handler(probes::healthz));
    get("/readyz", handler(probes::readyz));
    get(api::SPEC_PATH, handler(docs::spec));
    if docs {
        get("/docs", handler(docs::page));
        get("/docs/", handler(docs::to_docs));
    }
    if has_pages(app) {
        for (template, methods) in pages::routes() {
            routes.at(template, methods, &[]);
        }
    } else if docs {
        routes.at("/", [(Method::GET, handler(docs::to_docs))], &[]);
    }
    routes
}

/// Pages need an address of their own to build links and cookies from.
fn has_pages(app: &App) -> bool {
    app.policy().public_url.is_some()
}

/// The path and the method of every page, for those who check that none is forgotten.
pub fn pages() -> Vec<(&'static str, Method)> {
    let methods = |(path, handlers): (_, Vec<_>)| handlers.into_iter().map(move |(method, _)| (path, method));
    pages::routes().into_iter().flat_map(methods).collect()
}

/// All routes, wrapped in the edge.
fn endpoint(
    app: Arc<App>,
    settings: &HttpSettings,
    draining: Arc<Draining>,
    metrics: Option<Arc<Metrics>>,
) -> impl Endpoint<Output = Response> + 'static {
    let failure_page: Option<Renderer> = has_pages(&app).then_some(pages::failure);
    Edge::new(routes(&app, settings.docs), app, settings, draining, metrics, failure_page)
}

/// Serves until `shutdown` completes, and then answers accepted requests for as long as the settings allow. Collected
/// data is written before this returns.
pub async fn serve(
    listeners: Listeners,
    app: Arc<App>,
    settings: HttpSettings,
    shutdown: impl Future<Output = ()>,
) -> Stopped {
    let draining = Arc::<Draining>::default();
    let metrics = listeners.metrics.map(|listener| (listener, Arc::new(Metrics::new())));
    let counting = metrics.as_ref().map(|(_, metrics)| metrics.clone());
    let endpoint = Arc::new(endpoint(app.clone(), &settings, draining.clone(), counting));
    let (stop, stopping) = watch::channel(false);
    let scrapes = serve_metrics(metrics, app.clone(), stopping.clone());
    let limits = Limits::shared(settings.max_connections, Proxies::new(settings.trusted_proxies));
    let requests = server::serve(listeners.public, endpoint, limits, stopping);
    let stopped = async {
        shutdown.await;
        draining.begin();
        Instant::now().checked_add(settings.shutdown_timeout).into_iter().for_each(|end| app.end_by(end));
        let _ = stop.send(true);
        tokio::time::sleep(settings.shutdown_timeout).await;
    };
    let (end_maintenance, ended) = oneshot::channel::<()>();
    let maintaining = app.clone();
    let mut maintenance = tokio::spawn(async move { maintaining.maintenance.run(async { drop(ended.await) }).await });
    let end = tokio::select! {
        _ = async { tokio::join!(requests, scrapes) } => Stopped::Drained,
        () = stopped => Stopped::TimedOut,
        ended = &mut maintenance => panic!("maintenance stopped before the server: {ended:?}"),
        () = trim_memory() => unreachable!("trimming never ends"),
    };
    drop(end_maintenance);
    if let Err(error) = maintenance.await {
        tracing::error!(%error, "maintenance did not complete");
    }
    if let Err(error) = app.audit.log_head().await {
        tracing::error!(%error, "the end of the audit log could not be read");
    }
    end
}

/// A burst leaves unused memory behind. This frees it regularly.
async fn trim_memory() {
    loop {
        tokio::time::sleep(TRIM_EVERY).await;
        let _ = tokio::task::spawn_blocking(crate::heap::trim).await; // it can't panic
    }
}

async fn serve_metrics(metrics: Option<(TcpListener, Arc<Metrics>)>, app: Arc<App>, stopping: watch::Receiver<bool>) {
    if let Some((listener, metrics)) = metrics {
        server::serve(
            listener,
            Arc::new(MetricsEndpoint { app, metrics, request_ids: RequestIds::new() }),
            Limits::unshared(MetricsEndpoint::MAX_CONNECTIONS),
            stopping,
        )
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::Policy,
        clock::Clock,
        hashing::{Cost, HashPool},
        store::Store,
    };
    use poem::Request;

    fn app(folder: &tempfile::TempDir) -> Arc<App> {
        let path = folder.path().join("usher.db");
        let lock = Store::lock(&path).unwrap();
        Store::prepare(&path, &lock).unwrap();
        let hashing = HashPool::start(Cost::DEFAULT, 1, 1).unwrap();
        Arc::new(App::new(
            Store::open_locked(&path, 1, Clock::System, lock).unwrap(),
            hashing,
            Clock::System,
            Policy::default(),
        ))
    }

    #[poem::handler]
    fn panics() -> &'static str {
        panic!("with a secret in its text")
    }

    #[tokio::test]
    async fn a_panic_is_answered_in_the_envelope_and_reveals_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let settings = HttpSettings {
            trusted_proxies: vec![],
            cors_origins: vec![],
            max_connections: 1,
            shutdown_timeout: Duration::ZERO,
            docs: false,
        };
        let mut routes = Routes::default();
        routes.at("/panics", [(Method::GET, handler(panics))], &[]);
        let edge = Edge::new(routes, app(&folder), &settings, Arc::default(), None, None);

        let request = Request::builder().uri("/panics".parse().unwrap()).header("host", "usher").finish();
        let mut response = edge.get_response(request).await;

        assert_eq!((response.status().as_u16(), response.header("cache-control")), (500, Some("no-store")));
        let body = response.take_body().into_string().await.unwrap();
        assert!(body.contains("\"internal_error\"") && !body.contains("secret"), "{body}");
    }
}
