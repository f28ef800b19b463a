//! Decides whether the clock can be trusted enough to delete old data.

use super::Timestamp;
use std::time::Duration;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// What is known about the clock. It is updated regularly by `observe`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClockWatch {
    /// The clock's time at the last observation; `None` before the first.
    pub seen_at: Option<Timestamp>,
    /// Until then, nothing is deleted because of its age. It stays set until something has been deleted after that time.
    /// `None` if there is no reason to wait.
    pub hold_until: Option<Timestamp>,
}

impl ClockWatch {
    /// A jump shorter than this prolongs a hold by its own length only. Otherwise a machine that is off every night, whose
    /// clock seems to jump each time, would never delete anything. Ended sessions are kept for as long, see
    /// [`SessionLimits::RETENTION_AFTER_END`](super::SessionLimits::RETENTION_AFTER_END).
    const SHORT: Duration = super::SessionLimits::RETENTION_AFTER_END;

    /// Returns what is known after another observation. `elapsed` is the time since the last one, by a clock that nobody
    /// sets, or `None` after a restart. Then a jump of more than a day can't be distinguished from a long downtime, and
    /// counts as a jump. When the clock is set back, the hold ends at most a day later.
    #[must_use]
    pub fn observe(self, now: Timestamp, elapsed: Option<Duration>) -> Self {
        let ahead = self.seen_at.map_or(Duration::ZERO, |seen_at| now.since(seen_at + elapsed.unwrap_or_default()));
        let jumped = ahead > if elapsed.is_some() { HOUR } else { DAY };
        let a_day = now + DAY;
        let hold_until = match self.hold_until {
            Some(until) if jumped && ahead < Self::SHORT => Some(a_day.min(until + ahead)),
            _ if jumped => Some(a_day),
            until => until.map(|until| a_day.min(until)),
        };
        Self { seen_at: Some(now), hold_until }
    }

    /// The time at which stored times continue after a restart. If the clock was set back, or is more than a day ahead of
    /// the last observation, it is the time of that observation, because the time in between is not reliable.
    pub fn resumes_at(self, now: Timestamp) -> Timestamp {
        self.seen_at.filter(|seen_at| now < *seen_at || now.since(*seen_at) > DAY).unwrap_or(now)
    }

    /// The time of the last look, if what is old by then may be deleted.
    pub fn trusted(self) -> Option<Timestamp> {
        self.seen_at.filter(|seen_at| self.hold_until.is_none_or(|until| until <= *seen_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_795_341_600_000);
    const YEAR: Duration = Duration::from_hours(365 * 24);

    fn seen_at(at: Timestamp) -> ClockWatch {
        ClockWatch { seen_at: Some(at), hold_until: None }
    }

    fn holding(until: Timestamp) -> ClockWatch {
        ClockWatch { seen_at: Some(START), hold_until: Some(until) }
    }

    #[test]
    fn a_clock_that_keeps_time_gives_no_reason_to_wait() {
        assert_eq!(ClockWatch::default().observe(START, None), seen_at(START), "the first look");
        for (ahead, elapsed) in
            [(HOUR, Some(HOUR)), (3 * HOUR, Some(2 * HOUR)), (DAY, None), (30 * DAY, Some(30 * DAY))]
        {
            assert_eq!(
                seen_at(START).observe(START + ahead, elapsed),
                seen_at(START + ahead),
                "{ahead:?} in {elapsed:?}"
            );
        }
    }

    #[test]
    fn a_jump_is_a_reason_to_wait_for_a_day_and_no_longer() {
        let millisecond = Duration::from_millis(1);
        for (ahead, elapsed) in
            [(3 * HOUR + millisecond, Some(2 * HOUR)), (YEAR, Some(HOUR)), (DAY + millisecond, None)]
        {
            let now = START + ahead;
            let jumped = seen_at(START).observe(now, elapsed);
            assert_eq!(
                jumped,
                ClockWatch { seen_at: Some(now), hold_until: Some(now + DAY) },
                "{ahead:?} in {elapsed:?}"
            );
            let later = |span| jumped.observe(now + span, Some(span)).trusted();
            assert_eq!((jumped.trusted(), later(DAY - millisecond), later(DAY)), (None, None, Some(now + DAY)));
        }
    }

    #[test]
    fn a_second_jump_begins_the_day_again() {
        let now = START + YEAR;
        assert_eq!(holding(START + HOUR).observe(now, Some(HOUR)).hold_until, Some(now + DAY));
        assert_eq!(holding(START + HOUR).observe(now, None).hold_until, Some(now + DAY));
        let now = START + ClockWatch::SHORT;
        assert_eq!(holding(START + HOUR).observe(now, Some(Duration::ZERO)).hold_until, Some(now + DAY));
    }

    #[test]
    fn a_machine_that_stands_still_every_night_is_not_held_up_for_ever() {
        let (mut watch, mut now) = (seen_at(START), START);
        for run in 1..=6 {
            now = now + 2 * DAY;
            watch = watch.observe(now, None); // after a restart
            assert_eq!(watch.trusted(), None, "run {run}");
            now = now + 4 * HOUR;
            watch = watch.observe(now, Some(4 * HOUR));
        }
        assert_eq!(watch.trusted(), Some(now), "it has run for a day");
        now = now + 2 * DAY;
        assert_eq!(
            watch.observe(now, None).trusted(),
            Some(now),
            "also where it was not swept before it stopped again"
        );
        assert_eq!(watch.observe(now + 7 * DAY, None).trusted(), None);
    }

    #[test]
    fn time_that_went_by_during_a_restart_counts_unless_it_is_more_than_a_day_or_less_than_none() {
        for (now, resumes_at) in [
            (START, START),
            (START + DAY, START + DAY),
            (START + DAY + Duration::from_millis(1), START),
            (START + YEAR, START),
            (START - Duration::from_millis(1), START),
        ] {
            assert_eq!(seen_at(START).resumes_at(now), resumes_at, "{now}");
        }
        assert_eq!(ClockWatch::default().resumes_at(START), START, "nothing is known");
    }

    #[test]
    fn a_clock_that_is_set_back_is_waited_for_no_longer_than_a_day() {
        let back = holding(START + DAY).observe(START - YEAR, Some(HOUR));
        assert_eq!(back.hold_until, Some(START - YEAR + DAY));
        assert_eq!(
            seen_at(START).observe(START - YEAR, Some(HOUR)).hold_until,
            None,
            "nothing is old that was not before"
        );
    }
}
