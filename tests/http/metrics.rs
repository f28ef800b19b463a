//! Metrics, as Prometheus scrapes them.

use crate::support::{
    PASSWORD, START, Server,
    binary::{Serving, complaint, until, usher},
    hang_up,
    probes::Probes,
    raw,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

fn server() -> Server {
    Server::with(|settings| settings.metrics = true)
}

/// One line of a scrape: a name, labels by name, and a value.
#[derive(Debug, Clone)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// A scrape, held against the format (OpenMetrics 1.0, "Text format").
struct Scrape {
    text: String,
    samples: Vec<Sample>,
}

impl Scrape {
    fn of(server: &Server) -> Self {
        Self::at(server.metrics.expect("the settings ask for metrics"))
    }

    fn at(address: SocketAddr) -> Self {
        let answer = get(address, "/metrics");
        let (head, text) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let samples = read(text);
        Self { text: text.to_owned(), samples }
    }

    fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let wanted: BTreeMap<_, _> = labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        self.samples.iter().find(|sample| sample.name == name && sample.labels == wanted).map(|sample| sample.value)
    }

    /// A value that must be there and, like all counts, be whole.
    #[track_caller]
    fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let value = self.find(name, labels).unwrap_or_else(|| panic!("{name}{labels:?} in {}", self.text));
        value.to_string().parse().expect("a whole number")
    }

    /// Answered requests by method, route and status.
    fn requests(&self, method: &str, route: &str, status: &str) -> u64 {
        self.count("usher_http_requests_total", &[("method", method), ("route", route), ("status", status)])
    }

    fn values_of(&self, label: &str) -> BTreeSet<&str> {
        self.samples.iter().flat_map(|sample| sample.labels.get(label)).map(String::as_str).collect()
    }
}

fn get(address: SocketAddr, path: &str) -> String {
    raw(address, format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"))
}

/// Reads the samples, family by family, and refuses whatever is not in the form of the family's type.
fn read(text: &str) -> Vec<Sample> {
    let text = text.strip_suffix("# EOF\n").expect("it ends with EOF");
    let mut samples = Vec::<Sample>::new();
    let (mut family, mut kind, mut families) = (String::new(), String::new(), BTreeSet::new());
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        match [words.next(), words.next(), words.next(), words.next()] {
            [Some("#"), Some("HELP"), Some(name), Some(help)] => {
                assert!(families.insert(name), "{name} comes twice");
                assert!(help.starts_with(char::is_uppercase) && help.ends_with('.'), "{line}");
                (family, kind) = (name.to_owned(), String::new());
            }
            [Some("#"), Some("TYPE"), Some(name), Some(found)] => {
                assert_eq!((name, kind.as_str()), (family.as_str(), ""), "{line}");
                found.clone_into(&mut kind);
            }
            [Some("#"), Some("UNIT"), Some(name), Some(unit)] => {
                assert!(name == family && name.ends_with(&format!("_{unit}")), "{line}");
            }
            _ => {
                let sample = sample(line);
                let suffix = sample.name.strip_prefix(&family).unwrap_or_else(|| panic!("{line} in {family}"));
                let suffixes: &[&str] = match kind.as_str() {
                    "gauge" => &[""],
                    "counter" => &["_total"],
                    "info" => &["_info"],
                    "histogram" => &["_sum", "_count", "_bucket"],
                    other => panic!("{other}: {line}"),
                };
                assert!(suffixes.contains(&suffix), "{line}");
                let same = |other: &Sample| other.name == sample.name && other.labels == sample.labels;
                assert!(!samples.iter().any(same), "twice: {line}");
                samples.push(sample);
            }
        }
    }
    check_histograms(&samples);
    samples
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{line}");
    let labels = labels.strip_suffix('}').expect("labels end").split(',').filter(|label| !label.is_empty());
    let labels = labels.map(|label| {
        let (name, value) = label.split_once('=').expect("a name");
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).expect("quotes");
        assert!(!value.contains(['"', '\\']), "{line}");
        (name.to_owned(), value.to_owned())
    });
    Sample { name: name.to_owned(), labels: labels.collect(), value: value.parse().expect("a number") }
}

