//! Sign-ins and reset tokens: how often somebody may guess, at what, and from where.

use super::{WRONG, from, let_through, login, of_one_site, server, stranger};
use crate::support::{PASSWORD, Server, probes::Probes};
use serde_json::json;
use std::time::Duration;

#[test]
fn one_address_guesses_ten_times_at_one_account_and_fifty_times_in_all() {
    let server = server();
    server.user("ada");
    let hashes = server.app.hashes();
    assert_eq!(let_through(|_| login(&server, "203.0.113.7", "ada@example.com", WRONG), 300), 10);
    assert_eq!(server.app.hashes() - hashes, 10, "what is refused costs no hash");
    login(&server, "203.0.113.7", "ada@example.com", PASSWORD).is(429, "too_many_attempts");
    let others = |n| login(&server, "203.0.113.7", &format!("nobody{n}@example.com"), WRONG);
    assert_eq!(let_through(others, 20), 40);
}

#[test]
fn after_what_retry_after_says_one_attempt_is_let_through_and_not_a_moment_sooner() {
    let server = server();
    server.user("ada");
    let attempt = || login(&server, "203.0.113.7", "ada@example.com", WRONG);
    let_through(|_| attempt(), 300);
    server.clock.advance(Duration::from_millis(299_999));
    assert_eq!(attempt().is(429, "too_many_attempts").header("retry-after"), "1");
    server.clock.advance(Duration::from_millis(1));
    attempt().is(401, "invalid_credentials");
    attempt().is(429, "too_many_attempts");
    server.clock.set(usher::domain::Timestamp::from_millis(0));
    attempt().is(429, "too_many_attempts");
}

#[test]
fn an_account_that_does_not_exist_is_counted_like_one_that_does() {
    let server = server();
    server.user("ada");
    for (net, email) in [(1, "ada@example.com"), (2, "nobody@example.com"), (3, "not an address")] {
        let attempt = |n| login(&server, &stranger(net * 1_000 + n), email, WRONG);
        assert_eq!(let_through(attempt, 3600), 100, "{email}");
    }
}

#[test]
fn a_hundred_and_twenty_guesses_at_once_are_evaluated_no_more_than_ten_times_and_the_owner_goes_on() {
    // given: the owner signed in once from home, and uses their session
    let server = server();
    let ada = server.user("ada");
    login(&server, "198.51.100.1", "ada@example.com", PASSWORD).is(200, "");
    let hashes = server.app.hashes();

    // when
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let server = &server;
        let guess = move |_| login(server, "203.0.113.7", "ada@example.com", WRONG).status;
        let guessers: Vec<_> = (0..120).map(|n| scope.spawn(move || guess(n))).collect();
        for _ in 0..50 {
            ada.get("/auth/me").is(200, "");
        }
        guessers.into_iter().map(|guesser| guesser.join().unwrap()).collect()
    });

    // then
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 10);
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 110);
    assert_eq!(server.app.hashes() - hashes, 10);
    login(&server, "198.51.100.1", "ada@example.com", PASSWORD).is(200, "");
}

#[test]
fn an_address_that_signed_in_before_is_not_locked_out_with_the_strangers() {
    let server = server();
    server.user("ada");
    login(&server, "198.51.100.1", "ada@example.com", PASSWORD).is(200, "");
    let_through(|n| login(&server, &stranger(n), "ada@example.com", WRONG), 3600);

    login(&server, "198.51.100.2", "ada@example.com", PASSWORD).is(429, "too_many_attempts");
    login(&server, "198.51.100.1", "ada@example.com", WRONG).is(401, "invalid_credentials");
    login(&server, "198.51.100.1", "ada@example.com", PASSWORD).is(200, "");
}

#[test]
fn guesses_from_one_site_leave_the_owner_a_way_in_from_a_new_place() {
    let server = server();
    server.user("ada");
    let guess = |n| login(&server, &of_one_site(n), "ada@example.com", WRONG);
    assert_eq!(let_through(guess, 4 * 3600), 25);
    for hour in 1..=48 {
        server.clock.advance(Duration::from_hours(1));
        let status = guess(1_000 + hour).status;
        assert_eq!(status, if hour % 4 == 0 { 401 } else { 429 }, "hour {hour}");
    }

    login(&server, "198.51.100.1", "ada@example.com", PASSWORD).is(200, "");
    login(&server, &of_one_site(5_000), "ada@example.com", PASSWORD).is(429, "too_many_attempts");
}

