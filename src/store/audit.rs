//! Statements about the audit log: adding to its end, taking away from its beginning, and following the chain between.

use super::{Reader, Writer, error::OrDomain};
use crate::domain::{AuditEvent, ChainFault, ChainHash, ChainPoint, ChainWalk, ChainedEntry, Error, Timestamp, UserId};
use rusqlite::{OptionalExtension, Row, Rows, params};
use std::ops::RangeInclusive;

/// What retention took away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    pub entries: u64,
    /// Where the chain did not hold in what is now gone. Nobody can look there any more.
    pub faults: Vec<ChainFault>,
}

/// The columns that `chained` reads, and the list beside this.
macro_rules! chained_columns {
    () => {
        "id, at, action, actor, subject, ip, request_id, count, hash"
    };
}
pub(super) use chained_columns;

fn bytes<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<Option<&'r [u8]>> {
    Ok(row.get_ref(column)?.as_bytes_or_null()?)
}

/// Reads an entry and its hash as they stand.
fn chained<'r>(row: &'r Row<'_>) -> rusqlite::Result<(ChainedEntry<'r>, ChainHash)> {
    let entry = ChainedEntry {
        id: row.get(0)?,
        at: row.get(1)?,
        action: bytes(row, 2)?.unwrap_or_default(),
        actor: row.get(3)?,
        subject: row.get(4)?,
        ip: bytes(row, 5)?,
        request_id: bytes(row, 6)?,
        count: row.get(7)?,
    };
    Ok((entry, ChainHash(row.get(8)?)))
}

/// Follows the chain along what was found.
fn follow(walk: &mut ChainWalk, mut rows: Rows<'_>) -> rusqlite::Result<()> {
    while let Some(row) = rows.next()? {
        match chained(row) {
            Ok((entry, hash)) => walk.next(&entry, hash),
            Err(_) => walk.next_unreadable(row.get(0)?), // a value of another type than was ever written
        }
    }
    Ok(())
}

/// Where the log begins and ends, as it was noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    pub anchor: ChainPoint,
    pub head: ChainPoint,
}

impl Reader<'_> {
    pub(super) fn audit_ends(&self) -> rusqlite::Result<Ends> {
        let mut statement =
            self.connection.prepare_cached("SELECT anchor_id, anchor_hash, head_id, head_hash FROM audit_state")?;
        statement.query_row([], |row| {
            let anchor = ChainPoint { id: row.get(0)?, hash: ChainHash(row.get(1)?) };
            Ok(Ends { anchor, head: ChainPoint { id: row.get(2)?, hash: ChainHash(row.get(3)?) } })
        })
    }

    /// The last entry's id and hash. For the point door.
    pub fn audit_head(&self) -> Result<ChainPoint, Error> {
        Ok(self.audit_ends().or_domain()?.head)
    }

    /// When the oldest entry was written that is still there, those aside that are dated in the future. Scans.
    pub fn oldest_audit(&self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        self.connection
            .prepare_cached("SELECT at FROM audit WHERE at <= ?1 ORDER BY id LIMIT 1")
            .and_then(|mut statement| statement.query_row([now.as_millis()], |row| row.get(0)).optional())
            .or_domain()
            .map(|at| at.map(Timestamp::from_millis))
    }

    /// Up to which entry the log is not kept; `None` where all of it is. What is more than `most` behind the head goes.
    /// Where `kept` is given, so does what was written before that span of time, up to the first entry that was written
    /// within it: the log has no holes, whatever the clock did between two entries. One that is dated after the span, in the
    /// future, holds nothing up: it goes with a later one that is old. Scans what goes.
    pub fn last_audit_to_go(&self, kept: Option<RangeInclusive<Timestamp>>, most: u32) -> Result<Option<i64>, Error> {
        let look = || -> rusqlite::Result<_> {
            let Ends { anchor, head } = self.audit_ends()?;
            let beyond = head.id.saturating_sub(most.into()).max(anchor.id);
            let Some(kept) = kept else { return Ok(Some(beyond).filter(|last| *last > anchor.id)) };
            let (from, to) = (kept.start().as_millis(), kept.end().as_millis());
            let stays: Option<i64> = self
                .connection
                .prepare_cached("SELECT id FROM audit WHERE id > ?1 AND at BETWEEN ?2 AND ?3 ORDER BY id LIMIT 1")?
                .query_row([beyond, from, to], |row| row.get(0))
                .optional()?;
            let old: Option<i64> = self
                .connection
                .prepare_cached("SELECT id FROM audit WHERE id > ?1 AND id < ?2 AND at < ?3 ORDER BY id DESC LIMIT 1")?
                .query_row([beyond, stays.unwrap_or(i64::MAX), from], |row| row.get(0))
                .optional()?;
            Ok(Some(old.unwrap_or(beyond)).filter(|last| *last > anchor.id))
        };
        look().or_domain()
    }

    /// Follows the whole chain from its anchor, one entry at a time. Scans.
    pub(super) fn walk_audit(&self, ends: &Ends) -> rusqlite::Result<ChainWalk> {
        let mut statement =
            self.connection.prepare(concat!("SELECT ", chained_columns!(), " FROM audit ORDER BY id"))?;
        let mut walk = ChainWalk::from(ends.anchor);
        follow(&mut walk, statement.query([])?)?;
        Ok(walk)
    }

    /// The highest id that was ever written, as SQLite itself counts.
    pub(super) fn audit_ids_counted(&self) -> rusqlite::Result<i64> {
        let mut statement = self.connection.prepare("SELECT max(seq) FROM sqlite_sequence WHERE name = 'audit'")?;
        Ok(statement.query_row([], |row| row.get::<_, Option<i64>>(0))?.unwrap_or(0))
    }

    /// The hash of one entry, where it is there.
    pub(super) fn audit_hash(&self, id: i64) -> rusqlite::Result<Option<ChainHash>> {
        let mut statement = self.connection.prepare_cached("SELECT hash FROM audit WHERE id = ?1")?;
        statement.query_row([id], |row| row.get(0).map(ChainHash)).optional()
    }
}

