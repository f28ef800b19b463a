//! The audit log: what is in it, who reads it, what is kept of it, and what can be proven by it.

use crate::support::{
    Answer, Client, PASSWORD, START, Server,
    binary::{Serving, command, complaint, create_admin, ended, files, next_line, output, until, usher},
};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    io::BufReader,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Output, Stdio},
    time::Duration,
};
use tempfile::{TempDir, tempdir};
use usher::domain::{Action, AuditLimits, ChainHash, ChainPoint, ChainedEntry, Registration, Timestamp};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The events of one page.
#[track_caller]
fn events(client: &Client, query: &str) -> Vec<Value> {
    let answer = client.get(&format!("/audit?{query}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["events"].as_array().expect("events").clone()
}

fn ids(events: &[Value]) -> Vec<i64> {
    events.iter().map(|event| event["id"].as_i64().expect("an id")).collect()
}

/// Every page of the log, from the newest to the oldest.
fn all_pages(client: &Client, query: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = client.get(&format!("/audit?{query}{cursor}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = answer.json();
        all.extend(page["events"].as_array().expect("events").clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// Fails to sign in, without costing a hash.
fn guess(client: &Client) -> Answer {
    client.login("nobody@example.com", &"x".repeat(257))
}

#[test]
fn the_log_is_listed_by_pages_with_the_newest_entries_first() {
    let server = Server::start();
    let root = server.admin("root");
    for n in 0..15 {
        server.user(&format!("user{n}"));
    }

    let first = root.get("/audit?limit=10").json();
    server.user("late"); // what comes while somebody turns pages neither repeats nor hides anything
    let second = root.get(&format!("/audit?limit=10&cursor={}", first["next_cursor"].as_str().unwrap())).json();

    let newest: i64 = server.query("SELECT max(id) FROM audit");
    let shown =
        ids(&[first["events"].as_array().unwrap().clone(), second["events"].as_array().unwrap().clone()].concat());
    assert_eq!(shown, (newest - 21..=newest - 2).rev().collect::<Vec<_>>());
    assert_eq!(ids(&all_pages(&root, "limit=7")), (1..=newest).rev().collect::<Vec<_>>());
    assert_eq!(root.get(&format!("/audit?limit={newest}")).json()["next_cursor"], Value::Null);
}

#[test]
fn an_event_shows_what_is_stored_and_null_for_what_is_not_known() {
    let server = Server::start();
    let root = server.admin("root");

    let shown = all_pages(&root, "");

    let hash: String = server.query("SELECT lower(hex(hash)) FROM audit WHERE id = 2");
    let request_id: String = server.query("SELECT request_id FROM audit WHERE id = 2");
    assert_eq!(
        shown[0],
        json!({
            "id": 2, "at": "2026-11-22T10:00:00Z", "action": "session.signed_in", "actor": root.id, "subject": root.id,
            "ip": "127.0.0.1", "request_id": request_id, "count": 1, "hash": hash
        })
    );
    let of_shell = &shown[1];
    assert_eq!((&of_shell["action"], &of_shell["subject"]), (&json!("user.registered"), &json!(root.id)));
    assert!(["actor", "ip", "request_id"].iter().all(|absent| of_shell[absent].is_null()), "{of_shell}");
}

#[test]
fn filters_choose_by_what_was_done_by_whom_and_to_whom() {
    let server = Server::start();
    let (root, ada, bob) = (server.admin("root"), server.user("ada"), server.user("bob"));
    for user in [&ada, &bob] {
        root.put(&user.me(), json!({"role": "admin"}));
        root.put(&user.me(), json!({"username": format!("{}x", user.id)}));
        user.put(&user.me(), json!({"username": format!("{}y", user.id)}));
    }
    server.anon().login("ada@example.com", "wrong horse battery");
    server.flush();
    let all = all_pages(&root, "");

    let users = [None, Some(root.id), Some(ada.id), Some(99)];
    let actions = [None, Some("user.updated"), Some("session.signed_in"), Some("user.deleted")];
    for n in 0..users.len() * users.len() * actions.len() {
        let (actor, user, action) = (users[n % 4], users[n / 4 % 4], actions[n / 16]);
        let expected: Vec<Value> = all
            .iter()
            .filter(|event| {
                action.is_none_or(|action| event["action"] == action)
                    && actor.is_none_or(|actor| event["actor"] == actor)
                    && user.is_none_or(|user| event["subject"] == user)
            })
            .cloned()
            .collect();
        let mut query = "limit=2".to_owned();
        query += &action.map(|action| format!("&action={action}")).unwrap_or_default();
        query += &actor.map(|actor| format!("&actor={actor}")).unwrap_or_default();
        query += &user.map(|user| format!("&user={user}")).unwrap_or_default();
        assert_eq!(all_pages(&root, &query), expected, "{query}");
    }
}

#[test]
fn only_administrators_read_the_log_and_others_are_refused_before_anything_else_is_looked_at() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    server.anon().get("/audit").is(401, "authentication_required");
    ada.get("/audit").is(403, "forbidden");
    ada.get(&format!("/audit?user={}", ada.id)).is(403, "forbidden");

    let refused = events(&root, "action=access.denied");
    assert_eq!(refused.len(), 2);
    assert!(refused.iter().all(|event| event["actor"] == ada.id && event["subject"].is_null()), "{refused:?}");
}

#[test]
fn a_parameter_that_is_wrong_unknown_or_repeated_is_refused_by_name() {
    let server = Server::start();
    let root = server.admin("root");
    for (query, faulty) in [
        ("action=user.levitated", vec!["action"]),
        ("action=", vec!["action"]),
        ("actor=ada&user=0", vec!["actor", "user"]),
        ("user=%2B1", vec!["user"]),
        ("limit=0&offset=3", vec!["limit", "offset"]),
        ("limit=1&limit=1", vec!["limit"]),
        ("cursor=!", vec!["cursor"]),
        ("cursor=aWQgMQ", vec!["cursor"]), // "id 1": the list of accounts
    ] {
        let answer = root.get(&format!("/audit?{query}"));
        assert_eq!(
            (answer.is(400, "validation_failed").status, answer.faulty()),
            (400, faulty.iter().map(ToString::to_string).collect()),
            "{query}"
        );
    }
}

#[test]
fn what_a_later_version_wrote_is_listed_too() {
    let server = Server::start();
    let root = server.admin("root");
    server
        .sql()
        .execute_batch(
            "INSERT INTO audit VALUES (3, 0, 'user.levitated', 7, -1, 'a boat', NULL, 4000000000, zeroblob(32))",
        )
        .unwrap();

    let shown = &events(&root, "")[0];

    assert_eq!(
        (&shown["action"], &shown["actor"], &shown["ip"]),
        (&json!("user.levitated"), &json!(7), &json!("a boat"))
    );
    let read = usher(server.database().parent().unwrap(), &["audit"]);
    assert!(stdout(&read).contains("user.levitated"), "{}", stdout(&read));
}

/// What somebody did, which answer that had, and which entry of the log reports it.
type Deed = (&'static str, Answer, Option<i64>, Option<i64>);

#[test]
fn everything_that_is_to_be_recorded_is_by_ids_with_address_and_request_and_without_secrets() {
    // given
    let server = Server::start();
    let root = server.admin("root");
    server.sign_in("root"); // a second session, to be ended
    let known: i64 = server.query("SELECT max(id) FROM audit");
    let new = |name: &str| json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD});
    let (r, a) = (Some(root.id), Some(root.id + 1));
    let me = format!("/users/{}", root.id + 1);

    // when
    let mut deeds: Vec<Deed> = vec![("user.registered", server.anon().post("/users", new("ada")), None, a)];
    let signed_in = server.anon().login("ada@example.com", PASSWORD);
    let ada = server.anon().with_token(signed_in.json()["token"].as_str().unwrap());
    let secrets = [
        PASSWORD,
        "wrong horse battery",
        "a secret typed as an address",
        "nobody@example.com",
        "another horse battery",
        ada.token.as_deref().unwrap(),
        "example.com",
        "countess",
    ];
    deeds.extend([
        ("session.signed_in", signed_in, a, a),
        ("user.updated", ada.put(&me, json!({"username": "countess"})), a, a),
        ("user.password_changed", root.put(&me, json!({"password": secrets[4]})), r, a),
        ("session.sign_in_failed", server.anon().login("ada@example.com", secrets[1]), None, a),
        ("session.sign_in_failed", server.anon().login(secrets[2], PASSWORD), None, None),
        ("session.sign_in_failed", server.anon().login(secrets[3], PASSWORD), None, None),
    ]);
    let again = server.anon().login("ada@example.com", secrets[4]);
    let ada = server.anon().with_token(again.json()["token"].as_str().unwrap());
    deeds.push(("session.signed_in", again, a, a));
    server.flush(); // so that what was refused comes before what is done now
    deeds.push(("session.sign_in_failed", ada.put(&me, json!({"current_password": secrets[1]})), a, a));
    server.flush();
    deeds.push(("user.password_confirmed", ada.put(&me, json!({"current_password": secrets[4]})), a, a));
    server.flush();
    let denied = ada.put(&me, json!({"role": "admin"}));
    deeds.push(("access.denied", denied, a, a));
    server.flush();
    deeds.extend([
        ("session.signed_out", ada.send("POST", "/auth/logout", &[], None), a, a),
        ("user.role_changed", root.put(&me, json!({"role": "admin"})), r, a),
        ("user.disabled", root.put(&me, json!({"disabled": true})), r, a),
        ("user.enabled", root.put(&me, json!({"disabled": false})), r, a),
        ("session.revoked", root.delete("/auth/sessions"), r, r),
    ]);
    deeds.push(("user.unlocked", root.send("POST", &format!("{me}/unlock"), &[], None), r, a));
    let issued = root.send("POST", &format!("{me}/password-reset"), &[], None);
    let reset = json!({"token": issued.json()["token"], "password": PASSWORD});
    let invited = root.post("/invitations", json!({}));
    let taken_back = root.post("/invitations", json!({}));
    let mut bob = new("bob");
    bob["invitation"] = invited.json()["token"].clone();
    let of_invitation = root.delete(&format!("/invitations/{}", taken_back.json()["id"]));
    deeds.extend([
        ("user.reset_issued", issued, r, a),
        ("user.password_reset", server.anon().post("/auth/password-reset", reset), None, a),
        ("invitation.created", invited, r, None),
        ("invitation.created", taken_back, r, None),
        ("invitation.deleted", of_invitation, r, None),
        ("invitation.spent", server.anon().post("/users", bob), r, a.map(|id| id + 1)),
        ("user.deleted", root.delete(&me), r, a),
    ]);

    // then
    server.flush();
    let mut recorded: Vec<Value> =
        all_pages(&root, "").into_iter().filter(|event| event["id"].as_i64() > Some(known)).collect();
    recorded.retain(|event| event["action"] != "access.denied" || event["request_id"] != Value::Null);
    let mut seen = BTreeSet::new();
    for (action, answer, actor, subject) in &deeds {
        let of_request =
            |event: &&Value| event["request_id"] == answer.header("x-request-id") && event["action"] == *action;
        let found: Vec<&Value> = recorded.iter().filter(of_request).collect();
        assert_eq!(found.len(), 1, "{action} {answer:?} {recorded:?}");
        assert_eq!((&found[0]["actor"], &found[0]["subject"]), (&json!(actor), &json!(subject)), "{action}");
        assert_eq!((&found[0]["ip"], &found[0]["count"]), (&json!("127.0.0.1"), &json!(1)), "{action}");
        seen.insert(*action);
    }
    // The refused `current_password` is a failed sign-in and a `403`, and an invitation is spent on an account.
    assert_eq!(recorded.len(), deeds.len() + 2, "{recorded:?}");
    let elsewhere = [Action::AttemptThrottled, Action::UserImported, Action::DatabaseBackedUp];
    let missing: Vec<_> =
        Action::ALL.iter().filter(|action| !seen.contains(action.as_str()) && !elsewhere.contains(action)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let texts: String = server.query(
        "SELECT group_concat(concat_ws(' ', id, at, action, actor, subject, ip, request_id, count), ' ') FROM audit",
    );
    assert!(secrets.iter().all(|secret| !texts.contains(secret)), "{texts}");
}

#[test]
fn every_403_is_recorded() {
    let server = Server::with(|settings| settings.policy.registration = Registration::Closed);
    let root = server.admin("root");
    let ada = json!({"username": "ada", "email": "ada@example.com", "password": PASSWORD});
    root.post("/users", ada.clone()).is(201, "");
    let user = server.sign_in("ada");
    let refused = [
        user.get("/users"),
        user.get("/audit"),
        user.put(&user.me(), json!({"role": "admin"})),
        user.put(&user.me(), json!({"current_password": "wrong horse battery"})),
        user.send("POST", &format!("{}/password-reset", root.me()), &[], None),
        user.send("POST", &format!("{}/unlock", root.me()), &[], None),
        user.post("/invitations", json!({})),
        user.get("/invitations"),
        user.delete("/invitations/1"),
        user.get("/auth/verify?role=admin"),
        server.anon().post("/users", ada),
    ];

    let recorded = all_pages(&root, "action=access.denied");

    for answer in &refused {
        assert_eq!(answer.status, 403, "{answer:?}");
        let found = recorded.iter().filter(|event| event["request_id"] == answer.header("x-request-id")).count();
        assert_eq!(found, 1, "{answer:?}");
    }
}

#[test]
fn a_registration_without_the_invitation_that_it_needs_is_recorded() {
    let server = Server::with(|settings| settings.policy.registration = Registration::Invite);
    let root = server.admin("root");

    let ada = json!({"username": "ada", "email": "ada@example.com", "password": PASSWORD});
    let refused = server.anon().post("/users", ada);

    refused.is(403, "invitation_required");
    let recorded = all_pages(&root, "action=access.denied");
    let found = recorded.iter().filter(|event| event["request_id"] == refused.header("x-request-id")).count();
    assert_eq!(found, 1, "{recorded:?}");
}

#[test]
fn attempts_that_come_too_soon_are_one_entry_a_minute_for_an_account_and_an_address() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    for _ in 0..2 {
        for _ in 0..15 {
            server.anon().login("ada@example.com", "wrong horse battery");
        }
        server.clock.advance(Duration::from_mins(1));
    }

    let throttled = events(&root, "action=attempt.throttled");

    let shown: Vec<_> = throttled.iter().map(|event| (&event["subject"], &event["ip"], &event["count"])).collect();
    let (of_ada, ip) = (json!(ada.id), json!("127.0.0.1"));
    assert_eq!(shown, [(&of_ada, &ip, &json!(15)), (&of_ada, &ip, &json!(5))]);
    assert!(throttled.iter().all(|event| event["request_id"].is_null() && event["actor"].is_null()), "{throttled:?}");
}

#[test]
fn a_flood_of_guesses_writes_few_entries_and_loses_none_of_them() {
    let server = Server::with(|settings| settings.policy.throttle = false);
    let anon = server.anon();
    for _ in 0..3 {
        (0..400).for_each(|_| drop(guess(&anon)));
        server.clock.advance(Duration::from_mins(1));
    }
    server.flush();

    let (rows, attempts): (i64, i64) = server
        .sql()
        .query_row("SELECT count(*), sum(count) FROM audit WHERE action = 'session.sign_in_failed'", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(attempts, 1_200);
    assert!(rows <= 256 + 2 * 6 + 3, "{rows} entries for {attempts} guesses");
    let counted: i64 =
        server.query("SELECT count(*) FROM audit WHERE count > 1 AND (ip IS NOT NULL OR request_id IS NOT NULL)");
    assert_eq!(counted, 0, "an entry for many requests names none");
}

#[test]
fn an_administrator_who_reads_again_and_again_gives_a_guesser_no_more_entries() {
    let server = Server::with(|settings| settings.policy.throttle = false);
    let (root, anon) = (server.admin("root"), server.anon());
    (0..256).for_each(|_| drop(guess(&anon)));
    for _ in 0..50 {
        guess(&anon);
        events(&root, "limit=1");
    }
    assert_eq!(server.query::<i64>("SELECT count(*) FROM audit WHERE action = 'session.sign_in_failed'"), 256);

    server.clock.advance(Duration::from_mins(1));
    let last = &events(&root, "action=session.sign_in_failed&limit=1")[0];
    assert_eq!(last["count"], 50);
}

// Retention

/// A server that keeps a day of the log, and never so many entries that their number counts.
fn keeping_a_day() -> Server {
    Server::with(|settings| settings.policy.audit = AuditLimits { retention: DAY, max_rows: 1_000_000 })
}

fn prune(server: &Server) {
    futures_executor::block_on(server.app.maintenance.sweep()).expect("it can be written");
}

fn left(server: &Server) -> (i64, i64) {
    (server.query("SELECT ifnull(min(id), 0) FROM audit"), server.query("SELECT count(*) FROM audit"))
}

fn folder_of(server: &Server) -> std::path::PathBuf {
    server.database().parent().expect("a folder").to_owned()
}

#[test]
fn what_retention_takes_away_leaves_a_chain_that_can_be_proven() {
    let server = keeping_a_day();
    let ada = server.user("ada");
    let kept = head(&folder_of(&server));
    server.clock.advance(DAY + HOUR);
    ada.put(&ada.me(), json!({"username": "countess"})).is(200, "");
    let newer = head(&folder_of(&server));

    prune(&server);
    ada.put(&ada.me(), json!({"username": "ada"})).is(200, "");

    assert_eq!(left(&server), (3, 2));
    assert!(proven(&folder_of(&server), &[]).contains("2 entries, 3 to 4"));
    proven(&folder_of(&server), &["--audit-head", &kept.to_string()]); // the very point where the log now begins
    proven(&folder_of(&server), &["--audit-head", &newer.to_string()]);
    let first = format!("1:{}", kept.hash);
    let complaint = broken(&folder_of(&server), &["--audit-head", &first]);
    assert!(complaint.contains("entry 1 was taken away by retention"), "{complaint}");
}

#[test]
fn a_clock_that_jumps_ahead_takes_half_a_day_of_the_log_at_each_sweep() {
    let server = keeping_a_day();
    prune(&server); // behind the sweep of the start
    let root = server.admin("root");
    for _ in 0..8 {
        server.clock.advance(6 * HOUR);
        root.put(&root.me(), json!({"username": format!("root{}", crate::support::unique())}));
    }
    assert_eq!(left(&server), (1, 10));

    server.clock.advance(365 * DAY);
    prune(&server);

    assert_eq!(left(&server), (4, 7), "the first twelve hours, and no more");
    server.clock.set(Timestamp::from_millis(START) + 2 * DAY);
    prune(&server);
    assert_eq!(left(&server), (6, 5), "set right again, a day is left, as is promised");
}

#[test]
fn beyond_the_number_of_entries_that_are_kept_the_oldest_go_whatever_their_age() {
    let server = Server::with(|settings| settings.policy.audit.max_rows = 5);
    for n in 0..10 {
        server.user(&format!("user{n}"));
    }
    prune(&server);
    assert_eq!(left(&server), (16, 5));
    proven(&folder_of(&server), &[]);
}

#[test]
fn the_settings_reach_the_server_which_prunes_when_it_starts() {
    let folder = tempdir().unwrap();
    usher(folder.path(), &["migrate"]);
    for name in ["ada", "bob", "cy"] {
        assert!(create_admin(folder.path(), name).status.success());
    }
    let before: i64 = rows(folder.path());
    let serving = Serving::start(folder.path(), &["--audit-max-rows", "2"]);
    until("the oldest are gone", || (rows(folder.path()) == 2).then_some(()));
    drop(serving);
    assert!(before > 2);
    until("the rest is older than a second, and gone", || {
        let serving = Serving::start(folder.path(), &["--audit-retention", "1s"]);
        serving.until_logged("head="); // which comes after pruning
        (rows(folder.path()) == 0).then_some(())
    });
    proven(folder.path(), &[]);
}

fn rows(folder: &Path) -> i64 {
    let connection = Connection::open(folder.join("usher.db")).unwrap();
    connection.query_row("SELECT count(*) FROM audit", [], |row| row.get(0)).unwrap()
}

// usher check

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn check(folder: &Path, arguments: &[&str]) -> Output {
    usher(folder, &[&["check"], arguments].concat())
}

/// The lines of a check that finds nothing wrong.
#[track_caller]
fn proven(folder: &Path, arguments: &[&str]) -> String {
    let output = check(folder, arguments);
    assert_eq!((output.status.code(), complaint(&output)), (Some(0), String::new()), "{}", stdout(&output));
    assert!(!stdout(&output).contains("error "), "{}", stdout(&output));
    stdout(&output)
}

/// The lines of a check that finds something wrong.
#[track_caller]
fn broken(folder: &Path, arguments: &[&str]) -> String {
    let output = check(folder, arguments);
    assert_eq!((output.status.code(), complaint(&output).lines().count()), (Some(1), 1), "{}", stdout(&output));
    assert!(complaint(&output).starts_with("usher: "), "{}", complaint(&output));
    let lines: Vec<String> =
        stdout(&output).lines().filter(|line| line.starts_with("error ")).map(str::to_owned).collect();
    lines.join("\n")
}

/// The head of a log, as the check prints it.
#[track_caller]
fn head(folder: &Path) -> ChainPoint {
    let report: Value = serde_json::from_slice(&check(folder, &["--json"]).stdout).expect("JSON");
    ChainPoint::parse(report["audit_head"].as_str().expect("a head")).expect("ID:HASH")
}

/// A folder with a copy of a server's database, for somebody to tamper with.
fn copy_of(server: &Server) -> (TempDir, Connection) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("usher.db");
    server.sql().execute("VACUUM INTO ?1", [path.to_str().unwrap()]).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let connection = Connection::open(&path).unwrap();
    (folder, connection)
}

/// A log of twelve entries.
fn twelve_entries() -> Server {
    let server = Server::start();
    for name in ["ada", "bob", "cy"] {
        let user = server.user(name);
        server.anon().login(&format!("{name}@example.com"), "wrong horse battery");
        server.flush();
        user.send("POST", "/auth/logout", &[], None);
    }
    assert_eq!(server.query::<i64>("SELECT count(*) FROM audit"), 12);
    server
}

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
        ("DELETE FROM audit WHERE id = 12", "ends at entry 11, and entry 12"),
        ("DELETE FROM audit", "ends at entry 0, and entry 12"),
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
            "ends at entry 11, and entry 12",
        ),
        ("UPDATE audit_state SET head_id = 11", "entry 12 "),
        ("UPDATE audit_state SET head_id = 13", "ends at entry 12, and entry 13"),
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

#[test]
fn the_check_works_beside_a_server_and_without_one_and_changes_nothing() {
    let folder = tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let serving = Serving::start(folder.path(), &[]);
    serving.register("ada");
    let beside = proven(folder.path(), &[]);
    assert_eq!(serving.register("bob").status, 201, "the server's own locks are still there");
    serving.signal("TERM");
    serving.wait();

    let before = files(folder.path());
    let lines = proven(folder.path(), &[]);

    assert_eq!(files(folder.path()), before);
    for subject in
        ["file", "schema", "integrity", "audit", "audit head", "modes", "clock", "disk", "version", "settings"]
    {
        for report in [&beside, &lines] {
            let found = report.lines().filter(|line| line[9..].starts_with(&format!("{subject:<11} "))).count();
            assert_eq!(found, 1, "{subject}: {report}");
        }
    }
    assert!(!(beside + &lines).contains("audit time"), "{lines}");
}

#[test]
fn what_a_killed_server_left_is_checked_and_left_as_it_is() {
    let folder = tempdir().unwrap();
    let mut serving = Serving::start(folder.path(), &[]);
    serving.register("ada");
    serving.child.kill().unwrap();
    serving.child.wait().unwrap();
    let shown =
        |folder: &Path| files(folder).into_iter().filter(|(name, _)| !name.ends_with("-shm")).collect::<Vec<_>>();
    let before = shown(folder.path());

    assert!(proven(folder.path(), &[]).contains("one entry"));
    assert_eq!(shown(folder.path()), before);
}

#[test]
fn a_document_says_the_same_to_a_program() {
    let folder = tempdir().unwrap();
    let output = check(folder.path(), &["--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["audit_head"]), (Some(1), &Value::Null));
    assert_eq!(
        (&report["findings"][0]["subject"], &report["findings"][0]["verdict"]),
        (&json!("file"), &json!("error"))
    );

    usher(folder.path(), &["migrate"]);
    create_admin(folder.path(), "ada");
    let report: Value = serde_json::from_slice(&check(folder.path(), &["--json"]).stdout).unwrap();
    assert!(report["audit_head"].as_str().unwrap().starts_with("1:"), "{report}");
    assert!(report["findings"].as_array().unwrap().iter().all(|finding| finding["verdict"] != "error"), "{report}");
}

type Make<'m> = &'m dyn Fn(&Path);

#[test]
fn files_that_are_none_of_ours_are_told_and_left_untouched() {
    let text = |path: &Path| std::fs::write(path, "a letter, and no database at all").unwrap();
    let foreign = |path: &Path| {
        Connection::open(path).unwrap().execute_batch("PRAGMA application_id = 1; CREATE TABLE t (x)").unwrap();
    };
    let folder = |path: &Path| std::fs::create_dir(path).unwrap();
    let newer = |path: &Path| {
        usher(path.parent().unwrap(), &["migrate"]);
        Connection::open(path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    };
    let cases: [(Make<'_>, &str); 5] = [
        (&|_| {}, "there is no database"),
        (&text, "not an SQLite database"),
        (&foreign, "another program"),
        (&folder, "not a regular file"),
        (&newer, "newer usher"),
    ];
    for (make, told) in cases {
        let folder = tempdir().unwrap();
        make(&folder.path().join("usher.db"));
        let before = files(folder.path());
        let found = broken(folder.path(), &[]);
        assert!(found.contains(told), "{told}: {found}");
        assert_eq!(files(folder.path()), before, "{told}");
    }
}

#[test]
fn damage_a_changed_schema_and_orphans_are_told() {
    let server = twelve_entries();
    for (harm, told) in [
        ("DROP INDEX audit_by_action", "index audit_by_action is missing"),
        ("CREATE TRIGGER spy AFTER INSERT ON users BEGIN DELETE FROM audit; END", "trigger spy is not ours"),
        ("ALTER TABLE users ADD COLUMN nickname TEXT", "table users is not as it was made"),
        (
            "PRAGMA foreign_keys = 0; DELETE FROM users WHERE id = 1; INSERT INTO password_resets VALUES (zeroblob(32), 1, NULL, 0, 0)",
            "1 rows of password_resets refer to nothing in users",
        ),
        (
            "UPDATE users SET (username, username_key) = ('a' || char(27) || '[31m', 'a' || char(27) || '[31m') WHERE id = 1",
            "the account 1 is damaged: username must",
        ),
        ("PRAGMA ignore_check_constraints = 1; UPDATE users SET revision = 0", "CHECK constraint failed in users"),
    ] {
        let (folder, connection) = copy_of(&server);
        connection.execute_batch(harm).unwrap();
        drop(connection);
        let found = broken(folder.path(), &[]);
        assert!(found.contains(told), "{told}: {found}");
    }

    let (folder, connection) = copy_of(&server);
    let page: u32 = connection
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'audit_by_action'", [], |row| row.get(0))
        .unwrap();
    drop(connection);
    let path = folder.path().join("usher.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let page = page as usize;
    bytes[(page - 1) * 4096..page * 4096].fill(0xA5);
    std::fs::write(&path, bytes).unwrap();
    let found = broken(folder.path(), &[]);
    assert!(found.contains("integrity") && found.contains("restore a backup"), "{found}");
}

#[test]
fn files_that_others_may_use_and_settings_that_cannot_be_used_are_told() {
    let folder = tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    usher(folder.path(), &["migrate"]);
    let warned = proven(folder.path(), &[]);
    assert!(warned.contains("warning  modes ") && warned.contains("chmod 700"), "{warned}");

    std::fs::set_permissions(folder.path().join("usher.db"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let found = broken(folder.path(), &[]);
    assert!(found.contains("usher.db has mode 644") && found.contains("chmod 600"), "{found}");
    std::fs::set_permissions(folder.path().join("usher.db"), std::fs::Permissions::from_mode(0o600)).unwrap();

    for (name, value, told, status) in [
        ("USHER_LISTEN", "nowhere", "--listen", 1),
        ("USHER_SESSION_LIFETIME", "1d", "--session-idle-timeout is longer", 1),
        ("USHER_PASSWORD_BLOCKLIST", "/nothing/here", "--password-blocklist", 1),
        ("USHER_AUDIT_MAX_ROWS", "0", "--audit-max-rows", 1),
        ("USHER_LISTEM", "127.0.0.1:80", "USHER_LISTEM is not a setting", 0),
    ] {
        let output = output(command(folder.path()).env(name, value).arg("check"));
        assert_eq!(output.status.code(), Some(status), "{name}");
        assert!(stdout(&output).contains(told), "{name}: {}", stdout(&output));
    }
}

#[test]
fn modes_are_told_of_files_that_are_there_with_one_command_for_all() {
    // given
    let folder = tempdir().unwrap();
    usher(folder.path(), &["migrate"]);
    let open = |names: &[&str]| {
        for name in names {
            let mode = std::fs::Permissions::from_mode(0o644);
            std::fs::set_permissions(folder.path().join(name), mode).unwrap();
        }
    };
    let advice = |names: &[&str]| {
        let path = folder.path().canonicalize().unwrap();
        let names: Vec<String> = names.iter().map(|name| path.join(name).display().to_string()).collect();
        format!("others may use them: chmod 600 {}", names.join(" "))
    };

    // when: SQLite gives its own files the mode of the database, and the check takes them away with it
    open(&["usher.db", "usher.db.lock"]);
    let stopped = broken(folder.path(), &[]);

    // then
    assert!(stopped.contains(&advice(&["usher.db", "usher.db.lock"])) && !stopped.contains("-wal"), "{stopped}");

    // when
    let _serving = Serving::start(folder.path(), &[]);
    open(&["usher.db", "usher.db-wal", "usher.db-shm", "usher.db.lock"]);
    let running = broken(folder.path(), &[]);

    // then
    assert!(running.contains(&advice(&["usher.db", "usher.db-wal", "usher.db-shm", "usher.db.lock"])), "{running}");
    assert_eq!(running.matches("chmod 600").count(), 1, "{running}");
}

#[test]
fn a_check_does_not_promise_what_its_lines_do_not_say() {
    let server = twelve_entries();
    server.sql().execute("UPDATE audit SET count = 7 WHERE id = 5", []).unwrap();
    let output = check(&folder_of(&server), &[]);
    let told = stdout(&output);
    assert!(told.contains("that can't be undone: compare the log with a backup's"), "{told}");
    assert_eq!(complaint(&output), "usher: one thing is wrong: see the line that begins with 'error'");
}

// usher audit

#[test]
fn the_command_prints_the_whole_log_or_the_newest_of_it_the_oldest_first() {
    let server = twelve_entries();
    let folder = folder_of(&server);
    let table = |arguments: &[&str]| {
        let read = usher(&folder, &[&["audit"], arguments].concat());
        assert_eq!((read.status.code(), complaint(&read)), (Some(0), String::new()));
        let lines: Vec<String> = stdout(&read).lines().map(str::to_owned).collect();
        assert!(
            lines[0]
                .split_whitespace()
                .eq(["ID", "TIME", "ACTION", "ACTOR", "USER", "COUNT", "IP", "ADDRESS", "REQUEST"])
        );
        lines[1..].iter().map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect::<Vec<i64>>()
    };
    assert_eq!(table(&[]), (1..=12).collect::<Vec<_>>());
    assert_eq!(table(&["--limit", "3"]), [10, 11, 12]);
    assert_eq!(table(&["--limit", "0"]), Vec::<i64>::new());
    assert_eq!(table(&["--action", "session.signed_out"]), [4, 8, 12]);
    assert_eq!(table(&["--action", "session.signed_out", "--limit", "2"]), [8, 12]);
    assert_eq!(table(&["--user", "2"]), [5, 6, 7, 8]);
    assert_eq!(table(&["--user", "2", "--actor", "2"]), [6, 8]);
    assert_eq!(table(&["--user", "BOB", "--actor", "bob@example.com"]), [6, 8]);
    let unknown = usher(&folder, &["audit", "--user", "nobody"]);
    assert_eq!(
        (unknown.status.code(), complaint(&unknown).as_str()),
        (Some(1), "usher: nobody: there is no such user")
    );
    for bad in [["--action", "x"], ["--user", "a b"], ["--actor", "0"], ["--limit", "-1"]] {
        assert_eq!(usher(&folder, &[&["audit"], &bad[..]].concat()).status.code(), Some(2), "{bad:?}");
    }
}

#[test]
fn accounts_in_the_table_have_their_usernames_beside_their_ids_while_they_exist() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    root.delete(&ada.me()).is(204, "");
    root.put(&root.me(), json!({"username": "queen"})).is(200, "");

    let read = usher(&folder_of(&server), &["audit"]);

    let table = stdout(&read);
    let accounts_of = |action: &str| {
        let line = table.lines().find(|line| line.contains(action)).unwrap_or_else(|| panic!("{action}: {table}"));
        let (_, rest) = line.split_once(action).unwrap();
        rest.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(accounts_of("session.signed_in"), ["1 queen", "1 queen"]);
    assert_eq!(accounts_of("user.deleted"), ["1 queen", "2"]);
    assert_eq!(accounts_of("user.registered"), ["-", "1 queen"]);
}

#[test]
fn the_document_has_the_shape_of_the_api() {
    let server = twelve_entries();
    let root = server.admin("root");
    let mut of_api = root.get("/audit?limit=200").json();
    of_api["events"].as_array_mut().unwrap().reverse();

    let read = usher(&folder_of(&server), &["audit", "--json"]);

    let of_command: Value = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!(of_command, of_api);
    let none = usher(&folder_of(&server), &["audit", "--json", "--user", "99"]);
    assert_eq!(stdout(&none), "{\"events\":[],\"next_cursor\":null}\n");
}

#[test]
fn what_a_vandal_wrote_does_not_reach_the_terminal_as_it_is() {
    let server = twelve_entries();
    server
        .sql()
        .execute_batch("UPDATE audit SET request_id = char(27) || '[2J', ip = 'a' || char(10) || 'b' WHERE id = 5")
        .unwrap();
    let read = usher(&folder_of(&server), &["audit"]);
    assert!(!stdout(&read).contains('\u{1b}') && stdout(&read).lines().count() == 13, "{}", stdout(&read));
}

/// `usher audit --follow`, until dropped.
struct Following {
    child: Child,
    printed: BufReader<std::process::ChildStdout>,
}

impl Following {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = command(folder);
        command.args(["audit", "--follow"]).args(arguments).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let printed = BufReader::new(child.stdout.take().unwrap());
        Self { child, printed }
    }

    fn line(&mut self) -> String {
        next_line(&mut self.printed).expect("a line")
    }

    fn signal(&self, name: &str) {
        let sent = std::process::Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    fn status(&mut self) -> Option<i32> {
        until("it ends", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn following_prints_what_happens_while_it_happens_until_it_is_interrupted() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    (0..11).for_each(|n| drop(serving.register(&format!("user{n}"))));
    let mut following = Following::start(folder.path(), &[]);
    assert!(following.line().contains("ACTION"));
    for id in 2..=11 {
        assert!(following.line().trim_start().starts_with(&format!("{id} ")), "the newest ten come first");
    }

    serving.register("ada");
    let registered = following.line();
    serving.sign_in("ada");
    let signed_in = following.line();

    assert!(registered.contains("user.registered"), "{registered}");
    assert!(signed_in.contains("session.signed_in"), "{signed_in}");
    following.signal("INT");
    assert_eq!(following.status(), Some(0));
}

#[test]
fn following_as_json_is_one_object_a_line_and_a_filter_holds() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    let mut following = Following::start(folder.path(), &["--json", "--limit", "1", "--action", "session.signed_in"]);
    serving.register("ada");
    serving.sign_in("ada");

    let event: Value = serde_json::from_str(&following.line()).unwrap();

    assert_eq!((&event["id"], &event["action"]), (&json!(2), &json!("session.signed_in")));
    following.signal("TERM");
    assert_eq!(following.status(), Some(0));
}

#[test]
fn following_ends_when_nobody_reads_it_any_more() {
    let folder = tempdir().unwrap();
    usher(folder.path(), &["migrate"]);
    let mut following = Following::start(folder.path(), &[]);
    following.line();
    let Following { child, printed } = &mut following;
    let mut other = command(folder.path()).arg("--version").stdout(Stdio::piped()).spawn().unwrap();
    drop(std::mem::replace(printed, BufReader::new(other.stdout.take().unwrap())));
    other.wait().unwrap();
    assert_eq!(until("it ends", || child.try_wait().unwrap()).code(), Some(0));
}

#[test]
fn following_goes_on_over_entries_that_retention_takes_away_meanwhile() {
    let server = keeping_a_day();
    let ada = server.user("ada");
    let mut following = Following::start(&folder_of(&server), &[]);
    (0..3).for_each(|_| drop(following.line()));
    server.clock.advance(2 * DAY);
    prune(&server);
    assert_eq!(left(&server), (0, 0));
    ada.put(&ada.me(), json!({"username": "countess", "current_password": PASSWORD})).is(200, "");

    let line = following.line();
    assert!(line.contains("user.updated") && line.trim_start().starts_with("3 "), "{line}");
}

#[test]
fn following_a_file_that_was_replaced_ends_and_says_so() {
    let folder = tempdir().unwrap();
    usher(folder.path(), &["migrate"]);
    let mut following = Following::start(folder.path(), &[]);
    following.line();
    std::fs::rename(folder.path().join("usher.db"), folder.path().join("old.db")).unwrap();
    assert_eq!(following.status(), Some(1));
}

#[test]
fn the_reader_of_a_pipe_may_leave_early() {
    let server = twelve_entries();
    let mut child =
        command(&folder_of(&server)).arg("audit").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = ended(child);
    assert_eq!((output.status.code(), complaint(&output)), (Some(0), String::new()));
}
