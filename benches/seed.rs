//! Makes a database of any size, to measure on: `cargo bench --bench seed -- FILE --users 1000000 --sessions 2000000`.

mod kit;

use anyhow::Result;
use clap::Parser;
use kit::seeding::{ADMIN, PASSWORD, Size, seed, tokens_beside};
use std::path::PathBuf;

/// Make a database with accounts and sessions, as it would look after some years
///
/// The schema and the first account are made by usher itself. One account in a thousand is an administrator, one in a
/// hundred disabled, one in eight never signed in; one session in twenty has ended.
#[derive(Parser)]
struct Arguments {
    /// Where to put it; it must not be there yet
    file: PathBuf,

    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(10..=10_000_000))]
    users: u32,

    #[arg(long, value_name = "COUNT", default_value_t = 2_000_000, value_parser = clap::value_parser!(u32).range(200..=50_000_000))]
    sessions: u32,

    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    if !kit::is_benchmark() {
        return Ok(());
    }
    let Arguments { file, users, sessions, .. } = Arguments::parse();
    let seeded = seed(&file, Size { users, sessions }, &[])?;
    println!("{}: {users} users and {sessions} sessions, {} MiB", file.display(), seeded.bytes >> 20);
    println!("made in {:.1} s, of which checking {:.1} s", seeded.took.as_secs_f64(), seeded.checked_in.as_secs_f64());
    println!("tokens, each with its session's and its user's id: {}", tokens_beside(&file).display());
    println!("every account's password is {PASSWORD:?}; {} is an administrator", ADMIN.1);
    Ok(())
}