/// Buckets rise in bound and count, and the last has everything.
fn check_histograms(samples: &[Sample]) {
    for count in samples.iter().filter(|sample| sample.name.ends_with("_count")) {
        let name = count.name.trim_end_matches("_count");
        let of_this = |sample: &&Sample| {
            let mut labels = sample.labels.clone();
            labels.remove("le").is_some() && sample.name == format!("{name}_bucket") && labels == count.labels
        };
        let buckets: Vec<(f64, f64)> = samples
            .iter()
            .filter(of_this)
            .map(|bucket| (bucket.labels["le"].parse().expect("a bound"), bucket.value))
            .collect();
        assert!(buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1), "{buckets:?}");
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, count.value)), "{name}");
        let sum = samples.iter().find(|sum| sum.name == format!("{name}_sum") && sum.labels == count.labels);
        assert_eq!(sum.expect("a sum").value > 0.0, count.value > 0.0, "{name}");
    }
}

const USER: &str = "/api/v1/users/{user_id}";

#[test]
fn requests_are_counted_by_method_route_and_status() {
    // given
    let server = server();
    let ada = server.user("ada");

    // when
    for _ in 0..3 {
        ada.get(&ada.me()).is(200, "");
    }
    ada.get("/users/77").is(404, "user_not_found");
    ada.put(&ada.me(), json!({"username": "-"})).is(400, "validation_failed");
    ada.delete("/auth/me").is(405, "method_not_allowed");
    ada.get("/nothing/here").is(404, "not_found");
    server.anon().login("ada@example.com", "a wrong password").is(401, "invalid_credentials");
    let scrape = Scrape::of(&server);

    // then
    assert_eq!(scrape.requests("POST", "/api/v1/users", "201"), 1);
    assert_eq!(scrape.requests("POST", "/api/v1/auth/login", "200"), 1);
    assert_eq!(scrape.requests("POST", "/api/v1/auth/login", "401"), 1);
    assert_eq!(scrape.requests("GET", USER, "200"), 3);
    assert_eq!(scrape.requests("GET", USER, "404"), 1);
    assert_eq!(scrape.requests("PUT", USER, "400"), 1);
    assert_eq!(scrape.requests("DELETE", "/api/v1/auth/me", "405"), 1);
    assert_eq!(scrape.requests("GET", "unmatched", "404"), 1);
}

#[test]
fn the_times_of_an_operation_are_counted_whatever_its_status() {
    let server = server();
    let ada = server.user("ada");
    for path in ["/users/1", "/users/1", "/users/2"] {
        ada.get(path);
    }
    let scrape = Scrape::of(&server);
    let labels = [("method", "GET"), ("route", USER)];
    assert_eq!(scrape.count("usher_http_request_duration_seconds_count", &labels), 3);
    let sum = scrape.find("usher_http_request_duration_seconds_sum", &labels).expect("a sum");
    assert!(sum > 0.0 && sum < 30.0, "{sum}");
    // One scrape later nothing has changed: scrapes are no requests.
    assert_eq!(Scrape::of(&server).count("usher_http_request_duration_seconds_count", &labels), 3);
}

#[test]
fn made_up_paths_methods_and_ids_make_no_new_series() {
    // given: each kind of nonsense once
    let server = server();
    let nonsense = |n: u32| {
        let anon = server.anon();
        anon.send("GET", &format!("/secret-{n}"), &[], None);
        anon.send("GET", &format!("//secret{n}/metrics"), &[], None);
        anon.send("GET", &format!("/users/{}", 1_000_000 + n), &[], None);
        anon.send("GET", &format!("/users/secret-{n}?token=secret{n}"), &[], None);
        anon.send(&format!("SECRET{n}"), "/auth/me", &[], None);
        anon.send(&format!("SECRET{n}"), &format!("/secret-{n}"), &[], None);
    };
    nonsense(0);
    let before = Scrape::of(&server);

    // when
    (1..200).for_each(nonsense);
    let after = Scrape::of(&server);

    // then
    assert_eq!(after.samples.len(), before.samples.len());
    assert!(!after.text.to_lowercase().contains("secret"), "{}", after.text);
    assert!(after.values_of("route").iter().all(|route| !route.contains("1000")), "{}", after.text);
    assert_eq!(after.requests("GET", "unmatched", "404"), 400);
    assert_eq!(after.requests("other", "/api/v1/auth/me", "405"), 200);
    assert_eq!(after.requests("other", "unmatched", "404"), 200);
    assert_eq!(after.requests("GET", USER, "401"), 200);
    assert_eq!(after.requests("GET", USER, "400"), 200);
}

