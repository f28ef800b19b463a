//! Metrics for Prometheus, in the OpenMetrics text format, on a port of their own.
//!
//! Requests are counted as they are answered; everything else is read from the app on each scrape. Labels have few values:
//! methods from a fixed set, route templates and statuses. No label contains text from a client.

use super::wire::{
    envelope,
    error::{ApiError, ErrorCode},
    headers::put_common_headers,
    request_id::RequestIds,
};
use crate::app::{App, HashStats, Stats, StoreStats, Waits};
use poem::{
    Endpoint, Request, Response,
    http::{HeaderValue, Method, StatusCode, header},
};
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet, text},
    metrics::{
        MetricType,
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::ConstGauge,
        histogram::Histogram,
        info::Info,
    },
    registry::{Registry, Unit},
};
use std::{fmt, sync::Arc, time::Duration};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// In seconds. A look-up takes a tenth of a millisecond; a sign-in takes as long as its hash.
#[rustfmt::skip]
const LATENCIES: [f64; 16] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    method: &'static str,
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    method: &'static str,
    route: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Limit {
    limit: &'static str,
}

/// The requests that were answered.
#[derive(Debug)]
pub(super) struct Metrics {
    answered: Family<Outcome, Counter>,
    took: Family<Operation, Histogram, fn() -> Histogram>,
}

impl Metrics {
    pub fn new() -> Self {
        Self { answered: Family::default(), took: Family::new_with_constructor(|| Histogram::new(LATENCIES)) }
    }

    /// Counts one answer, without an allocation except for the first of its kind.
    pub fn record(&self, method: &'static str, route: &'static str, status: StatusCode, took: Duration) {
        self.answered.get_or_create(&Outcome { method, route, status: status.as_u16() }).inc();
        self.took.get_or_create(&Operation { method, route }).observe(took.as_secs_f64());
    }

    /// All metrics as text.
    fn text(&self, stats: &Stats) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        let started_at = Duration::from_millis(u64::try_from(stats.started_at.as_millis()).unwrap_or(0));
        let started_at = ConstGauge::new(started_at.as_secs_f64());
        registry.register_with_unit("process_start_time", "When the process started", Unit::Seconds, started_at);
        let usher = registry.sub_registry_with_prefix("usher");
        usher.register("build", "The running program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        self.register_requests(usher);
        register_hashing(usher, &stats.hashing);
        register_store(usher, &stats.store);
        register_accounts(usher, stats);
        let mut text = String::new();
        text::encode(&mut text, &registry)?;
        Ok(text)
    }

    fn register_requests(&self, registry: &mut Registry) {
        registry.register("http_requests", "Requests that were answered", self.answered.clone());
        let help = "Time from the head of a request to its answer";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, self.took.clone());
    }
}

fn register_hashing(registry: &mut Registry, hashing: &HashStats) {
    registry.register("hashes", "Password hashes that were computed", ConstCounter::new(hashing.computed));
    let help = "Of those, hashes that cost several times what a new one does, or came from another service";
    registry.register("slow_hashes", help, ConstCounter::new(hashing.slow));
    let help = "Password hashes that wait for a thread";
    registry.register("hash_queue_length", help, ConstGauge::new(hashing.queued));
    let help = "Places taken by password hashes that wait, are computed, or are about to be asked for";
    registry.register("hash_places_taken", help, ConstGauge::new(hashing.places_taken));
    let help = "Places for password hashes; when all are taken, or a quarter by one network, requests that need one are answered with 503";
    registry.register("hash_places", help, ConstGauge::new(hashing.places));
    let help =
        "Password hashes that were refused, since every place was taken, or a quarter of them by the same network";
    registry.register("hash_refusals", help, ConstCounter::new(hashing.refused));
    let help = "Time that password hashes waited for a thread";
    registry.register_with_unit("hash_wait", help, Unit::Seconds, WaitHistogram::from(&hashing.waits));
}

