//! Failed and refused attempts, collected here and written together. Everything is bounded: a guesser can't cause a
//! commit per attempt, fill the memory or the disk, or push other entries out of the log.

use crate::{
    clock::Clock,
    domain::{Action, AuditEvent, Caller, ClientPrefix, Timestamp, UserId},
};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The maximum number of entries that wait to be written, for single and counted entries each.
const MAX_PENDING: usize = 256;

pub(in crate::app) struct Journal {
    queue: Mutex<Queue>,
    clock: Clock,
}

/// Attempts are single entries while there is budget. Beyond it, identical attempts become one entry a minute. When
/// that budget is used up, too, all attempts with the same action become one entry.
#[derive(Default)]
struct Queue {
    single: Vec<AuditEvent>,
    singles: Budget,
    counted: HashMap<Key, AuditEvent>,
    keys: Budget,
}

/// What attempts that are counted together have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    action: Action,
    subject: Option<UserId>,
    prefix: Option<ClientPrefix>,
    minute: i64,
}

/// How many entries may be written: a burst, and then one every ten seconds. A month of guessing fills a quarter of the
/// log's default size.
#[derive(Debug)]
struct Budget {
    left: usize,
    /// The time up to which refills have been added.
    at: Timestamp,
}

impl Budget {
    const MAX: usize = 256;
    const REFILL_INTERVAL: Duration = Duration::from_secs(10);

    fn spend(&mut self, now: Timestamp) -> bool {
        let gained = now.since(self.at).as_secs() / Self::REFILL_INTERVAL.as_secs();
        let left = self.left.saturating_add(usize::try_from(gained).unwrap_or(usize::MAX));
        // If the clock was set back, refills start over from now. They must not stop until the old time comes again.
        if left >= Self::MAX || now < self.at {
            self.at = now;
        } else {
            self.at = self.at + Duration::from_secs(gained * Self::REFILL_INTERVAL.as_secs());
        }
        self.left = left.min(Self::MAX);
        let granted = self.left > 0;
        self.left = self.left.saturating_sub(1);
        granted
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: Self::MAX, at: Timestamp::from_millis(0) }
    }
}

fn minute_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(60_000)
}

impl Queue {
    /// Only a single entry shows the IP address. A counted one shows the account alone.
    fn push(&mut self, event: AuditEvent) {
        if self.single.len() < MAX_PENDING && self.singles.spend(event.at) {
            return self.single.push(event);
        }
        self.count(AuditEvent { ip: None, ..event });
    }

    fn count(&mut self, event: AuditEvent) {
        let minute = minute_of(event.at);
        let key = Key { action: event.action, subject: event.subject, prefix: event.ip.map(ClientPrefix::of), minute };
        let known = self.counted.contains_key(&key) || (self.counted.len() < MAX_PENDING && self.keys.spend(event.at));
        let key = if known { key } else { Key { subject: None, prefix: None, ..key } };
        // If nothing can be written, minutes pile up, too. Beyond this limit they are merged into one.
        let room = self.counted.len() < 2 * MAX_PENDING || self.counted.contains_key(&key);
        self.add(if room { key } else { Key { minute: i64::MIN, ..key } }, event);
    }

    fn add(&mut self, key: Key, event: AuditEvent) {
        let (subject, ip) = (key.subject, key.prefix.map(ClientPrefix::first));
        let blank = AuditEvent { actor: None, subject, ip, request_id: None, count: 0, ..event };
        let entry = self.counted.entry(key).or_insert(blank);
        entry.count = entry.count.saturating_add(event.count);
    }
}

/// Entries that are being written.
#[derive(Debug, Default)]
pub(in crate::app) struct Taken {
    single: Vec<AuditEvent>,
    counted: Vec<(Key, AuditEvent)>,
}

impl Taken {
    pub fn is_empty(&self) -> bool {
        self.single.is_empty() && self.counted.is_empty()
    }

    pub fn events(&self) -> Vec<AuditEvent> {
        self.single.iter().chain(self.counted.iter().map(|(_, event)| event)).cloned().collect()
    }
}

impl Journal {
    pub fn new(clock: Clock) -> Self {
        Self { queue: Mutex::default(), clock }
    }

    /// Records an attempt that changed nothing.
    pub fn record(&self, action: Action, caller: &Caller, subject: Option<UserId>) {
        let event = AuditEvent::new(self.clock.now(), action, caller, subject);
        self.with(|queue| queue.push(event));
    }

    /// Records one of many attempts: those on one account from one client are one entry a minute.
    pub fn record_counted(&self, action: Action, caller: &Caller, subject: Option<UserId>) {
        let event = AuditEvent::new(self.clock.now(), action, caller, subject);
        self.with(|queue| queue.count(event));
    }

