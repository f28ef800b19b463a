//! The service as its executable: commands, and a server that runs until it is dropped.

use super::{
    http::Connection,
    process::{self, Process},
};
use anyhow::{Context, Result, bail};
use std::{
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// The executable on a database, with no setting taken over from the environment.
fn usher(database: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_usher"));
    command.env_clear().env("USHER_DATABASE", database);
    command
}

/// Runs a command to its end, with a line on its standard input.
pub fn run(database: &Path, arguments: &[&str], line: &str) -> Result<()> {
    let mut child = usher(database)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("usher does not start")?;
    writeln!(child.stdin.take().context("no pipe")?, "{line}")?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("usher {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Writes a file out and asks the system not to keep it in memory. No connection of this process may be open: closing a
/// file drops the locks that the process has on it.
pub fn forget(file: &Path) -> Result<()> {
    let file = std::fs::File::open(file)?;
    file.sync_all()?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    Ok(())
}

/// `usher serve`.
pub struct Serving {
    pub address: SocketAddr,
    metrics: Option<SocketAddr>,
    /// From the start of the process until it could be connected to.
    pub started_in: Duration,
    pub process: Process,
}

impl Serving {
    pub fn start(database: &Path, arguments: &[&str]) -> Result<Self> {
        // The log would say the port, but only when it is next written.
        Self::launch(usher(database), process::free_address()?, None, arguments)
    }

    /// With metrics, for `hashes`.
    pub fn start_counting(database: &Path, arguments: &[&str]) -> Result<Self> {
        // Asked for together, so that they are two.
        let ports = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
        let (address, metrics) = (ports[0].local_addr()?, ports[1].local_addr()?);
        drop(ports);
        Self::launch(usher(database), address, Some(metrics), arguments)
    }

    /// Run by another program, which takes the command as its last arguments.
    pub fn start_under(tool: &[&str], database: &Path, arguments: &[&str]) -> Result<Self> {
        let usher = usher(database);
        let mut command = Command::new(tool[0]);
        command.args(&tool[1..]).arg(usher.get_program()).env_clear();
        command.envs(usher.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Self::launch(command, process::free_address()?, None, arguments)
    }

    fn launch(
        mut command: Command,
        address: SocketAddr,
        metrics: Option<SocketAddr>,
        arguments: &[&str],
    ) -> Result<Self> {
        command.args(["serve", "--listen", &address.to_string()]);
        if let Some(metrics) = metrics {
            command.args(["--metrics-listen", &metrics.to_string()]);
        }
        command.args(arguments).stdout(Stdio::null());
        let start = Instant::now();
        let mut process = Process::start(&mut command)?;
        let listeners = [Some(address), metrics];
        process.wait_until(|| listeners.iter().flatten().all(|listener| TcpStream::connect(listener).is_ok()))?;
        Ok(Self { address, metrics, started_in: start.elapsed(), process })
    }

    /// How many password hashes it has computed.
    pub fn hashes(&self) -> Result<u64> {
        const NAME: &str = "usher_hashes_total ";
        let scrape = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let metrics = self.metrics.context("started without metrics")?;
        let answer = Connection::open(metrics)?.exchange(scrape)?.ok()?;
        let text = String::from_utf8(answer.body)?;
        let hashes = text.lines().find_map(|line| line.strip_prefix(NAME)).context("no count of hashes")?;
        Ok(hashes.parse()?)
    }

    /// What a line of the process's `/proc/PID/status` says, in KiB: `VmRSS` is what it holds, `VmHWM` the most it held.
    pub fn memory(&self, line: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let value =
            status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':')).context("no such line")?;
        Ok(value.trim().trim_end_matches(" kB").parse()?)
    }

    pub fn connect(&self) -> Result<Connection> {
        Connection::open(self.address)
    }
}
