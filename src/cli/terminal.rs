//! A terminal that does not show what is typed. It is always restored, whatever happens.
//!
//! Line editing and signals of the kernel stay on. Signals that end or stop the program are caught, so that the terminal is
//! restored first.

use anyhow::{Context, Result, bail};
use rustix::{
    process::{Signal, getpid, kill_process},
    termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr},
};
use std::{
    fs::File,
    io::{self, Read, Write},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc::{Receiver, channel},
};
use zeroize::Zeroizing;

/// A signal came while the program waited for a line.
#[derive(Debug, thiserror::Error)]
#[error("interrupted; nothing was done")]
pub(super) struct Interrupted(i32);

impl Interrupted {
    /// The exit status that shells use for a program that was ended by a signal.
    pub(super) fn status(&self) -> u8 {
        u8::try_from(128 + self.0).unwrap_or(u8::MAX)
    }
}

/// Asks for a line twice. Nothing that is typed is shown, not even between the questions.
pub(super) fn ask_twice(first: &str, second: &str) -> Result<[Zeroizing<String>; 2]> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut asking = Asking::start()?;
        Ok([asking.ask(first).await?, asking.ask(second).await?])
    })
}

/// A terminal with somebody in front of it.
struct Asking {
    terminal: Silenced,
    lines: Receiver<io::Result<Zeroizing<String>>>,
    signals: Receiver<Signal>,
}

impl Asking {
    fn start() -> Result<Self> {
        let signals = signals().context("signals can't be waited for")?;
        let open = || -> io::Result<_> {
            let terminal = File::options().read(true).write(true).open("/dev/tty")?;
            let reader = terminal.try_clone()?;
            Ok((Silenced::new(terminal)?, lines(reader)))
        };
        let (terminal, lines) = open().context(UNREADABLE)?;
        Ok(Self { terminal, lines, signals })
    }

    async fn ask(&mut self, prompt: &str) -> Result<Zeroizing<String>> {
        self.terminal.write(prompt)?;
        loop {
            tokio::select! {
                line = self.lines.recv() => {
                    self.terminal.write("\n")?;
                    return match line {
                        Some(Ok(line)) if !line.is_empty() => Ok(Zeroizing::new(line.trim_end_matches('\n').to_owned())),
                        Some(Err(error)) => Err(error).context(UNREADABLE),
                        _ => bail!("nothing was typed; nothing was done"),
                    };
                }
                Some(caught) = self.signals.recv() => {
                    if caught != Signal::TSTP {
                        self.terminal.write("\n")?;
                        return Err(Interrupted(caught.as_raw()).into());
                    }
                    self.terminal.pause().context(UNREADABLE)?;
                    self.terminal.write(&format!("\n{prompt}"))?;
                }
            }
        }
    }
}

const UNREADABLE: &str = "the terminal can't be read";

/// The terminal's previous state. It is restored when this is dropped.
struct Silenced {
    terminal: File,
    before: Termios,
}

impl Silenced {
    fn new(terminal: File) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let silenced = Self { terminal, before };
        silenced.silence()?;
        Ok(silenced)
    }

    /// Also discards what was typed before the question.
    fn silence(&self) -> io::Result<()> {
        let mut silent = self.before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
        Ok(tcsetattr(&self.terminal, OptionalActions::Flush, &silent)?)
    }

    fn restore(&self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }

    /// Stops the program, and returns when its shell continues it. SIGTTIN has no handler here, and does nothing where
    /// there is no shell that could.
    fn pause(&self) -> io::Result<()> {
        self.restore();
        kill_process(getpid(), Signal::TTIN)?;
        self.silence()
    }

    fn write(&self, text: &str) -> Result<()> {
        (&self.terminal).write_all(text.as_bytes()).context("the terminal can't be written")
    }
}

impl Drop for Silenced {
    fn drop(&mut self) {
        self.restore();
    }
}

/// What ^C, ^\ and ^Z send, the end of the terminal, and other programs.
fn signals() -> io::Result<Receiver<Signal>> {
    let (sender, receiver) = channel(1);
    for kind in [Signal::INT, Signal::QUIT, Signal::TSTP, Signal::HUP, Signal::TERM] {
        let (mut caught, sender) = (signal(SignalKind::from_raw(kind.as_raw()))?, sender.clone());
        tokio::spawn(async move { while caught.recv().await.is_some() && sender.send(kind).await.is_ok() {} });
    }
    Ok(receiver)
}

/// Lines with their ends, as they are typed. Nobody waits for the thread that reads them, because it may block forever.
fn lines(mut terminal: File) -> Receiver<io::Result<Zeroizing<String>>> {
    let (sender, receiver) = channel(1);
    std::thread::spawn(move || {
        // The kernel hands over a line at a time, and cuts longer ones.
        let mut line = Zeroizing::new([0; 4096]);
        loop {
            let read = terminal.read(&mut line[..]).and_then(|length| {
                let text = std::str::from_utf8(&line[..length]);
                text.map(|text| Zeroizing::new(text.to_owned())).map_err(io::Error::other)
            });
            if read.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {
                continue;
            }
            if sender.blocking_send(read).is_err() {
                return;
            }
        }
    });
    receiver
}
