//! When what requests have gathered is written.

use std::time::Duration;
use tokio::sync::watch;

/// Where the one task that writes what was gathered, and the requests that wait for it, meet. Requests don't write
/// themselves: one whose caller hangs up would take along what it had begun to write.
#[derive(Debug)]
pub(in crate::app) struct Flushes {
    /// How often somebody has asked.
    pub asked: watch::Sender<u64>,
    /// Up to which of them an attempt has been made since, whatever came of it.
    pub tried: watch::Sender<u64>,
    /// Held while what was gathered is being written.
    pub writing: tokio::sync::Mutex<()>,
}

impl Default for Flushes {
    fn default() -> Self {
        Self { asked: watch::Sender::new(0), tried: watch::Sender::new(0), writing: tokio::sync::Mutex::default() }
    }
}

impl Flushes {
    /// How long a request waits for what was gathered before it: on a full disk, or while another process writes, it goes
    /// on without.
    const MAX_WAIT: Duration = Duration::from_secs(1);

    /// Returns once all that was gathered before has been written, or could not be. Needs the server's runtime.
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
