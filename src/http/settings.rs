//! The settings of the server.

use crate::domain::Origin;
use ipnet::IpNet;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct HttpSettings {
    pub trusted_proxies: Vec<IpNet>,
    /// The origins whose web apps may use the API from a browser.
    pub cors_origins: Vec<Origin>,
    pub max_connections: usize,
    /// How long requests in progress may take once the server stops.
    pub shutdown_timeout: Duration,
    /// Whether `/docs` is there.
    pub docs: bool,
}