#[test]
fn every_method_that_is_known_has_its_name_and_the_routes_are_those_of_the_spec() {
    let server = server();
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "PROPFIND", "PRI"] {
        server.anon().send(method, "/nothing/here", &[], None);
    }
    server.raw("CONNECT here:80 HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
    let ada = server.user("ada");
    ada.send("HEAD", "/auth/me", &[], None);
    for path in ["//", "//healthz", "//readyz", "//docs", "//docs/", "/openapi.json", &ada.me()] {
        ada.get(path);
    }
    let scrape = Scrape::of(&server);
    let methods = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE", "other"];
    assert_eq!(scrape.values_of("method"), BTreeSet::from(methods));
    let beside =
        ["unmatched", "/", "/healthz", "/readyz", "/docs", "/docs/", "/api/v1/openapi.json"].map(str::to_owned);
    let paths = crate::support::spec()["paths"].as_object().expect("paths").keys().map(|path| format!("/api/v1{path}"));
    let known: BTreeSet<String> = paths.chain(beside).collect();
    let routes = scrape.values_of("route");
    assert!(routes.iter().all(|route| known.contains(*route)), "{routes:?}");
    assert!(["/", "/docs/"].iter().all(|route| routes.contains(route)), "{routes:?}");
}

#[test]
fn the_queue_for_hashes_is_shown_and_what_it_refuses_is_counted() {
    // given: nobody hashes, and two of a site may wait
    let server = Server::with(|settings| {
        settings.metrics = true;
        (settings.hash_threads, settings.hash_queue) = (0, 8);
    });
    let body = json!({"email": "ada@example.com", "password": PASSWORD}).to_string();
    let sign_in = || {
        let mut stream = TcpStream::connect(server.address).expect("the server listens");
        let head = "POST /api/v1/auth/login HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length";
        write!(stream, "{head}: {}\r\n\r\n{body}", body.len()).expect("sent");
        stream
    };

    // when
    let waiting = [sign_in(), sign_in()];
    let queued = || Scrape::of(&server).count("usher_hash_queue_length", &[]);
    until("two in the queue", || (queued() == 2).then_some(()));
    for _ in 0..2 {
        server.anon().login("ada@example.com", PASSWORD).is(503, "overloaded");
    }

    // then
    let scrape = Scrape::of(&server);
    let counts = ["usher_hash_places", "usher_hash_places_taken", "usher_hash_refusals_total", "usher_hashes_total"];
    assert_eq!(counts.map(|name| scrape.count(name, &[])), [8, 2, 2, 0]);
    waiting.into_iter().for_each(hang_up);
    until("nobody in the queue", || (queued() == 0).then_some(()));
}

#[test]
fn attempts_that_the_throttle_turned_away_are_counted_by_limit() {
    let server = server();
    let limited = |limit: &str| Scrape::of(&server).count("usher_throttled_attempts_total", &[("limit", limit)]);
    assert_eq!(limited("address_and_account"), 0);
    for _ in 0..13 {
        server.anon().login("ada@example.com", "a wrong password");
    }
    let limits = ["address", "address_and_account", "site_and_account", "account", "registration", "reset", "change"];
    assert_eq!(limits.map(limited), [0, 3, 0, 0, 0, 0, 0]);
}

