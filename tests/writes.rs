//! Writes that have to wait: for each other, for another process, and for housekeeping.

mod support;

use serde_json::json;
use std::sync::mpsc::channel;
use support::{PASSWORD, Server};

/// A connection of another process that holds the lock of the one who writes.
fn lock(server: &Server) -> rusqlite::Connection {
    let connection = server.sql();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

#[test]
fn who_waits_five_seconds_for_the_lock_of_another_process_is_told_to_come_again_and_nothing_was_done() {
    // given
    let server = Server::start();
    let other = lock(&server);
    let register = |n: u32| {
        let name = format!("user{n}");
        server
            .anon()
            .post("/users", json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD}))
    };

    // when: the first waits for the lock, and the others for the first
    let answers = std::thread::scope(|scope| {
        let asking = [0, 1, 2, 3].map(|n| scope.spawn(move || register(n)));
        asking.map(|asking| asking.join().unwrap())
    });
    other.execute_batch("ROLLBACK").unwrap(); // only now

    // then
    for answer in answers {
        assert!(!answer.is(503, "overloaded").header("retry-after").is_empty(), "{answer:?}");
    }
    server.user("late"); // which is behind all that was begun
    assert_eq!(server.query::<i64>("SELECT count(*) FROM users"), 1);
}

#[test]
fn who_waits_five_seconds_for_a_reader_is_told_to_come_again() {
    // given: what reads long holds the one thread that scans
    let server = Server::start();
    let root = server.admin("root");
    let (begin, begun) = channel();
    let (release, held) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let wait = move |(): (), _: &usher::domain::UserRecord| {
                begin.send(()).unwrap();
                held.recv().map_err(|_| ())
            };
            futures_executor::block_on(server.app.export_users(&usher::domain::Caller::shell(), (), wait))
        });
        begun.recv().unwrap();

        // when
        let listed = root.get("/users");

        // then: it is still held
        listed.is(503, "overloaded");
        drop(release);
    });
    root.get("/users").is(200, "");
}
