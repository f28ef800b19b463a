//! Signing in, staying signed in, and signing out.

use crate::support::{
    CHEAP, PASSWORD, Server,
    probes::{Entry, Probes},
};
use serde_json::json;
use std::time::Duration;
use usher::{domain::Timestamp, hashing::Cost};

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

#[test]
fn a_sign_in_answers_with_a_token_its_end_and_the_account() {
    let server = Server::start();
    let ada = server.user("ada");

    let answer = server.anon().login("ADA@Example.COM", PASSWORD);

    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert!(body["token"].as_str().unwrap().starts_with("ush_"));
    assert_eq!((&body["token_type"], &body["expires_at"]), (&json!("Bearer"), &json!("2026-12-22T10:00:00Z")));
    assert_eq!(body["user"]["id"], ada.id);
    assert_eq!(body["user"]["last_login_at"], "2026-11-22T10:00:00Z");
}

#[test]
fn a_failed_sign_in_does_not_tell_why() {
    let server = Server::start();
    let (root, _ada, bob) = (server.admin("root"), server.user("ada"), server.user("bob"));
    root.put(&bob.me(), json!({"disabled": true}));
    let attempts = [
        ("ada@example.com", "wrong horse battery"),
        ("nobody@example.com", PASSWORD),
        ("bob@example.com", PASSWORD),
        ("bob@example.com", "wrong horse battery"),
        ("not an address", PASSWORD),
        ("", PASSWORD),
        ("ada@example.com\u{0}", PASSWORD),
    ];
    let mut answers = Vec::new();
    for (email, password) in attempts {
        let before = server.app.hashes();
        let mut answer = server.anon().login(email, password);
        answer.is(401, "invalid_credentials");
        assert_eq!(server.app.hashes() - before, 1, "{email}: every attempt costs one hash");
        for varies in ["x-request-id", "date"] {
            answer.headers.remove(varies);
        }
        answers.push((answer.headers, answer.body));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "the same bytes");
}

#[test]
fn signing_out_ends_this_session_and_no_other() {
    let server = Server::start();
    let (here, there) = (server.user("ada"), server.sign_in("ada"));

    let answer = here.send("POST", "/auth/logout", &[], None);

    assert_eq!((answer.status, answer.json()), (200, json!({"message": "signed out"})));
    here.get("/auth/me").is(401, "invalid_token");
    here.send("POST", "/auth/logout", &[], None).is(401, "invalid_token");
    assert_eq!(there.get("/auth/me").status, 200);
}

#[test]
fn a_use_that_is_not_written_yet_counts() {
    let server = Server::with(|settings| settings.policy.sessions.idle_timeout = Duration::from_secs(1));
    let ada = server.user("ada");
    let lock = server.hold_writes();
    for _ in 0..4 {
        server.clock.advance(Duration::from_millis(900));
        assert_eq!(ada.get("/auth/me").status, 200);
    }
    assert_eq!(server.last_used_at().as_millis(), crate::support::START);
    lock.release();
    server.flush();
    assert_eq!(server.last_used_at().as_millis(), crate::support::START + 3600);
}

#[test]
fn use_is_written_about_once_a_minute_and_together() {
    let server = Server::start();
    let ada = server.user("ada");
    let stored = || server.last_used_at().as_millis() - crate::support::START;
    server.clock.advance(MINUTE);
    ada.get("/auth/me");
    server.flush();
    assert_eq!(stored(), 0, "a minute is not more than a minute");
    server.clock.advance(Duration::from_secs(1));
    ada.get("/auth/me");
    server.flush();
    assert_eq!(stored(), 61_000);
}

#[test]
fn a_use_never_brings_an_ended_session_back() {
    let server = Server::start();
    let ada = server.user("ada");
    server.clock.advance(2 * MINUTE);
    ada.get("/auth/me");
    server.delete_sessions();
    server.flush();
    assert_eq!(server.session_count(), 0);
    ada.get("/auth/me").is(401, "invalid_token");
}

#[test]
fn a_clock_set_back_ends_nothing() {
    let server = Server::start();
    let ada = server.user("ada");
    server.clock.set(Timestamp::from_millis(crate::support::START - 1_000_000_000));
    assert_eq!(ada.get("/auth/me").status, 200);
    assert_eq!(ada.put(&ada.me(), json!({"email": "ada@example.org"})).status, 200, "and the sign-in is fresh");
}

#[test]
fn ended_sessions_are_swept_a_week_later() {
    let server = Server::start();
    server.user("ada");
    let sweep = || futures_executor::block_on(server.app.maintenance.sweep()).unwrap();
    let count = || server.session_count();
    server.clock.advance(7 * DAY + 7 * DAY);
    sweep();
    assert_eq!(count(), 1, "a week after its end it is still there");
    server.clock.advance(Duration::from_secs(1));
    sweep();
    assert_eq!(count(), 0);
}