#[test]
fn hashes_and_their_waits_are_counted() {
    let server = server();
    let ada = server.user("ada");
    server.anon().login("nobody@example.com", PASSWORD).is(401, "invalid_credentials");
    ada.get("/auth/me").is(200, "");
    let scrape = Scrape::of(&server);
    assert_eq!(scrape.count("usher_hashes_total", &[]), 3);
    assert_eq!(scrape.count("usher_slow_hashes_total", &[]), 0);
    assert_eq!(scrape.count("usher_hash_wait_seconds_count", &[]), 3);
    assert_eq!(scrape.count("usher_hash_queue_length", &[]), 0);
    assert_eq!(scrape.count("usher_hash_places", &[]), 1_002);
}

#[test]
fn the_sizes_are_those_of_the_files() {
    let server = server();
    server.user("ada");
    let scrape = Scrape::of(&server);
    let size = |name: &str| std::fs::metadata(server.database().with_file_name(name)).expect("a file").len();
    assert_eq!(scrape.count("usher_database_size_bytes", &[]), size("usher.db"));
    assert_eq!(scrape.count("usher_database_wal_size_bytes", &[]), size("usher.db-wal"));
    assert!(size("usher.db-wal") > 0);
}

#[test]
fn the_connections_and_queues_of_the_database_are_shown() {
    let server = server();
    let ada = server.user("ada");
    ada.get("/auth/me").is(200, "");
    let scrape = Scrape::of(&server);
    assert_eq!(scrape.count("usher_database_lookup_connections", &[]), 2);
    for idle in ["lookup_connections_in_use", "write_queue_length", "scan_queue_length"] {
        assert_eq!(scrape.count(&format!("usher_database_{idle}"), &[]), 0, "{idle}");
    }

    // A writer that another program holds up makes those behind it wait.
    server.flush(); // so that nothing else waits for the writer
    let other = server.hold_writes();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| ada.post("/auth/logout", json!({})));
        }
        let waiting = || Scrape::of(&server).count("usher_database_write_queue_length", &[]);
        until("two behind the first", || (waiting() == 2).then_some(()));
        drop(other);
    });
    assert_eq!(Scrape::of(&server).count("usher_database_write_queue_length", &[]), 0);
}

#[test]
fn accounts_and_living_sessions_are_counted_once_a_minute() {
    // given
    let server = server();
    let rows = || {
        let scrape = Scrape::of(&server);
        [scrape.count("usher_users", &[]), scrape.count("usher_sessions", &[])]
    };
    assert_eq!(rows(), [0, 0]);
    let ada = server.user("ada");
    server.user("bob");
    server.sign_in("bob");

    // then: what was counted stays for a minute
    server.clock.advance(Duration::from_secs(59));
    assert_eq!(rows(), [0, 0]);
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(rows(), [2, 3]);

    // when one signs out, and the others' sessions are not used for a week
    ada.post("/auth/logout", json!({})).is(200, "");
    server.clock.advance(Duration::from_mins(1));
    assert_eq!(rows(), [2, 2]);
    server.clock.advance(Duration::from_hours(7 * 24));
    assert_eq!(rows(), [2, 0]);

    // a clock that is set back does not hold on to them
    server.clock.set(usher::domain::Timestamp::from_millis(START));
    assert_eq!(rows(), [2, 2]);
}

#[test]
fn a_database_that_is_gone_leaves_gaps_and_the_rest_is_told() {
    let server = server();
    server.user("ada");
    server.drop_sessions_table();
    let scrape = Scrape::of(&server);
    assert_eq!(scrape.find("usher_sessions", &[]), None);
    assert_eq!(scrape.count("usher_hashes_total", &[]), 2);
}

