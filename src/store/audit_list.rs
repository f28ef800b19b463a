//! Parts of the audit log, from either end. A page costs what its entries cost, however many entries there are: every
//! combination of filters has an index, in which they come first and the id last.

use super::{Reader, audit::chained_columns, error::OrDomain};
use crate::domain::{AuditCursor, AuditEntry, AuditFilter, ChainHash, Error, Page, PageSize, Timestamp, UserId};
use rusqlite::{Row, ToSql, params};

/// The index of a filter. Named in the statement, so that no statistics in the file lead elsewhere.
fn indexed_by(filter: &AuditFilter) -> &'static str {
    match (filter.actor.is_some(), filter.subject.is_some(), filter.action.is_some()) {
        (false, false, false) => "",
        (false, false, true) => "INDEXED BY audit_by_action",
        (true, false, false) => "INDEXED BY audit_by_actor",
        (false, true, false) => "INDEXED BY audit_by_subject",
        (true, false, true) => "INDEXED BY audit_by_actor_action",
        (false, true, true) => "INDEXED BY audit_by_subject_action",
        (true, true, false) => "INDEXED BY audit_by_actor_subject",
        (true, true, true) => "INDEXED BY audit_by_actor_subject_action",
    }
}

/// Chooses entries by a filter, from an id (`?1`) on in one direction, up to a number of them (`?2`).
fn sql(columns: &str, filter: &AuditFilter, newest_first: bool) -> String {
    let (beyond, order) = if newest_first { ('<', "DESC") } else { ('>', "ASC") };
    let mut conditions = format!("id {beyond} ?1");
    for (wanted, condition) in [
        (filter.actor.is_some(), " AND actor = ?3"),
        (filter.subject.is_some(), " AND subject = ?4"),
        (filter.action.is_some(), " AND action = ?5"),
    ] {
        conditions += if wanted { condition } else { "" };
    }
    let index = indexed_by(filter);
    format!("SELECT {columns} FROM audit {index} WHERE {conditions} ORDER BY id {order} LIMIT ?2")
}

