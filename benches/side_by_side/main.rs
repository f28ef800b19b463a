//! The service beside its limits and its peers: the same work in turns, one table and one picture.
//! `cargo bench --bench side_by_side`.
#![cfg(target_os = "linux")]

mod entered;
#[path = "../kit/mod.rs"]
mod kit;
mod limits;
mod picture;
mod sides;
mod table;
mod work;

use anyhow::{Context, Result};
use clap::Parser;
use entered::Entered;
use kit::{
    process::Folder,
    seeding::{Size, seed},
};
use sides::{Kind, Side};
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use work::{Sides, Work};

/// Measure usher, its limits and its peers side by side
///
/// W1 reads of one's own account (GET /users/{id}) at 1, 16 and 64 connections; W2 logins; W3 registrations; W4 reads at a
/// fixed 200 a second while 32 connections log in; W5 changes of a username; W6 pages of the list of accounts; W7 what a
/// proxy asks about a browser that has entered an app; start; memory; size. Limits: a bare poem-openapi handler, raw argon2, raw rusqlite. Peers: Flask and PocketBase, if
/// benches/peers/setup installed them into $BENCH_HOME.
///
/// Each round gives one figure of each; the table shows medians, ranges, and ratios taken within the rounds. An answer that
/// is not a success ends the run. A run of everything is written to --results, named after the date.
#[derive(Parser)]
struct Arguments {
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// How long each load lasts
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    seconds: f64,

    /// Only these: W1 to W7, start, memory, size. Nothing is written to --results then
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,

    /// Also make a database of a million accounts and two million sessions (900 MiB), and compare W6 and W1 with it
    #[arg(long)]
    million: bool,

    /// How often usher is started, to measure that
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    starts: u32,

    /// How many seconds after the logins the memory is looked at again
    #[arg(long, value_name = "SECONDS", default_value_t = 45)]
    rest: u64,

    /// Where the table and the picture are written
    #[arg(long, value_name = "FOLDER", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/results"))]
    results: PathBuf,

    /// Be a limit
    #[arg(long, hide = true, num_args = 1..)]
    limit: Vec<String>,

    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    fn wants(&self, work: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only.eq_ignore_ascii_case(work))
    }
}

fn main() -> Result<()> {
    if !kit::is_benchmark() {
        return Ok(());
    }
    let arguments = Arguments::parse();
    if !arguments.limit.is_empty() {
        return limits::run(&arguments.limit);
    }
    let sides = start(&arguments)?;
    let peers: Vec<&str> = sides.peers.iter().map(|peer| peer.kind.name()).collect();
    let mut work = Work { arguments: &arguments, sides, rows: Vec::new() };
    for round in 0..arguments.rounds {
        eprintln!("round {} of {}", round + 1, arguments.rounds);
        work.round(round)?;
    }
    work.starts()?;
    work.memory()?;
    work.size()?;
    let (date, table) = (time::OffsetDateTime::now_utc().date(), table::table(&work.rows, &peers));
    println!("{table}");
    if arguments.only.is_empty() {
        let about = format!("{}; {} rounds of {} s a load", machine()?, arguments.rounds, arguments.seconds);
        std::fs::create_dir_all(&arguments.results)?;
        let write = |ending: &str, text: String| {
            let file = arguments.results.join(format!("{date}.{ending}"));
            println!("{}", file.display());
            std::fs::write(file, text)
        };
        write("md", format!("# {date}\n\nCommit {}. {about}.\n\n![targets]({date}.svg)\n\n{table}", commit()))?;
        write("svg", picture::draw(&work.rows, &format!("what is aimed at, {date}")))?;
    }
    Ok(())
}

fn start(arguments: &Arguments) -> Result<Sides> {
    let folder = Folder::new()?;
    let database = |name: &str, size: Size| -> Result<Side> {
        eprintln!("a database of {} users", size.users);
        let database = folder.join(name);
        seed(&database, size, &[])?;
        Side::start(Kind::Usher { database })
    };
    let usher = database("few.db", Size { users: 1_000, sessions: 2_000 })?;
    let bare = Side::start(Kind::Bare { asked: usher.reads() })?;
    let entered = arguments.wants("W7").then(|| Entered::start(&folder.join("entered.db"))).transpose()?;
    let many = Size { users: 1_000_000, sessions: 2_000_000 };
    let million = arguments.million.then(|| database("many.db", many)).transpose()?;
    let mut peers = Vec::new();
    let home = std::env::var_os("BENCH_HOME").map(PathBuf::from);
    for (name, program) in [("Flask", "venv/bin/gunicorn"), ("PocketBase", "venv/bin/pocketbase")] {
        let Some(home) = home.clone().filter(|home| home.join(program).exists()) else {
            eprintln!("left out: {name} is not in $BENCH_HOME (benches/peers/setup installs it)");
            continue;
        };
        eprintln!("accounts of {name}");
        let (home, folder) = (std::fs::canonicalize(home)?, folder.to_owned());
        peers.push(Side::start(if name == "Flask" {
            Kind::Flask { home, folder }
        } else {
            Kind::PocketBase { home, folder }
        })?);
    }
    Ok(Sides { usher, bare, peers, million, entered, folder })
}

/// What it ran on.
fn machine() -> Result<String> {
    let line = |file: &str, name: &str| -> Result<String> {
        let text = std::fs::read_to_string(file)?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix(':'));
        Ok(value.context("no such line")?.trim().to_owned())
    };
    let processor = line("/proc/cpuinfo", "model name").unwrap_or_else(|_| std::env::consts::ARCH.to_owned());
    let memory: u64 = line("/proc/meminfo", "MemTotal")?.trim_end_matches(" kB").parse()?;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let processors = std::thread::available_parallelism()?;
    Ok(format!("{processors} × {processor}, {} GiB, Linux {}", memory.div_ceil(1024 * 1024), kernel.trim()))
}

/// The commit that was built, as far as Git knows.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let output = Command::new("git").args(arguments).current_dir(folder).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let changed = git(&["status", "--porcelain", "src", "Cargo.lock"]).is_some_and(|list| !list.is_empty());
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    if changed { format!("{commit} with changes") } else { commit }
}
