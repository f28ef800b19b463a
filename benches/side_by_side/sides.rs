//! Who is measured, and how each spells the same operations.

use crate::{
    kit::{
        figures::quantile,
        http::{Connection, json_request},
        load::{self, Requests, Until},
        pages::pages,
        process::{self, Process},
        seeding::{self, ADMIN, PASSWORD, is_disabled},
        server::Serving,
    },
    limits,
};
use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use serde_json::{Value, json};
use std::{
    cell::Cell,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    rc::Rc,
    time::{Duration, Instant},
};

/// What is started.
pub enum Kind {
    Usher {
        database: PathBuf,
    },
    /// A handler of the framework alone, asked with the requests that are for usher.
    Bare {
        asked: Vec<Vec<u8>>,
    },
    Flask {
        home: PathBuf,
        folder: PathBuf,
    },
    PocketBase {
        home: PathBuf,
        folder: PathBuf,
    },
}

/// How many accounts a peer gets.
const PEER_ACCOUNTS: u32 = 100;

impl Kind {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Usher { .. } => "usher",
            Self::Bare { .. } => "bare poem-openapi",
            Self::Flask { .. } => "Flask",
            Self::PocketBase { .. } => "PocketBase",
        }
    }

    fn launch(&self) -> Result<(SocketAddr, Process)> {
        let address = process::free_address()?;
        let mut command = match self {
            Self::Usher { database } => {
                let Serving { address, process, .. } = Serving::start(database, &["--throttle", "off"])?;
                return Ok((address, process));
            }
            Self::Bare { .. } => limits::command(&["poem", &address.to_string()])?,
            Self::Flask { home, folder } => {
                let mut command = Command::new(home.join("venv/bin/gunicorn"));
                command.args(["--preload", "--worker-class", "gthread", "--workers", "2", "--threads", "8"]);
                command.args([
                    "--keep-alive",
                    "60",
                    "--graceful-timeout",
                    "1",
                    "--log-level",
                    "warning",
                    "--bind",
                    &address.to_string(),
                ]);
                command.args(["--chdir", concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers"), "flask_app:app"]);
                command.env("DATABASE", folder.join("flask.db")).env("PYTHONDONTWRITEBYTECODE", "1");
                command
            }
            Self::PocketBase { home, folder } => {
                let mut command = Command::new(home.join("venv/bin/pocketbase"));
                command.args(["serve", "--http", &address.to_string(), "--dir"]).arg(folder.join("pocketbase"));
                command
            }
        };
        let mut process = Process::start(command.stdout(Stdio::null()))?;
        process.wait_until(|| self.is_healthy(address))?;
        Ok((address, process))
    }

    fn is_healthy(&self, address: SocketAddr) -> bool {
        let path = if matches!(self, Self::PocketBase { .. }) { "/api/health" } else { "/healthz" };
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        Connection::open(address).and_then(|mut connection| connection.exchange(request.as_bytes())?.ok()).is_ok()
    }

    /// Milliseconds from the start of the process to its first answer.
    pub fn start_time(&self) -> Result<f64> {
        let begun = Instant::now();
        let (address, process) = self.launch()?;
        ensure!(self.is_healthy(address), "{} does not answer", self.name());
        let took = begun.elapsed();
        drop(process);
        Ok(took.as_secs_f64() * 1e3)
    }

    fn spells_like_pocketbase(&self) -> bool {
        matches!(self, Self::PocketBase { .. })
    }

    fn registration(&self, name: &str) -> Vec<u8> {
        let email = format!("{name}@example.com");
        if self.spells_like_pocketbase() {
            let body = json!({"name": name, "email": email, "password": PASSWORD, "passwordConfirm": PASSWORD});
            return json_request("POST", "/api/collections/users/records", None, &body);
        }
        json_request("POST", "/api/v1/users", None, &json!({"username": name, "email": email, "password": PASSWORD}))
    }

    fn login(&self, email: &str) -> Vec<u8> {
        if self.spells_like_pocketbase() {
            let body = json!({"identity": email, "password": PASSWORD});
            return json_request("POST", "/api/collections/users/auth-with-password", None, &body);
        }
        json_request("POST", "/api/v1/auth/login", None, &json!({"email": email, "password": PASSWORD}))
    }

    fn user_path(&self, id: &str) -> String {
        if self.spells_like_pocketbase() {
            return format!("/api/collections/users/records/{id}");
        }
        format!("/api/v1/users/{id}")
    }

    fn renaming(&self, account: &Account, name: &str) -> Vec<u8> {
        let (method, field) = if self.spells_like_pocketbase() { ("PATCH", "name") } else { ("PUT", "username") };
        json_request(method, &self.user_path(&account.id), Some(&account.token), &json!({field: name}))
    }
}

/// An account whose owner reads and renames it.
struct Account {
    id: String,
    token: String,
}

/// A server that runs, and the accounts that it is asked for.
pub struct Side {
    pub kind: Rc<Kind>,
    pub process: Process,
    address: SocketAddr,
    accounts: Rc<Vec<Account>>,
    emails: Rc<Vec<String>>,
    /// So that no name comes twice.
    names: Rc<Cell<u64>>,
}

impl Side {
    /// Starts it; a peer then gets its accounts, those of usher are in its database.
    pub fn start(kind: Kind) -> Result<Self> {
        let (address, process) = kind.launch()?;
        let (accounts, emails) = match &kind {
            Kind::Usher { database } => seeded(database)?,
            Kind::Bare { .. } => (Vec::new(), Vec::new()),
            Kind::Flask { .. } | Kind::PocketBase { .. } => registered(&kind, address)?,
        };
        let names = Rc::new(Cell::new(0));
        let (kind, accounts, emails) = (Rc::new(kind), Rc::new(accounts), Rc::new(emails));
        Ok(Self { kind, process, address, accounts, emails, names })
    }

    pub fn restart(&mut self) -> Result<()> {
        self.process.stop();
        (self.address, self.process) = self.kind.launch()?;
        Ok(())
    }

    /// A second of it, in operations.
    pub fn rate(&self, connections: usize, span: Duration, requests: Requests) -> Result<f64> {
        let load = load::run(self.address, connections, Until::Passed(span), requests)
            .with_context(|| format!("{}: {}", self.kind.name(), self.process.log()))?;
        Ok(load.rate())
    }

    /// The requests for accounts by their owners.
    pub fn reads(&self) -> Vec<Vec<u8>> {
        if let Kind::Bare { asked } = &*self.kind {
            return asked.clone();
        }
        let read = |account: &Account| get(&self.kind.user_path(&account.id), &account.token);
        self.accounts.iter().map(read).collect()
    }

    pub fn logins(&self) -> Vec<Vec<u8>> {
        self.emails.iter().map(|email| self.kind.login(email)).collect()
    }

    pub fn registrations(&self) -> Requests {
        let (kind, names) = (Rc::clone(&self.kind), Rc::clone(&self.names));
        Box::new(move |buffer| buffer.extend(kind.registration(&format!("new-{}", count(&names)))))
    }

    pub fn renames(&self) -> Requests {
        let (kind, names, accounts) = (Rc::clone(&self.kind), Rc::clone(&self.names), Rc::clone(&self.accounts));
        let mut random = Rng::with_seed(3);
        Box::new(move |buffer| {
            let account = &accounts[random.usize(..accounts.len())];
            buffer.extend(kind.renaming(account, &format!("renamed-{}", count(&names))));
        })
    }

    /// Pages of the list of accounts, for an administrator; only usher has them.
    pub fn pages(&self) -> Result<Vec<Vec<u8>>> {
        let Kind::Usher { database } = &*self.kind else { return Ok(Vec::new()) };
        let connection = rusqlite::Connection::open(database)?;
        let users = connection.query_row("SELECT max(id) FROM users", [], |row| row.get(0))?;
        let pages = pages(&connection, users)?;
        let answer = Connection::open(self.address)?.exchange(&self.kind.login(ADMIN.1))?.ok()?.json()?;
        let token = answer["token"].as_str().context("no token")?;
        Ok(pages.iter().map(|(_, query)| get(&format!("/api/v1/users?{query}"), token)).collect())
    }

    /// Milliseconds from when a read was due to its answer, at a fixed rate, whatever the server does: median and 99th
    /// percentile.
    pub fn paced_reads(&self, span: Duration) -> Result<[f64; 2]> {
        const EVERY: Duration = Duration::from_millis(5);
        let times = load::paced(self.address, EVERY, span, &self.reads())?;
        let times: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
        Ok([quantile(&times, 0.5), quantile(&times, 0.99)])
    }

    /// A load of logins that another thread can make.
    pub fn login_flood(&self, connections: usize, span: Duration) -> impl FnOnce() -> Result<f64> + Send + use<> {
        let (address, logins) = (self.address, self.logins());
        move || Ok(load::run(address, connections, Until::Passed(span), any_of(logins))?.rate())
    }
}

/// These requests in random order, the same each time.
pub fn any_of(requests: Vec<Vec<u8>>) -> Requests {
    let mut random = Rng::with_seed(1);
    Box::new(move |buffer| buffer.extend_from_slice(&requests[random.usize(..requests.len())]))
}

fn count(names: &Cell<u64>) -> u64 {
    names.set(names.get() + 1);
    names.get()
}

fn get(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n").into_bytes()
}

/// Tokens, and the e-mail addresses of accounts that can sign in: so many that no session is displaced.
fn seeded(database: &Path) -> Result<(Vec<Account>, Vec<String>)> {
    let tokens = seeding::tokens(database)?;
    let accounts = tokens.into_iter().map(|(token, user)| Account { id: user.to_string(), token }).collect();
    let users = rusqlite::Connection::open(database)?.query_row("SELECT max(id) FROM users", [], |row| row.get(0))?;
    let numbers = (3..=users).filter(|number| !is_disabled(*number)).take(2_000);
    Ok((accounts, numbers.map(|number| seeding::name(number, users).1).collect()))
}

fn registered(kind: &Kind, address: SocketAddr) -> Result<(Vec<Account>, Vec<String>)> {
    let mut connection = Connection::open(address)?;
    let (mut accounts, mut emails) = (Vec::new(), Vec::new());
    for number in 0..PEER_ACCOUNTS {
        let name = format!("user{number}");
        connection.exchange(&kind.registration(&name))?.ok()?;
        let email = format!("{name}@example.com");
        let answer = connection.exchange(&kind.login(&email))?.ok()?.json()?;
        let id = match &answer[if kind.spells_like_pocketbase() { "record" } else { "user" }]["id"] {
            Value::String(id) => id.clone(),
            id => id.to_string(),
        };
        accounts.push(Account { id, token: answer["token"].as_str().context("no token")?.to_owned() });
        emails.push(email);
    }
    Ok((accounts, emails))
}
