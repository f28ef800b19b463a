//! What a page, a search and a token check cost in a large database, beside a small one of the same making:
//! `cargo bench --bench large -- FILE`, with a file that the `seed` tool made.

mod kit;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use kit::{
    figures::{least, median, micros, most, quantile, span, with_range},
    http::{Connection, post},
    pages::pages,
    process::Folder,
    seeding::{self, ADMIN, BUSY, PASSWORD, Size, seed},
    server::{Serving, forget},
};
use rusqlite::OpenFlags;
use serde_json::json;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// Measure a large database and a small one in turns, over HTTP
///
/// Each request waits for the answer to the one before. Of each round the median is taken; the table shows the median of
/// the rounds with their range, the 99th percentile of all requests together, and the ratio of large to small with its
/// range, taken round by round. The sign-ins that it makes stay in the file.
#[derive(Parser)]
struct Arguments {
    /// What `seed` made; its tokens lie beside it
    file: PathBuf,

    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Requests of each kind in a round; where they are slow, fewer
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    requests: u32,

    /// Only the lines whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,

    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// How many accounts the small database has, and how many sessions.
const SMALL: Size = Size { users: 1_000, sessions: 2_000 };
/// No more time than this goes into one kind of request in one round.
const LONGEST: Duration = Duration::from_millis(1_500);

fn main() -> Result<()> {
    if !kit::is_benchmark() {
        return Ok(());
    }
    let Arguments { file, rounds, requests, only, .. } = Arguments::parse();
    let folder = Folder::new()?;
    let small = folder.join("small.db");
    seed(&small, SMALL, &[])?;
    let databases = [Database::open(small)?, Database::open(file)?];
    let [few, many] = databases.each_ref().map(|database| database.users);
    println!("{few} and {many} users; {rounds} rounds of up to {requests} requests of a kind");
    let mut lines: Vec<Line> = Vec::new();
    for round in 0..rounds {
        let mut running = [databases[0].start()?, databases[1].start()?];
        let [few, many] = [0, 1].map(|which| databases[which].cases(round, requests, &running[which].token));
        for cases in few.into_iter().zip(many).map(|(few, many)| [few, many]) {
            let name = &cases[0].name;
            if !name.contains(&only) {
                continue;
            }
            let line = lines.iter().position(|line| line.name == *name).unwrap_or(lines.len());
            if line == lines.len() {
                lines.push(Line { name: name.clone(), rounds: [vec![], vec![]] });
            }
            // Each goes first as often as the other.
            for which in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
                let sample = running[which].repeat(&cases[which])?;
                lines[line].rounds[which].push(sample);
            }
        }
    }
    println!("{:<52} {:>22} {:>7} {:>22} {:>7}  ratio", "", "small", "p99", "large", "p99");
    for line in &lines {
        println!("{line}");
    }
    Ok(())
}

/// What was measured of one kind of request: for each database, for each round, the times.
struct Line {
    name: String,
    rounds: [Vec<Vec<f64>>; 2],
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:<52}", self.name)?;
        let medians =
            self.rounds.each_ref().map(|rounds| rounds.iter().map(|sample| median(sample)).collect::<Vec<_>>());
        for (medians, rounds) in medians.iter().zip(&self.rounds) {
            write!(f, " {:>22} {:>7}", with_range(medians), span(quantile(&rounds.concat(), 0.99)))?;
        }
        let [small, large] = medians;
        let ratios: Vec<f64> = small.iter().zip(&large).map(|(small, large)| large / small).collect();
        write!(f, "  {:.2} [{:.2}–{:.2}]", median(&ratios), least(&ratios), most(&ratios))
    }
}

/// A database, and where its lists are asked for.
struct Database {
    file: PathBuf,
    users: u32,
    tokens: Vec<String>,
    lists: Vec<(String, String)>,
}

impl Database {
    fn open(file: PathBuf) -> Result<Self> {
        let tokens = seeding::tokens(&file)?.into_iter().map(|(token, _)| token).collect();
        let connection = rusqlite::Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let users = connection.query_row("SELECT max(id) FROM users", [], |row| row.get(0))?;
        let lists = lists(&connection, users)?;
        connection.close().map_err(|(_, error)| error)?;
        Ok(Self { file, users, tokens, lists })
    }