#[test]
fn a_clock_that_jumps_a_year_and_comes_back_destroys_only_what_was_swept() {
    let server = Server::start();
    let ada = server.user("ada");
    server.clock.advance(6 * DAY + 7 * DAY);
    ada.get("/auth/me").is(401, "invalid_token");
    futures_executor::block_on(server.app.maintenance.sweep()).unwrap();
    server.clock.set(Timestamp::from_millis(crate::support::START));
    assert_eq!(ada.get("/auth/me").status, 200);
}

#[test]
fn beyond_the_most_sessions_the_oldest_goes() {
    let server = Server::with(|settings| settings.policy.sessions.max_per_user = 2);
    let first = server.user("ada");
    let (second, third) = (server.sign_in("ada"), server.sign_in("ada"));
    first.get("/auth/me").is(401, "invalid_token");
    assert_eq!((second.get("/auth/me").status, third.get("/auth/me").status), (200, 200));
}

#[test]
fn sessions_survive_a_restart() {
    let server = Server::start();
    let ada = server.user("ada");
    let server = server.restart(|_| {});
    let ada = crate::support::Client::new(server.address, ada.token, ada.id);
    assert_eq!(ada.get("/auth/me").status, 200);
}

#[test]
fn a_password_is_hashed_again_when_the_cost_changes() {
    let server = Server::start();
    server.user("ada");
    let hash = |server: &Server| server.password_hash();
    assert!(hash(&server).starts_with("$argon2id$v=19$m=64,t=1,p=1$"));

    let server = server.restart(|settings| settings.cost = Cost { iterations: 2, ..CHEAP });
    server.anon().login("ada@example.com", "wrong horse battery").is(401, "invalid_credentials");
    assert!(hash(&server).contains("t=1"), "only a right password says what to hash");
    let ada = server.sign_in("ada");

    assert!(hash(&server).starts_with("$argon2id$v=19$m=64,t=2,p=1$"));
    assert_eq!(ada.get(&ada.me()).header("etag"), format!("\"{}.1\"", ada.id), "which is no change of the account");
    assert_eq!(server.anon().login("ada@example.com", PASSWORD).status, 200);
}

#[test]
fn a_hash_that_cannot_be_verified_concerns_its_account_alone() {
    let server = Server::start();
    let (_ada, _bob) = (server.user("ada"), server.user("bob"));
    for hash in [
        "",
        "$2b$12$abc",
        "$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
    ] {
        server.set_password_hash_of("ada", hash);
        server.anon().login("ada@example.com", PASSWORD).is(401, "invalid_credentials");
    }
    assert_eq!(server.anon().login("bob@example.com", PASSWORD).status, 200);
}

#[test]
fn the_database_holds_neither_tokens_nor_passwords() {
    let server = Server::start();
    let token = server.user("ada").token.unwrap();
    server.flush();
    for suffix in ["", "-wal"] {
        let path = format!("{}{suffix}", server.database().display());
        // Copied first: closing a file that SQLite has open in this process would drop its locks.
        let copy = format!("{path}.copy");
        std::process::Command::new("cp").args([&path, &copy]).status().unwrap();
        let bytes = std::fs::read(copy).unwrap();
        for secret in [token.as_bytes(), &token.as_bytes()[4..30], PASSWORD.as_bytes()] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{path}");
        }
    }
}

#[test]
fn sign_ins_and_sign_outs_are_in_the_audit_log() {
    let server = Server::start();
    let ada = server.user("ada");
    server.anon().login("ada@example.com", "wrong horse battery");
    server.anon().login("nobody@example.com", "secret typed in the wrong place");
    ada.send("POST", "/auth/logout", &[], None);
    server.flush();
    let log = server.audit();
    let count = |action: &str, actor: Option<i64>| {
        let is_about_ada = |entry: &&Entry| {
            entry.subject == Some(ada.id) && entry.ip.as_deref() == Some("127.0.0.1") && entry.request_id.is_some()
        };
        log.iter().filter(is_about_ada).filter(|entry| entry.action == action && entry.actor == actor).count()
    };
    assert_eq!(count("session.signed_in", Some(ada.id)), 1);
    assert_eq!(count("session.sign_in_failed", None), 1);
    let about_nobody = |entry: &&Entry| entry.action == "session.sign_in_failed" && entry.subject.is_none();
    assert_eq!(log.iter().filter(about_nobody).count(), 1);
    assert_eq!(count("session.signed_out", Some(ada.id)), 1);
}

#[test]
fn a_flush_waits_for_what_another_has_begun_to_write() {
    let server = Server::start();
    let lock = server.hold_writes();
    server.anon().login("nobody@example.com", PASSWORD).is(401, "invalid_credentials");

    let (tell, told) = std::sync::mpsc::channel();
    let written = std::thread::scope(|scope| {
        for _ in 0..2 {
            let (tell, server) = (tell.clone(), &server);
            scope.spawn(move || {
                server.flush();
                tell.send(server.audit_count()).unwrap();
            });
        }
        let too_early = told.recv_timeout(Duration::from_millis(300));
        assert!(too_early.is_err(), "one came back before anything could be written");
        lock.release();
        [told.recv().unwrap(), told.recv().unwrap()]
    });

    assert_eq!(written, [1, 1]);
}

