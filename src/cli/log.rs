//! The log: lines to standard error. They are collected and written together, so that requests don't wait for a write.

mod request;

use crate::config::{LogFormat, Unusable, unusable};
use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    env::VarError,
    io::{self, ErrorKind, Write},
    os::fd::AsFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::Duration,
};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// The longest time that a line waits.
const WRITE_EVERY: Duration = Duration::from_millis(50);
/// The maximum number of bytes that wait. If lines come faster than they can be written, the others are lost.
const MAX_WAITING: usize = 1024 * 1024;
/// How long the program waits at its end for a log that nobody reads.
const MAX_WAIT_AT_EXIT: Duration = Duration::from_secs(1);

/// Set when the log has ended and standard error accepted nothing. Writing to it could then block forever.
static STALLED: AtomicBool = AtomicBool::new(false);

/// Whether standard error accepts nothing any more.
pub(super) fn is_stalled() -> bool {
    STALLED.load(Ordering::Relaxed)
}

/// Writes what has been logged when it ends or is dropped, unless nobody reads it.
pub(super) struct Log(Mutex<Option<Writer>>);

struct Writer {
    stop: Sender<()>,
    /// Ends when everything is written.
    written: Receiver<()>,
}

impl Log {
    /// Starts the log, with the lines that `RUST_LOG` chooses.
    pub(super) fn start(format: LogFormat) -> Result<Self> {
        let filter = filter()?;
        let lines = Lines::default();
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines.clone());
        match format {
            LogFormat::Text => log.with_ansi(false).map_event_format(|others| request::Lines { format, others }).init(),
            LogFormat::Json => {
                log.json().flatten_event(true).map_event_format(|others| request::Lines { format, others }).init();
            }
        }
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string);
            tracing::error!(place, "a panic; the request or job was aborted");
        }));
        let ((stop, stopped), (writing, written)) = (channel::<()>(), channel::<()>());
        let write_on = move || {
            let mut batch = Vec::new();
            while stopped.recv_timeout(WRITE_EVERY) == Err(RecvTimeoutError::Timeout) {
                lines.write_out(&mut batch);
            }
            lines.write_out(&mut batch);
            lines.write_out(&mut batch); // how many lines were lost, if the batch before was the first after a stall
            drop(writing);
        };
        std::thread::Builder::new().name("usher-log".into()).spawn(write_on).context("no thread could be started")?;
        Ok(Self(Mutex::new(Some(Writer { stop, written }))))
    }

    /// Writes what has been logged. What is logged later is lost.
    pub(super) fn end(&self) {
        let writer = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Writer { stop, written }) = writer else { return };
        drop(stop);
        let is_waiting = written.recv_timeout(MAX_WAIT_AT_EXIT) == Err(RecvTimeoutError::Timeout);
        // The line about a failure comes after the log, so this is checked even if nothing was logged.
        if is_waiting || !has_room(MAX_WAIT_AT_EXIT) {
            STALLED.store(true, Ordering::Relaxed);
        }
    }
}

/// The lines that `RUST_LOG` selects.
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
        self.end();
    }
}

/// Whether standard error accepts a line within `wait`. If it is closed, it accepts lines and loses them.
fn has_room(wait: Duration) -> bool {
    let wait = Timespec { tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX), tv_nsec: 0 };
    poll(&mut [PollFd::from_borrowed_fd(io::stderr().as_fd(), PollFlags::OUT)], Some(&wait)) != Ok(0)
}

/// Lines that wait to be written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    /// The number of lines for which there was no room.
    lost: u64,
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Exchanges the lines for an empty buffer and writes them, while other threads add lines. Both buffers keep their memory.
    fn write_out(&self, batch: &mut Vec<u8>) {
        let lost = self.take(batch);
        if lost > 0 {
            // This line comes after the last line that was kept.
            tracing::warn!(lost, "{lost} lines of the log were lost, because standard error was not read in time");
        }
        write_all(batch);
        batch.clear();
    }

    /// Exchanges the lines for an empty buffer. Returns the number of lines that were lost since the last call.
    fn take(&self, empty: &mut Vec<u8>) -> u64 {
        let mut waiting = self.lock();
        std::mem::swap(&mut waiting.text, empty);
        std::mem::take(&mut waiting.lost)
    }
}

/// Writes to standard error. Waits for room, even if another program made it non-blocking.
fn write_all(mut text: &[u8]) {
    let mut stderr = io::stderr();
    while !text.is_empty() {
        match stderr.write(text) {
            Ok(written) => text = &text[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let _ = poll(&mut [PollFd::from_borrowed_fd(stderr.as_fd(), PollFlags::OUT)], None);
            }
            Err(_) => return, // it is closed, so nobody reads it
        }
    }
}

/// The formatter hands over one line at a time.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.lock();
        if waiting.text.len() + line.len() <= MAX_WAITING {
            waiting.text.extend_from_slice(line);
        } else {
            waiting.lost += 1;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_without_room_are_counted_and_the_rest_is_kept_whole() {
        let (lines, line) = (Lines::default(), [b'x'; 1024]);
        for _ in 0..MAX_WAITING / line.len() + 3 {
            assert_eq!((&lines).write(&line).unwrap(), line.len());
        }

        let mut kept = Vec::new();
        assert_eq!((lines.take(&mut kept), kept.len()), (3, MAX_WAITING));

        kept.clear();
        assert_eq!((&lines).write(&line).unwrap(), line.len());
        assert_eq!((lines.take(&mut kept), kept.len()), (0, line.len()));
    }
}
