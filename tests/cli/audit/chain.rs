//! Changes of the log, which `usher check` finds.

use super::{broken, check, copy_of, head, proven, twelve_entries};
use crate::support::binary::Serving;
use rusqlite::Connection;
use tempfile::tempdir;
use usher::domain::{ChainHash, ChainPoint, ChainedEntry};

#[test]
fn whatever_is_changed_in_the_log_is_found_and_the_entry_is_named() {
    let server = twelve_entries();
    for (tampering, named) in [
        ("UPDATE audit SET at = at + 1 WHERE id = 5", "entry 5 "),
        ("UPDATE audit SET action = 'user.registered' WHERE id = 6", "entry 6 "),
        ("UPDATE audit SET action = action || ' ' WHERE id = 6", "entry 6 "),
        ("UPDATE audit SET actor = NULL WHERE id = 6", "entry 6 "),
        ("UPDATE audit SET actor = 1 WHERE id = 1", "entry 1 "),
        ("UPDATE audit SET actor = subject, subject = actor WHERE id = 5", "entry 5 "),
        ("UPDATE audit SET subject = 3 WHERE id = 7", "entry 7 "),
        ("UPDATE audit SET ip = NULL WHERE id = 5", "entry 5 "),
        ("UPDATE audit SET ip = '203.0.113.9' WHERE id = 12", "entry 12 "),
        ("UPDATE audit SET request_id = '' WHERE id = 5", "entry 5 "),
        ("UPDATE audit SET ip = request_id, request_id = ip WHERE id = 5", "entry 5 "),
        ("UPDATE audit SET count = 2 WHERE id = 5", "entry 5 "),
        ("UPDATE audit SET count = count + 4294967296 WHERE id = 5", "entry 5 "),
        ("UPDATE audit SET hash = randomblob(32) WHERE id = 5", "entry 5 "),
        ("UPDATE audit SET hash = randomblob(32) WHERE id = 12", "entry 12 "),
        ("DELETE FROM audit WHERE id = 1", "entry 1 is missing"),
        ("DELETE FROM audit WHERE id BETWEEN 5 AND 7", "entries 5 to 7 are missing"),
        ("DELETE FROM audit WHERE id = 12", "ends at entry 11, but entry 12"),
        ("DELETE FROM audit", "ends at entry 0, but entry 12"),
        (
            "INSERT INTO audit SELECT 13, at, action, actor, subject, ip, request_id, count, hash FROM audit WHERE id = 12",
            "entry 13 ",
        ),
        (
            "INSERT INTO audit SELECT -1, at, action, actor, subject, ip, request_id, count, hash FROM audit WHERE id = 12",
            "entry -1 ",
        ),
        (
            "UPDATE audit SET id = 99 WHERE id = 5; UPDATE audit SET id = 5 WHERE id = 6; UPDATE audit SET id = 6 WHERE id = 99",
            "entry 5 ",
        ),
        (
            "DELETE FROM audit WHERE id = 12; UPDATE audit_state SET (head_id, head_hash) = (SELECT id, hash FROM audit WHERE id = 11)",
            "ends at entry 11, but entry 12",
        ),
        ("UPDATE audit_state SET head_id = 11", "entry 12 "),
        ("UPDATE audit_state SET head_id = 13", "ends at entry 12, but entry 13"),
        ("UPDATE audit_state SET head_hash = zeroblob(32)", "entry 12 "),
        ("UPDATE audit_state SET anchor_hash = randomblob(32)", "entry 1 "),
        ("UPDATE audit_state SET anchor_id = 3", "entry 1 "),
        ("DELETE FROM audit WHERE id <= 3; UPDATE audit_state SET anchor_id = 3", "entry 4 "),
        ("DELETE FROM audit_state", "begins and ends is not noted"),
        ("PRAGMA ignore_check_constraints = 1; UPDATE audit SET hash = x'00' WHERE id = 5", "entry 5 "),
    ] {
        // given
        let (folder, connection) = copy_of(&server);
        proven(folder.path(), &[]);

        // when
        connection.execute_batch(tampering).unwrap();
        drop(connection);

        // then
        let found = broken(folder.path(), &[]);
        assert!(found.contains("audit ") && found.contains(named), "{tampering}: {found}");
    }
}

/// Cuts the last two entries off, and covers the tracks in every table.
const CUT: &str = "DELETE FROM audit WHERE id > 10; UPDATE sqlite_sequence SET seq = 10 WHERE name = 'audit';
    UPDATE audit_state SET (head_id, head_hash) = (SELECT id, hash FROM audit WHERE id = 10)";