fn register_store(registry: &mut Registry, store: &StoreStats) {
    let help = "Connections for look-ups";
    registry.register("database_lookup_connections", help, ConstGauge::new(store.points));
    let help = "Connections for look-ups that are in use";
    registry.register("database_lookup_connections_in_use", help, ConstGauge::new(store.points_in_use));
    let help = "Look-ups that had to run on a thread, since no connection was free or the file was locked";
    registry.register("database_lookup_fallbacks", help, ConstCounter::new(store.fallbacks));
    let help = "Changes that wait for the one writer";
    registry.register("database_write_queue_length", help, ConstGauge::new(store.writer_queue));
    let help = "Lists, counts and displaced look-ups that wait for their thread";
    registry.register("database_scan_queue_length", help, ConstGauge::new(store.scan_queue));
    let sizes = [
        ("database_size", "Size of the database file", store.database_size),
        ("database_wal_size", "Size of the write-ahead log beside it", store.log_size),
    ];
    for (name, help, size) in sizes {
        if let Some(size) = size {
            registry.register_with_unit(name, help, Unit::Bytes, ConstGauge::new(size));
        }
    }
}

fn register_accounts(registry: &mut Registry, stats: &Stats) {
    if let Some(rows) = stats.rows {
        registry.register("users", "Accounts, counted once a minute", ConstGauge::new(rows.users));
        let help = "Sessions that can still be used, counted once a minute";
        registry.register("sessions", help, ConstGauge::new(rows.sessions.all()));
    }
    let throttled = Family::<Limit, Counter>::default();
    for (limit, count) in &stats.throttled {
        throttled.get_or_create(&Limit { limit }).inc_by(*count);
    }
    registry.register("throttled_attempts", "Attempts that were answered with 429, by limit", throttled);
}

/// A histogram that was counted elsewhere.
#[derive(Debug)]
struct WaitHistogram {
    sum: f64,
    buckets: Vec<(f64, u64)>,
}

impl From<&Waits> for WaitHistogram {
    fn from(waits: &Waits) -> Self {
        let bounded = waits.up_to.iter().map(|(bound, count)| (bound.as_secs_f64(), *count));
        Self { sum: waits.total.as_secs_f64(), buckets: bounded.chain([(f64::INFINITY, waits.longer)]).collect() }
    }
}

impl EncodeMetric for WaitHistogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let count = self.buckets.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(self.sum, count, &self.buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// The only endpoint on the port for metrics.
pub(super) struct MetricsEndpoint {
    pub app: Arc<App>,
    pub metrics: Arc<Metrics>,
    pub request_ids: RequestIds,
}

impl MetricsEndpoint {
    /// The maximum number of connected scrapers.
    pub const MAX_CONNECTIONS: usize = 64;

    async fn answer(&self) -> Response {
        match self.metrics.text(&self.app.stats().await) {
            Ok(text) => Response::builder().content_type(CONTENT_TYPE).body(text),
            Err(fmt::Error) => envelope::response(&ApiError::internal("metrics could not be written")),
        }
    }
}

impl Endpoint for MetricsEndpoint {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let mut response = match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/metrics") => self.answer().await,
            (_, "/metrics") => {
                let mut response = envelope::response(&ApiError::new(ErrorCode::MethodNotAllowed));
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
                response
            }
            _ => envelope::response(&ApiError::new(ErrorCode::NotFound)),
        };
        put_common_headers(&mut response, &self.request_ids.next());
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn what_could_not_be_counted_is_left_out_and_throttled_attempts_are_reported_by_limit() {
        let waits = Waits { up_to: vec![], longer: 0, total: Duration::ZERO };
        let mut stats = Stats {
            started_at: Timestamp::from_millis(1_500),
            hashing: HashStats { computed: 0, slow: 0, refused: 0, queued: 0, places_taken: 0, places: 0, waits },
            store: StoreStats {
                points: 0,
                points_in_use: 0,
                fallbacks: 0,
                writer_queue: 0,
                scan_queue: 0,
                database_size: None,
                log_size: None,
            },
            rows: None,
            throttled: vec![],
        };
        let bare = Metrics::new().text(&stats).unwrap();
        stats.throttled = vec![("address", 2), ("account", 0)];
        let throttled = Metrics::new().text(&stats).unwrap();

        assert!(bare.contains("\nprocess_start_time_seconds 1.5\n"), "{bare}");
        for missing in ["usher_users", "usher_sessions", "_bytes", "throttled"] {
            assert!(!bare.contains(missing), "{missing}: {bare}");
        }
        for line in ["{limit=\"address\"} 2", "{limit=\"account\"} 0"] {
            assert!(throttled.contains(&format!("usher_throttled_attempts_total{line}\n")), "{throttled}");
        }
    }
}