    fn with<T>(&self, work: impl FnOnce(&mut Queue) -> T) -> T {
        work(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the entries to write. If the time is given, counts of the current minute stay.
    pub fn take(&self, now: Option<Timestamp>) -> Taken {
        let current = now.map(minute_of);
        let mut taken = self.with(|queue| Taken {
            single: std::mem::take(&mut queue.single),
            counted: queue.counted.extract_if(|key, _| current != Some(key.minute)).collect(),
        });
        taken.counted.sort_by_key(|(_, event)| event.at);
        taken
    }

    /// Puts back entries that could not be written, for the next time.
    pub fn put_back(&self, taken: Taken) {
        self.with(|queue| {
            let later = std::mem::replace(&mut queue.single, taken.single);
            for event in later {
                if queue.single.len() < MAX_PENDING {
                    queue.single.push(event);
                } else {
                    queue.count(AuditEvent { ip: None, ..event });
                }
            }
            for (key, event) in taken.counted {
                queue.add(key, event);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(seconds: i64, subject: i64, ip: &str) -> AuditEvent {
        AuditEvent {
            ip: ip.parse().ok(),
            ..AuditEvent::new(
                Timestamp::from_millis(seconds * 1000),
                Action::SignInFailed,
                &Caller::shell(),
                UserId::new(subject),
            )
        }
    }

    fn total(events: &[AuditEvent]) -> u32 {
        events.iter().map(|event| event.count).sum()
    }

    #[test]
    fn a_flood_becomes_counted_entries_and_loses_no_attempt() {
        let journal = Journal::new(Clock::System);
        for n in 0..5_000 {
            journal.with(|queue| queue.push(attempt(0, n % 3 + 1, "203.0.113.9")));
        }
        let events = journal.take(None).events();
        assert_eq!((events.len(), total(&events)), (Budget::MAX + 3, 5_000));
        assert!(journal.take(None).is_empty());
    }

    #[test]
    fn a_flood_against_many_accounts_takes_bounded_memory() {
        let journal = Journal::new(Clock::System);
        for n in 1..=100_000 {
            journal.with(|queue| queue.push(attempt(0, n, "203.0.113.9")));
        }
        let events = journal.take(None).events();
        assert!(events.len() <= 2 * MAX_PENDING + 1);
        assert_eq!(total(&events), 100_000);
    }

    #[test]
    fn a_budget_fills_by_one_every_ten_seconds_however_often_it_is_asked() {
        let (mut budget, at) = (Budget::default(), |seconds| Timestamp::from_millis(seconds * 1000));
        let mut granted = |seconds: std::ops::Range<i64>| seconds.filter(|second| budget.spend(at(*second))).count();
        assert_eq!((granted(1000..1009), granted(1009..1010)), (9, 1));
        (0..Budget::MAX).for_each(|_| assert!(granted(1010..1011) <= 1));
        assert_eq!(granted(1011..1111), 10);
    }

    #[test]
    fn a_flood_that_goes_on_for_a_day_makes_few_entries_however_often_they_are_taken() {
        let (journal, mut written, mut attempts) = (Journal::new(Clock::System), 0, 0);
        for second in 0..86_400 {
            for n in 0..3 {
                journal.with(|queue| queue.push(attempt(second, 1 + second * 3 + n, "203.0.113.9")));
            }
            let events = journal.take(Some(Timestamp::from_millis(second * 1000))).events();
            written += events.len();
            attempts += total(&events);
        }
        attempts += total(&journal.take(None).events());
        assert_eq!(attempts, 3 * 86_400);
        assert!(written <= 2 * Budget::MAX + 24 * 60 * 13, "{written}");
    }

    #[test]
    fn a_count_is_written_once_its_minute_is_over() {
        let journal = Journal::new(Clock::System);
        for second in [0, 20, 59, 60] {
            journal.with(|queue| queue.count(attempt(second, 1, "203.0.113.9")));
        }
        assert_eq!(journal.take(Some(Timestamp::from_millis(61_000))).events().len(), 1);
        assert!(journal.take(Some(Timestamp::from_millis(119_999))).is_empty());
        let second = journal.take(Some(Timestamp::from_millis(120_000))).events();
        assert_eq!((second.len(), total(&second), second[0].at), (1, 1, Timestamp::from_millis(60_000)));
    }

    #[test]
    fn attempts_are_counted_by_account_and_by_client_prefix() {
        let journal = Journal::new(Clock::System);
        for (subject, ip) in [
            (1, "203.0.113.9"),
            (1, "203.0.113.9"),
            (1, "203.0.113.10"),
            (2, "203.0.113.9"),
            (1, "2001:db8::1"),
            (1, "2001:db8::ffff:2"),
            (1, "2001:db8:0:1::1"),
        ] {
            journal.with(|queue| queue.count(attempt(0, subject, ip)));
        }
        let events = journal.take(None).events();
        let mut found: Vec<_> = events
            .iter()
            .map(|event| (event.ip.unwrap().to_string(), event.subject.unwrap().get(), event.count))
            .collect();
        found.sort();
        let found: Vec<_> = found.iter().map(|(ip, subject, count)| (ip.as_str(), *subject, *count)).collect();
        let expected = [
            ("2001:db8:0:1::", 1, 1),
            ("2001:db8::", 1, 2),
            ("203.0.113.10", 1, 1),
            ("203.0.113.9", 1, 2),
            ("203.0.113.9", 2, 1),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_cannot_be_written_is_kept_in_bounded_memory_and_no_attempt_is_lost() {
        let (journal, mut attempts) = (Journal::new(Clock::System), 0);
        for minute in 0..3_000 {
            for n in 0..30 {
                journal.with(|queue| queue.push(attempt(minute * 60, 1 + minute * 30 + n, "203.0.113.9")));
                attempts += 1;
            }
            let taken = journal.take(Some(Timestamp::from_millis(minute * 60_000)));
            journal.put_back(taken);
        }
        let events = journal.take(None).events();
        assert_eq!(total(&events), attempts);
        assert!(events.len() <= 3 * MAX_PENDING + Action::ALL.len(), "{}", events.len());
    }

    #[test]
    fn a_clock_that_is_set_back_neither_fills_nor_stops_the_budget() {
        let mut budget = Budget::default();
        let (late, early) = (Timestamp::from_millis(1_000_000_000), Timestamp::from_millis(500_000_000));
        assert!((0..Budget::MAX).all(|_| budget.spend(late)));
        assert!(!budget.spend(late) && !budget.spend(early));
        assert!(budget.spend(early + Budget::REFILL_INTERVAL));
        assert!(!budget.spend(early + Budget::REFILL_INTERVAL));
    }
}