#[test]
fn an_address_that_registered_the_account_or_spent_its_reset_is_known() {
    let server = server();
    let root = server.admin("root");
    let body = json!({"username": "ada", "email": "ada@example.com", "password": PASSWORD});
    let id = from(&server.anon(), "198.51.100.1", "/users", &body).is(201, "").json()["id"].clone();
    let_through(|n| login(&server, &stranger(n), "ada@example.com", WRONG), 3600);

    login(&server, "198.51.100.2", "ada@example.com", PASSWORD).is(429, "too_many_attempts");
    login(&server, "198.51.100.1", "ada@example.com", PASSWORD).is(200, "");
    let token = root.send("POST", &format!("/users/{id}/password-reset"), &[], None).json()["token"].clone();
    let reset = json!({"token": token, "password": PASSWORD});
    from(&server.anon(), "198.51.100.2", "/auth/password-reset", &reset).is(204, "");
    login(&server, "198.51.100.2", "ada@example.com", PASSWORD).is(200, "");
    login(&server, "198.51.100.3", "ada@example.com", PASSWORD).is(429, "too_many_attempts");
}

#[test]
fn an_account_that_an_administrator_made_knows_no_address() {
    let server = server();
    let root = server.admin("root");
    let body = json!({"username": "ada", "email": "ada@example.com", "password": PASSWORD});
    from(&root, "198.51.100.1", "/users", &body).is(201, "");
    assert_eq!(server.known_address_count_of("ada"), 0);
}

#[test]
fn unlocking_forgets_what_an_account_was_guessed_at_from_one_address_one_site_and_everywhere() {
    let server = server();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    server.user("bob");
    let_through(|_| login(&server, "203.0.113.8", "bob@example.com", WRONG), 300);
    let tag = ada.get(&ada.me()).header("etag").to_owned();
    let guess = |ip: &str| login(&server, ip, "ada@example.com", WRONG);
    let_through(|_| guess("203.0.113.7"), 300);
    let_through(|n| guess(&of_one_site(n)), 4 * 3600);
    let_through(|n| guess(&stranger(n)), 3600);
    let_through(|n| login(&server, "192.0.2.1", &format!("nobody{n}@example.com"), WRONG), 20);

    root.send("POST", &format!("{}/unlock", ada.me()), &[], None).is(204, "");

    assert_eq!(ada.get(&ada.me()).header("etag"), tag, "it is no change of the account");
    login(&server, "203.0.113.8", "bob@example.com", PASSWORD).is(429, "too_many_attempts");
    login(&server, "192.0.2.1", "ada@example.com", PASSWORD).is(429, "too_many_attempts");
    assert_eq!(let_through(|_| guess("203.0.113.7"), 300), 10);
    assert_eq!(let_through(|n| guess(&of_one_site(n)), 4 * 3600), 25);
    assert_eq!(let_through(|n| guess(&stranger(n)), 3600), 65);
    root.send("POST", &format!("{}/unlock", ada.me()), &[], None).is(204, "");
    login(&server, "203.0.113.7", "ada@example.com", PASSWORD).is(200, "");

    let server = server.restart(|settings| settings.http.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]);
    login(&server, &stranger(5_000), "ada@example.com", PASSWORD).is(200, "");
}

#[test]
fn an_address_is_known_for_ninety_days_and_an_account_knows_sixteen() {
    let server = server();
    server.user("ada");
    for n in 0..20 {
        server.clock.advance(Duration::from_secs(1));
        login(&server, &format!("198.51.100.{n}"), "ada@example.com", PASSWORD).is(200, "");
    }
    assert_eq!(server.known_address_count(), 16);
    let_through(|n| login(&server, &stranger(n), "ada@example.com", WRONG), 3600);
    login(&server, "198.51.100.3", "ada@example.com", WRONG).is(429, "too_many_attempts");
    login(&server, "198.51.100.4", "ada@example.com", WRONG).is(401, "invalid_credentials");

    server.clock.advance(Duration::from_hours(90 * 24) + Duration::from_secs(1));
    let_through(|n| login(&server, &stranger(n), "ada@example.com", WRONG), 3600);
    login(&server, "198.51.100.4", "ada@example.com", WRONG).is(429, "too_many_attempts");
}

