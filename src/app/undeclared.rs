//! Reports a proxy on this machine that is not declared: in the log, and to `usher check`.

use super::App;
use crate::domain::UNDECLARED_PROXY;
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const WARN_EVERY: Duration = Duration::from_hours(1);

/// When the next warning is due.
#[derive(Debug, Default)]
pub(super) struct Undeclared {
    /// In milliseconds of the steady clock.
    due: AtomicU64,
}

impl Undeclared {
    /// Whether to warn now: the first time, and then hourly.
    fn is_due(&self, steady: Duration) -> bool {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let (now, due) = (millis(steady), self.due.load(Ordering::Relaxed));
        let next = millis(steady + WARN_EVERY);
        now >= due && self.due.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl App {
    /// Warns of a request from an undeclared proxy on this machine. Call it on the server's runtime.
    pub fn report_undeclared_proxy(self: &Arc<Self>, peer: IpAddr) {
        if !self.undeclared.is_due(self.core.clock.steady()) {
            return;
        }
        tracing::warn!("{}", UNDECLARED_PROXY.replace("PROXY", &peer.to_string()));
        let app = self.clone();
        tokio::spawn(async move {
            let recorded = app.core.maintain(move |writer| writer.remember_undeclared_proxy(peer)).await;
            if let Err(error) = recorded {
                tracing::warn!(%error, "the proxy could not be recorded for 'usher check'; the server tries again in an hour");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_the_first_time_and_then_hourly() {
        let undeclared = Undeclared::default();
        let said = |seconds: u64| undeclared.is_due(Duration::from_secs(seconds));
        assert_eq!([5, 5, 3_604, 3_605, 3_606, 7_205].map(said), [true, false, false, true, false, true]);
    }
}
