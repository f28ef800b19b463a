//! Servers that a tool starts. Their logs are read; they end with everything that they started when they are dropped, and
//! so they do, with the tool's temporary folders, when the tool gets SIGINT or SIGTERM.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    io::Read,
    net::{SocketAddr, TcpListener},
    ops::Deref,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

/// How long a server may take to stop before it is killed.
const MAX_STOP: Duration = Duration::from_secs(15);
/// How much of the end of a log is kept, to be shown when a server fails.
const KEPT_LOG: usize = 4 * 1024;

/// What is to be ended and removed on a signal.
static OWNED: Mutex<Owned> = Mutex::new(Owned { groups: Vec::new(), folders: Vec::new() });

struct Owned {
    groups: Vec<Pid>,
    folders: Vec<PathBuf>,
}

fn owned() -> MutexGuard<'static, Owned> {
    OWNED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on, SIGINT and SIGTERM clean up before they end the tool.
fn clean_up_on_signals() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let wait = async {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            // Held until the end, so that nothing is started meanwhile.
            let owned = owned();
            for group in &owned.groups {
                let _ = kill_process_group(*group, Signal::KILL);
            }
            for folder in &owned.folders {
                let _ = std::fs::remove_dir_all(folder);
            }
            std::process::exit(130);
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        std::thread::spawn(move || runtime.map(|runtime| runtime.block_on(wait)));
    });
}

/// A temporary folder.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Result<Self> {
        clean_up_on_signals();
        let mut owned = owned();
        let folder = tempfile::Builder::new().prefix("usher-bench-").tempdir()?;
        owned.folders.push(folder.path().to_owned());
        Ok(Self(folder))
    }
}

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        owned().folders.retain(|folder| folder != self.0.path());
    }
}

/// Where something can listen: nobody did a moment ago.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A process in a group of its own, whose standard error is read as a service manager would read it.
pub struct Process {
    child: Child,
    group: Pid,
    log: Arc<Mutex<Vec<u8>>>,
}

impl Process {
    pub fn start(command: &mut Command) -> Result<Self> {
        clean_up_on_signals();
        command.process_group(0).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut owned = owned();
        let mut child =
            command.spawn().with_context(|| format!("{} does not start", command.get_program().display()))?;
        let group = Pid::from_child(&child);
        owned.groups.push(group);
        drop(owned);
        let mut pipe = child.stderr.take().context("no pipe")?;
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            let mut batch = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = pipe.read(&mut batch) {
                let end = &batch[read.saturating_sub(KEPT_LOG)..read];
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let beyond = (kept.len() + end.len()).saturating_sub(KEPT_LOG);
                kept.drain(..beyond);
                kept.extend_from_slice(end);
            }
        });
        Ok(Self { child, group, log })
    }

    /// Waits until something is so. Fails when the process ends first, or after a minute, with the end of its log.
    pub fn wait_until(&mut self, mut is_so: impl FnMut() -> bool) -> Result<()> {
        let start = Instant::now();
        while !is_so() {
            if self.child.try_wait()?.is_some() || start.elapsed() > Duration::from_mins(1) {
                bail!("a server does not serve: {}", self.log());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    /// The end of what it logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What its processes hold in memory, in MiB; what they share counts once (PSS).
    pub fn pss(&self) -> Result<f64> {
        let kib: f64 = family(self.id()).into_iter().filter_map(pss_of).sum();
        anyhow::ensure!(kib > 0.0, "a process without memory");
        Ok(kib / 1024.0)
    }

    /// Ends it, and waits until it has.
    pub fn stop(&mut self) {
        if !owned().groups.contains(&self.group) {
            return;
        }
        let _ = kill_process_group(self.group, Signal::TERM);
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < MAX_STOP {
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait();
        owned().groups.retain(|group| *group != self.group);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A process and all below it.
fn family(id: u32) -> Vec<u32> {
    let mut all = vec![id];
    for task in std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|child| child.parse().ok()).flat_map(family));
    }
    all
}

fn pss_of(id: u32) -> Option<f64> {
    let map = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
    let line = map.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
