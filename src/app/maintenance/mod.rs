//! Background work: writing what requests have collected, and deleting what has expired.

pub(super) mod flushes;

use super::{ADDRESS_RETENTION, ENTRY_CODE_RETENTION, audit, core::Core, sessions};
use crate::{
    domain::{ChartLength, ClockWatch, Day, Error, SessionLimits, Timestamp},
    store::Writer,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::MissedTickBehavior;

/// The state of the clock, and the steady time when it was observed. `None` before the first time.
type WatchedClock = Mutex<Option<(ClockWatch, Duration)>>;

/// The service's background work.
pub struct Maintenance {
    core: Arc<Core>,
    watched_clock: WatchedClock,
}

impl Maintenance {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core, watched_clock: WatchedClock::default() }
    }

    /// Restores the state that an earlier run of the server stored. Call it before the first request: nobody waits meanwhile,
    /// however many budgets there are.
    pub async fn resume(&self) -> Result<(), Error> {
        let left = self
            .core
            .look_up(|reader| Ok((reader.throttle_secret()?, reader.throttled_accounts()?, reader.clock_watch()?)));
        let (secret, accounts, clock) = left.await?;
        self.watch_clock(Some(clock));
        let (now, as_of) = (self.core.clock.now(), clock.resumes_at(self.core.clock.now()));
        self.core.throttle.resume(secret, accounts, as_of);
        if as_of != now {
            // The next start must find budgets and the state of the clock from the same time.
            if let Err(error) = self.flush().await {
                tracing::warn!(%error, "the accounts' budgets could not be stored with the time of this clock; the server tries again");
            }
        }
        Ok(())
    }

    /// How often collected data is written: uses of sessions, failed and refused attempts.
    const FLUSH_EVERY: Duration = Duration::from_millis(250);
    const SWEEP_EVERY: Duration = Duration::from_hours(1);

    /// Writes what was collected and deletes what has expired, until `stopped` completes. Then it writes the rest.
    /// Deleting may be slow, and writing does not wait for it.
    ///
    /// The future must be polled until it completes. If it is dropped, a write that has begun is lost.
    pub async fn run(&self, stopped: impl Future<Output = ()>) {
        tokio::select! {
            () = self.sweep_regularly() => {}
            () = self.flush_until(stopped) => {}
        }
        if let Err(error) = self.flush().await {
            tracing::error!(%error, "the last uses of sessions and refused attempts could not be written");
        }
        if let Err(error) = self.store_clock_watch(self.watch_clock(None)).await {
            tracing::error!(%error, "the time of the shutdown could not be stored");
        }
    }

    async fn sweep_regularly(&self) {
        let (mut tick, mut failing) = (ticking(Self::SWEEP_EVERY), Failing::default());
        loop {
            tick.tick().await;
            failing.report("deleting what has expired", &self.sweep().await);
        }
    }

    async fn flush_until(&self, stopped: impl Future<Output = ()>) {
        let mut asked = self.core.flushes.asked.subscribe();
        let mut stopped = std::pin::pin!(stopped);
        let (mut tick, mut failing) = (ticking(Self::FLUSH_EVERY), Failing::default());
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                _ = asked.changed() => {}
                () = &mut stopped => return,
            }
            let generation = *asked.borrow_and_update();
            failing.report("writing session uses and refused attempts", &self.flush_due().await);
            self.core.flushes.tried.send_replace(generation);
        }
    }

    /// Writes everything collected, in one transaction. On failure it is kept for the next time. When this returns
    /// `Ok`, writes that other calls had begun are on disk, too.
    pub async fn flush(&self) -> Result<(), Error> {
        self.write_gathered(None).await
    }

    /// The same, but counts of the current minute are not written yet.
    async fn flush_due(&self) -> Result<(), Error> {
        self.write_gathered(Some(self.core.clock.now())).await
    }

    async fn write_gathered(&self, now: Option<Timestamp>) -> Result<(), Error> {
        let _only_one = self.core.flushes.writing.lock().await;
        let (uses, refused, budgets) =
            (self.core.uses.waiting(), self.core.journal.take(now), self.core.throttle.changed_accounts());
        let (shown, asked) = (self.core.app_token_uses.waiting(), self.core.asked.take());
        let watch = budgets.clock_was_set.then(|| self.watch_clock(None));
        let is_used = !uses.is_empty() || !shown.is_empty();
        if !is_used && refused.is_empty() && budgets.rows.is_empty() && watch.is_none() && asked.is_empty() {
            return Ok(());
        }
        let (used, used_tokens) = (uses.clone(), shown.clone());
        let (events, used_up) = (refused.events(), budgets.rows.clone());
        let written = self
            .core
            .maintain(move |writer| {
                used.iter().try_for_each(|(session, at)| writer.set_last_used(session, *at))?;
                used_tokens.iter().try_for_each(|(token, at)| writer.set_app_token_used(*token, *at))?;
                used_up.iter().try_for_each(|(slot, row)| writer.set_throttled_account(*slot, *row))?;
                asked.iter().try_for_each(|(app, question)| {
                    writer.set_verified(*app, &question.origin, question.at, question.proxy)
                })?;
                watch.map_or(Ok(()), |watch| writer.set_clock_watch(watch))?;
                for event in &events {
                    writer.record_event(event.clone());
                }
                Ok(())
            })
            .await;
        if written.is_ok() {
            self.core.uses.settle(&uses);
            self.core.app_token_uses.settle(&shown);
        } else {
            self.core.journal.put_back(refused);
            self.core.throttle.put_back(&budgets);
        }
        written
    }

    /// Observes the clock and stores its state in memory. `earlier` is the state before a restart.
    fn watch_clock(&self, earlier: Option<ClockWatch>) -> ClockWatch {
        let mut watched = self.watched_clock.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, steady) = (self.core.clock.now(), self.core.clock.steady());
        let (before, elapsed) = match (earlier, *watched) {
            (Some(before), _) => (before, None),
            (None, Some((before, at))) => (before, Some(steady.saturating_sub(at))),
            (None, None) => (ClockWatch::default(), None),
        };
        let after = before.observe(now, elapsed);
        *watched = Some((after, steady));
        if let (None, Some(until)) = (before.hold_until, after.hold_until) {
            tracing::warn!(
                "the clock has jumped ahead to {now}, or the server was down for more than a day: nothing is deleted because \
                 of its age until {until}; if this is not the time, set the clock"
            );
        }
        after
    }

    /// Ends the hold on deletions once something has been deleted.
    fn trust_clock(&self) {
        let mut watched = self.watched_clock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((watch, _)) = &mut *watched {
            watch.hold_until = watch.hold_until.filter(|_| watch.trusted().is_none());
        }
    }

    /// Deletes expired sessions, tokens and old data. While the clock can't be trusted, nothing is deleted because of
    /// its age, only because of limits on numbers.
    pub async fn sweep(&self) -> Result<(), Error> {
        let watch = self.watch_clock(None);
        self.store_clock_watch(watch).await?;
        // Use this time throughout, not a later one: the clock may jump at any moment.
        let now = watch.trusted();
        if let Some(now) = now {
            let expired = now - SessionLimits::RETENTION_AFTER_END;
            sessions::sweep::sweep(&self.core, expired).await?;
            self.in_turns(move |writer| writer.sweep_invitations(expired)).await?;
            self.in_turns(move |writer| writer.sweep_password_resets(expired)).await?;
            self.in_turns(move |writer| writer.sweep_app_tokens(expired)).await?;
            self.in_turns(move |writer| writer.sweep_entry_codes(now - ENTRY_CODE_RETENTION)).await?;
            self.in_turns(move |writer| writer.sweep_sign_in_addresses(now - ADDRESS_RETENTION)).await?;
            self.in_turns(move |writer| writer.sweep_known_browsers(now - ADDRESS_RETENTION)).await?;
            self.in_turns(move |writer| writer.sweep_full_budgets(now)).await?;
            let kept = Day::of(now).minus(ChartLength::KEPT);
            self.core.maintain(move |writer| writer.sweep_audit_days(kept)).await?;
        }
        audit::retention::prune(&self.core, now).await?;
        self.trust_clock();
        audit::read::log_head(&self.core).await
    }

    /// Deletes in many short transactions, so that other writers get their turns, until nothing is left.
    async fn in_turns(
        &self,
        delete: impl Fn(&mut Writer<'_>) -> Result<bool, Error> + Clone + Send + 'static,
    ) -> Result<(), Error> {
        while self.core.maintain(delete.clone()).await? {}
        Ok(())
    }

    /// Stores the state of the clock for the next start.
    async fn store_clock_watch(&self, watch: ClockWatch) -> Result<(), Error> {
        self.core.maintain(move |writer| writer.set_clock_watch(watch)).await
    }
}

/// Logs once when something starts to fail, and once when it works again, instead of four times a second.
#[derive(Default)]
struct Failing(bool);

impl Failing {
    fn report(&mut self, what: &str, result: &Result<(), Error>) {
        match result {
            Err(error) if !self.0 => {
                tracing::warn!(%error, "{what} failed; nothing is lost, and the server tries again");
            }
            Ok(()) if self.0 => tracing::info!("{what} works again"),
            _ => {}
        }
        self.0 = result.is_err();
    }
}

fn ticking(every: Duration) -> tokio::time::Interval {
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}
