//! The service as its executable: commands, and a server that runs until it is dropped.

use super::http::Connection;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The executable on a database, with no setting taken over from the environment.
fn usher(database: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_usher"));
    command.env_clear().env("USHER_DATABASE", database).env("USHER_LISTEN", "127.0.0.1:0");
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
    /// From the start of the process until it listened.
    pub started_in: Duration,
    child: Child,
}

impl Serving {
    pub fn start(database: &Path, arguments: &[&str]) -> Result<Self> {
        let start = Instant::now();
        let mut child = usher(database)
            .arg("serve")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("usher does not start")?;
        let mut lines = BufReader::new(child.stderr.take().context("no pipe")?).lines();
        let mut log = String::new();
        let address = loop {
            let line = lines.next().with_context(|| format!("usher does not serve: {log}"))??;
            if let Some((_, rest)) = line.split_once("listening on http://") {
                let end = rest.find(|c: char| !(c.is_ascii_digit() || ".:[]".contains(c))).unwrap_or(rest.len());
                break rest[..end].parse()?;
            }
            log += &line;
        };
        let started_in = start.elapsed();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Ok(Self { address, started_in, child })
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
