//! When collected session uses and refused attempts are written.

use std::time::Duration;
use tokio::sync::watch;

/// Coordinates the one task that writes with the requests that wait for it. Requests don't write themselves: if a
/// client disconnects, its request is dropped, and so would be what it had begun to write.
#[derive(Debug)]
pub(in crate::app) struct Flushes {
    /// The number of requests to write so far.
    pub asked: watch::Sender<u64>,
    /// The number of requests that have been tried since, successful or not.
    pub tried: watch::Sender<u64>,
    /// Held during a write.
    pub writing: tokio::sync::Mutex<()>,
}

impl Default for Flushes {
    fn default() -> Self {
        Self { asked: watch::Sender::new(0), tried: watch::Sender::new(0), writing: tokio::sync::Mutex::default() }
    }
}

impl Flushes {
    /// How long a request waits at most. If the disk is full, or another process is writing, it continues without.
    const MAX_WAIT: Duration = Duration::from_secs(1);

    /// Returns once everything collected before has been written, or could not be. Needs the server's runtime.
    pub async fn wait(&self) {
        let mut mine = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            mine = *asked;
        });
        let mut tried = self.tried.subscribe();
        let _ = tokio::time::timeout(Self::MAX_WAIT, tried.wait_for(|tried| *tried >= mine)).await;
    }
}
