//! Pages of the audit log, from either end. The cost of a page depends on its entries, not on the size of the log:
//! every combination of filters has an index that ends with the id.
//!
//! Times have no index. Entries are written in the order of their times, all but some that are late, so that a time is found by
//! halving the log, and a page is read between two ids.

use super::audit::chained_columns;
use crate::{
    domain::{AuditCursor, AuditEntry, AuditFilter, ChainHash, Error, Page, PageSize, Timestamp, UserId},
    store::{
        Reader,
        sql::{Columns, Fault, Sql, Value, values},
    },
};

/// The index of a filter. Statements name it, so that statistics in the file can't make SQLite choose another.
fn index(filter: &AuditFilter) -> Option<&'static str> {
    match (filter.actor.is_some(), filter.subject.is_some(), filter.action.is_some()) {
        (false, false, false) => None,
        (false, false, true) => Some("audit_by_action"),
        (true, false, false) => Some("audit_by_actor"),
        (false, true, false) => Some("audit_by_subject"),
        (true, false, true) => Some("audit_by_actor_action"),
        (false, true, true) => Some("audit_by_subject_action"),
        (true, true, false) => Some("audit_by_actor_subject"),
        (true, true, true) => Some("audit_by_actor_subject_action"),
    }
}

/// The step of a search for a time.
const FIRST_BETWEEN: &str = "SELECT id, at FROM audit WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1";

/// Builds a query for up to `limit` entries that match a filter, from an id in one direction, perhaps up to another one.
fn query<'f>(
    engine: &dyn Sql,
    columns: &str,
    filter: &'f AuditFilter,
    newest_first: bool,
    (place, end): (i64, Option<i64>),
    limit: u32,
) -> (String, Vec<Value<'f>>) {
    let (beyond, within, order) = if newest_first { ('<', "id >", "DESC") } else { ('>', "id <", "ASC") };
    let (mut conditions, mut given) = (format!("id {beyond} ?1"), vec![place.into(), limit.into()]);
    for (condition, wanted) in [
        (within, end.map(Value::from)),
        ("actor =", filter.actor.map(Value::from)),
        ("subject =", filter.subject.map(Value::from)),
        ("action =", filter.action.as_ref().map(|action| action.as_str().into())),
        ("at >=", filter.since.map(Value::from)),
        ("at <", filter.until.map(Value::from)),
    ] {
        if let Some(value) = wanted {
            given.push(value);
            conditions += &format!(" AND {condition} ?{}", given.len());
        }
    }
    let index = index(filter).map_or_else(String::new, |index| engine.indexed_by(index));
    (format!("SELECT {columns} FROM audit {index} WHERE {conditions} ORDER BY id {order} LIMIT ?2"), given)
}

/// What an account did, and what was done to it.
fn halves(user: UserId) -> [AuditFilter; 2] {
    let none = AuditFilter::default;
    [AuditFilter { actor: Some(user), ..none() }, AuditFilter { subject: Some(user), ..none() }]
}

/// The same query for both, without entries twice. The halves have the same parameters.
fn history_query<'f>(
    engine: &dyn Sql,
    halves: &'f [AuditFilter; 2],
    place: i64,
    limit: u32,
) -> (String, Vec<Value<'f>>) {
    let [(did, given), (was_done, _)] =
        halves.each_ref().map(|half| query(engine, chained_columns!(), half, true, (place, None), limit));
    let sql =
        format!("SELECT * FROM ({did}) AS did UNION SELECT * FROM ({was_done}) AS was_done ORDER BY id DESC LIMIT ?2");
    (sql, given)
}

/// Text that is not UTF-8 is shown as far as possible: other programs may have written to the file.
fn entry_from(row: &dyn Columns) -> Result<AuditEntry, Fault> {
    let text = |n| row.bytes(n).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    Ok(AuditEntry {
        id: row.number(0)?,
        at: row.time(1)?,
        action: text(2)?,
        actor: row.nullable(3, |n| row.number(n))?,
        subject: row.nullable(4, |n| row.number(n))?,
        ip: row.nullable(5, text)?,
        request_id: row.nullable(6, text)?,
        count: row.number(7)?,
        hash: ChainHash(row.array(8)?),
    })
}