impl Writer<'_> {
    /// Appends entries to the chain, each with the hash of the one before, and moves the head.
    pub(super) fn append_audit(&mut self, events: &[AuditEvent]) -> Result<(), Error> {
        if events.is_empty() {
            return Ok(());
        }
        let ChainPoint { mut id, mut hash } = self.audit_head()?;
        for event in events {
            id += 1;
            hash = event.chain(id, &hash);
            self.insert_audit(id, event, &hash).or_domain()?;
        }
        self.connection
            .prepare_cached("UPDATE audit_state SET head_id = ?1, head_hash = ?2")
            .and_then(|mut statement| statement.execute(params![id, hash.0]))
            .or_domain()
            .map(drop)
    }

    fn insert_audit(&self, id: i64, event: &AuditEvent, hash: &ChainHash) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO audit (id, at, action, actor, subject, ip, request_id, count, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        statement.execute(params![
            id,
            event.at.as_millis(),
            event.action.as_str(),
            event.actor.map(UserId::get),
            event.subject.map(UserId::get),
            event.ip.map(|ip| ip.to_string()),
            event.request_id.as_deref(),
            event.count,
            hash.0,
        ])?;
        Ok(())
    }

    /// Takes away up to `limit` of the oldest entries, up to the one that [`Reader::last_audit_to_go`] found, and moves the
    /// anchor to the last of them.
    pub fn prune_audit(&mut self, up_to: i64, limit: u32) -> Result<Pruned, Error> {
        self.prune(up_to, limit).or_domain()
    }

    fn prune(&mut self, up_to: i64, limit: u32) -> rusqlite::Result<Pruned> {
        let Ends { anchor, .. } = self.audit_ends()?;
        let mut going = self.connection.prepare_cached(concat!(
            "SELECT ",
            chained_columns!(),
            " FROM audit WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3"
        ))?;
        let mut walk = ChainWalk::from(anchor);
        follow(&mut walk, going.query(params![anchor.id, up_to, limit])?)?;
        let (last, entries) = (walk.last(), walk.entries());
        if last.id > anchor.id {
            self.connection
                .prepare_cached("DELETE FROM audit WHERE id > ?1 AND id <= ?2")?
                .execute([anchor.id, last.id])?;
            self.connection
                .prepare_cached("UPDATE audit_state SET anchor_id = ?1, anchor_hash = ?2")?
                .execute(params![last.id, last.hash.0])?;
        }
        Ok(Pruned { entries, faults: walk.end(last).0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Action, Caller};
    use rusqlite::Connection;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// A log with one entry for each time.
    fn log(times: &[i64]) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("../../schema.sql")).unwrap();
        let events: Vec<AuditEvent> =
            times.iter().map(|time| AuditEvent::new(at(*time), Action::SignedIn, &Caller::shell(), None)).collect();
        writer(&connection).append_audit(&events).unwrap();
        connection
    }

    fn writer(connection: &Connection) -> Writer<'_> {
        Writer { reader: Reader { connection }, caller: Caller::shell(), now: at(0), events: vec![] }
    }

    /// Takes away what is older than a time, while it is 100, or more than `most` behind the head.
    fn prune(connection: &Connection, older_than: i64, most: u32, limit: u32) -> Pruned {
        let reader = Reader { connection };
        match reader.last_audit_to_go(Some(at(older_than)..=at(100)), most).unwrap() {
            Some(last) => writer(connection).prune_audit(last, limit).unwrap(),
            None => Pruned { entries: 0, faults: vec![] },
        }
    }

    /// What is left, and that it can be proven from the anchor to the head.
    #[track_caller]
    fn left(connection: &Connection) -> Vec<i64> {
        let reader = Reader { connection };
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
        let reader = Reader { connection: &connection };
        assert_eq!(reader.last_audit_to_go(None, 3).unwrap(), None);
        assert_eq!(reader.last_audit_to_go(None, 2).unwrap(), Some(1));
        assert_eq!(reader.last_audit_to_go(Some(at(15)..=at(100)), 1).unwrap(), Some(2), "whichever takes more");
        assert_eq!(reader.last_audit_to_go(Some(at(25)..=at(100)), 2).unwrap(), Some(2));
    }

    #[test]
    fn the_oldest_entry_is_not_one_from_the_future() {
        let connection = log(&[900, 20, 10]);
        assert_eq!(Reader { connection: &connection }.oldest_audit(at(100)).unwrap(), Some(at(20)));
        assert_eq!(Reader { connection: &connection }.oldest_audit(at(20)).unwrap(), Some(at(20)));
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
    fn a_fault_in_what_goes_is_told_before_it_is_gone() {
        let connection = log(&[10, 20, 30]);
        connection.execute_batch("UPDATE audit SET count = 2 WHERE id = 1").unwrap();
        let pruned = prune(&connection, 30, 100, 100);
        assert_eq!(pruned, Pruned { entries: 2, faults: vec![ChainFault::Changed { id: 1 }] });
        assert_eq!(left(&connection), [3]);
    }
}