#[test]
fn a_tail_that_was_cut_off_with_care_is_found_with_a_head_that_was_kept_elsewhere_and_not_without() {
    let (folder, connection) = copy_of(&twelve_entries());
    let (kept, older) = (head(folder.path()), point(&connection, 9));
    connection.execute_batch(CUT).unwrap();

    let without = proven(folder.path(), &[]);
    let with = broken(folder.path(), &["--audit-head", &kept.to_string()]);

    assert!(without.contains("nor that its end was cut off"), "{without}");
    assert!(with.contains("ends at entry 10, before entry 12"), "{with}");
    proven(folder.path(), &["--audit-head", &older.to_string()]); // what is older than the cut is still there
}

fn point(connection: &Connection, id: i64) -> ChainPoint {
    let hash = connection.query_row("SELECT hash FROM audit WHERE id = ?1", [id], |row| row.get(0));
    ChainPoint { id, hash: ChainHash(hash.unwrap()) }
}

/// Computes every hash again, as an owner of the file can.
fn rebuild(connection: &Connection) {
    let last: i64 = connection.query_row("SELECT max(id) FROM audit", [], |row| row.get(0)).unwrap();
    let mut before = ChainHash::START;
    for id in 1..=last {
        let sql = "SELECT at, action, actor, subject, ip, request_id, count FROM audit WHERE id = ?1";
        before = connection
            .query_row(sql, [id], |row| {
                let text = |column| row.get::<_, Option<String>>(column);
                let (action, ip, request_id) = (text(1)?.unwrap(), text(4)?, text(5)?);
                let entry = ChainedEntry {
                    id,
                    at: row.get(0)?,
                    action: action.as_bytes(),
                    actor: row.get(2)?,
                    subject: row.get(3)?,
                    ip: ip.as_deref().map(str::as_bytes),
                    request_id: request_id.as_deref().map(str::as_bytes),
                    count: row.get(6)?,
                };
                Ok(entry.hash(&before))
            })
            .unwrap();
        connection.execute("UPDATE audit SET hash = ?2 WHERE id = ?1", (id, before.0)).unwrap();
    }
    connection.execute("UPDATE audit_state SET head_hash = ?1", [before.0]).unwrap();
}

#[test]
fn a_chain_that_was_rebuilt_is_found_with_a_head_that_was_kept_elsewhere_and_not_without() {
    let (folder, connection) = copy_of(&twelve_entries());
    let (kept, older) = (head(folder.path()), point(&connection, 4));
    connection.execute_batch("UPDATE audit SET ip = '203.0.113.9' WHERE id = 5").unwrap();
    rebuild(&connection);

    proven(folder.path(), &[]);
    let found = broken(folder.path(), &["--audit-head", &kept.to_string()]);
    assert!(found.contains("entry 12 is not the one that you kept"), "{found}");
    proven(folder.path(), &["--audit-head", &older.to_string()]); // what was before the change is as it was
}

#[test]
fn a_point_of_the_log_proves_what_was_before_it() {
    let (folder, connection) = copy_of(&twelve_entries());
    let all = [1, 6, 12].map(|id| point(&connection, id));
    for kept in all.into_iter().chain([ChainPoint::START]) {
        let lines = proven(folder.path(), &["--audit-head", &kept.to_string()]);
        assert!(lines.contains(&format!("the log contains entry {} as you kept it", kept.id)), "{lines}");
    }
    connection.execute_batch("DELETE FROM audit WHERE id = 6").unwrap();
    let found = broken(folder.path(), &["--audit-head", &all[1].to_string()]);
    assert!(found.contains("entry 6 is missing") && found.contains("entry 6 that you kept is missing"), "{found}");
    for bad in ["", "12", "12:00", "x:y"] {
        assert_eq!(check(folder.path(), &["--audit-head", bad]).status.code(), Some(2), "{bad}");
    }
}

#[test]
fn a_head_that_the_server_logged_proves_the_log() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    serving.until_logged("head=0:0000");
    serving.register("ada");
    serving.signal("TERM");
    let (_, log) = serving.wait();

    let logged = log.lines().rev().find_map(|line| line.split_once("head=")).expect("the head in the log").1;
    assert!(logged.starts_with("1:"), "{log}");
    proven(folder.path(), &["--audit-head", logged.trim()]);
}
