//! What the tests share: a real server on a real port with a real file, and clients that speak to it.
//!
//! Every answer is held against the spec on its way to the test: an operation, a status or an error code that the spec
//! does not list fails the test that met it.

#![allow(dead_code, reason = "each test file uses its own part")]

pub mod apps;
pub mod binary;
#[cfg(feature = "system-tests")]
pub mod browser;
pub mod damage;
pub mod hostile;
pub mod import;
pub mod person;
pub mod probes;
#[cfg(feature = "system-tests")]
pub mod proxies;
#[cfg(feature = "system-tests")]
pub mod small;
#[cfg(feature = "system-tests")]
pub mod tunnel;

use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};
use tokio::sync::oneshot;
use usher::{
    app::{App, NewAccount, Policy},
    clock::Clock,
    domain::{Caller, EmailAddress, PasswordPolicy, Role, Timestamp, Username},
    hashing::{Cost, HashPool},
    http::{self, HttpSettings, Listeners},
    store::Store,
};

/// A password that every test account has.
pub const PASSWORD: &str = "correct horse battery";
/// Hashes in well under a millisecond.
pub const CHEAP: Cost = Cost { memory: 64, iterations: 1, parallelism: 1 };
/// 2026-11-22T10:00:00Z, when every test begins.
pub const START: i64 = 1_795_341_600_000;

/// What a test may want otherwise.
pub struct Settings {
    pub policy: Policy,
    pub http: HttpSettings,
    /// Whether there is a port for metrics.
    pub metrics: bool,
    pub cost: Cost,
    pub hash_threads: usize,
    pub hash_queue: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            http: HttpSettings {
                trusted_proxies: vec![],
                cors_origins: vec![],
                max_connections: 4096,
                shutdown_timeout: Duration::from_secs(10),
                docs: true,
            },
            metrics: false,
            cost: CHEAP,
            hash_threads: 2,
            hash_queue: 1_000, // a quarter of which is for the one site that tests come from
        }
    }
}

/// A server of its own for one test, on a port of its own, with a database of its own and a clock that the test moves.
pub struct Server {
    pub address: SocketAddr,
    /// Where the metrics are, if the settings ask for them.
    pub metrics: Option<SocketAddr>,
    pub clock: Clock,
    pub app: Arc<App>,
    folder: Option<tempfile::TempDir>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let clock = Clock::set_to(Timestamp::from_millis(START));
        Self::on(tempfile::tempdir().expect("a folder"), clock, change)
    }

    /// On a database that may be there already.
    pub fn on(folder: tempfile::TempDir, clock: Clock, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        change(&mut settings);
        let path = folder.path().join("usher.db");
        let lock = Store::lock(&path).expect("nobody else has it");
        Store::prepare(&path, &lock).expect("a database");
        let store = Store::open_locked(&path, 2, clock.clone(), lock).expect("it opens");
        let hashing = HashPool::start(settings.cost, settings.hash_threads, settings.hash_queue).expect("threads");
        let app = Arc::new(App::new(store, hashing, clock.clone(), settings.policy));
        let (stop, stopped) = oneshot::channel();
        let (bound, address) = std::sync::mpsc::channel();
        let serving = app.clone();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
            runtime.block_on(async {
                serving.maintenance.resume().await.expect("the database answers");
                let listen = || async { tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port") };
                let metrics = if settings.metrics { Some(listen().await) } else { None };
                let listeners = Listeners { public: listen().await, metrics };
                let address = |listener: &tokio::net::TcpListener| listener.local_addr().expect("an address");
                let addresses = (address(&listeners.public), listeners.metrics.as_ref().map(address));
                bound.send(addresses).expect("the test waits");
                let shutdown = async { drop(stopped.await) };
                http::serve(listeners, serving, settings.http, shutdown).await;
            });
        });
        let (address, metrics) = address.recv().expect("the server starts");
        Self { address, metrics, clock, app, folder: Some(folder), stop: Some(stop), thread: Some(thread) }
    }

    /// Stops, and starts again on the same database.
    pub fn restart(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        let (folder, clock) = (self.folder.take().expect("not stopped yet"), self.clock.clone());
        drop(self);
        Self::on(folder, clock, change)
    }

    pub fn database(&self) -> PathBuf {
        self.folder.as_ref().expect("not stopped yet").path().join("usher.db")
    }

    /// A connection of the test's own to the database, to see what is stored, or to break it.
    pub fn sql(&self) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(self.database()).expect("the database opens");
        connection.busy_timeout(Duration::from_secs(5)).expect("a timeout");
        connection
    }

    /// One value from the database.
    pub fn query<T: rusqlite::types::FromSql>(&self, sql: &str) -> T {
        self.sql().query_row(sql, [], |row| row.get(0)).expect(sql)
    }

    /// Writes what was gathered, now.
    pub fn flush(&self) {
        futures_executor::block_on(self.app.maintenance.flush()).expect("it can be written");
    }

    /// Somebody without a token.
    pub fn anon(&self) -> Client {
        Client::new(self.address, None, 0)
    }

    /// Registers `NAME` with the address `NAME@example.com`, and signs in.
    pub fn user(&self, name: &str) -> Client {
        let body = json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD});
        let made = self.anon().post("/users", body);
        assert_eq!(made.status, 201, "{made:?}");
        self.sign_in(name)
    }

    /// Makes an administrator as the shell does, and signs in.
    pub fn admin(&self, name: &str) -> Client {
        let account = NewAccount {
            username: Username::parse(name).expect("a name"),
            email: EmailAddress::parse(&format!("{name}@example.com")).expect("an address"),
            password: PasswordPolicy::default().accept(PASSWORD, &[]).expect("a password"),
            role: Role::Admin,
            invitation: None,
        };
        futures_executor::block_on(self.app.accounts.register(&Caller::shell(), account)).expect("an account");
        self.sign_in(name)
    }

    pub fn sign_in(&self, name: &str) -> Client {
        let answer = self.anon().login(&format!("{name}@example.com"), PASSWORD);
        assert_eq!(answer.status, 200, "{answer:?}");
        let (token, id) = (answer.json()["token"].as_str().map(str::to_owned), answer.json()["user"]["id"].as_i64());
        Client::new(self.address, token, id.expect("an id"))
    }

    /// Sends bytes as they are, and reads until the server closes.
    pub fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        raw(self.address, bytes)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.expect("the server did not panic");
            }
        }
    }
}

