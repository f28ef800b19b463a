//! The service as its executable: commands, and a server that runs until it is dropped.

use super::http::Connection;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
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

/// `usher serve`, with its log read and thrown away as a service manager would read it.
pub struct Serving {
    pub address: SocketAddr,
    metrics: SocketAddr,
    /// From the start of the process until it could be connected to.
    pub started_in: Duration,
    child: Child,
}

impl Serving {
    pub fn start(database: &Path, arguments: &[&str]) -> Result<Self> {
        // The log would say the port, but only when it is next written.
        let ports = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
        let (address, metrics) = (ports[0].local_addr()?, ports[1].local_addr()?);
        drop(ports);
        let start = Instant::now();
        let mut command = usher(database);
        command.args(["serve", "--listen", &address.to_string(), "--metrics-listen", &metrics.to_string()]);
        command.args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("usher does not start")?;
        let mut log = child.stderr.take().context("no pipe")?;
        while [address, metrics].iter().any(|listener| TcpStream::connect(listener).is_err()) {
            if child.try_wait()?.is_some() || start.elapsed() > Duration::from_mins(1) {
                let _ = child.kill();
                let mut text = String::new();
                log.read_to_string(&mut text)?;
                bail!("usher does not serve: {text}");
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        let started_in = start.elapsed();
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Ok(Self { address, metrics, started_in, child })
    }

    /// How many password hashes it has computed.
    pub fn hashes(&self) -> Result<u64> {
        const NAME: &str = "usher_hashes_total ";
        let scrape = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let answer = Connection::open(self.metrics)?.exchange(scrape)?.ok()?;
        let text = String::from_utf8(answer.body)?;
        let hashes = text.lines().find_map(|line| line.strip_prefix(NAME)).context("no count of hashes")?;
        Ok(hashes.parse()?)
    }

    /// What a line of the process's `/proc/PID/status` says, in KiB: `VmRSS` is what it holds, `VmHWM` the most it held.
    pub fn memory(&self, line: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let value =
            status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':')).context("no such line")?;
        Ok(value.trim().trim_end_matches(" kB").parse()?)
    }

    pub fn connect(&self) -> Result<Connection> {
        Connection::open(self.address)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}
