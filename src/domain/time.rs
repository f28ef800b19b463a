//! A point in time, as stored and as shown.

use std::{borrow::Cow, fmt, time::Duration};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Milliseconds since 1970-01-01T00:00:00Z. Shown as RFC 3339 in UTC, whole seconds (`2026-11-22T10:00:00Z`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339 with any offset. Digits finer than a millisecond are cut off.
    pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        let at = OffsetDateTime::parse(text, &Rfc3339);
        let millis = at.ok().and_then(|at| i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok());
        millis.map(Self).ok_or_else(|| "must be a time such as 2026-11-22T10:00:00Z".into())
    }

    /// The time since `earlier`, or zero if `earlier` is in the future (the clock was set back).
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// How far apart two times are, whichever comes first.
    pub fn distance(self, other: Timestamp) -> Duration {
        self.since(other).max(other.since(self))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Timestamp;

    fn add(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Timestamp;

    fn sub(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// RFC 3339 has the years 0000 to 9999. A time outside them (the clock is wrong) is shown as the nearest one.
const SHOWN: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

impl Timestamp {
    /// As ASCII text. Each answer and each line of the log shows some times, so the digits are set one by one.
    pub fn rfc3339(self) -> [u8; 20] {
        let seconds = self.0.div_euclid(1000).clamp(*SHOWN.start(), *SHOWN.end());
        let at = OffsetDateTime::from_unix_timestamp(seconds).expect("the range shown is within the library's");
        let (year, month, day) = at.to_calendar_date();
        let (hour, minute, second) = at.to_hms();
        let mut text = *b"0000-00-00T00:00:00Z";
        let mut set = |place: usize, mut number: u32, digits: usize| {
            for digit in text[place..place + digits].iter_mut().rev() {
                *digit += u8::try_from(number % 10).unwrap_or_default();
                number /= 10;
            }
        };
        set(0, year.unsigned_abs(), 4);
        for (place, number) in [(5, month.into()), (8, day), (11, hour), (14, minute), (17, second)] {
            set(place, u32::from(number), 2);
        }
        text
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.rfc3339()).map_err(|_| fmt::Error)?)
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.rfc3339()).map_err(serde::ser::Error::custom)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_utc_with_whole_seconds() {
        assert_eq!(Timestamp::from_millis(1_795_341_600_999).to_string(), "2026-11-22T10:00:00Z");
        assert_eq!(Timestamp::from_millis(-1).to_string(), "1969-12-31T23:59:59Z");
        assert_eq!(Timestamp::from_millis(i64::MAX).to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(Timestamp::from_millis(i64::MIN).to_string(), "0000-01-01T00:00:00Z");
    }

    #[test]
    fn a_time_is_read_with_its_offset() {
        for (text, millis) in [
            ("2026-11-22T10:00:00Z", 1_795_341_600_000),
            ("2026-11-22t11:30:00.1239+01:30", 1_795_341_600_123),
            ("1969-12-31T23:59:59.9999Z", -1),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000),
            ("9999-12-31T23:59:59Z", 253_402_300_799_000),
        ] {
            assert_eq!(Timestamp::parse(text), Ok(Timestamp(millis)), "{text}");
        }
        for bad in
            ["", "2026-11-22", "2026-11-22T10:00:00", "2026-02-30T10:00:00Z", "1795341600", "2026-11-22T24:00:00Z"]
        {
            assert!(Timestamp::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_negative_age_counts_as_none() {
        let now = Timestamp::from_millis(5_000);
        assert_eq!(now.since(Timestamp::from_millis(9_000)), Duration::ZERO);
        assert_eq!(now.since(Timestamp::from_millis(1_000)), Duration::from_secs(4));
    }
}