/// Hangs up so that the server hears of it at once. A connection that is only closed may be one whose client has nothing
/// more to send and still wants the answer.
pub fn hang_up(stream: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("it can");
}

/// Sends bytes as they are, and reads until the other side closes or says nothing for ten seconds.
pub fn raw(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let _ = stream.write_all(bytes.as_ref()); // the server may close before it has read all
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Someone who sends requests, with a token or without.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    pub token: Option<String>,
    pub id: i64,
    agent: ureq::Agent,
}

impl Client {
    pub fn new(address: SocketAddr, token: Option<String>, id: i64) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_mins(1)))
            .build();
        Self { address, token, id, agent: config.into() }
    }

    /// The same client with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The path of the client's own account.
    pub fn me(&self) -> String {
        format!("/users/{}", self.id)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    pub fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], Some(body.to_string().as_bytes()))
    }

    pub fn put(&self, path: &str, body: Value) -> Answer {
        self.put_if(path, None, body)
    }

    pub fn put_if(&self, path: &str, if_match: Option<&str>, body: Value) -> Answer {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(if_match.map(|tag| ("if-match", tag)));
        self.send("PUT", path, &headers, Some(body.to_string().as_bytes()))
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], None)
    }

    pub fn login(&self, email: &str, password: &str) -> Answer {
        self.post("/auth/login", json!({"email": email, "password": password}))
    }

    /// Any request below `/api/v1`, or, where the path begins with two slashes, anywhere (`//healthz`).
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        let full = path.strip_prefix('/').filter(|rest| rest.starts_with('/'));
        let full = full.map_or_else(|| format!("/api/v1{path}"), str::to_owned);
        let mut request = ureq::http::Request::builder().method(method).uri(format!("http://{}{full}", self.address));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = match body {
            Some(body) => self.agent.run(request.body(body).expect("a request")),
            None => self.agent.run(request.body(()).expect("a request")),
        };
        let mut response = sent.unwrap_or_else(|error| panic!("{method} {full}: {error}"));
        let answer = Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.body_mut().read_to_vec().expect("a body"),
        };
        hold_against_spec(method, &full, &answer);
        answer
    }
}

/// An answer, read whole.
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, String::from_utf8_lossy(&self.body))
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The error's code, or an empty text.
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The faulty fields of a `validation_failed`, sorted.
    pub fn faulty(&self) -> Vec<String> {
        assert_eq!(self.code(), "validation_failed", "{self:?}");
        let mut fields: Vec<String> =
            self.json()["error"]["details"].as_object().expect("details").keys().cloned().collect();
        fields.sort();
        fields
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("plain text"))
    }

    /// Asserts status and code in one line.
    #[track_caller]
    pub fn is(&self, status: u16, code: &str) -> &Self {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{self:?}");
        self
    }
}