    /// A server on the database, which was not in memory, and an administrator's session.
    fn start(&self) -> Result<Running> {
        forget(&self.file)?;
        // Signing in again and again from one address is what the throttle is for.
        let server = Serving::start(&self.file, &["--throttle", "off"])?;
        let mut connection = server.connect()?;
        let admin = connection.exchange(sign_in(ADMIN.1).as_bytes())?.ok()?.json()?;
        let token = admin["token"].as_str().context("no token")?.to_owned();
        Ok(Running { server, connection, token })
    }

    /// What is asked in a round, in this order; it is the same for every database.
    fn cases(&self, round: u32, requests: u32, token: &str) -> Vec<Case> {
        let mut cases = Vec::new();
        let mut case = |name: &str, requests: Vec<String>| cases.push(Case { name: name.to_owned(), requests });
        let again = |path: &str, times: u32| vec![request(path, token); times as usize];
        case("start, until it can be connected to", vec![]);
        // Other tokens in every round.
        let tokens = self.tokens.iter().cycle().skip((round * requests) as usize).take(requests as usize);
        let checks: Vec<String> = tokens.map(|token| request("/auth/me", token)).collect();
        case("token check, the file not in memory", checks.clone());
        case("the first list after a start", again("/users", 1));
        case("token check", checks);
        // 7,919 is a prime: other accounts in every round.
        let ids = (1..=self.users).cycle().step_by(7_919).skip((1 + round * requests) as usize).take(requests as usize);
        let users: Vec<String> = ids.map(|id| request(&format!("/users/{id}"), token)).collect();
        case("one user, the file not in memory", users.clone());
        case("one user", users);
        case("sessions, a hundred of one user", again(&format!("/users/{BUSY}/sessions"), requests));
        for (name, path) in &self.lists {
            case(name, again(path, requests));
        }
        let able = (2..=self.users).cycle().step_by(7_919).filter(|number| !seeding::is_disabled(*number));
        let emails = able.map(|number| seeding::name(number, self.users).1).take(requests.min(20) as usize);
        case("sign-in", emails.map(|email| sign_in(&email)).collect());
        cases
    }
}

/// Requests of one kind; none stand for the start.
struct Case {
    name: String,
    requests: Vec<String>,
}

/// A server with a connection to it.
struct Running {
    server: Serving,
    connection: Connection,
    token: String,
}

impl Running {
    /// The times of a kind of request, in microseconds.
    fn repeat(&mut self, case: &Case) -> Result<Vec<f64>> {
        if case.requests.is_empty() {
            return Ok(vec![micros(self.server.started_in)]);
        }
        let (start, mut times) = (Instant::now(), Vec::new());
        for request in &case.requests {
            let answer = self.connection.exchange(request.as_bytes())?;
            times.push(micros(answer.took));
            answer.ok().with_context(|| case.name.clone())?;
            if start.elapsed() > LONGEST && times.len() >= 3 {
                break;
            }
        }
        Ok(times)
    }
}

fn sign_in(email: &str) -> String {
    post("/auth/login", &json!({"email": email, "password": PASSWORD}))
}

fn request(path: &str, token: &str) -> String {
    format!("GET /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n")
}

/// The lists that are asked for: what each is called, and its path.
fn lists(connection: &rusqlite::Connection, users: u32) -> Result<Vec<(String, String)>> {
    let mut lists = Vec::new();
    let mut list = |name: &str, query: &str| lists.push((name.to_owned(), format!("/users?{query}")));
    for (name, query) in pages(connection, users)? {
        list(&name, &query);
    }
    for filter in
        ["role=admin", "disabled=true", "disabled=false", "role=user&disabled=true", "role=admin&sort=-last_login_at"]
    {
        list(filter, filter);
    }
    let [nobody, one, family, first, import] = ["zzz", "anna.schmidt", "Schmidt", "anna", "s2026-"];
    for (name, q) in
        [("nobody", nobody), ("few", one), ("a family name", family), ("a first name", first), ("an import", import)]
    {
        for sort in ["id", "-created_at", "username", "-username", "last_login_at"] {
            list(&format!("search, {name} ({q}), sort={sort}"), &format!("q={q}&sort={sort}"));
        }
    }
    for filter in ["role=admin&q=s2026-", "disabled=true&q=anna"] {
        list(&format!("search and filter, {filter}"), filter);
    }
    for filter in ["limit=1", "limit=1&role=admin", "limit=1&q=anna.schmidt", "limit=1&q=anna", "limit=1&q=s2026-"] {
        list(&format!("count=true, {filter}"), &format!("{filter}&count=true"));
    }
    ensure!(users >= 1_000, "a file with fewer users than the small one");
    Ok(lists)
}
