//! HTTP itself: connections, framing, hostile input, browsers of other origins, proxies in front, and metrics.

#[path = "../support/mod.rs"]
mod support;

mod bodies;
mod chance;
mod connections;
mod cors;
mod framing;
mod metrics;
mod paths;
#[cfg(feature = "system-tests")]
mod proxies;
#[cfg(target_os = "linux")]
mod untaken;
