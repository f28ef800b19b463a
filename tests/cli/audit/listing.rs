//! `GET /audit`.

use super::{all_pages, events, stdout};
use crate::support::{
    Server,
    binary::usher,
    damage::Damage,
    probes::{Entry, Probes},
};
use serde_json::{Value, json};
use std::time::Duration;
use usher::domain::{ChainHash, Timestamp};

fn ids(events: &[Value]) -> Vec<i64> {
    events.iter().map(|event| event["id"].as_i64().expect("an id")).collect()
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

    let newest = server.newest_audit_id();
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

    let second = &server.audit()[1];
    let hash = second.hash.0.map(|byte| format!("{byte:02x}")).concat();
    assert_eq!(
        shown[0],
        json!({
            "id": 2, "at": "2026-11-22T10:00:00Z", "action": "session.signed_in", "actor": root.id, "subject": root.id,
            "ip": "127.0.0.1", "request_id": second.request_id, "count": 1, "hash": hash
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
fn a_span_of_time_is_listed_from_its_beginning_up_to_before_its_end() {
    let server = Server::start();
    let root = server.admin("root");
    for name in ["ada", "bob", "cy"] {
        server.clock.advance(Duration::from_hours(1));
        server.user(name); // registers and signs in, at 11:00, 12:00 and 13:00
    }
    for (query, expected) in [
        ("since=2026-11-22T11:00:00Z&until=2026-11-22T13:00:00Z", &[6, 5, 4, 3][..]),
        ("since=2026-11-22T12:00:00.001Z", &[8, 7]),
        ("since=2026-11-22T13:30:00%2B01:00", &[8, 7]),
        ("until=2026-11-22T11:00:00Z", &[2, 1]),
        ("since=2026-11-22T11:00:00Z&action=session.signed_in", &[8, 6, 4]),
        ("until=2026-11-22T13:00:00Z&user=3&actor=3", &[6]),
        ("since=2026-11-22T13:00:00Z&until=2026-11-22T11:00:00Z", &[]),
        ("since=9999-12-31T23:59:59Z", &[]),
        ("until=0000-01-01T00:00:00Z", &[]),
    ] {
        assert_eq!(ids(&all_pages(&root, &format!("limit=1&{query}"))), expected, "{query}");
    }
}

#[test]
fn attempts_that_were_counted_are_found_by_the_minute_that_they_came_in() {
    let server = Server::start();
    let root = server.admin("root");
    server.user("ada");
    (0..15).for_each(|_| drop(server.anon().login("ada@example.com", "wrong horse battery")));
    server.clock.advance(Duration::from_mins(1));
    server.user("bob");
    server.flush();

    let throttled = ids(&events(&root, "action=attempt.throttled"));
    let minute = "since=2026-11-22T10:00:00Z&until=2026-11-22T10:01:00Z&action=attempt.throttled";
    assert_eq!((throttled.len(), ids(&all_pages(&root, minute))), (1, throttled));
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
        ("since=2026-11-22&until=", vec!["since", "until"]),
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
    server.add_audit_entry(&Entry {
        id: 3,
        at: Timestamp::from_millis(0),
        action: "user.levitated".into(),
        actor: Some(7),
        subject: Some(-1),
        ip: Some("a boat".into()),
        request_id: None,
        count: 4_000_000_000,
        hash: ChainHash([0; 32]),
    });

    let shown = &events(&root, "")[0];

    assert_eq!(
        (&shown["action"], &shown["actor"], &shown["ip"]),
        (&json!("user.levitated"), &json!(7), &json!("a boat"))
    );
    let read = usher(server.database().parent().unwrap(), &["audit"]);
    assert!(stdout(&read).contains("user.levitated"), "{}", stdout(&read));
}
