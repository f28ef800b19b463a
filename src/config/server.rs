//! Where the server listens, and what it believes and grants.

use super::{
    Unusable, unusable,
    values::{boolean, duration, network, number, origin, socket_address},
};
use crate::{domain::Origin, http::HttpSettings};
use clap::Args;
use ipnet::IpNet;
use std::{net::SocketAddr, time::Duration};

/// Where the server listens, and what it believes and grants.
#[derive(Debug, Clone, Args)]
pub struct ServerSettings {
    /// The IP address and port to listen on; 0.0.0.0 or [::] for every interface, port 0 for any free port
    #[arg(long, env = "USHER_LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = socket_address)]
    pub listen: SocketAddr,

    /// A proxy, or a network of them, whose X-Forwarded-For and X-Request-Id are believed, such as 127.0.0.1 or
    /// 10.0.0.0/8; repeat the flag, or separate by commas, for several
    #[arg(long, env = "USHER_TRUSTED_PROXY", value_name = "CIDR", value_delimiter = ',', value_parser = network)]
    pub trusted_proxy: Vec<IpNet>,

    /// An origin whose web apps may use the API from a browser, exactly as browsers send it: https://app.example.com, with
    /// the port unless it is the scheme's own, and nothing after it; repeat the flag, or separate by commas, for several.
    /// Cookies play no part: an app sends its token in the Authorization header
    #[arg(long, env = "USHER_CORS_ORIGIN", value_name = "ORIGIN", value_delimiter = ',', value_parser = origin)]
    pub cors_origin: Vec<Origin>,

    /// An IP address and port for metrics (Prometheus, at /metrics) and nothing else, apart from --listen; without it there are
    /// none. Everyone who can reach it can read them
    #[arg(long, env = "USHER_METRICS_LISTEN", value_name = "ADDRESS:PORT", value_parser = socket_address)]
    pub metrics_listen: Option<SocketAddr>,

    /// How many connections may be open; beyond it the one that has been without a complete request for longest is
    /// closed. One site (24 bits of IPv4, 48 of IPv6) has a quarter of them, unless it is a --trusted-proxy: a proxy that
    /// is not declared has no more. Lowered, with a warning, where the limit of open files is lower
    #[arg(long, env = "USHER_MAX_CONNECTIONS", value_name = "COUNT", default_value_t = 4096, value_parser = number(1..=u32::MAX))]
    pub max_connections: u32,

    /// How long requests that have begun may take to end after SIGINT or SIGTERM
    #[arg(long, env = "USHER_SHUTDOWN_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub shutdown_timeout: Duration,

    /// Don't serve the API's documentation under /docs
    #[arg(long, env = "USHER_NO_DOCS", value_parser = boolean)]
    pub no_docs: bool,
}

impl ServerSettings {
    /// Refuses one port for both the metrics and everything else.
    pub fn check_ports(&self) -> Result<(), Unusable> {
        let (listen, metrics) = (self.listen, self.metrics_listen);
        let overlap = |metrics: &SocketAddr| {
            let everywhere = metrics.ip().is_unspecified() || listen.ip().is_unspecified();
            metrics.port() == listen.port() && metrics.port() != 0 && (everywhere || metrics.ip() == listen.ip())
        };
        match metrics.filter(overlap) {
            Some(metrics) => Err(unusable(format!(
                "--metrics-listen {metrics} and --listen {listen} are the same port: choose another for the metrics"
            ))),
            None => Ok(()),
        }
    }

    /// With as many connections as the system has room for.
    pub fn http(self, max_connections: usize) -> HttpSettings {
        HttpSettings {
            trusted_proxies: self.trusted_proxy,
            cors_origins: self.cors_origin,
            max_connections,
            shutdown_timeout: self.shutdown_timeout,
            docs: !self.no_docs,
        }
    }
}
