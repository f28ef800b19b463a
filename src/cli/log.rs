//! The log: lines to standard error, gathered and written together, so that requests neither write nor wake a writer.

use crate::config::{LogFormat, Unusable, unusable};
use anyhow::{Context, Result};
use std::{
    env::VarError,
    io::{self, Write},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::Duration,
};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// How long a line waits at most.
const WRITE_EVERY: Duration = Duration::from_millis(50);
/// Where lines come faster than they can be written, those beyond this many bytes are lost rather than held in memory.
const MOST_WAITING: usize = 4 * 1024 * 1024;

/// Writes what has been logged when dropped.
pub(super) struct Log {
    lines: Lines,
    stop: Option<Sender<()>>,
    writer: Option<JoinHandle<()>>,
}

impl Log {
    /// Starts the log, with the lines that `RUST_LOG` chooses.
    pub(super) fn start(format: LogFormat) -> Result<Self> {
        let filter = filter()?;
        let lines = Lines::default();
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines.clone());
        match format {
            LogFormat::Text => log.with_ansi(false).init(),
            LogFormat::Json => log.json().flatten_event(true).init(),
        }
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string);
            tracing::error!(place, "a panic; the request or job was given up");
        }));
        let (stop, stopped) = channel::<()>();
        let waiting = lines.clone();
        let write_on = move || {
            let mut writing = Vec::new();
            while stopped.recv_timeout(WRITE_EVERY) == Err(RecvTimeoutError::Timeout) {
                waiting.write_out(&mut writing);
            }
        };
        let writer = std::thread::Builder::new()
            .name("usher-log".into())
            .spawn(write_on)
            .context("no thread could be started")?;
        Ok(Self { lines, stop: Some(stop), writer: Some(writer) })
    }
}

/// Which lines `RUST_LOG` chooses.
pub(super) fn filter() -> Result<EnvFilter, Unusable> {
    let filter = EnvFilter::builder().with_default_directive(tracing::Level::INFO.into());
    let directives = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Err(VarError::NotUnicode(_)) => return Err(unusable("RUST_LOG is not text in UTF-8")),
        directives => directives.unwrap_or_default(),
    };
    filter.parse(directives).map_err(|error| unusable(format!("RUST_LOG: {error}")))
}

impl Drop for Log {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.writer.take().map(JoinHandle::join);
        self.lines.write_out(&mut Vec::new());
    }
}

/// Lines that wait to be written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Exchanges the lines for an empty buffer and writes them, while others go on adding. Both buffers keep their memory.
    fn write_out(&self, empty: &mut Vec<u8>) {
        std::mem::swap(&mut *self.lock(), empty);
        if !empty.is_empty() {
            let _ = io::stderr().write_all(empty); // where it is closed, nobody wants to know
            empty.clear();
        }
    }
}

/// The formatter hands over one line at a time.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = self.lock();
        if lines.len() + line.len() <= MOST_WAITING {
            lines.extend_from_slice(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'l> MakeWriter<'l> for Lines {
    type Writer = &'l Lines;

    fn make_writer(&'l self) -> Self::Writer {
        self
    }
}
