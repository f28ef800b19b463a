//! What the parts reach with nothing around them: each runs in a process of its own, which is this tool started again.

use crate::kit::process::free_address;
use anyhow::{Context, Result, bail, ensure};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use poem::{EndpointExt, Route, Server, get, handler, listener::TcpListener};
use poem_openapi::{Object, OpenApi, OpenApiService, param::Path, payload::Json};
use rusqlite::{Connection, TransactionBehavior, params};
use std::{
    net::SocketAddr,
    path::Path as FilePath,
    process::{Command, Stdio},
    thread::available_parallelism,
    time::{Duration, Instant},
};
use usher::hashing::Cost;

/// This tool as a limit, with the limit's arguments.
pub fn command(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--bench", "--limit"]).args(arguments);
    Ok(command)
}

/// How many operations a second a limit without a server reaches.
pub fn rate(arguments: &[&str]) -> Result<f64> {
    let output = command(arguments)?.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the limit {} fails", arguments.join(" "));
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// Runs as a limit.
pub fn run(arguments: &[String]) -> Result<()> {
    let seconds = |text: &str| Ok::<_, anyhow::Error>(Duration::from_secs_f64(text.parse()?));
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["poem", address] => serve(address.parse()?),
        ["argon2", span] => report(hashes(seconds(span)?)?),
        ["commits", span, folder] => report(commits(seconds(span)?, FilePath::new(folder))?),
        _ => bail!("no limit is called {arguments:?}"),
    }
}

#[allow(clippy::unnecessary_wraps, reason = "an arm of `run`")]
fn report(rate: f64) -> Result<()> {
    println!("{rate}");
    Ok(())
}

#[derive(Object)]
struct Account {
    id: i64,
    username: String,
    email: String,
    email_verified: bool,
    role: String,
    disabled: bool,
    created_at: String,
    updated_at: String,
    last_login_at: Option<String>,
}

struct Api;

#[allow(clippy::unused_async, reason = "handlers are asynchronous")]
#[OpenApi]
impl Api {
    #[oai(path = "/users/:id", method = "get")]
    async fn read(&self, id: Path<i64>) -> Json<Account> {
        let time = || "2026-11-22T10:00:00Z".to_owned();
        Json(Account {
            id: id.0,
            username: "papadakis-antonio".to_owned(),
            email: "antonio.papadakis@example.com".to_owned(),
            email_verified: false,
            role: "user".to_owned(),
            disabled: false,
            created_at: time(),
            updated_at: time(),
            last_login_at: Some(time()),
        })
    }
}

#[handler]
fn health() -> &'static str {
    "ok"
}

/// The framework: a handler that answers with the same account each time. No token, no database, no log.
fn serve(address: SocketAddr) -> Result<()> {
    let workers = available_parallelism()?.get();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    let api = OpenApiService::new(Api, "limit", "1");
    let app = Route::new().at("/healthz", get(health)).nest("/api/v1", api).boxed();
    Ok(runtime.block_on(Server::new(TcpListener::bind(address.to_string())).run(app))?)
}

/// Argon2id at the default cost, in memory that is used again, on a thread for each processor.
fn hashes(span: Duration) -> Result<f64> {
    let threads: Vec<_> = (0..available_parallelism()?.get())
        .map(|_| {
            std::thread::spawn(move || {
                let cost = Cost::DEFAULT;
                let params = Params::new(cost.memory, cost.iterations, cost.parallelism, Some(32))?;
                let mut memory = vec![Block::default(); params.block_count()];
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
                let mut output = [0; 32];
                per_second(span, |_| {
                    let (password, salt) = (b"correct horse battery", b"saltsaltsaltsalt");
                    argon2.hash_password_into_with_memory(password, salt, &mut output, &mut memory)?;
                    Ok(())
                })
            })
        })
        .collect();
    let rates: Result<Vec<f64>> =
        threads.into_iter().map(|thread| thread.join().ok().context("a thread panics")?).collect();
    Ok(rates?.iter().sum())
}

/// Transactions that change one row, each on disk before the next begins.
fn commits(span: Duration, folder: &FilePath) -> Result<f64> {
    const ROWS: i64 = 1_000;
    let file = folder.join(format!("commits-{}.db", free_address()?.port()));
    let mut database = Connection::open(&file)?;
    database.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.execute_batch(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT NOT NULL UNIQUE, email TEXT NOT NULL UNIQUE) STRICT",
    )?;
    let filling = database.transaction()?;
    for id in 0..ROWS {
        let row = params![id, format!("user{id}"), format!("user{id}@example.com")];
        filling.execute("INSERT INTO users VALUES (?1, ?2, ?3)", row)?;
    }
    filling.commit()?;
    let rate = per_second(span, |number| {
        let change = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let row = params![format!("renamed-{number}"), i64::try_from(number)? % ROWS];
        change.prepare_cached("UPDATE users SET username = ?1 WHERE id = ?2")?.execute(row)?;
        Ok(change.commit()?)
    })?;
    drop(database);
    std::fs::remove_file(file)?;
    Ok(rate)
}

#[allow(clippy::cast_precision_loss, reason = "fewer than 2^52")]
fn per_second(span: Duration, mut work: impl FnMut(u64) -> Result<()>) -> Result<f64> {
    let (start, mut done) = (Instant::now(), 0_u64);
    while start.elapsed() < span {
        work(done)?;
        done += 1;
    }
    Ok(done as f64 / start.elapsed().as_secs_f64())
}
