//! Browsers that have entered an app behind a proxy: what the proxy asks about each of their requests.

use crate::{
    kit::{
        http::{Answer, Connection},
        load::{self, Until},
        seeding::{PASSWORD, Size, is_disabled, seed},
        server::{Serving, run},
    },
    sides::any_of,
};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::{path::Path, time::Duration};

const PUBLIC: &str = "http://auth.localhost";
const APP: &str = "http://notes.localhost";
const APP_HOST: &str = "notes.localhost";
/// How many browsers there are.
const BROWSERS: i64 = 200;

/// A server with an app, and requests about it.
pub struct Entered {
    server: Serving,
    /// `verify` with the cookie of the app, as the proxy asks it.
    verify: Vec<Vec<u8>>,
    /// `/auth/me` with session tokens of the same accounts.
    me: Vec<Vec<u8>>,
    /// The same with the headers of `verify`, which are not read.
    me_through_proxy: Vec<Vec<u8>>,
}

impl Entered {
    pub fn start(database: &Path) -> Result<Self> {
        seed(database, Size { users: 1_000, sessions: 2_000 }, &[])?;
        let add = ["app", "add", "--name", "Notes", "--url", APP, "--access", "everyone", "--public-url", PUBLIC];
        run(database, &add, "")?;
        let settings = ["--throttle", "off", "--trusted-proxy", "127.0.0.1", "--public-url", PUBLIC];
        let server = Serving::start(database, &settings)?;
        let mut connection = server.connect()?;
        let emails = rusqlite::Connection::open(database)?;
        let (mut verify, mut me, mut me_through_proxy) = (Vec::new(), Vec::new(), Vec::new());
        for id in (1..).filter(|id| !is_disabled(*id)).take(usize::try_from(BROWSERS)?) {
            let email: String = emails.query_row("SELECT email FROM users WHERE id = ?1", [id], |row| row.get(0))?;
            let login = connection.post("/auth/login", &json!({"email": email, "password": PASSWORD}))?.ok()?.json()?;
            let token = login["token"].as_str().context("no token")?;
            let cookie = enter(&mut connection, &email)?;
            let asked = "X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /\r\n";
            let of_proxy = format!("{}{asked}Cookie: {cookie}\r\n", forwarded());
            let get =
                |path: &str, headers: &str| format!("GET /api/v1/auth/{path} HTTP/1.1\r\n{headers}\r\n").into_bytes();
            let authorization = format!("Authorization: Bearer {token}\r\n");
            verify.push(get("verify", &of_proxy));
            me.push(get("me", &format!("Host: localhost\r\n{authorization}")));
            me_through_proxy.push(get("me", &format!("{of_proxy}{authorization}")));
        }
        Ok(Self { server, verify, me, me_through_proxy })
    }

    pub fn verify_rate(&self, connections: usize, span: Duration) -> Result<f64> {
        self.rate(connections, span, &self.verify)
    }

    pub fn me_rate(&self, connections: usize, span: Duration) -> Result<f64> {
        self.rate(connections, span, &self.me)
    }

    pub fn me_through_proxy_rate(&self, connections: usize, span: Duration) -> Result<f64> {
        self.rate(connections, span, &self.me_through_proxy)
    }

    fn rate(&self, connections: usize, span: Duration, requests: &[Vec<u8>]) -> Result<f64> {
        let load = load::run(self.server.address, connections, Until::Passed(span), any_of(requests.to_vec()));
        Ok(load.with_context(|| self.server.process.log())?.rate())
    }
}

fn forwarded() -> String {
    format!("Host: usher\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: {APP_HOST}\r\n")
}

/// Signs in, and goes to the app as a browser does. Returns the cookie of the app's host.
fn enter(connection: &mut Connection, email: &str) -> Result<String> {
    let host = PUBLIC.trim_start_matches("http://");
    let form: String = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("login", email), ("password", PASSWORD)])
        .finish();
    let head = format!("POST /sign-in HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Site: same-origin\r\n");
    let kind = "Content-Type: application/x-www-form-urlencoded";
    let sign_in = format!("{head}{kind}\r\nContent-Length: {}\r\n\r\n{form}", form.len());
    let signed_in = cookie(&connection.exchange(sign_in.as_bytes())?, "usher=")?;
    let mut get = |path: &str, headers: &str, cookie: &str| {
        connection.exchange(format!("GET {path} HTTP/1.1\r\n{headers}Cookie: {cookie}\r\n\r\n").as_bytes())
    };
    let start = get("/_usher/start?to=/", &forwarded(), "a=b")?;
    let flow = cookie(&start, "usher-flow=")?;
    let code = get(&path(&start, PUBLIC)?, &format!("Host: {host}\r\n"), &signed_in)?;
    cookie(&get(&path(&code, APP)?, &forwarded(), &flow)?, "usher-app=")
}

/// The cookie of this name that an answer sets.
fn cookie(answer: &Answer, name: &str) -> Result<String> {
    let lines = answer.head.lines().filter_map(|line| line.split_once(": "));
    let mut set = lines.filter(|(header, _)| header.eq_ignore_ascii_case("set-cookie")).map(|(_, value)| value);
    let cookie = set.find(|value| value.starts_with(name)).and_then(|value| value.split(';').next());
    Ok(cookie.with_context(|| format!("no {name} in {}", answer.head))?.to_owned())
}

/// Where an answer leads, at this origin.
fn path(answer: &Answer, origin: &str) -> Result<String> {
    ensure!(answer.status == 303, "answered {}", answer.head);
    let location = answer.header("location").context("no location")?;
    Ok(location.strip_prefix(origin).with_context(|| format!("it leads to {location}"))?.to_owned())
}