impl Reader<'_> {
    /// A page of the log, the newest entries first. Scans.
    pub fn audit(
        &self,
        filter: &AuditFilter,
        before: Option<AuditCursor>,
        size: PageSize,
    ) -> Result<Page<AuditEntry, AuditCursor>, Error> {
        let before = before.map_or(i64::MAX, |AuditCursor(id)| id);
        let found = self.entries(filter, true, before, size.get() + 1)?;
        Ok(Page::cut(found, size, |entry| AuditCursor(entry.id)))
    }

    /// A page of what an account did and of what was done to it, the newest entries first. It is merged from the pages of
    /// both, so that it costs as much. Scans.
    pub fn history(
        &self,
        user: UserId,
        before: Option<AuditCursor>,
        size: PageSize,
    ) -> Result<Page<AuditEntry, AuditCursor>, Error> {
        let before = before.map_or(i64::MAX, |AuditCursor(id)| id);
        let halves = halves(user);
        let (sql, given) = history_query(self.sql, &halves, before, size.get() + 1);
        Ok(Page::cut(self.sql.all(&sql, &given, entry_from)?, size, |entry| AuditCursor(entry.id)))
    }

    /// Returns up to `limit` entries after an id, oldest first. Scans.
    pub fn audit_after(&self, filter: &AuditFilter, after: i64, limit: u32) -> Result<Vec<AuditEntry>, Error> {
        self.entries(filter, false, after, limit)
    }

    /// Returns the id of the entry before the newest `newest` matching ones. Scans as many.
    pub fn audit_before_newest(&self, filter: &AuditFilter, newest: u32) -> Result<i64, Error> {
        if newest == 0 {
            return Ok(self.audit_head()?.id);
        }
        let ids = self.within_times(filter, true, i64::MAX)?;
        let (sql, given) = query(self.sql, "id", filter, true, ids, newest);
        let sql = format!("SELECT min(id) FROM ({sql}) AS newest");
        let first = self.sql.only(&sql, &given, |row| row.nullable(0, |n| row.number(n)))?;
        Ok(first.map_or(0, |first| first - 1))
    }

    fn entries(&self, filter: &AuditFilter, down: bool, place: i64, limit: u32) -> Result<Vec<AuditEntry>, Error> {
        let ids = self.within_times(filter, down, place)?;
        let (sql, given) = query(self.sql, chained_columns!(), filter, down, ids, limit);
        Ok(self.sql.all(&sql, &given, entry_from)?)
    }

    /// From which id to which one a query must look for entries of the filter's times.
    fn within_times(&self, filter: &AuditFilter, down: bool, place: i64) -> Result<(i64, Option<i64>), Error> {
        let delay = AuditFilter::MAX_DELAY;
        let after = filter.since.map(|since| self.first_audit_at(since - delay).map(|first| first - 1)).transpose()?;
        let before = filter.until.map(|until| self.first_audit_at(until + delay)).transpose()?;
        Ok(if down {
            (before.map_or(place, |before| place.min(before)), after)
        } else {
            (after.map_or(place, |after| place.max(after)), before)
        })
    }

    /// Returns the id of the first entry at or after a time, or that of the next entry if there is none. Each step reads one
    /// entry and halves what is left of the log. Where the clock was set back, there are several places where a time begins,
    /// and this is one of them.
    fn first_audit_at(&self, at: Timestamp) -> Result<i64, Error> {
        let ends = self.audit_ends()?;
        let (mut first, mut end) = (ends.anchor.id + 1, ends.head.id + 1);
        while first < end {
            let middle = first + (end - first) / 2;
            match self.sql.first(FIRST_BETWEEN, values![middle, end], |row| Ok((row.number(0)?, row.time(1)?)))? {
                Some((id, then)) if then < at => first = id + 1,
                _ => end = middle,
            }
        }
        Ok(first)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{empty, reader};
    use super::*;
    use crate::domain::Action;
    use rusqlite::{Connection, StatementStatus};
    use std::time::Duration;

    const MINUTE: i64 = 60_000;

    fn sql(connection: &Connection, filter: &AuditFilter, newest_first: bool) -> String {
        let end = if newest_first { filter.since } else { filter.until };
        query(connection, chained_columns!(), filter, newest_first, (0, end.map(|_| 0)), 0).0
    }

    /// Two users, one of whom is guessed at all the time, and a third who hardly appears.
    fn database(entries: u32) -> Connection {
        let connection = empty();
        connection
            .execute(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                 INSERT INTO audit SELECT i, i, iif(i % 2, 'session.signed_in', 'session.sign_in_failed'),
                   iif(i % 997 = 1, 3, iif(i % 2, 1 + i / 2 % 2, NULL)), iif(i % 991 = 1, 3, 1 + i / 2 % 2),
                   NULL, NULL, 1, zeroblob(32) FROM n",
                [entries],
            )
            .unwrap();
        connection.execute("UPDATE audit_state SET head_id = ?1", [entries]).unwrap();
        connection
    }

    /// The same with a minute from entry to entry. Every seventh is late.
    fn database_of_minutes(entries: u32) -> Connection {
        let connection = database(entries);
        let late = i64::try_from(AuditFilter::MAX_DELAY.as_millis()).unwrap();
        connection.execute("UPDATE audit SET at = id * ?1 - iif(id % 7, 0, ?2)", [MINUTE, late]).unwrap();
        connection
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * MINUTE)
    }

    fn filters() -> Vec<AuditFilter> {
        let users = [None, UserId::new(1), UserId::new(3), UserId::new(9)];
        let actions = [None, Some(Action::SignedIn), Some(Action::SignInFailed), Some(Action::UserDeleted)];
        let with = |actor| {
            let of = move |action, subject| AuditFilter { action, actor, subject, ..AuditFilter::default() };
            users.into_iter().flat_map(move |subject| actions.into_iter().map(move |action| of(action, subject)))
        };
        users.into_iter().flat_map(with).collect()
    }

    /// Each of them with each kind of time: from one on, before one, and between two.
    fn within(since: Timestamp, until: Timestamp) -> Vec<AuditFilter> {
        let times = [(None, None), (Some(since), None), (None, Some(until)), (Some(since), Some(until))];
        let with = |filter| times.into_iter().map(move |(since, until)| AuditFilter { since, until, ..filter });
        filters().into_iter().flat_map(with).collect()
    }

    #[test]
    fn every_combination_of_filters_uses_an_index_of_its_own_and_sorts_nothing() {
        let connection = database(10);
        for filter in within(at(1), at(2)) {
            for newest_first in [false, true] {
                let sql = format!("EXPLAIN QUERY PLAN {}", sql(&connection, &filter, newest_first));
                let mut statement = connection.prepare(&sql).unwrap();
                let lines: Vec<String> =
                    statement.raw_query().mapped(|row| row.get(3)).collect::<Result<_, _>>().unwrap();
                let given = [("actor", filter.actor.is_some()), ("subject", filter.subject.is_some())];
                let given = given.into_iter().chain([("action", filter.action.is_some())]);
                let columns: Vec<&str> = given.filter(|(_, is)| *is).map(|(column, _)| column).collect();
                let columns = columns.iter().fold(String::new(), |text, column| text + column + "=? AND ");
                let (index, id) = match index(&filter) {
                    Some(name) => (format!("INDEX {name}"), "id"),
                    None => ("INTEGER PRIMARY KEY".to_owned(), "rowid"),
                };
                let ends = match (newest_first, filter.since, filter.until) {
                    (true, Some(_), _) | (false, _, Some(_)) => format!("{id}>? AND {id}<?"),
                    (true, ..) => format!("{id}<?"),
                    (false, ..) => format!("{id}>?"),
                };
                assert_eq!(lines, [format!("SEARCH audit USING {index} ({columns}{ends})")]);
            }
        }
    }

    /// Every entry, page by page, and how many steps SQLite's machine took for the dearest page.
    fn walk(connection: &Connection, filter: &AuditFilter, size: &str) -> (Vec<i64>, i32) {
        let (reader, mut ids, mut dearest) = (reader(connection), Vec::new(), 0);
        let mut cursor = None;
        loop {
            let page = reader.audit(filter, cursor, PageSize::parse(size).unwrap()).unwrap();
            let statement = connection.prepare_cached(&sql(connection, filter, true)).unwrap();
            dearest = dearest.max(statement.reset_status(StatementStatus::VmStep));
            ids.extend(page.items.iter().map(|entry| entry.id));
            cursor = page.next;
            if cursor.is_none() {
                return (ids, dearest);
            }
        }
    }

    #[test]
    fn the_pages_are_the_whole_log_from_either_end() {
        let connection = database_of_minutes(3_000);
        let reader = reader(&connection);
        let all = reader.audit_after(&AuditFilter::default(), 0, u32::MAX).unwrap();
        for filter in within(at(700), at(1_400)) {
            let mut expected = all.clone();
            expected.retain(|entry| {
                filter.action.is_none_or(|action| entry.action == action.as_str())
                    && filter.actor.is_none_or(|actor| entry.actor == Some(actor.get()))
                    && filter.subject.is_none_or(|subject| entry.subject == Some(subject.get()))
                    && filter.since.is_none_or(|since| entry.at >= since)
                    && filter.until.is_none_or(|until| entry.at < until)
            });
            assert_eq!(reader.audit_after(&filter, 0, u32::MAX).unwrap(), expected, "{filter:?}");
            let (mut ids, _) = walk(&connection, &filter, "37");
            ids.reverse();
            assert!(ids.into_iter().eq(expected.iter().map(|entry| entry.id)), "{filter:?}");
        }
    }

    #[test]
    fn a_page_of_a_long_log_costs_what_a_page_of_a_short_one_does() {
        let (short, long) = (database(2_000), database(40_000));
        for filter in filters() {
            let ((_, of_short), (_, of_long)) = (walk(&short, &filter, "50"), walk(&long, &filter, "50"));
            assert!(of_long <= of_short.max(50 * 30), "{filter:?}: {of_short} and {of_long} steps");
        }
        // Between two times at the far end of a page's way through the log.
        let (short, long) = (database_of_minutes(2_000), database_of_minutes(40_000));
        for filter in within(at(1_000), at(1_500)) {
            let ((_, of_short), (_, of_long)) = (walk(&short, &filter, "50"), walk(&long, &filter, "50"));
            assert!(of_long <= of_short.max(50 * 40), "{filter:?}: {of_short} and {of_long} steps");
        }
    }

    #[test]
    fn a_time_is_found_by_halving_the_log() {
        let connection = database(40_000);
        connection.execute_batch("DELETE FROM audit WHERE id <= 900; UPDATE audit_state SET anchor_id = 900").unwrap();
        let reader = reader(&connection);
        let first = |millis| reader.first_audit_at(Timestamp::from_millis(millis)).unwrap();
        assert_eq!([first(0), first(902), first(30_000), first(39_999)], [901, 902, 30_000, 39_999]);
        assert_eq!([first(40_001), first(i64::MAX)], [40_001; 2]);
        let statement = connection.prepare_cached(FIRST_BETWEEN).unwrap();
        let steps = statement.reset_status(StatementStatus::Run);
        assert!((6 * 14..=6 * 16).contains(&steps), "{steps}: sixteen halves are one of 40,000");
        assert_eq!(super::super::fixture::reader(&empty()).first_audit_at(at(1)).unwrap(), 1);
    }

    #[test]
    fn entries_that_are_late_are_within_their_time() {
        let connection = database_of_minutes(100);
        let reader = reader(&connection);
        let ids = |filter| {
            let entries = reader.audit_after(&filter, 0, u32::MAX).unwrap();
            entries.into_iter().map(|entry| entry.id).collect::<Vec<_>>()
        };
        let all = AuditFilter::default();
        // The 35th is of minute 30, the 28th of minute 23.
        assert_eq!(ids(AuditFilter { since: Some(at(29)), until: Some(at(33)), ..all }), [29, 30, 31, 32, 35]);
        let exactly = AuditFilter { since: Some(at(33)), until: Some(at(33) + Duration::from_millis(1)), ..all };
        assert_eq!(ids(exactly), [33]);
        assert!(ids(AuditFilter { since: Some(at(33)), until: Some(at(33)), ..all }).is_empty());
        assert!(ids(AuditFilter { since: Some(at(101)), ..all }).is_empty());
        assert!(ids(AuditFilter { until: Some(at(1)), ..all }).is_empty());
    }

    #[test]
    fn where_the_clock_was_set_back_times_far_from_there_are_found() {
        let connection = database_of_minutes(2_000);
        // An hour comes twice.
        connection.execute("UPDATE audit SET at = at - 60 * ?1 WHERE id > 1000", [MINUTE]).unwrap();
        let reader = reader(&connection);
        for (since, until) in [(1, 900), (1_001, 1_900), (1, 1_900)] {
            let filter = AuditFilter { since: Some(at(since)), until: Some(at(until)), ..AuditFilter::default() };
            let all = reader.audit_after(&AuditFilter::default(), 0, u32::MAX).unwrap();
            let expected = all.into_iter().filter(|entry| (at(since)..at(until)).contains(&entry.at));
            assert!(reader.audit_after(&filter, 0, u32::MAX).unwrap().into_iter().eq(expected), "{since} {until}");
        }
    }

    #[test]
    fn a_history_has_each_entry_of_its_account_once_and_costs_the_same_in_a_long_log() {
        let history = |connection: &Connection, user: UserId| {
            let (reader, halves, mut ids, mut dearest) = (reader(connection), halves(user), Vec::new(), 0);
            let mut cursor = None;
            loop {
                let page = reader.history(user, cursor, PageSize::default()).unwrap();
                let sql = history_query(connection, &halves, 0, 0).0;
                dearest = dearest.max(connection.prepare_cached(&sql).unwrap().reset_status(StatementStatus::VmStep));
                ids.extend(page.items.iter().map(|entry| entry.id));
                cursor = page.next;
                if cursor.is_none() {
                    return (ids, dearest);
                }
            }
        };
        let (short, long) = (database(2_000), database(40_000));
        for user in [1, 3, 9].map(|id| UserId::new(id).unwrap()) {
            let mut expected = reader(&short).audit_after(&AuditFilter::default(), 0, u32::MAX).unwrap();
            expected.retain(|entry| [entry.actor, entry.subject].contains(&Some(user.get())));
            let (of_short, of_long) = (history(&short, user), history(&long, user));
            assert!(of_short.0.into_iter().eq(expected.iter().rev().map(|entry| entry.id)), "{user}");
            assert!(of_long.1 <= of_short.1.max(100 * 60), "{user}: {} and {} steps", of_short.1, of_long.1);
        }
    }

    #[test]
    fn the_newest_so_many_begin_after_the_one_before_them() {
        let connection = database(10);
        let reader = reader(&connection);
        let all = AuditFilter::default();
        assert_eq!(reader.audit_before_newest(&all, 3).unwrap(), 7);
        assert_eq!(reader.audit_before_newest(&all, 99).unwrap(), 0);
        let failed = AuditFilter { action: Some(Action::SignInFailed), ..all };
        assert_eq!(reader.audit_before_newest(&failed, 2).unwrap(), 7);
        let none = AuditFilter { action: Some(Action::UserDeleted), ..all };
        assert_eq!(reader.audit_before_newest(&none, 2).unwrap(), 0);
        let early = AuditFilter { until: Some(Timestamp::from_millis(8)), ..all };
        assert_eq!(reader.audit_before_newest(&early, 2).unwrap(), 5);
    }

    #[test]
    fn what_a_later_version_or_a_vandal_wrote_is_listed_as_it_stands() {
        let connection = database(1);
        connection
            .execute_batch(
                "INSERT INTO audit VALUES (2, -1, 'user.levitated', -5, 0, CAST(x'ff41' AS TEXT), '\u{1b}[2J', 99, zeroblob(32))",
            )
            .unwrap();
        let page = reader(&connection).audit(&AuditFilter::default(), None, PageSize::default()).unwrap();
        let found = &page.items[0];
        assert_eq!((found.action.as_str(), found.actor, found.subject), ("user.levitated", Some(-5), Some(0)));
        assert_eq!((found.ip.as_deref(), found.count), (Some("\u{fffd}A"), 99));
    }
}
