//! What was attempted and refused: gathered here, written together, so that a guesser can't order commits.

use super::App;
use crate::domain::{Action, AuditEvent, Caller, Error, UserId};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Entries that wait to be written one by one. What comes beyond is counted, by kind, account and minute.
const WAITING: usize = 256;

#[derive(Default)]
pub(super) struct Refusals(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    events: Vec<AuditEvent>,
    counted: HashMap<(Action, Option<UserId>, i64), AuditEvent>,
}

impl Queue {
    fn push(&mut self, event: AuditEvent) {
        if self.events.len() < WAITING {
            return self.events.push(event);
        }
        // A flood against ever new accounts is one entry: so many keys and no more.
        let minute = event.at.as_millis().div_euclid(60_000);
        let key = (event.action, event.subject, minute);
        let known = self.counted.len() < WAITING || self.counted.contains_key(&key);
        let key = if known { key } else { (event.action, None, minute) };
        let blank = AuditEvent { actor: None, subject: key.1, ip: None, request_id: None, count: 0, ..event };
        let entry = self.counted.entry(key).or_insert(blank);
        entry.count = entry.count.saturating_add(event.count);
    }
}

impl Refusals {
    fn push(&self, event: AuditEvent) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    pub(super) fn take(&self) -> Vec<AuditEvent> {
        let queue = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        queue.events.into_iter().chain(queue.counted.into_values()).collect()
    }

    pub(super) fn put_back(&self, events: Vec<AuditEvent>) {
        for event in events {
            self.push(event);
        }
    }
}

impl App {
    /// Notes an attempt that changed nothing.
    pub(super) fn note(&self, action: Action, caller: &Caller, subject: Option<UserId>) {
        self.refusals.push(AuditEvent::new(self.clock.now(), action, caller, subject));
    }

    /// Passes a result on, and notes it where it is a `403`.
    pub(super) fn noting_refusal<T>(
        &self,
        caller: &Caller,
        subject: Option<UserId>,
        result: Result<T, Error>,
    ) -> Result<T, Error> {
        if let Err(Error::Forbidden | Error::ReauthenticationRequired | Error::RegistrationClosed) = result {
            self.note(Action::AccessDenied, caller, subject);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn a_flood_becomes_counted_entries_and_loses_no_attempt() {
        let refusals = Refusals::default();
        for n in 0..5_000 {
            let at = Timestamp::from_millis(0);
            let mut event = AuditEvent::new(at, Action::SignInFailed, &Caller::shell(), UserId::new(n % 3 + 1));
            event.actor = None;
            refusals.push(event);
        }
        let events = refusals.take();
        assert_eq!(events.len(), WAITING + 3);
        assert_eq!(events.iter().map(|event| event.count).sum::<u32>(), 5_000);
        assert!(refusals.take().is_empty());
    }

    #[test]
    fn a_flood_against_many_accounts_takes_bounded_memory() {
        let refusals = Refusals::default();
        for n in 1..=100_000 {
            let at = Timestamp::from_millis(0);
            refusals.push(AuditEvent::new(at, Action::SignInFailed, &Caller::shell(), UserId::new(n)));
        }
        let events = refusals.take();
        assert!(events.len() <= 2 * WAITING + 1);
        assert_eq!(events.iter().map(|event| event.count).sum::<u32>(), 100_000);
    }
}
