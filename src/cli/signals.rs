//! The signals of a server: SIGINT and SIGTERM end it. SIGHUP ends it, or reads files again.

use std::{fs::File, io};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals that are handled from now on.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    /// Whether SIGHUP means that the terminal is gone. Otherwise it means to read files again.
    has_terminal: bool,
    /// If this signal were not handled, it would end the process when a file reaches its size limit. Now the write fails
    /// instead, as on a full disk.
    _file_size_limit: Signal,
}

impl Signals {
    pub fn handle() -> io::Result<Self> {
        let has_terminal = File::open("/dev/tty").is_ok() && !ignores_hang_up(); // before it is handled
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            has_terminal,
            _file_size_limit: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    /// Completes at the first SIGINT or SIGTERM, or SIGHUP if there is a terminal. Another SIGINT or SIGTERM calls `second`.
    /// Another SIGHUP does not, because a terminal that closes may send more than one.
    pub async fn stop(mut self, reload: impl Fn(), second: impl FnOnce() + Send + 'static) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => break,
                _ = self.terminate.recv() => break,
                _ = self.hang_up.recv() => if self.has_terminal { break } else { reload() },
            }
        }
        tracing::info!(
            "stopping: no new connections are accepted; requests in progress are answered first; a second signal stops at once"
        );
        tokio::spawn(async move {
            tokio::select! {
                _ = self.interrupt.recv() => {},
                _ = self.terminate.recv() => {},
            }
            second();
        });
    }
}

/// Whether the program was started to survive its terminal, as by `nohup`. This is known on Linux only.
fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let hang_up = 1 << (rustix::process::Signal::HUP.as_raw() - 1);
    ignored.is_some_and(|mask| mask & hang_up != 0)
}
