//! What the pages of administrators, and of one's own account, cost with many accounts and a long audit log:
//! `cargo bench --bench console`.

mod kit;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use kit::{
    figures::{median, micros, most, quantile, span, with_range},
    gathered::{GROUPS, gather},
    http::Connection,
    process::Folder,
    seeding::{self, ADMIN, BUSY, PASSWORD, Size, seed},
    server::{Serving, forget},
};
use std::{path::Path, process::ExitCode};
use usher::domain::{Day, Timestamp};

/// Measure the first page of each list, over HTTP, as a browser asks for it
///
/// It fills a database with accounts, 150 groups, 150 apps, 1,000 invitations and an audit log, and has `usher check` look at
/// it. In each round a server is started on it, which finds nothing of it in memory. Each request waits for the answer to the
/// one before. Of each round the median is taken; the table shows the median of the rounds with their range, the 99th
/// percentile of all requests together, the longest first request of a round, and how large the page is.
///
/// Exit status: 0 if every median is within the limit, 1 if one is not.
#[derive(Parser)]
struct Arguments {
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1_000..=1_000_000))]
    users: u32,

    /// How many entries the audit log has
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    entries: u32,

    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Requests of each page in a round
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    requests: u32,

    /// The most that a median may be, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 50.0)]
    most: f64,

    /// Only the pages whose path contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,

    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<ExitCode> {
    if !kit::is_benchmark() {
        return Ok(ExitCode::SUCCESS);
    }
    let Arguments { users, entries, rounds, requests, most, only, .. } = Arguments::parse();
    let folder = Folder::new()?;
    let file = folder.join("usher.db");
    seed(&file, Size { users, sessions: 2 * users }, &[])?;
    gather(&file, users, entries)?;
    let size = file.metadata()?.len() >> 20;
    println!("{users} accounts, {entries} audit entries, {size} MiB; {rounds} rounds of {requests} requests a page");
    let mut lines: Vec<Line> = pages().into_iter().filter(|line| line.path.contains(&only)).collect();
    for _ in 0..rounds {
        let mut browsers = Browsers::start(&file, users)?;
        for line in &mut lines {
            browsers.measure(line, requests)?;
        }
    }
    println!("{:<88} {:>20} {:>8} {:>8} {:>7}", "", "median", "p99", "first", "KiB");
    for line in &lines {
        println!("{line}");
    }
    let worst = lines.iter().map(Line::median).fold(0.0, f64::max);
    println!("the slowest takes {}; {most} ms are allowed", span(worst));
    Ok(ExitCode::from(u8::from(worst > most * 1_000.0)))
}

/// A page, and what was measured of it.
struct Line {
    path: String,
    /// Whether an administrator opens it, or the account with the most sessions and app tokens.
    by_admin: bool,
    /// The times of each round, in microseconds.
    rounds: Vec<Vec<f64>>,
    bytes: usize,
}

impl Line {
    fn of(path: impl Into<String>, by_admin: bool) -> Self {
        Self { path: path.into(), by_admin, rounds: vec![], bytes: 0 }
    }

    fn medians(&self) -> Vec<f64> {
        self.rounds.iter().map(|times| median(times)).collect()
    }

    fn median(&self) -> f64 {
        median(&self.medians())
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let firsts: Vec<f64> = self.rounds.iter().map(|times| times[0]).collect();
        let (p99, first) = (span(quantile(&self.rounds.concat(), 0.99)), span(most(&firsts)));
        write!(f, "{:<88} {:>20} {p99:>8} {first:>8} {:>7}", self.path, with_range(&self.medians()), self.bytes >> 10)
    }
}

/// Every list, with each filter that it has, and the pages of one thing of each kind.
fn pages() -> Vec<Line> {
    let day = |ago| Day::of(Timestamp::from_millis(now_millis())).minus(ago).to_string();
    let [failed, rare] = ["action=session.sign_in_failed", "action=database.backed_up"];
    let account = format!("account={BUSY}");
    let days = format!("from={}&to={}", day(40), day(30));
    let audit = [
        String::new(),
        failed.to_owned(),
        rare.to_owned(),
        account.clone(),
        format!("{account}&part=actor"),
        days.clone(),
        format!("{failed}&{account}"),
        format!("{failed}&{days}"),
        format!("{rare}&{days}"),
        format!("{account}&{days}"),
        format!("action=session.signed_in&{account}&part=actor&{days}"),
        format!("account=77&{days}"),
    ];
    let users = ["", "q=a", "q=anna.schmidt", "role=admin", "disabled=true", "role=user&disabled=false&q=s2026-"];
    let orders = ["username", "-username", "-id", "last_login_at", "-last_login_at"].map(|sort| format!("sort={sort}"));
    let with = |path: &str, query: &str| if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let mut lines = vec![Line::of("/admin", true)];
    lines.extend(users.iter().map(|query| Line::of(with("/admin/users", query), true)));
    lines.extend(orders.iter().map(|query| Line::of(with("/admin/users", query), true)));
    lines.extend(audit.iter().map(|query| Line::of(with("/admin/audit", query), true)));
    let others = ["/admin/groups", "/admin/apps", "/admin/invitations", "/admin/health"];
    lines.extend(others.map(|path| Line::of(path, true)));
    let ones = [format!("/admin/users/{BUSY}"), format!("/admin/groups/{GROUPS}"), "/admin/apps/2".to_owned()];
    lines.extend(ones.map(|path| Line::of(path, true)));
    let own = ["/", "/account", "/account/sessions", "/account/app-tokens", "/account/history"];
    lines.extend(own.map(|path| Line::of(path, false)));
    lines
}

fn now_millis() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or_default()
}

/// A server, and two browsers in which somebody has signed in.
struct Browsers {
    _server: Serving,
    connection: Connection,
    host: String,
    /// The cookies of the administrator and of the busy account.
    cookies: [String; 2],
}

impl Browsers {
    fn start(file: &Path, users: u32) -> Result<Self> {
        forget(file)?;
        // Signing in again and again from one address is what the throttle is for.
        let server = Serving::start(file, &["--throttle", "off"])?;
        let (mut connection, host) = (server.connect()?, server.address.to_string());
        let (_, busy) = seeding::name(u32::try_from(BUSY)?, users);
        let cookies = [sign_in(&mut connection, &host, ADMIN.1)?, sign_in(&mut connection, &host, &busy)?];
        Ok(Self { _server: server, connection, host, cookies })
    }

    fn measure(&mut self, line: &mut Line, requests: u32) -> Result<()> {
        let cookie = &self.cookies[usize::from(!line.by_admin)];
        let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n", line.path, self.host);
        let mut times = Vec::new();
        for _ in 0..requests {
            let answer = self.connection.exchange(request.as_bytes())?;
            times.push(micros(answer.took));
            line.bytes = answer.ok().with_context(|| line.path.clone())?.body.len();
        }
        line.rounds.push(times);
        Ok(())
    }
}

/// Signs in on the page, and returns the cookie of the session.
fn sign_in(connection: &mut Connection, host: &str, login: &str) -> Result<String> {
    let form: String = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("login", login), ("password", PASSWORD)])
        .finish();
    let head = format!("POST /sign-in HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Site: same-origin\r\n");
    let kind = "Content-Type: application/x-www-form-urlencoded";
    let request = format!("{head}{kind}\r\nContent-Length: {}\r\n\r\n{form}", form.len());
    let answer = connection.exchange(request.as_bytes())?;
    ensure!(answer.status == 303, "nobody is signed in: {}", answer.head);
    Ok(answer.cookie("usher=").context("no cookie")?.to_owned())
}