/// Texts are shown as far as they are text: the file may have been written by anybody.
fn entry_from(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    let text = |column: usize| -> rusqlite::Result<Option<String>> {
        let bytes = row.get_ref(column)?.as_bytes_or_null()?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
    };
    Ok(AuditEntry {
        id: row.get(0)?,
        at: Timestamp::from_millis(row.get(1)?),
        action: text(2)?.unwrap_or_default(),
        actor: row.get(3)?,
        subject: row.get(4)?,
        ip: text(5)?,
        request_id: text(6)?,
        count: row.get(7)?,
        hash: ChainHash(row.get(8)?),
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

    /// Up to `limit` entries beyond one id, the oldest first. Scans.
    pub fn audit_after(&self, filter: &AuditFilter, after: i64, limit: u32) -> Result<Vec<AuditEntry>, Error> {
        self.entries(filter, false, after, limit)
    }

    /// The id after which there are so many entries, or fewer where there are fewer. Scans as many.
    pub fn audit_before_newest(&self, filter: &AuditFilter, newest: u32) -> Result<i64, Error> {
        if newest == 0 {
            return Ok(self.audit_head()?.id);
        }
        let sql = format!("SELECT min(id) - 1 FROM ({})", sql("id", filter, true));
        self.query(&sql, filter, i64::MAX, newest, |row| row.get::<_, Option<i64>>(0))
            .map(|found| found.into_iter().flatten().next().unwrap_or(0))
    }

    fn entries(&self, filter: &AuditFilter, down: bool, place: i64, limit: u32) -> Result<Vec<AuditEntry>, Error> {
        self.query(&sql(chained_columns!(), filter, down), filter, place, limit, entry_from)
    }

    fn query<T>(
        &self,
        sql: &str,
        filter: &AuditFilter,
        place: i64,
        limit: u32,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        let (actor, subject) = (filter.actor.map(UserId::get), filter.subject.map(UserId::get));
        let action = filter.action.map(|action| action.as_str());
        let given: &[&dyn ToSql] = params![place, limit, actor, subject, action];
        let mut statement = self.connection.prepare_cached(sql).or_domain()?;
        let given = &given[..statement.parameter_count()];
        statement.query_map(given, read).and_then(Iterator::collect).or_domain()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Action;
    use rusqlite::{Connection, StatementStatus};

    /// Two users, one of whom is guessed at all the time, and a third who hardly appears.
    fn database(entries: u32) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("../../schema.sql")).unwrap();
        connection
            .execute(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                 INSERT INTO audit SELECT i, i, iif(i % 2, 'session.signed_in', 'session.sign_in_failed'),
                   iif(i % 997 = 1, 3, iif(i % 2, 1 + i / 2 % 2, NULL)), iif(i % 991 = 1, 3, 1 + i / 2 % 2),
                   NULL, NULL, 1, zeroblob(32) FROM n",
                [entries],
            )
            .unwrap();
        connection
    }

    fn filters() -> Vec<AuditFilter> {
        let users = [None, UserId::new(1), UserId::new(3), UserId::new(9)];
        let actions = [None, Some(Action::SignedIn), Some(Action::SignInFailed), Some(Action::UserDeleted)];
        let with = |actor| {
            users
                .into_iter()
                .flat_map(move |subject| actions.into_iter().map(move |action| AuditFilter { action, actor, subject }))
        };
        users.into_iter().flat_map(with).collect()
    }

    #[test]
    fn every_combination_of_filters_uses_an_index_of_its_own_and_sorts_nothing() {
        let connection = database(10);
        for filter in filters() {
            for newest_first in [false, true] {
                let sql = format!("EXPLAIN QUERY PLAN {}", sql(chained_columns!(), &filter, newest_first));
                let mut statement = connection.prepare(&sql).unwrap();
                let lines: Vec<String> =
                    statement.raw_query().mapped(|row| row.get(3)).collect::<Result<_, _>>().unwrap();
                let given = [("actor", filter.actor.is_some()), ("subject", filter.subject.is_some())];
                let given = given.into_iter().chain([("action", filter.action.is_some())]);
                let columns: Vec<&str> = given.filter(|(_, is)| *is).map(|(column, _)| column).collect();
                let columns = columns.iter().fold(String::new(), |text, column| text + column + "=? AND ");
                let (index, id) = match indexed_by(&filter).split_once(' ').and_then(|(_, rest)| rest.split_once(' ')) {
                    Some((_, name)) => (format!("INDEX {name}"), "id"),
                    None => ("INTEGER PRIMARY KEY".to_owned(), "rowid"),
                };
                let end = if newest_first { '<' } else { '>' };
                assert_eq!(lines, [format!("SEARCH audit USING {index} ({columns}{id}{end}?)")]);
            }
        }
    }

    /// Every entry, page by page, and how many steps SQLite's machine took for the dearest page.
    fn walk(connection: &Connection, filter: &AuditFilter, size: &str) -> (Vec<i64>, i32) {
        let (reader, mut ids, mut dearest) = (Reader { connection }, Vec::new(), 0);
        let mut cursor = None;
        loop {
            let page = reader.audit(filter, cursor, PageSize::parse(size).unwrap()).unwrap();
            let statement = connection.prepare_cached(&sql(chained_columns!(), filter, true)).unwrap();
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
        let connection = database(3_000);
        let reader = Reader { connection: &connection };
        for filter in filters() {
            let mut expected = reader.audit_after(&AuditFilter::default(), 0, u32::MAX).unwrap();
            expected.retain(|entry| {
                filter.action.is_none_or(|action| entry.action == action.as_str())
                    && filter.actor.is_none_or(|actor| entry.actor == Some(actor.get()))
                    && filter.subject.is_none_or(|subject| entry.subject == Some(subject.get()))
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
    }

    #[test]
    fn the_newest_so_many_begin_after_the_one_before_them() {
        let connection = database(10);
        let reader = Reader { connection: &connection };
        let all = AuditFilter::default();
        assert_eq!(reader.audit_before_newest(&all, 3).unwrap(), 7);
        assert_eq!(reader.audit_before_newest(&all, 99).unwrap(), 0);
        let failed = AuditFilter { action: Some(Action::SignInFailed), ..all };
        assert_eq!(reader.audit_before_newest(&failed, 2).unwrap(), 7);
        let none = AuditFilter { action: Some(Action::UserDeleted), ..all };
        assert_eq!(reader.audit_before_newest(&none, 2).unwrap(), 0);
    }

    #[test]
    fn what_a_later_version_or_a_vandal_wrote_is_listed_as_it_stands() {
        let connection = database(1);
        connection
            .execute_batch(
                "INSERT INTO audit VALUES (2, -1, 'user.levitated', -5, 0, CAST(x'ff41' AS TEXT), '\u{1b}[2J', 99, zeroblob(32))",
            )
            .unwrap();
        let page =
            Reader { connection: &connection }.audit(&AuditFilter::default(), None, PageSize::default()).unwrap();
        let found = &page.items[0];
        assert_eq!((found.action.as_str(), found.actor, found.subject), ("user.levitated", Some(-5), Some(0)));
        assert_eq!((found.ip.as_deref(), found.count), (Some("\u{fffd}A"), 99));
    }
}
