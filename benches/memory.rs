//! How much memory strangers can make the service hold, and whether it is given back. `cargo bench --bench memory`.
#![cfg(target_os = "linux")]

mod kit;

use anyhow::Result;
use clap::Parser;
use kit::{
    hoard::{Hoard, Kind},
    process::Folder,
    server::Serving,
};
use std::{process::ExitCode, time::Duration};

/// Open as many connections as the service takes, send as much as it takes on each, and look at its memory
///
/// The connections come from so many networks of this machine that no network has its share used up. By turns they send
/// half a head, half a body, both, a body that nobody reads, requests whose answers they never read, and a whole request
/// with a large head; what the server closes is opened and filled again. Meanwhile somebody else asks for /healthz. Then
/// all leave.
///
/// Exit status: 0 within both limits, 1 beyond one of them.
#[derive(Parser)]
struct Arguments {
    /// How many connections, and the service's --max-connections
    #[arg(long, value_name = "COUNT", default_value_t = 4_096)]
    connections: usize,

    /// What is sent, if not everything by turns
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Option<Kind>,

    /// How many bytes of a head the service takes
    #[arg(long, value_name = "BYTES", default_value_t = 16 * 1024)]
    head: usize,

    /// For how many seconds they go on
    #[arg(long, value_name = "SECONDS", default_value_t = 45)]
    hold: u64,

    /// How many seconds after the last one left the rest is measured
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    rest: u64,

    /// The most that the service may hold at any time, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 128)]
    max_peak: u64,

    /// The most that it may hold afterwards, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 32)]
    max_rest: u64,

    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// Enough that a quarter of the connections for each is never reached.
const NETWORKS: usize = 8;

fn main() -> Result<ExitCode> {
    if !kit::is_benchmark() {
        return Ok(ExitCode::SUCCESS);
    }
    let arguments = Arguments::parse();
    raise_file_limit();
    let folder = Folder::new()?;
    let most = arguments.connections.to_string();
    let server = Serving::start(&folder.join("usher.db"), &["--max-connections", &most])?;
    println!("{:>8} at the start", mib(server.memory("VmRSS")?));

    let kinds = arguments.kind.map_or(Kind::ALL.to_vec(), |kind| vec![kind]);
    let mut hoard = Hoard::open(server.address, arguments.connections, NETWORKS, &kinds, arguments.head)?;
    let mut slowest = Duration::ZERO;
    for second in 1..=arguments.hold {
        hoard.go_on_for(Duration::from_secs(1))?;
        slowest = slowest.max(kit::hoard::ask_for_health(server.address)?);
        if second.is_multiple_of(5) {
            println!(
                "{:>8} after {second} s, {} connections closed so far",
                mib(server.memory("VmRSS")?),
                hoard.closed
            );
        }
    }
    drop(hoard);
    println!("{slowest:>8.1?} the slowest answer to somebody else");
    let peak = server.memory("VmHWM")?;
    println!("{:>8} at the peak; at most {} MiB", mib(peak), arguments.max_peak);

    std::thread::sleep(Duration::from_secs(arguments.rest));
    let rest = server.memory("VmRSS")?;
    println!("{:>8} {} s after the last one left; at most {} MiB", mib(rest), arguments.rest, arguments.max_rest);
    let within = peak <= arguments.max_peak * 1024 && rest <= arguments.max_rest * 1024;
    Ok(ExitCode::from(u8::from(!within)))
}

fn mib(kib: u64) -> String {
    format!("{} MiB", kib.div_ceil(1024))
}

/// A connection needs a descriptor here, too.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