/// Signs in once more, calling itself something.
fn sign_in_as(server: &Server, user_agent: &str) -> crate::support::Client {
    let body = json!({"email": "ada@example.com", "password": PASSWORD}).to_string();
    let headers = [("content-type", "application/json"), ("user-agent", user_agent)];
    let answer = server.anon().send("POST", "/auth/login", &headers, Some(body.as_bytes()));
    server.anon().with_token(answer.is(200, "").json()["token"].as_str().unwrap())
}

#[test]
fn sessions_are_listed_with_where_they_came_from_and_when_they_end() {
    // given
    let server = Server::start();
    let ada = server.user("ada");
    server.clock.advance(Duration::from_mins(1));
    let phone = sign_in_as(&server, "phone/1.0 (a \u{e9} phone)");

    // when
    let sessions = phone.get("/auth/sessions").is(200, "").json()["sessions"].clone();

    // then
    assert_eq!(sessions.as_array().unwrap().len(), 2);
    let newest = &sessions[0];
    assert_eq!((&newest["current"], &sessions[1]["current"]), (&true.into(), &false.into()));
    assert_eq!((&newest["ip"], &newest["user_agent"]), (&"127.0.0.1".into(), &"phone/1.0 (a \u{e9} phone)".into()));
    assert_eq!(
        (&newest["created_at"], &newest["last_used_at"]),
        (&"2026-11-22T10:01:00Z".into(), &newest["created_at"])
    );
    assert_eq!(newest["idle_expires_at"], "2026-11-29T10:01:00Z");
    assert_eq!(newest["expires_at"], "2026-12-22T10:01:00Z");
    assert_eq!(ada.get(&format!("{}/sessions", ada.me())).json()["sessions"][1]["current"], true);
}

#[test]
fn what_a_client_calls_itself_is_cut_to_a_sane_length() {
    let server = Server::start();
    server.user("ada");
    let long = sign_in_as(&server, &"x".repeat(5_000));
    let listed = long.get("/auth/sessions").json();
    assert_eq!(listed["sessions"][0]["user_agent"].as_str().unwrap().len(), 256);

    let odd =
        "POST /api/v1/auth/login HTTP/1.1\r\nhost: usher\r\nuser-agent: a\tb\u{85}\u{9b}31m\r\nconnection: close\r\n";
    let body = json!({"email": "ada@example.com", "password": PASSWORD}).to_string();
    let answer =
        server.raw(format!("{odd}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let kept = server.newest_user_agent();
    assert!(kept.chars().all(|c| !c.is_control()), "{kept:?}");
}

#[test]
fn a_use_is_listed_before_it_is_written_and_a_session_that_ended_is_not_listed() {
    let server = Server::start();
    let ada = server.user("ada");
    let other = server.sign_in("ada");
    server.clock.advance(Duration::from_hours(6 * 24));
    ada.get("/auth/me").is(200, "");
    assert_eq!(ada.get("/auth/sessions").json()["sessions"][1]["last_used_at"], "2026-11-28T10:00:00Z");
    server.clock.advance(Duration::from_hours(2 * 24));
    assert_eq!(ada.get("/auth/sessions").json()["sessions"].as_array().unwrap().len(), 1);
    other.get("/auth/me").is(401, "invalid_token");
}

#[test]
fn an_owner_ends_one_session_or_all_others_and_an_administrator_all() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let (phone, tablet) = (server.sign_in("ada"), server.sign_in("ada"));
    let id = |client: &crate::support::Client| {
        let listed = client.get("/auth/sessions").json();
        let own = listed["sessions"].as_array().unwrap().iter().find(|session| session["current"] == true).cloned();
        own.unwrap()["id"].as_str().unwrap().to_owned()
    };
    let (of_phone, of_root) = (id(&phone), id(&root));

    ada.delete(&format!("/auth/sessions/{of_root}")).is(404, "session_not_found");
    ada.delete(&format!("/auth/sessions/{of_phone}")).is(204, "");
    phone.get("/auth/me").is(401, "invalid_token");
    ada.delete(&format!("/auth/sessions/{of_phone}")).is(404, "session_not_found");

    ada.delete("/auth/sessions").is(204, "");
    tablet.get("/auth/me").is(401, "invalid_token");
    ada.get("/auth/me").is(200, "");

    root.delete(&format!("{}/sessions", ada.me())).is(204, "");
    ada.get("/auth/me").is(401, "invalid_token");
    root.get("/auth/me").is(200, "");
    let log = server.audit();
    let ended: u32 = log
        .iter()
        .filter(|entry| entry.action == "session.revoked" && entry.subject == Some(2))
        .map(|entry| entry.count)
        .sum();
    assert_eq!(ended, 3);
}
