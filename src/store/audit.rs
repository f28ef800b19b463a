//! Statements about the audit log.

use super::{Writer, error::OrDomain};
use crate::domain::{AuditEvent, ChainHash, Error, UserId};
use rusqlite::params;

impl Writer<'_> {
    /// Appends entries to the chain, each with the hash of the one before, and moves the head.
    pub(super) fn append_audit(&mut self, events: &[AuditEvent]) -> Result<(), Error> {
        if events.is_empty() {
            return Ok(());
        }
        let (mut id, mut hash): (i64, ChainHash) = self
            .connection
            .prepare_cached("SELECT head_id, head_hash FROM audit_state")
            .and_then(|mut statement| statement.query_row([], |row| Ok((row.get(0)?, ChainHash(row.get(1)?)))))
            .or_domain()?;
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
}
