//! How many instructions a request takes, by valgrind: `cargo bench --bench instructions`.
#![cfg(target_os = "linux")]

mod kit;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use kit::{
    http::Connection,
    process::Folder,
    seeding::{self, Size, seed},
    server::Serving,
};
use std::{path::Path, process::ExitCode};

/// Count the instructions of a read of one's own account (GET /users/{id}), in user mode, by callgrind
///
/// Two runs that differ only in the number of requests on their one connection: what starting, warming up and stopping
/// takes is the same in both, and cancels. The figure repeats to about one percent, on a busy machine, too. It is of this
/// processor's kind and of this compiler; valgrind has no SHA instructions, so hashing a token counts for more than it takes.
///
/// Exit status: 0; 1 if it is more than --tolerate percent above the committed figure.
#[derive(Parser)]
struct Arguments {
    /// How many requests the second run sends beyond those of the first
    #[arg(long, value_name = "COUNT", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(100..))]
    requests: u32,

    /// How many percent above the committed figure are let through
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0)]
    tolerate: f64,

    /// Write the figure to benches/results/instructions, to be committed, and compare nothing
    #[arg(long)]
    update: bool,

    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/results/instructions");
/// How many sessions take turns. The first use of each is written to the database, and belongs to the warm-up.
const SESSIONS: usize = 100;
/// Requests of both runs, after which caches are filled.
const WARM_UP: u32 = 500;

fn main() -> Result<ExitCode> {
    if !kit::is_benchmark() {
        return Ok(ExitCode::SUCCESS);
    }
    let arguments = Arguments::parse();
    let folder = Folder::new()?;
    let database = folder.join("usher.db");
    seed(&database, Size { users: 1_000, sessions: 2_000 }, &[])?;
    let [few, many] = [0, arguments.requests].map(|more| count(&folder, &database, WARM_UP + more));
    let figure = (many? - few?) / f64::from(arguments.requests);
    println!("{figure:.0} instructions a request");
    if arguments.update {
        std::fs::create_dir_all(Path::new(COMMITTED).parent().context("no folder")?)?;
        std::fs::write(COMMITTED, format!("{figure:.0}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let committed = std::fs::read_to_string(COMMITTED).with_context(|| format!("{COMMITTED} can't be read"))?;
    let committed: f64 = committed.trim().parse()?;
    let change = (figure / committed - 1.0) * 100.0;
    println!("{committed:.0} are committed: {change:+.1} %, at most {:+.1} %", arguments.tolerate);
    Ok(ExitCode::from(u8::from(change > arguments.tolerate)))
}

/// The instructions of a server that answers so many requests, from its start to its end.
fn count(folder: &Path, database: &Path, requests: u32) -> Result<f64> {
    let output = folder.join(format!("callgrind-{requests}"));
    let to = format!("--callgrind-out-file={}", output.display());
    let tool = ["valgrind", "--tool=callgrind", "--quiet", &to];
    let mut server = Serving::start_under(&tool, database, &["--throttle", "off"]).context("valgrind is needed")?;
    let tokens = seeding::tokens(database)?;
    let mut connection = Connection::open(server.address)?;
    for (token, user) in tokens.iter().take(SESSIONS).cycle().take(requests as usize) {
        connection.get(&format!("/users/{user}"), Some(token))?.ok()?;
    }
    drop(connection);
    server.process.stop();
    let profile = std::fs::read_to_string(&output).context("valgrind wrote no profile")?;
    let totals = profile.lines().find_map(|line| line.strip_prefix("totals: ")).context("no totals")?;
    let instructions: f64 = totals.trim().parse()?;
    ensure!(instructions > 0.0, "nothing was counted");
    Ok(instructions)
}