/// The document that the handlers generate.
pub fn spec() -> &'static Value {
    static SPEC: OnceLock<Value> = OnceLock::new();
    SPEC.get_or_init(|| serde_json::from_str(&http::spec()).expect("the spec is JSON"))
}

/// The operation of the spec that a path leads to.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let path = path.strip_prefix("/api/v1")?.split('?').next()?;
    let matches = |template: &str| {
        let (wanted, given) = (template.split('/'), path.split('/'));
        wanted.clone().count() == given.clone().count()
            && wanted.zip(given).all(|(wanted, given)| wanted.starts_with('{') || wanted == given)
    };
    let paths = spec()["paths"].as_object().expect("paths");
    let found = paths.iter().filter(|(template, _)| matches(template));
    let (_, found) = found.min_by_key(|(template, _)| template.matches('{').count())?;
    found.get(method.to_lowercase())
}

/// Asserts what is promised of an answer, wherever it comes from.
fn hold_against_spec(method: &str, path: &str, answer: &Answer) {
    hold_every_answer(method, path, answer);
    if answer.status >= 400 {
        hold_failure(method, path, answer);
    }
    if let Some(operation) = operation(method, path) {
        hold_against_operation(operation, method, path, answer);
    }
}

/// What holds for every answer.
fn hold_every_answer(method: &str, path: &str, answer: &Answer) {
    for (name, value) in [("cache-control", "no-store"), ("x-content-type-options", "nosniff"), ("vary", "Origin")] {
        assert_eq!(answer.header(name), value, "{method} {path}");
    }
    assert!(!answer.header("x-request-id").is_empty(), "{method} {path}");
}

/// What holds for a failure, by the form that failures have at its path: the envelope for programs, and a page for people
/// elsewhere, if the server has pages.
fn hold_failure(method: &str, path: &str, answer: &Answer) {
    let is_for_programs = path.starts_with("/api/") || ["/api", "/healthz", "/readyz"].contains(&path);
    if method == "HEAD" {
        return;
    }
    if !is_for_programs && answer.header("content-type").starts_with("text/html") {
        hold_page(method, path, answer);
    } else {
        hold_envelope(method, path, answer);
    }
}

fn hold_page(method: &str, path: &str, answer: &Answer) {
    let page = String::from_utf8_lossy(&answer.body);
    let promised = ["<!doctype html>", "role=\"alert\"", answer.header("x-request-id")];
    assert!(promised.iter().all(|part| page.contains(part)), "{method} {path} {answer:?}");
    assert!(!answer.header("content-security-policy").is_empty(), "{method} {path} {answer:?}");
}

fn hold_envelope(method: &str, path: &str, answer: &Answer) {
    assert_eq!(answer.header("content-type"), "application/json", "{method} {path} {answer:?}");
    assert!(answer.json()["error"]["details"].is_object(), "{method} {path} {answer:?}");
}

/// What an operation of the spec promises: a status, and with it an error code or the members of a body.
fn hold_against_operation(operation: &Value, method: &str, path: &str, answer: &Answer) {
    let documented = &operation["responses"][answer.status.to_string()];
    assert!(documented.is_object(), "{method} {path} answered {} beyond the spec: {answer:?}", answer.status);
    let content = &documented["content"]["application/json"];
    if answer.status >= 400 {
        assert!(content["examples"][answer.code()].is_object(), "{method} {path}: code beyond the spec: {answer:?}");
    } else if let Some(schema) = named_schema(&content["schema"]) {
        let (body, given) = (answer.json(), answer.json().as_object().cloned().expect("an object"));
        let promised = |schema: &&Value| {
            let mut required = schema["required"].as_array().expect("required").iter().flat_map(Value::as_str);
            required.all(|member| given.contains_key(member))
        };
        let forms =
            schema["oneOf"].as_array().map_or_else(|| vec![schema], |one| one.iter().flat_map(named_schema).collect());
        let form = forms.into_iter().find(promised);
        let form = form.unwrap_or_else(|| panic!("{method} {path} lacks a member: {body}"));
        let known = |member: &String| form["properties"][member].is_object();
        assert!(given.keys().all(known), "{method} {path} has a member beyond the spec: {body}");
    }
}

/// The schema of the spec that a reference names.
fn named_schema(reference: &Value) -> Option<&'static Value> {
    let name = reference["$ref"].as_str().and_then(|name| name.rsplit('/').next())?;
    Some(&spec()["components"]["schemas"][name])
}

/// A number that no other test of this process has.
pub fn unique() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}
