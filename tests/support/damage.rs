//! What somebody who can write to the file does to it, by name.

use super::probes::Probes;
use rusqlite::Connection;
use std::ops::RangeInclusive;
use usher::domain::{ChainHash, ChainedEntry};

/// One change of the audit log, and of what is noted beside it. Numbers are those of entries.
#[derive(Debug, Clone)]
pub enum Tampering {
    MoveInTime(i64),
    SetAction(i64, &'static str),
    AppendSpaceToAction(i64),
    SetActor(i64, Option<i64>),
    SetSubject(i64, Option<i64>),
    SwapActorAndSubject(i64),
    SetIp(i64, Option<&'static str>),
    SetRequestId(i64, &'static str),
    SwapIpAndRequestId(i64),
    SetCount(i64, i64),
    /// The count is the same in its lower 32 bits.
    AddToCountBeyond32Bits(i64),
    SetRandomHash(i64),
    SetHashOfOneByte(i64),
    Delete(RangeInclusive<i64>),
    DeleteAll,
    /// Adds a copy of one entry under another number.
    Copy {
        from: i64,
        to: i64,
    },
    SwapNumbers(i64, i64),
    /// Cuts off what comes after an entry, and notes that entry as the last.
    CutOffAfter(i64),
    /// Does so, and covers the tracks in every table.
    CutOffWithCareAfter(i64),
    SetHeadId(i64),
    ClearHeadHash,
    SetRandomAnchorHash,
    SetAnchorId(i64),
    /// Takes away the beginning of the log, as retention would, without the hash that it leaves behind.
    TakeAwayUpTo(i64),
    ForgetHeadAndAnchor,
}

impl Tampering {
    fn apply(&self, log: &Connection) -> rusqlite::Result<()> {
        let update = |columns: &str, id: &i64| log.execute(&format!("UPDATE audit SET {columns} WHERE id = ?1"), [id]);
        let set = |column: &str, id: &i64, value: &dyn rusqlite::ToSql| {
            log.execute(&format!("UPDATE audit SET {column} = ?2 WHERE id = ?1"), (id, value))
        };
        let state = |columns: &str| log.execute(&format!("UPDATE audit_state SET {columns}"), []);
        match self {
            Self::MoveInTime(id) => update("at = at + 1", id)?,
            Self::SetAction(id, action) => set("action", id, action)?,
            Self::AppendSpaceToAction(id) => update("action = action || ' '", id)?,
            Self::SetActor(id, actor) => set("actor", id, actor)?,
            Self::SetSubject(id, subject) => set("subject", id, subject)?,
            Self::SwapActorAndSubject(id) => update("actor = subject, subject = actor", id)?,
            Self::SetIp(id, ip) => set("ip", id, ip)?,
            Self::SetRequestId(id, request_id) => set("request_id", id, request_id)?,
            Self::SwapIpAndRequestId(id) => update("ip = request_id, request_id = ip", id)?,
            Self::SetCount(id, count) => set("count", id, count)?,
            Self::AddToCountBeyond32Bits(id) => update("count = count + 4294967296", id)?,
            Self::SetRandomHash(id) => update("hash = randomblob(32)", id)?,
            Self::SetHashOfOneByte(id) => {
                log.pragma_update(None, "ignore_check_constraints", 1)?;
                update("hash = x'00'", id)?
            }
            Self::Delete(ids) => {
                log.execute("DELETE FROM audit WHERE id BETWEEN ?1 AND ?2", [ids.start(), ids.end()])?
            }
            Self::DeleteAll => log.execute("DELETE FROM audit", [])?,
            Self::Copy { from, to } => log.execute(
                "INSERT INTO audit SELECT ?2, at, action, actor, subject, ip, request_id, count, hash FROM audit WHERE id = ?1",
                [from, to],
            )?,
            Self::SwapNumbers(one, other) => {
                let renumber = |from: &i64, to: &i64| log.execute("UPDATE audit SET id = ?2 WHERE id = ?1", [from, to]);
                renumber(one, &99)? * renumber(other, one)? * renumber(&99, other)?
            }
            Self::CutOffAfter(last) => {
                let head = "(head_id, head_hash) = (SELECT id, hash FROM audit WHERE id = ?1)";
                log.execute(&format!("UPDATE audit_state SET {head}"), [last])?
                    * log.execute("DELETE FROM audit WHERE id > ?1", [last])?
            }
            Self::CutOffWithCareAfter(last) => {
                Self::CutOffAfter(*last).apply(log)?;
                log.execute("UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'audit'", [last])?
            }
            Self::SetHeadId(id) => state(&format!("head_id = {id}"))?,
            Self::ClearHeadHash => state("head_hash = zeroblob(32)")?,
            Self::SetRandomAnchorHash => state("anchor_hash = randomblob(32)")?,
            Self::SetAnchorId(id) => state(&format!("anchor_id = {id}"))?,
            Self::TakeAwayUpTo(last) => {
                state(&format!("anchor_id = {last}"))? * log.execute("DELETE FROM audit WHERE id <= ?1", [last])?
            }
            Self::ForgetHeadAndAnchor => log.execute("DELETE FROM audit_state", [])?,
        };
        Ok(())
    }
}

/// One change of a database that makes it another than the one that `usher` made.
#[derive(Debug, Clone, Copy)]
pub enum Harm {
    DropIndex,
    AddTrigger,
    AddColumn,
    /// A reset token of an account that is not there.
    AddOrphan,
    /// A username with control characters.
    SetHostileUsername,
    BreakConstraint,
}

impl Harm {
    fn sql(self) -> &'static str {
        match self {
            Self::DropIndex => "DROP INDEX audit_by_action",
            Self::AddTrigger => "CREATE TRIGGER spy AFTER INSERT ON users BEGIN DELETE FROM audit; END",
            Self::AddColumn => "ALTER TABLE users ADD COLUMN nickname TEXT",
            Self::AddOrphan => {
                "PRAGMA foreign_keys = 0; DELETE FROM users WHERE id = 1;
                 INSERT INTO password_resets VALUES (zeroblob(32), 1, NULL, 0, 0)"
            }
            Self::SetHostileUsername => {
                "UPDATE users SET (username, username_key) = ('a' || char(27) || '[31m', 'a' || char(27) || '[31m')
                 WHERE id = 1"
            }
            Self::BreakConstraint => "PRAGMA ignore_check_constraints = 1; UPDATE users SET revision = 0",
        }
    }
}

/// A database that is damaged on purpose.
pub trait Damage: Probes {
    #[track_caller]
    fn tamper(&self, tampering: &Tampering) {
        let connection = self.connection();
        let before = connection.total_changes();
        tampering.apply(&connection).unwrap_or_else(|error| panic!("{tampering:?}: {error}"));
        assert!(connection.total_changes() > before, "{tampering:?} found nothing to change");
    }

    #[track_caller]
    fn harm(&self, harm: Harm) {
        self.connection().execute_batch(harm.sql()).unwrap_or_else(|error| panic!("{harm:?}: {error}"));
    }

    /// Computes every hash of the audit log again, as an owner of the file can.
    fn rebuild_chain(&self) {
        let connection = self.connection();
        let mut before = ChainHash::START;
        for entry in self.audit() {
            let chained = ChainedEntry {
                id: entry.id,
                at: entry.at.as_millis(),
                action: entry.action.as_bytes(),
                actor: entry.actor,
                subject: entry.subject,
                ip: entry.ip.as_deref().map(str::as_bytes),
                request_id: entry.request_id.as_deref().map(str::as_bytes),
                count: entry.count.into(),
            };
            before = chained.hash(&before);
            connection.execute("UPDATE audit SET hash = ?2 WHERE id = ?1", (entry.id, before.0)).expect("a hash");
        }
        connection.execute("UPDATE audit_state SET head_hash = ?1", [before.0]).expect("a head");
    }

    /// Fills a page of an index with what is not a page.
    fn overwrite_index(&self) {
        let page: u32 = self.probe("SELECT rootpage FROM sqlite_schema WHERE name = 'audit_by_action'");
        let (page, file) = (page as usize, self.database_file());
        let mut bytes = std::fs::read(&file).expect("a file");
        bytes[(page - 1) * 4096..page * 4096].fill(0xA5);
        std::fs::write(&file, bytes).expect("it can be written");
    }

    /// Makes a database where there is none, as another program would.
    fn make_foreign_database(&self) {
        let make = "PRAGMA application_id = 1; CREATE TABLE t (x)";
        self.connection().execute_batch(make).expect("it can be written");
    }

    /// Makes a database where there is none, as the first version of the schema had it.
    fn make_version_1(&self) {
        let make = include_str!("../storage/upgrade/version-1.sql");
        self.connection().execute_batch(make).expect("it can be written");
    }

    fn set_schema_version(&self, version: u32) {
        self.connection().pragma_update(None, "user_version", version).expect("it can be written");
    }

    /// Sets a rule that a server left for the commands beside it.
    fn set_policy(&self, name: &str, value: &str) {
        let set = "INSERT OR REPLACE INTO policy VALUES (?1, ?2)";
        self.connection().execute(set, [name, value]).expect("it can be written");
    }

    /// Adds an entry to the audit log without its place in the chain.
    fn add_audit_entry(&self, entry: &super::probes::Entry) {
        let insert = "INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let values = (
            entry.id,
            entry.at.as_millis(),
            &entry.action,
            entry.actor,
            entry.subject,
            &entry.ip,
            &entry.request_id,
            entry.count,
            entry.hash.0,
        );
        self.connection().execute(insert, values).expect("it can be written");
    }
}

impl<T: Probes + ?Sized> Damage for T {}
