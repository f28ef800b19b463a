//! HTTP itself: connections, framing, hostile input, browsers of other origins, proxies in front, and metrics.

#[path = "../support/mod.rs"]
mod support;

mod connections;
mod cors;
mod hostile;
mod metrics;
#[cfg(feature = "system-tests")]
mod proxies;
