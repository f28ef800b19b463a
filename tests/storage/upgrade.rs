//! Databases of earlier versions: what their users had, they still have.

use crate::support::{Server, binary};
use rusqlite::Connection;
use std::{fs::Permissions, os::unix::fs::PermissionsExt, time::Duration};
use usher::{clock::Clock, domain::Timestamp};

/// A few minutes after `version-1.sql` was written.
const THEN: i64 = 1_795_629_900_000;
/// The token of ada's session, her reset token, and the invitation of bob@example.com.
const SESSION: &str = "ush_jzfM24OwAdmqyQkMZFC9E6t2Kaw2Ico2Xz0n4fNM0FT1VyiRY";
const RESET: &str = "ushr_7z8hSIZuzzwFC3jUMDhl14yE9xdbI7KJAposr07fMPs2vKPXo";
const INVITATION: &str = "ushi_Q9TTAA4rHjCeoGNaKvC0KFjzkbWzonKCgkg60gCDQ9B4EBRP0";

/// A folder with a database of version 1.
fn version_1() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usher.db");
    Connection::open(&path).unwrap().execute_batch(include_str!("upgrade/version-1.sql")).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    folder
}

#[test]
fn what_was_in_a_database_of_version_1_is_still_good() {
    let clock = Clock::set_to(Timestamp::from_millis(THEN));
    let server = Server::on(version_1(), clock, |settings| {
        settings.policy.sessions.idle_timeout = Duration::from_hours(24);
    });

    assert_eq!(server.anon().with_token(SESSION).get("/auth/me").json()["username"], "ada");
    assert_eq!(server.anon().login("root@example.com", crate::support::PASSWORD).status, 200);
    let reset = serde_json::json!({"token": RESET, "password": "a battery of correct horses"});
    assert_eq!(server.anon().post("/auth/password-reset", reset).status, 204);
    let invited = serde_json::json!({"username": "bob", "email": "bob@example.com", "password": crate::support::PASSWORD, "invitation": INVITATION});
    let bob = server.anon().post("/users", invited).json();
    assert_eq!((bob["id"].as_i64(), bob["email_verified"].as_bool()), (Some(4), Some(true)), "3 is used up");
}

#[test]
fn accounts_of_version_1_are_found_in_any_case_and_a_damaged_one_can_still_be_repaired() {
    // given
    let folder = version_1();
    let change = "UPDATE users SET username = 'Ada', email = 'Ada@Example.COM' WHERE username = 'ada';
        INSERT INTO sessions SELECT 'older', zeroblob(32), user_id, created_at, last_used_at, expires_at, ip, user_agent
            FROM sessions;
        INSERT INTO users SELECT 3, 'two words', 'eve@example.com', 1, password_hash, 1, 'user', 0, 1, 0, 0, NULL FROM users WHERE id = 2";
    Connection::open(folder.path().join("usher.db")).unwrap().execute_batch(change).unwrap();

    // when
    let migrated = binary::usher(folder.path(), &["migrate"]);

    // then
    assert!(migrated.status.success(), "{}", binary::complaint(&migrated));
    let connection = Connection::open(folder.path().join("usher.db")).unwrap();
    let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(text("SELECT username || ' ' || email FROM users WHERE id = 2"), "Ada Ada@Example.COM");
    assert_eq!(text("SELECT group_concat(id) FROM (SELECT id FROM sessions ORDER BY place)"), "imnNYnmDBgYzYsip,older");
    assert_eq!(text("SELECT group_concat(name || seq) FROM sqlite_sequence ORDER BY 1"), "audit10,users3,invitations1");
    for name in ["aDA", "ADA@example.com"] {
        let shown = binary::usher(folder.path(), &["user", "show", name, "--json"]);
        assert!(shown.status.success(), "{name}: {}", binary::complaint(&shown));
    }
    let told = binary::usher(folder.path(), &["check"]);
    assert!(String::from_utf8_lossy(&told.stdout).contains("the account 3 is damaged: username must"), "{told:?}");
    assert!(binary::usher(folder.path(), &["user", "set-username", "3", "eve"]).status.success());
    assert!(binary::usher(folder.path(), &["check"]).status.success());
}

#[test]
fn a_database_of_version_1_passes_every_check_once_it_is_migrated_and_the_copy_is_the_old_one() {
    let folder = version_1();
    let migrated = binary::usher(folder.path(), &["migrate"]);
    assert!(migrated.status.success(), "{}", binary::complaint(&migrated));
    let check = binary::usher(folder.path(), &["check"]);
    let told = String::from_utf8(check.stdout).unwrap();
    assert!(check.status.success() && !told.contains("error"), "{told}");
    let copy = Connection::open(folder.path().join("usher.db.v1")).unwrap();
    let version: i64 = copy.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 1);
}

#[test]
fn what_happened_before_a_migration_is_counted_by_days() {
    // given: also entries that say anything, of times on both sides of a midnight
    let folder = version_1();
    let more = "INSERT INTO audit VALUES (101, -1, 'session.signed_in', NULL, NULL, NULL, NULL, 7, zeroblob(32)),
        (102, 0, 'attempt.throttled', NULL, NULL, NULL, NULL, 9, zeroblob(32)),
        (103, 86399999, 'access.denied', NULL, NULL, NULL, NULL, 1, zeroblob(32)),
        (104, 86400000, 'user.imported', NULL, NULL, NULL, NULL, 1000, zeroblob(32)),
        (105, 86400000, 'session.signed_in', NULL, NULL, NULL, NULL, 9223372036854775807, zeroblob(32)),
        (106, 86400000, 'session.signed_in', NULL, NULL, NULL, NULL, 9223372036854775807, zeroblob(32))";
    Connection::open(folder.path().join("usher.db")).unwrap().execute_batch(more).unwrap();

    // when
    let migrated = binary::usher(folder.path(), &["migrate"]);

    // then
    assert!(migrated.status.success(), "{}", binary::complaint(&migrated));
    let connection = Connection::open(folder.path().join("usher.db")).unwrap();
    let sql = "SELECT date(day * 86400, 'unixepoch') || ' ' || kind || ' ' || count FROM audit_days ORDER BY day, kind";
    let mut counted = connection.prepare(sql).unwrap();
    let counted: Vec<String> = counted.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(
        counted,
        [
            "1969-12-31 sign_in 7",
            "1970-01-01 refusal 10",
            "1970-01-02 sign_in 8589934590",
            "2026-11-25 refusal 3",
            "2026-11-25 registration 3",
            "2026-11-25 sign_in 1",
        ]
    );
}