#[test]
fn the_version_and_the_time_of_the_start_are_told() {
    let scrape = Scrape::of(&server());
    assert_eq!(scrape.count("usher_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1);
    assert_eq!(scrape.count("process_start_time_seconds", &[]), u64::try_from(START).unwrap() / 1000);
}

#[test]
fn the_public_port_has_no_metrics_and_the_port_for_metrics_has_nothing_else() {
    let server = server();
    let admin = server.admin("root");
    let metrics = server.metrics.expect("an address");
    for path in ["//metrics", "/metrics", "//metrics/", "//Metrics"] {
        admin.get(path).is(404, "not_found");
    }
    for path in ["/", "/metrics/", "//metrics", "/healthz", "/docs", "/api/v1/auth/me", "/api/v1/openapi.json"] {
        let answer = get(metrics, path);
        assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("\"not_found\""), "{path}: {answer}");
    }
    let posted = raw(metrics, "POST /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    assert!(posted.starts_with("HTTP/1.1 405 ") && posted.contains("\"method_not_allowed\""), "{posted}");
    assert!(posted.to_lowercase().contains("\r\nallow: get, head\r\n"), "{posted}");
    let nowhere = get(metrics, "/");
    for answer in [&posted, &nowhere] {
        assert!(answer.to_lowercase().contains("\r\nx-request-id: "), "{answer}");
    }
    let head = raw(metrics, "HEAD /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn a_scrape_is_openmetrics_and_is_not_stored() {
    let server = server();
    let answer = get(server.metrics.expect("an address"), "/metrics?anything=1").to_lowercase();
    for header in [
        "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
    ] {
        assert!(answer.contains(&format!("\r\n{header}\r\n")), "{answer}");
    }
    assert!(!answer.contains("access-control-"), "{answer}");
}

/// Where a server says that its metrics are.
fn metrics_address(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once("metrics are at http://")?;
    rest.split_once("/metrics").map(|(address, _)| address.parse().expect("an address"))
}

#[test]
fn the_port_is_logged_and_warned_about_beyond_this_machine_and_there_is_none_unless_it_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let log_of = |arguments: &[&str]| {
        let serving = Serving::start(folder.path(), arguments);
        if let Some(address) = metrics_address(&serving.log()) {
            let address = SocketAddr::from(([127, 0, 0, 1], address.port()));
            assert_eq!(Scrape::at(address).count("usher_users", &[]), 0);
        }
        serving.signal("TERM");
        serving.wait().1
    };
    let none = log_of(&[]);
    let here = log_of(&["--metrics-listen", "127.0.0.1:0"]);
    let everywhere = log_of(&["--metrics-listen", "0.0.0.0:0"]);
    assert!(!none.contains("metrics"), "{none}");
    assert!(metrics_address(&here).is_some() && !here.contains("can be read by everyone"), "{here}");
    assert!(metrics_address(&everywhere).is_some() && everywhere.contains("can be read by everyone"), "{everywhere}");
    assert!(!here.contains("route=/metrics") && !here.contains("route=unmatched"), "scrapes are no requests: {here}");
}

#[test]
fn a_port_for_metrics_that_is_taken_or_the_public_one_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let output = usher(folder.path(), &["serve", "--metrics-listen", &taken]);
    assert_eq!(output.status.code(), Some(1));
    let line = complaint(&output);
    assert!(line.contains(&taken) && line.contains("in use") && line.contains("with --metrics-listen"), "{line}");

    for (listen, metrics) in [
        ("127.0.0.1:18099", "127.0.0.1:18099"),
        ("0.0.0.0:18099", "127.0.0.1:18099"),
        ("127.0.0.1:18099", "[::]:18099"),
    ] {
        let output = usher(folder.path(), &["serve", "--listen", listen, "--metrics-listen", metrics]);
        assert_eq!(output.status.code(), Some(2));
        let line = complaint(&output);
        assert!(line.contains("--metrics-listen") && line.contains("the same port"), "{line}");
    }
}

#[test]
fn the_port_for_metrics_closes_with_the_server_and_a_connected_scraper_does_not_hold_it_up() {
    // given: one scraper between scrapes, and one that has sent nothing
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--metrics-listen", "127.0.0.1:0", "--shutdown-timeout", "1h"]);
    let address = metrics_address(&serving.log()).expect("it is logged before the public address");
    let mut scraper = TcpStream::connect(address).unwrap();
    scraper.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    let mut start = [0; 15];
    scraper.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200 OK");
    let _silent = TcpStream::connect(address).unwrap();

    // when
    serving.signal("TERM");
    let (status, log) = serving.wait();

    // then
    assert_eq!(status, Some(0), "{log}");
    assert!(log.trim_end().ends_with("stopped"), "{log}");
    assert!(TcpStream::connect(address).is_err());
}
