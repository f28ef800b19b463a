//! Statements for the audit log: appending entries, deleting the oldest, and checking the chain.

use crate::{
    domain::{AuditEvent, ChainFault, ChainHash, ChainPoint, ChainWalk, ChainedEntry, Error, Timestamp},
    store::{
        Reader, Writer,
        sql::{Columns, Fault, Value, values},
    },
};
use std::ops::RangeInclusive;

/// The result of deleting old entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    pub entries: u64,
    /// Faults of the chain in the deleted entries. They can't be examined later.
    pub faults: Vec<ChainFault>,
}

/// The columns that `chained` and the list of entries read.
macro_rules! chained_columns {
    () => {
        "id, at, action, actor, subject, ip, request_id, count, hash"
    };
}
pub(super) use chained_columns;

/// Reads an entry and its hash as stored.
fn chained(row: &dyn Columns) -> Result<(ChainedEntry<'_>, ChainHash), Fault> {
    let entry = ChainedEntry {
        id: row.number(0)?,
        at: row.number(1)?,
        action: row.bytes(2)?,
        actor: row.nullable(3, |n| row.number(n))?,
        subject: row.nullable(4, |n| row.number(n))?,
        ip: row.nullable(5, |n| row.bytes(n))?,
        request_id: row.nullable(6, |n| row.bytes(n))?,
        count: row.number(7)?,
    };
    Ok((entry, ChainHash(row.array(8)?)))
}

/// The stored beginning and end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Ends {
    pub anchor: ChainPoint,
    pub head: ChainPoint,
}

impl Reader<'_> {
    /// `None` if the row is missing.
    pub(in crate::store) fn stored_audit_ends(&self) -> Result<Option<Ends>, Fault> {
        const SQL: &str = "SELECT anchor_id, anchor_hash, head_id, head_hash FROM audit_state";
        self.sql.first(SQL, &[], |row| {
            let anchor = ChainPoint { id: row.number(0)?, hash: ChainHash(row.array(1)?) };
            Ok(Ends { anchor, head: ChainPoint { id: row.number(2)?, hash: ChainHash(row.array(3)?) } })
        })
    }

    pub(in crate::store) fn audit_ends(&self) -> Result<Ends, Fault> {
        let gone = || Fault::Other("the record of where the audit log begins and ends is missing".to_owned());
        self.stored_audit_ends()?.ok_or_else(gone)
    }

    /// The id and hash of the last entry. For `point`.
    pub fn audit_head(&self) -> Result<ChainPoint, Error> {
        Ok(self.audit_ends()?.head)
    }

    /// The time of the oldest entry that is not dated in the future. Scans.
    pub fn oldest_audit(&self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        const SQL: &str = "SELECT at FROM audit WHERE at <= ?1 ORDER BY id LIMIT 1";
        Ok(self.sql.first(SQL, values![now], |row| row.time(0))?)
    }

    /// Returns the last entry that retention deletes; `None` if it deletes nothing. It deletes all but the newest
    /// `most` entries. If `kept` is given, it also deletes entries before that span, up to the first entry within it:
    /// the log has no gaps, whatever the clock did. An entry dated after the span is deleted together with a later old
    /// one. Scans the deleted entries.
    pub fn last_audit_to_prune(
        &self,
        kept: Option<RangeInclusive<Timestamp>>,
        most: u32,
    ) -> Result<Option<i64>, Error> {
        const STAYS: &str = "SELECT id FROM audit WHERE id > ?1 AND at BETWEEN ?2 AND ?3 ORDER BY id LIMIT 1";
        const OLD: &str = "SELECT id FROM audit WHERE id > ?1 AND id < ?2 AND at < ?3 ORDER BY id DESC LIMIT 1";
        let Ends { anchor, head } = self.audit_ends()?;
        let beyond = head.id.saturating_sub(most.into()).max(anchor.id);
        let Some(kept) = kept else { return Ok(Some(beyond).filter(|last| *last > anchor.id)) };
        let (from, to) = (*kept.start(), *kept.end());
        let stays = self.sql.first(STAYS, values![beyond, from, to], |row| row.number(0))?;
        let old = self.sql.first(OLD, values![beyond, stays.unwrap_or(i64::MAX), from], |row| row.number(0))?;
        Ok(Some(old.unwrap_or(beyond)).filter(|last| *last > anchor.id))
    }

    /// Checks the whole chain from its anchor, one entry at a time. Scans.
    pub(in crate::store) fn walk_audit(&self, ends: &Ends) -> Result<ChainWalk, Fault> {
        self.follow(ends.anchor, concat!("SELECT ", chained_columns!(), " FROM audit ORDER BY id"), &[])
    }

    /// Checks the chain over the rows of a query.
    fn follow(&self, from: ChainPoint, sql: &str, given: &[Value<'_>]) -> Result<ChainWalk, Fault> {
        let mut walk = ChainWalk::from(from);
        self.sql.rows(sql, given, &mut |row| {
            match chained(row) {
                Ok((entry, hash)) => walk.next(&entry, hash),
                Err(_) => walk.next_unreadable(row.number(0)?), // a value of a type that is never written
            }
            Ok(true)
        })?;
        Ok(walk)
    }

    /// The hash of an entry, if it exists.
    pub(in crate::store) fn audit_hash(&self, id: i64) -> Result<Option<ChainHash>, Fault> {
        self.sql.first("SELECT hash FROM audit WHERE id = ?1", values![id], |row| row.array(0).map(ChainHash))
    }

    /// Returns the number of entries after a time, the first of them, and the latest time. Scans all.
    pub(in crate::store) fn audit_after_time(&self, time: Timestamp) -> Result<(i64, i64, Timestamp), Error> {
        const SQL: &str = "SELECT count(*), coalesce(min(id), 0), coalesce(max(at), 0) FROM audit WHERE at > ?1";
        Ok(self.sql.only(SQL, values![time], |row| Ok((row.number(0)?, row.number(1)?, row.time(2)?)))?)
    }
}

