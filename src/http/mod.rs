//! The REST API. poem lives here and nowhere else.
//!
//! A request comes in through `connection`, passes `front`, and reaches a handler, which takes the session, the path and
//! the body, in this order; calls one method of [`App`]; and wraps the answer.

mod auth;
mod auth_routes;
mod beside;
mod body;
mod client;
mod connection;
mod error;
mod front;
mod if_match;
mod observer;
mod openapi;
mod schema;
mod users;

pub use error::ErrorCode;
pub use openapi::spec;

use crate::app::App;
use auth_routes::Auth;
use beside::Draining;
use client::Proxies;
use error::ApiError;
use front::Front;
use ipnet::IpNet;
use poem::{Endpoint, EndpointExt, Response, Route, get, middleware::CatchPanic};
use poem_openapi::OpenApiService;
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch};
use users::Users;

/// What an operator decides about the server.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    pub trusted_proxies: Vec<IpNet>,
    pub max_connections: usize,
    /// How long requests in progress may take once the server stops.
    pub shutdown_timeout: Duration,
    /// Whether `/docs` is there.
    pub docs: bool,
}

/// How the server came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Everything that was taken has been answered.
    Drained,
    /// Some requests took longer than they were given.
    TimedOut,
}

/// Every path of the service.
fn routes(app: &Arc<App>, docs: bool) -> Route {
    let api = (Users { app: app.clone() }, Auth { app: app.clone() });
    let routes = Route::new()
        .at("/healthz", get(beside::healthz))
        .at("/readyz", get(beside::readyz))
        .at("/api/v1/openapi.json", get(beside::spec))
        .nest(openapi::PREFIX, OpenApiService::new(api, "", ""));
    if docs { routes.at("/docs", get(beside::docs)) } else { routes }
}

/// The routes behind what every request passes. A panic in a handler becomes an answer, not a dropped connection.
fn endpoint(
    app: Arc<App>,
    settings: &HttpSettings,
    draining: Arc<Draining>,
) -> impl Endpoint<Output = Response> + 'static {
    let panicked = CatchPanic::new().with_handler(|_| ApiError::internal("a handler panicked"));
    let proxies = Proxies::new(settings.trusted_proxies.clone());
    Front::new(routes(&app, settings.docs).with(panicked), app, proxies, openapi::paths(), draining)
}

/// Serves until `shutdown` ends, then answers what has been taken, for as long as the settings allow. What was gathered
/// is written before this returns.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    settings: HttpSettings,
    shutdown: impl Future<Output = ()>,
) -> Stopped {
    let draining = Arc::<Draining>::default();
    let endpoint = Arc::new(endpoint(app.clone(), &settings, draining.clone()));
    let (stop, stopping) = watch::channel(false);
    let serving = connection::serve(listener, endpoint, settings.max_connections, stopping);
    let stopped = async {
        shutdown.await;
        draining.begin();
        let _ = stop.send(true);
        tokio::time::sleep(settings.shutdown_timeout).await;
    };
    let end = tokio::select! {
        () = serving => Stopped::Drained,
        () = stopped => Stopped::TimedOut,
        () = app.keep_house() => unreachable!("housekeeping goes on for ever"),
    };
    if let Err(error) = app.flush().await {
        tracing::error!(%error, "the last uses of sessions and refused attempts could not be written");
    }
    end
}
