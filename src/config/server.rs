//! Where the server listens, which proxies it trusts, and what it allows.

use super::{
    Unusable, unusable,
    values::{boolean, duration, network, number, origin, socket_address},
};
use crate::{domain::Origin, http::HttpSettings};
use clap::Args;
use ipnet::IpNet;
use std::{net::SocketAddr, time::Duration};

/// Where the server listens, which proxies it trusts, and what it allows.
#[derive(Debug, Clone, Args)]
pub struct ServerSettings {
    /// The IP address and port to listen on; 0.0.0.0 or [::] for every interface, port 0 for any free port
    #[arg(long, env = "USHER_LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = socket_address)]
    pub listen: SocketAddr,

    /// A proxy, or a network of proxies, whose X-Forwarded-For and X-Request-Id headers are trusted, such as 127.0.0.1 or
    /// 10.0.0.0/8. For several, repeat the flag or separate them by commas
    #[arg(long, env = "USHER_TRUSTED_PROXY", value_name = "CIDR", value_delimiter = ',', value_parser = network)]
    pub trusted_proxy: Vec<IpNet>,

    /// An origin whose web apps may use the API from a browser. Write it as browsers send it, such as
    /// https://app.example.com: with the port unless it is the default of the scheme, and without a path. For several,
    /// repeat the flag or separate them by commas. The API reads no cookies: apps send the token in the Authorization header
    #[arg(long, env = "USHER_CORS_ORIGIN", value_name = "ORIGIN", value_delimiter = ',', value_parser = origin)]
    pub cors_origin: Vec<Origin>,

    /// A separate IP address and port for metrics (Prometheus, at /metrics). Without it there are no metrics. Everyone who can
    /// reach this port can read them
    #[arg(long, env = "USHER_METRICS_LISTEN", value_name = "ADDRESS:PORT", value_parser = socket_address)]
    pub metrics_listen: Option<SocketAddr>,

    /// The maximum number of open connections. Above this number, the connection that has not completed a request for the longest
    /// time is closed. One network (IPv4 /24, IPv6 /48) may have a quarter of them, unless it is a --trusted-proxy. If the
    /// limit of open files is too low, the number is lowered with a warning
    #[arg(long, env = "USHER_MAX_CONNECTIONS", value_name = "COUNT", default_value_t = 4096, value_parser = number(1..=u32::MAX))]
    pub max_connections: u32,

    /// How long requests in progress may take after SIGINT or SIGTERM
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

    /// The same settings with `max_connections` that the system can serve.
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