#[test]
fn a_success_counts_once_its_session_is_stored() {
    // given: nine failures, and a database in which no session can be stored
    let server = server();
    server.user("ada");
    let attempt = |password| login(&server, "203.0.113.7", "ada@example.com", password);
    for _ in 0..9 {
        attempt(WRONG).is(401, "invalid_credentials");
    }
    let full = server.without_room("INSERT ON sessions");

    // when
    for _ in 0..20 {
        assert!(attempt(PASSWORD).status >= 500, "neither charged nor a reason to forget the failures");
    }
    drop(full);

    // then
    attempt(WRONG).is(401, "invalid_credentials");
    attempt(PASSWORD).is(429, "too_many_attempts");
    server.clock.advance(Duration::from_mins(5));
    attempt(PASSWORD).is(200, "");
    assert_eq!(let_through(|_| attempt(WRONG), 300), 10);
}

#[test]
fn a_password_that_is_too_long_is_an_attempt_without_a_hash() {
    let server = server();
    let hashes = server.app.hashes();
    let attempt = |_| login(&server, "203.0.113.7", "ada@example.com", &"x".repeat(257));
    assert_eq!(let_through(attempt, 300), 10);
    assert_eq!(server.app.hashes(), hashes);
}

#[test]
fn attempts_that_cost_no_hash_leave_nothing_on_the_disk() {
    let server = server();
    let too_long = "x".repeat(257);
    for n in 0..200 {
        login(&server, &stranger(n), &format!("nobody{n}@example.com"), &too_long).is(401, "invalid_credentials");
    }
    server.flush();
    assert_eq!(server.throttled_count(), 0);

    let guess = |n: u32| login(&server, &stranger(1_000 + n), "nobody@example.com", &too_long);
    for n in 0..10 {
        guess(n).is(401, "invalid_credentials");
    }
    server.flush();
    assert_eq!(server.throttled_count(), 0);
    guess(10).is(401, "invalid_credentials");
    server.flush();
    assert_eq!(server.throttled_count(), 1, "more than ten failures stand in it");
}

#[test]
fn wrong_reset_tokens_are_counted_by_address() {
    let server = server();
    let body = json!({"token": "ushr_wrong", "password": PASSWORD});
    let attempt = |_| from(&server.anon(), "203.0.113.7", "/auth/password-reset", &body);
    assert_eq!(let_through(attempt, 120), 30);
    from(&server.anon(), "203.0.113.8", "/auth/password-reset", &body).is(400, "invalid_reset_token");
}

#[test]
fn what_an_account_has_been_guessed_at_outlives_a_restart_and_names_nobody() {
    let server = server();
    server.user("ada");
    let_through(|n| login(&server, &stranger(n), "ada@example.com", WRONG), 3600);
    server.flush();
    let kept = server.throttled_count();
    assert_eq!(kept, 1);
    let server = server.restart(|settings| settings.http.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]);
    login(&server, &stranger(5_000), "ada@example.com", WRONG).is(429, "too_many_attempts");
    server.clock.advance(Duration::from_hours(1));
    login(&server, &stranger(5_001), "ada@example.com", PASSWORD).is(200, "");
    server.flush();
    assert_eq!(server.throttled_count(), 1, "a sign-in clears nothing");
}

#[test]
fn behind_a_proxy_that_nobody_declared_all_callers_share_ten_times_what_one_has() {
    let server = Server::start();
    server.user("ada");
    login(&server, "198.51.100.1", "ada@example.com", PASSWORD).is(200, "");
    assert_eq!(let_through(|_| login(&server, "203.0.113.7", "ada@example.com", WRONG), 3600), 100);
    login(&server, "198.51.100.1", "ada@example.com", PASSWORD).is(429, "too_many_attempts");
    let others = |n| login(&server, &stranger(n), &format!("nobody{n}@example.com"), WRONG);
    assert_eq!(let_through(others, 2), 400);
    let register = |n| {
        let body = json!({"username": "ada", "email": "bob@example.com", "password": PASSWORD});
        from(&server.anon(), &stranger(n), "/users", &body)
    };
    assert_eq!(let_through(register, 12), 300);
    let reset = |n| {
        let body = json!({"token": "ushr_wrong", "password": PASSWORD});
        from(&server.anon(), &stranger(n), "/auth/password-reset", &body)
    };
    assert_eq!(let_through(reset, 12), 300);

    server.anon().login("ada@example.com", PASSWORD).is(200, "");
}

#[test]
fn it_can_be_turned_off() {
    let server = Server::with(|settings| settings.policy.throttle = false);
    for _ in 0..60 {
        server.anon().login("ada@example.com", WRONG).is(401, "invalid_credentials");
    }
}
