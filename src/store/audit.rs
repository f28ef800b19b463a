//! Statements about the audit log: adding to its end, taking away from its beginning, and following the chain between.

use super::{Reader, Writer, error::OrDomain};
use crate::domain::{AuditEvent, ChainFault, ChainHash, ChainPoint, ChainWalk, ChainedEntry, Error, Timestamp, UserId};
use rusqlite::{OptionalExtension, Row, Rows, params};

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

    /// When the oldest entry was written that is still there. For the point door.
    pub fn oldest_audit(&self) -> Result<Option<Timestamp>, Error> {
        self.connection
            .prepare_cached("SELECT at FROM audit ORDER BY id LIMIT 1")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)).optional())
            .or_domain()
            .map(|at| at.map(Timestamp::from_millis))
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

    /// Takes away up to `limit` of the oldest entries that are older than a time, or more than `most` behind the head,
    /// and moves the anchor to the last of them. Stops at the first that stays: the log has no holes, whatever the clock
    /// did between two entries.
    pub fn prune_audit(&mut self, older_than: Timestamp, most: u32, limit: u32) -> Result<Pruned, Error> {
        self.prune(older_than, most, limit).or_domain()
    }

    fn prune(&mut self, older_than: Timestamp, most: u32, limit: u32) -> rusqlite::Result<Pruned> {
        let Ends { anchor, head } = self.audit_ends()?;
        // The first that stays.
        let stays: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT id FROM (SELECT id, at FROM audit WHERE id > ?1 ORDER BY id LIMIT ?2)
                 WHERE at >= ?3 AND id > ?4 ORDER BY id LIMIT 1",
            )?
            .query_row(params![anchor.id, limit, older_than.as_millis(), head.id.saturating_sub(most.into())], |row| {
                row.get(0)
            })
            .optional()?;
        let mut going = self.connection.prepare_cached(concat!(
            "SELECT ",
            chained_columns!(),
            " FROM audit WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3"
        ))?;
        let mut walk = ChainWalk::from(anchor);
        follow(&mut walk, going.query(params![anchor.id, stays.unwrap_or(i64::MAX), limit])?)?;
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
        let pruned = writer(&connection).prune_audit(at(30), 100, 100).unwrap();
        assert_eq!(pruned, Pruned { entries: 2, faults: vec![] });
        assert_eq!(left(&connection), [3, 4]);
        assert_eq!(writer(&connection).prune_audit(at(30), 100, 100).unwrap().entries, 0);
        writer(&connection).append_audit(&[AuditEvent::new(at(50), Action::SignedIn, &Caller::shell(), None)]).unwrap();
        assert_eq!(left(&connection), [3, 4, 5]);
    }

    #[test]
    fn a_clock_that_jumped_makes_no_holes() {
        let connection = log(&[10, 90, 20, 30]);
        writer(&connection).prune_audit(at(50), 100, 100).unwrap();
        assert_eq!(left(&connection), [2, 3, 4], "the second is young, and those behind it stay");
    }

    #[test]
    fn beyond_the_number_of_entries_that_are_kept_the_oldest_go() {
        let connection = log(&[10; 10]);
        writer(&connection).prune_audit(at(0), 3, 4).unwrap();
        assert_eq!(left(&connection), [5, 6, 7, 8, 9, 10], "so many at once");
        writer(&connection).prune_audit(at(0), 3, 4).unwrap();
        assert_eq!(left(&connection), [8, 9, 10]);
    }

    #[test]
    fn a_log_of_which_nothing_is_left_goes_on_where_it_ended() {
        let connection = log(&[10, 20]);
        writer(&connection).prune_audit(at(90), 100, 100).unwrap();
        assert!(left(&connection).is_empty());
        writer(&connection).append_audit(&[AuditEvent::new(at(95), Action::SignedIn, &Caller::shell(), None)]).unwrap();
        assert_eq!(left(&connection), [3]);
    }

    #[test]
    fn a_fault_in_what_goes_is_told_before_it_is_gone() {
        let connection = log(&[10, 20, 30]);
        connection.execute_batch("UPDATE audit SET count = 2 WHERE id = 1").unwrap();
        let pruned = writer(&connection).prune_audit(at(30), 100, 100).unwrap();
        assert_eq!(pruned, Pruned { entries: 2, faults: vec![ChainFault::Changed { id: 1 }] });
        assert_eq!(left(&connection), [3]);
    }
}
