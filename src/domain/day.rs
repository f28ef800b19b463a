//! Days, and what is counted in them for charts.

use super::{Action, Timestamp};
use std::{borrow::Cow, fmt};

const MILLIS: i64 = 24 * 60 * 60 * 1000;

/// A day in UTC, counted from 1970-01-01. Shown as `2026-11-22`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(i64);

impl Day {
    pub fn of(at: Timestamp) -> Self {
        Self(at.as_millis().div_euclid(MILLIS))
    }

    pub fn from_number(number: i64) -> Self {
        Self(number)
    }

    pub fn number(self) -> i64 {
        self.0
    }

    /// The day so many days earlier.
    #[must_use]
    pub fn minus(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days.into()))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let midnight = Timestamp::from_millis(self.0.saturating_mul(MILLIS)).rfc3339();
        f.write_str(std::str::from_utf8(&midnight[..10]).map_err(|_| fmt::Error)?)
    }
}

impl serde::Serialize for Day {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is counted by the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Charted {
    SignIn,
    /// A failed sign-in, an attempt that was throttled, or something that the caller may not do.
    Refusal,
    /// Not an import: moving a thousand accounts here is not a thousand people who came.
    Registration,
}

impl Charted {
    /// What an entry of the audit log counts as. The actions here and in `migrations/4.sql` are the same.
    pub fn of(action: Action) -> Option<Self> {
        match action {
            Action::SignedIn => Some(Self::SignIn),
            Action::SignInFailed | Action::AttemptThrottled | Action::AccessDenied => Some(Self::Refusal),
            Action::UserRegistered => Some(Self::Registration),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Refusal => "refusal",
            Self::Registration => "registration",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::SignIn, Self::Refusal, Self::Registration].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What happened on a day: a count, not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayCounts {
    pub day: Day,
    pub sign_ins: i64,
    pub refusals: i64,
    pub registrations: i64,
}

impl DayCounts {
    pub fn none(day: Day) -> Self {
        Self { day, sign_ins: 0, refusals: 0, registrations: 0 }
    }

    /// The count of a kind.
    pub fn of_mut(&mut self, kind: Charted) -> &mut i64 {
        match kind {
            Charted::SignIn => &mut self.sign_ins,
            Charted::Refusal => &mut self.refusals,
            Charted::Registration => &mut self.registrations,
        }
    }
}

/// How many days a chart shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChartLength(u32);

impl ChartLength {
    pub const MAX: u32 = 366;
    pub const DEFAULT: u32 = 90;
    /// For how many days counts are kept, whatever is kept of the log itself.
    pub const KEPT: u32 = 400;

    pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        let is_canonical = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
        let number = is_canonical.then(|| text.parse().ok()).flatten().filter(|number| *number <= Self::MAX);
        number.map(Self).ok_or_else(|| format!("must be a whole number from 1 to {}", Self::MAX).into())
    }

    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for ChartLength {
    fn default() -> Self {
        Self(Self::DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_in_utc() {
        for (at, day) in [
            ("2026-11-22T00:00:00Z", "2026-11-22"),
            ("2026-11-22T23:59:59.999Z", "2026-11-22"),
            ("2026-11-23T00:30:00+01:00", "2026-11-22"),
            ("1969-12-31T23:59:59.999Z", "1969-12-31"),
            ("0000-01-01T00:00:00Z", "0000-01-01"),
        ] {
            assert_eq!(Day::of(Timestamp::parse(at).unwrap()).to_string(), day, "{at}");
        }
        assert_eq!(Day::of(Timestamp::parse("2026-03-01T10:00:00Z").unwrap()).minus(1).to_string(), "2026-02-28");
        assert_eq!(Day::from_number(i64::MAX).to_string(), "9999-12-31");
        assert_eq!(Day::from_number(i64::MIN).minus(1).to_string(), "0000-01-01");
    }

    #[test]
    fn a_chart_has_at_least_a_day_and_at_most_a_year() {
        assert_eq!((ChartLength::parse("1").unwrap().get(), ChartLength::parse("366").unwrap().get()), (1, 366));
        for bad in ["", "0", "-1", "+1", "01", "367", "1.5", "ten", "\u{661}"] {
            assert!(ChartLength::parse(bad).is_err(), "{bad:?}");
        }
        const { assert!(ChartLength::DEFAULT <= ChartLength::MAX && ChartLength::MAX < ChartLength::KEPT) };
    }
}