impl Writer<'_> {
    /// Appends entries to the chain, each with the hash of the one before, and moves the head.
    pub(in crate::store) fn append_audit(&mut self, events: &[AuditEvent]) -> Result<(), Error> {
        if events.is_empty() {
            return Ok(());
        }
        let ChainPoint { mut id, mut hash } = self.audit_head()?;
        for event in events {
            id += 1;
            hash = event.chain(id, &hash);
            self.insert_audit(id, event, &hash)?;
        }
        self.sql.change("UPDATE audit_state SET head_id = ?1, head_hash = ?2", values![id, &hash.0[..]])?;
        self.count_by_day(events)
    }

    fn insert_audit(&self, id: i64, event: &AuditEvent, hash: &ChainHash) -> Result<(), Fault> {
        const SQL: &str = "INSERT INTO audit (id, at, action, actor, subject, ip, request_id, count, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let ip = event.ip.map(|ip| ip.to_string());
        let given = values![
            id,
            event.at,
            event.action.as_str(),
            event.actor,
            event.subject,
            ip.as_ref(),
            event.request_id.as_deref(),
            event.count,
            &hash.0[..],
        ];
        self.sql.change(SQL, given).map(drop)
    }

    /// Deletes up to `limit` of the oldest entries, up to the one that [`Reader::last_audit_to_prune`] returned, and
    /// moves the anchor to the last deleted one.
    pub fn prune_audit(&mut self, up_to: i64, limit: u32) -> Result<Pruned, Error> {
        const GOING: &str =
            concat!("SELECT ", chained_columns!(), " FROM audit WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3");
        let anchor = self.audit_ends()?.anchor;
        let walk = self.follow(anchor, GOING, values![anchor.id, up_to, limit])?;
        let (last, entries) = (walk.last(), walk.entries());
        if last.id > anchor.id {
            let moved = values![last.id, &last.hash.0[..]];
            self.sql.change("DELETE FROM audit WHERE id > ?1 AND id <= ?2", values![anchor.id, last.id])?;
            self.sql.change("UPDATE audit_state SET anchor_id = ?1, anchor_hash = ?2", moved)?;
        }
        Ok(Pruned { entries, faults: walk.end(last).0 })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, empty, reader};
    use super::*;
    use crate::domain::{Action, Caller};
    use rusqlite::Connection;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// A log with one entry for each time.
    fn log(times: &[i64]) -> Connection {
        let connection = empty();
        let events: Vec<AuditEvent> =
            times.iter().map(|time| AuditEvent::new(at(*time), Action::SignedIn, &Caller::shell(), None)).collect();
        writer(&connection).append_audit(&events).unwrap();
        connection
    }

    fn writer(connection: &Connection) -> Writer<'_> {
        fixture::writer(connection, at(0))
    }

    /// Takes away what is older than a time, while it is 100, or more than `most` behind the head.
    fn prune(connection: &Connection, older_than: i64, most: u32, limit: u32) -> Pruned {
        let reader = reader(connection);
        match reader.last_audit_to_prune(Some(at(older_than)..=at(100)), most).unwrap() {
            Some(last) => writer(connection).prune_audit(last, limit).unwrap(),
            None => Pruned { entries: 0, faults: vec![] },
        }
    }

    /// What is left, and that it can be proven from the anchor to the head.
    #[track_caller]
    fn left(connection: &Connection) -> Vec<i64> {
        let reader = reader(connection);
        let ends = reader.audit_ends().unwrap();
        assert_eq!(reader.walk_audit(&ends).unwrap().end(ends.head), (vec![], 0));
        let mut ids = connection.prepare("SELECT id FROM audit ORDER BY id").unwrap();
        ids.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn what_is_too_old_goes_and_the_rest_can_be_proven() {
        let connection = log(&[10, 20, 30, 40]);
        let pruned = prune(&connection, 30, 100, 100);
        assert_eq!(pruned, Pruned { entries: 2, faults: vec![] });
        assert_eq!(left(&connection), [3, 4]);
        assert_eq!(prune(&connection, 30, 100, 100).entries, 0);
        writer(&connection).append_audit(&[AuditEvent::new(at(50), Action::SignedIn, &Caller::shell(), None)]).unwrap();
        assert_eq!(left(&connection), [3, 4, 5]);
    }

    #[test]
    fn a_clock_that_jumped_makes_no_holes() {
        let connection = log(&[10, 90, 20, 30]);
        prune(&connection, 50, 100, 100);
        assert_eq!(left(&connection), [2, 3, 4], "the second is young, and those behind it stay");
    }

    #[test]
    fn an_entry_that_is_dated_in_the_future_goes_with_a_later_one_that_is_old() {
        let connection = log(&[10, 900, 20, 900, 60, 900]);
        prune(&connection, 15, 100, 100);
        assert_eq!(left(&connection), [2, 3, 4, 5, 6], "the future one is no reason to take away what is young");
        prune(&connection, 50, 100, 100);
        assert_eq!(left(&connection), [4, 5, 6], "nothing old is behind the fourth");
        prune(&connection, 70, 100, 100);
        assert_eq!(left(&connection), [6]);
    }

    #[test]
    fn an_entry_that_is_dated_in_the_past_takes_nothing_along_that_is_young() {
        let connection = log(&[60, 1, 70]);
        prune(&connection, 50, 100, 100);
        assert_eq!(left(&connection), [1, 2, 3]);
    }

    #[test]
    fn where_no_age_is_given_only_the_number_of_entries_counts() {
        let connection = log(&[10, 20, 30]);
        let reader = reader(&connection);
        assert_eq!(reader.last_audit_to_prune(None, 3).unwrap(), None);
        assert_eq!(reader.last_audit_to_prune(None, 2).unwrap(), Some(1));
        assert_eq!(reader.last_audit_to_prune(Some(at(15)..=at(100)), 1).unwrap(), Some(2), "whichever takes more");
        assert_eq!(reader.last_audit_to_prune(Some(at(25)..=at(100)), 2).unwrap(), Some(2));
    }

    #[test]
    fn the_oldest_entry_is_not_one_from_the_future() {
        let connection = log(&[900, 20, 10]);
        assert_eq!(reader(&connection).oldest_audit(at(100)).unwrap(), Some(at(20)));
        assert_eq!(reader(&connection).oldest_audit(at(20)).unwrap(), Some(at(20)));
    }

    #[test]
    fn beyond_the_number_of_entries_that_are_kept_the_oldest_go() {
        let connection = log(&[10; 10]);
        prune(&connection, 0, 3, 4);
        assert_eq!(left(&connection), [5, 6, 7, 8, 9, 10], "so many at once");
        prune(&connection, 0, 3, 4);
        assert_eq!(left(&connection), [8, 9, 10]);
    }

    #[test]
    fn a_log_of_which_nothing_is_left_goes_on_where_it_ended() {
        let connection = log(&[10, 20]);
        prune(&connection, 90, 100, 100);
        assert!(left(&connection).is_empty());
        writer(&connection).append_audit(&[AuditEvent::new(at(95), Action::SignedIn, &Caller::shell(), None)]).unwrap();
        assert_eq!(left(&connection), [3]);
    }

    #[test]
    fn a_fault_in_pruned_entries_is_reported() {
        let connection = log(&[10, 20, 30]);
        connection.execute_batch("UPDATE audit SET count = 2 WHERE id = 1").unwrap();
        let pruned = prune(&connection, 30, 100, 100);
        assert_eq!(pruned, Pruned { entries: 2, faults: vec![ChainFault::Changed { id: 1 }] });
        assert_eq!(left(&connection), [3]);
    }
}
