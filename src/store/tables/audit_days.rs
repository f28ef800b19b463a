//! Statements for what is counted of the audit log by days. A chart reads a few rows of a small table, however long the log
//! is.

use crate::{
    domain::{AuditEvent, Charted, Day, DayCounts, Error},
    store::{
        Reader, Writer,
        sql::{Fault, values},
    },
};

const BETWEEN: &str = "SELECT day, kind, count FROM audit_days WHERE day BETWEEN ?1 AND ?2 ORDER BY day";

impl Reader<'_> {
    /// The days from `first` to `last`, with those on which nothing happened. Kinds that only another program knows are left
    /// out. Scans.
    pub fn audit_days(&self, first: Day, last: Day) -> Result<Vec<DayCounts>, Error> {
        let mut days: Vec<DayCounts> =
            (first.number()..=last.number()).map(|day| DayCounts::none(Day::from_number(day))).collect();
        self.sql.rows(BETWEEN, values![first.number(), last.number()], &mut |row| {
            let place = usize::try_from(row.number(0)? - first.number()).ok();
            let counts = place.and_then(|place| days.get_mut(place));
            if let (Some(counts), Some(kind)) = (counts, Charted::parse(row.text(1)?)) {
                *counts.of_mut(kind) = row.number(2)?;
            }
            Ok(true)
        })?;
        Ok(days)
    }
}

impl Writer<'_> {
    /// Counts the entries that charts show. Most transactions have none or one.
    pub(super) fn count_by_day(&self, events: &[AuditEvent]) -> Result<(), Error> {
        let charted = events.iter().filter_map(|event| Some(((Day::of(event.at), Charted::of(event.action)?), event)));
        let mut counts: Vec<((Day, Charted), i64)> = Vec::new();
        for (of, event) in charted {
            match counts.iter_mut().find(|(counted, _)| *counted == of) {
                Some((_, count)) => *count += i64::from(event.count),
                None => counts.push((of, event.count.into())),
            }
        }
        counts.into_iter().try_for_each(|((day, kind), count)| self.add_to_day(day, kind, count))?;
        Ok(())
    }

    fn add_to_day(&self, day: Day, kind: Charted, count: i64) -> Result<(), Fault> {
        const SQL: &str = "INSERT INTO audit_days (day, kind, count) VALUES (?1, ?2, ?3)
            ON CONFLICT (day, kind) DO UPDATE SET count = audit_days.count + excluded.count";
        self.sql.change(SQL, values![day.number(), kind.as_str(), count]).map(drop)
    }

    /// Deletes the counts of the days before one. They are few rows at any time.
    pub fn sweep_audit_days(&mut self, before: Day) -> Result<(), Error> {
        self.sql.change("DELETE FROM audit_days WHERE day < ?1", values![before.number()])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{empty, reader, writer};
    use super::*;
    use crate::domain::{Action, Caller, Timestamp};
    use rusqlite::{Connection, StatementStatus};

    const DAY: i64 = 24 * 60 * 60 * 1000;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_millis(day * DAY)
    }

    fn happened(connection: &Connection, day: i64, action: Action, count: u32) {
        let event = AuditEvent::new(at(day), action, &Caller::shell(), None).times(count);
        writer(connection, at(0)).append_audit(&[event.clone(), event]).unwrap();
    }

    /// Sign-ins, refusals and registrations.
    fn counts(connection: &Connection, first: i64, last: i64) -> Vec<[i64; 3]> {
        let days = reader(connection).audit_days(Day::from_number(first), Day::from_number(last)).unwrap();
        assert!(days.iter().map(|counts| counts.day.number()).eq(first..=last));
        days.iter().map(|counts| [counts.sign_ins, counts.refusals, counts.registrations]).collect()
    }

    #[test]
    fn what_is_appended_is_counted_on_its_day() {
        let connection = empty();
        for action in [Action::SignInFailed, Action::AttemptThrottled, Action::AccessDenied, Action::UserRegistered] {
            happened(&connection, 10, action, 5);
        }
        happened(&connection, 12, Action::SignedIn, 1);
        happened(&connection, -1, Action::SignedIn, u32::MAX);
        happened(&connection, 11, Action::UserImported, 1_000);
        assert_eq!(counts(&connection, 10, 12), [[0, 30, 10], [0; 3], [2, 0, 0]]);
        assert_eq!(counts(&connection, -1, 0), [[2 * i64::from(u32::MAX), 0, 0], [0; 3]]);
    }

    #[test]
    fn days_before_one_are_swept_and_it_stays() {
        let connection = empty();
        (9..=11).for_each(|day| happened(&connection, day, Action::SignedIn, 1));
        writer(&connection, at(0)).sweep_audit_days(Day::from_number(10)).unwrap();
        assert_eq!(counts(&connection, 9, 11), [[0; 3], [2, 0, 0], [2, 0, 0]]);
    }

    /// How many steps SQLite's machine takes for a chart of ninety days.
    fn steps(entries_a_day: u32, days_kept: i64) -> i32 {
        let connection = empty();
        for _ in 0..entries_a_day {
            (0..days_kept).for_each(|day| happened(&connection, day, Action::SignedIn, 1));
        }
        reader(&connection).audit_days(Day::from_number(0), Day::from_number(89)).unwrap();
        connection.prepare_cached(BETWEEN).unwrap().reset_status(StatementStatus::VmStep)
    }

    #[test]
    fn a_chart_costs_the_same_however_long_the_log_is() {
        assert_eq!(steps(1, 91), steps(9, 400)); // one day more, which ends it
    }
}
