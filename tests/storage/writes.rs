//! Writes that have to wait: for each other, for another process, and for housekeeping.

use crate::support::{Answer, PASSWORD, START, Server, binary::until};
use serde_json::json;
use std::{
    sync::{Arc, Mutex, mpsc::channel},
    task::Poll,
    time::Duration,
};
use usher::domain::{AuditFilter, Caller, PageSize, UserRecord};

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
    // given: what reads long holds both threads that scan
    let server = Server::start();
    let root = server.admin("root");
    let (begin, begun) = channel();
    let (release, held) = channel::<()>();
    let held = Arc::new(Mutex::new(held));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (begin, held) = (begin.clone(), held.clone());
            let wait = move |(): (), _: &UserRecord| {
                begin.send(()).unwrap();
                held.lock().unwrap().recv().map_err(|_| ())
            };
            scope.spawn(|| futures_executor::block_on(server.app.transfer.export(&Caller::shell(), (), wait)));
            begun.recv().unwrap();
        }

        // when
        let listed = root.get("/users");

        // then: it is still held
        listed.is(503, "overloaded");
        drop(release);
    });
    root.get("/users").is(200, "");
}

/// Lets nobody write to the audit log, as a full disk would, but at once.
const BREAK: &str = "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END";
const REPAIR: &str = "DROP TRIGGER full";

/// Fails to sign in, without costing a hash.
fn guess(server: &Server) -> Answer {
    server.anon().login("nobody@example.com", &"x".repeat(257))
}

fn failures_on_record(server: &Server) -> i64 {
    server.query("SELECT ifnull(sum(count), 0) FROM audit WHERE action = 'session.sign_in_failed'")
}

#[test]
fn a_reader_of_the_log_who_hangs_up_takes_nothing_along_that_was_being_written() {
    // given
    let server = Server::with(|settings| settings.policy.throttle = false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    server.sql().execute_batch(BREAK).unwrap();

    // when
    for _ in 0..30 {
        guess(&server).is(401, "invalid_credentials");
        runtime.block_on(async {
            let shell = Caller::shell();
            let mut reading =
                std::pin::pin!(server.app.audit.page(&shell, AuditFilter::default(), None, PageSize::default()));
            // Once is enough to begin whatever it has to do.
            std::future::poll_fn(|context| Poll::Ready(reading.as_mut().poll(context).is_ready())).await;
        });
    }
    server.sql().execute_batch(REPAIR).unwrap();
    server.flush();

    // then
    assert_eq!(failures_on_record(&server), 30);
}

#[test]
fn what_could_not_be_written_is_written_the_next_time() {
    // given
    let server = Server::with(|settings| settings.http.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]);
    let ada = server.user("ada");
    let flush = || futures_executor::block_on(server.app.maintenance.flush());
    flush().unwrap();
    server.sql().execute_batch(BREAK).unwrap();

    // when
    server.clock.advance(Duration::from_mins(2));
    ada.get("/auth/me").is(200, "");
    for n in 0..20 {
        let body = json!({"email": "ada@example.com", "password": "a wrong password"}).to_string();
        let ip = format!("203.0.113.{n}");
        let headers = [("content-type", "application/json"), ("x-forwarded-for", ip.as_str())];
        server.anon().send("POST", "/auth/login", &headers, Some(body.as_bytes())).is(401, "invalid_credentials");
    }
    assert!(flush().is_err() && flush().is_err());
    assert_eq!(server.query::<i64>("SELECT count(*) FROM throttle_accounts"), 0);
    server.sql().execute_batch(REPAIR).unwrap();
    flush().unwrap();

    // then: the attempts, the account's budget, and the use
    assert_eq!(failures_on_record(&server), 20);
    assert_eq!(server.query::<i64>("SELECT count(*) FROM throttle_accounts"), 1);
    assert_eq!(server.query::<i64>("SELECT last_used_at FROM sessions"), START + 120_000);
}

#[test]
fn what_was_written_is_not_written_again() {
    let server = Server::start();
    let ada = server.user("ada");
    server.clock.advance(Duration::from_mins(2));
    ada.get("/auth/me").is(200, "");
    server.flush();
    assert_eq!(server.query::<i64>("SELECT last_used_at FROM sessions"), START + 120_000);

    server.sql().execute_batch("UPDATE sessions SET last_used_at = last_used_at - 1").unwrap();
    server.flush();

    assert_eq!(server.query::<i64>("SELECT last_used_at FROM sessions"), START + 119_999, "it was settled");
}

#[test]
fn the_log_is_read_while_another_process_writes_and_nothing_that_was_gathered_is_lost() {
    // given
    let server = Server::start();
    let root = server.admin("root");
    let other = lock(&server);
    guess(&server);
    std::thread::scope(|scope| {
        let (tell, told) = channel();
        let root = &root;
        let waiting = scope.spawn(move || {
            let answer = root.post("/invitations", json!({}));
            tell.send(()).unwrap();
            answer
        });

        // when
        let read = root.get("/audit");

        // then: before somebody who was here first, and needs the lock
        read.is(200, "");
        assert!(told.try_recv().is_err(), "a reader waits for no writer");
        other.execute_batch("ROLLBACK").unwrap();
        waiting.join().unwrap().is(201, "");
    });
    server.flush();
    assert_eq!(failures_on_record(&server), 1);
}

#[test]
fn the_log_holds_what_was_refused_before_it_was_asked_for() {
    let server = Server::with(|settings| settings.policy.throttle = false);
    let root = server.admin("root");
    for n in 1..=20 {
        guess(&server);
        let listed = root.get("/audit?action=session.sign_in_failed").json();
        assert_eq!(listed["events"].as_array().unwrap().len(), n);
    }
}

#[test]
fn a_sweep_waits_for_the_lock_of_another_process() {
    let server = Server::start();
    let other = lock(&server);
    std::thread::scope(|scope| {
        let sweeping = scope.spawn(|| futures_executor::block_on(server.app.maintenance.sweep()));
        std::thread::sleep(Duration::from_millis(300)); // long enough for one that does not wait to fail
        other.execute_batch("COMMIT").unwrap();
        sweeping.join().unwrap().unwrap();
    });
}

#[test]
fn others_write_between_the_deletions_of_a_sweep() {
    // given
    let server = Server::start();
    let rows = || server.query::<i64>("SELECT count(*) FROM invitations");
    let expired = format!(
        "INSERT INTO invitations (token_hash, role, created_at, expires_at)
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
         SELECT randomblob(32), 'user', 0, {START} FROM n"
    );
    server.sql().execute_batch(&expired).unwrap();
    server.clock.advance(Duration::from_hours(8 * 24));

    // when
    std::thread::scope(|scope| {
        let sweeping = scope.spawn(|| futures_executor::block_on(server.app.maintenance.sweep()));
        until("the sweep has begun", || (rows() < 200_000).then_some(()));
        server.user("ada");

        // then
        assert!(rows() > 0, "she had to wait for its end");
        sweeping.join().unwrap().unwrap();
    });
    assert_eq!(rows(), 0);
}
