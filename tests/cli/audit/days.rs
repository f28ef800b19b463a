//! What is counted by days.

use super::{DAY, keeping_a_day, prune};
use crate::{
    shell::{document, done, fails, serving},
    support::{Client, Server, probes::Probes},
};
use serde_json::{Value, json};
use std::time::Duration;

/// Date, sign-ins, refusals and registrations of the newest days, the oldest first.
fn days(client: &Client, count: u32) -> Vec<(String, [i64; 3])> {
    let answer = client.get(&format!("/audit/days?days={count}")).json();
    let day = |day: &Value| {
        let numbers = ["sign_ins", "refusals", "registrations"].map(|kind| day[kind].as_i64().unwrap());
        (day["date"].as_str().unwrap().to_owned(), numbers)
    };
    answer["days"].as_array().unwrap().iter().map(day).collect()
}

fn dated(days: &[(&str, [i64; 3])]) -> Vec<(String, [i64; 3])> {
    days.iter().map(|(date, numbers)| ((*date).to_owned(), *numbers)).collect()
}

#[test]
fn every_day_is_there_with_what_happened_on_it() {
    // given: three people who register and sign in; on the next day somebody guesses, and one asks for what they may not see
    let server = Server::start();
    let (_root, ada) = (server.admin("root"), server.user("ada"));
    server.user("bob");
    server.clock.advance(DAY);
    for _ in 0..15 {
        server.anon().login("ada@example.com", "wrong horse battery");
    }
    ada.get("/users").is(403, "forbidden");
    server.clock.advance(DAY);
    let root = server.sign_in("root");

    // when
    server.flush();
    let counted = days(&root, 4);

    // then: of the fifteen, ten were looked at and five came too soon
    assert_eq!(
        counted,
        dated(&[
            ("2026-11-21", [0, 0, 0]),
            ("2026-11-22", [3, 0, 3]),
            ("2026-11-23", [0, 16, 0]),
            ("2026-11-24", [1, 0, 0]),
        ])
    );
    assert_eq!(server.occurrences("attempt.throttled"), 5);
    assert_eq!(days(&root, 1), counted[3..]);
    assert_eq!(root.get("/audit/days").json()["days"].as_array().unwrap().len(), 90);
}

#[test]
fn where_the_clock_was_set_back_what_happens_counts_on_the_day_that_it_shows() {
    let server = Server::start();
    server.admin("root");
    server.clock.advance(DAY);
    server.sign_in("root");
    server.clock.set(server.clock.now() - DAY);

    let root = server.sign_in("root");

    assert_eq!(days(&root, 1), dated(&[("2026-11-22", [2, 0, 1])]));
    server.clock.advance(DAY);
    let root = server.sign_in("root");
    assert_eq!(days(&root, 2), dated(&[("2026-11-22", [2, 0, 1]), ("2026-11-23", [2, 0, 0])]));
}

#[test]
fn what_is_no_number_of_days_is_refused_and_nobody_else_is_told() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    for query in ["days=0", "days=367", "days=-1", "days=x", "days=", "days=1&days=1"] {
        assert_eq!(
            root.get(&format!("/audit/days?{query}")).is(400, "validation_failed").faulty(),
            ["days"],
            "{query}"
        );
    }
    assert_eq!(root.get("/audit/days?limit=1").faulty(), ["limit"]);
    ada.get("/audit/days").is(403, "forbidden");
    server.anon().get("/audit/days").is(401, "authentication_required");
}

#[test]
fn days_outlive_the_entries_of_the_log_and_go_after_four_hundred_days() {
    // given
    let server = keeping_a_day();
    server.admin("root");
    let pass = |days: u32| {
        server.clock.advance(days * DAY);
        (0..3).for_each(|_| prune(&server)); // each takes away half a day of the log
    };

    // when, then
    pass(365);
    assert_eq!(server.audit_count(), 0);
    let root = server.sign_in("root");
    assert_eq!(days(&root, 366)[0], ("2026-11-22".to_owned(), [1, 0, 1]));
    let rows = || server.row_counts()["audit_days"];
    assert_eq!(rows(), 3, "the first day has two kinds");
    pass(35);
    assert_eq!(rows(), 3);
    pass(1);
    assert_eq!(rows(), 1);
}

#[test]
fn the_sessions_of_now_are_told_apart_and_counted_once_a_minute() {
    let server = Server::start();
    let root = server.admin("root");
    server.user("ada");
    let sessions = || root.get("/audit/days?days=1").json()["sessions"].clone();
    assert_eq!(sessions(), json!({"api": 2, "browser": 0, "app": 0}));
    server.make_session_of_a_browser("ada");
    assert_eq!(sessions()["api"], 2, "it is the same minute");
    server.clock.advance(Duration::from_mins(1));
    assert_eq!(sessions(), json!({"api": 1, "browser": 1, "app": 0}));
    server.clock.advance(7 * DAY - Duration::from_mins(2));
    root.get("/auth/me").is(200, "");
    server.flush();
    server.clock.advance(Duration::from_mins(2));
    assert_eq!(sessions(), json!({"api": 1, "browser": 0, "app": 0}), "ada's has not been used");
}

#[test]
fn the_command_counts_as_the_api_does_beside_a_server() {
    let (folder, serving) = serving(&["--session-idle-timeout", "2h"]);
    let (path, root) = (folder.path(), serving.sign_in("root"));
    let by_api = root.get("/audit/days?days=2").json();
    assert_eq!(document(&done(path, &["activity", "--days", "2", "--json"])), by_api);
    let table = done(path, &["activity"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["DATE", "SIGN-INS", "REFUSALS", "REGISTRATIONS"]);
    assert_eq!(lines.len(), 1 + 90 + 2);
    assert!(lines[90].starts_with(by_api["days"][1]["date"].as_str().unwrap()), "{table}");
    assert_eq!(lines[92], "Sessions now: 0 of browsers, 0 of browsers at apps, 1 of programs");
    for bad in ["0", "367", "x"] {
        fails(path, &["activity", "--days", bad], 2, "must be a whole number from 1 to 366");
    }
}
