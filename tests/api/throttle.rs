//! Guessing, as a guesser and as the owner of the account meet its limits.

use crate::support::{Answer, Client, PASSWORD, Server};
use serde_json::json;
use std::{
    task::{Context, Poll, Waker},
    time::Duration,
};
use usher::{
    app::{ExpectedRevision, NewAccount},
    domain::{Actor, Caller, EmailAddress, Error, PasswordPolicy, Role, SessionToken, UserChanges, Username},
};

const WRONG: &str = "a wrong password";

/// A server behind a proxy that says where each request comes from.
fn server() -> Server {
    Server::with(|settings| {
        settings.http.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
}

/// Sends from a certain address.
fn from(client: &Client, ip: &str, path: &str, body: &serde_json::Value) -> Answer {
    let headers = [("content-type", "application/json"), ("x-forwarded-for", ip)];
    client.send("POST", path, &headers, Some(body.to_string().as_bytes()))
}

fn login(server: &Server, ip: &str, email: &str, password: &str) -> Answer {
    from(&server.anon(), ip, "/auth/login", &json!({"email": email, "password": password}))
}

/// Somebody at a site of their own.
fn stranger(n: u32) -> String {
    std::net::Ipv4Addr::from_bits(0x0a00_0001 + (n << 8)).to_string()
}

/// Somebody whom one IPv6 site gives another subscriber's address each time.
fn of_one_site(n: u32) -> String {
    format!("2001:db8:1:{n:x}::1")
}

/// How many attempts are answered otherwise than with `429`, which tells when to come again.
#[track_caller]
fn let_through(attempt: impl Fn(u32) -> Answer, seconds: u64) -> u32 {
    for n in 0..1_000 {
        let answer = attempt(n);
        if answer.status == 429 {
            answer.is(429, "too_many_attempts");
            assert_eq!(answer.header("retry-after"), seconds.to_string());
            assert_eq!(answer.json()["error"]["details"], json!({"retry_after_seconds": seconds}));
            return n;
        }
    }
    panic!("there is no limit");
}

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
    let known = "SELECT count(*) FROM sign_in_addresses JOIN users ON users.id = user_id WHERE username = 'ada'";
    assert_eq!(server.query::<i64>(known), 0);
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
    assert_eq!(server.query::<i64>("SELECT count(*) FROM sign_in_addresses"), 16);
    let_through(|n| login(&server, &stranger(n), "ada@example.com", WRONG), 3600);
    login(&server, "198.51.100.3", "ada@example.com", WRONG).is(429, "too_many_attempts");
    login(&server, "198.51.100.4", "ada@example.com", WRONG).is(401, "invalid_credentials");

    server.clock.advance(Duration::from_hours(90 * 24) + Duration::from_secs(1));
    let_through(|n| login(&server, &stranger(n), "ada@example.com", WRONG), 3600);
    login(&server, "198.51.100.4", "ada@example.com", WRONG).is(429, "too_many_attempts");
}

/// What strangers are answered while they guess at an e-mail address for some days: status and `Retry-After`, attempt by
/// attempt. Something happens before they have used up the account's budget, and again afterwards.
fn stream(server: &Server, email: &str, happens: impl Fn(usize)) -> Vec<(u16, String)> {
    let mut seen = Vec::new();
    let mut guess = |ip: &str| {
        let answer = login(server, ip, email, WRONG);
        seen.push((answer.status, answer.header("retry-after").to_owned()));
    };
    for n in 0..60 {
        guess(&stranger(n));
        guess(if n < 15 { "203.0.113.7" } else { "203.0.113.8" });
    }
    happens(0);
    for n in 0..60 {
        guess(&stranger(100 + n));
        guess(&of_one_site(n));
        server.clock.advance(Duration::from_secs(7));
    }
    happens(1);
    for hour in 0..30 {
        for n in 0..3 {
            guess(&stranger(1_000 + 10 * hour + n));
            guess("203.0.113.7");
            guess(&of_one_site(1_000 + hour));
        }
        server.clock.advance(Duration::from_mins(50));
    }
    seen
}

fn unlock(root: &Client, user: &Client) {
    root.send("POST", &format!("{}/unlock", user.me()), &[], None).is(204, "");
}

#[test]
fn strangers_see_nothing_of_what_an_owner_or_an_administrator_does() {
    type Deed = fn(&Server, &Client, &Client, usize);
    let deeds: [(&str, Deed); 12] = [
        ("nothing", |_, _, _, _| ()),
        ("a sign-in from a known place", |server, _, _, _| {
            login(server, "127.0.0.1", "ada@example.com", PASSWORD).is(200, "");
        }),
        ("a sign-in from a new place", |server, _, _, time| {
            let new = ["192.0.2.1", "198.51.100.1"][time];
            assert_eq!(login(server, new, "ada@example.com", PASSWORD).status, [200, 429][time]);
        }),
        ("sign-ins from the site that guesses", |server, _, _, time| {
            let one = ["203.0.113.9", "2001:db8:1:ffff::1"][time];
            assert_eq!(login(server, one, "ada@example.com", PASSWORD).status, [200, 429][time]);
        }),
        ("a new password and a sign-in", |server, _, ada, time| {
            let [old, new] = [[PASSWORD, "another long password"], ["another long password", PASSWORD]][time];
            ada.put(&ada.me(), json!({"password": new, "current_password": old})).is(200, "");
            login(server, "127.0.0.1", "ada@example.com", new).is(200, "");
        }),
        ("wrong current passwords from a new place", |_, _, ada, _| {
            for n in 0..12 {
                put_from(ada, &stranger(5_000 + n), &json!({"current_password": WRONG}))
                    .is(403, "reauthentication_required");
            }
        }),
        ("wrong current passwords from the site that guesses", |_, _, ada, time| {
            for n in 0..12 {
                let ip = [format!("203.0.113.{}", 50 + n), of_one_site(5_000 + n)][time].clone();
                put_from(ada, &ip, &json!({"current_password": WRONG})).is(403, "reauthentication_required");
            }
        }),
        ("another e-mail address", |_, root, ada, time| {
            let email = ["countess@example.com", "ada@example.com"][time];
            root.put(&ada.me(), json!({"email": email})).is(200, "");
        }),
        ("disabling and enabling", |_, root, ada, time| {
            root.put(&ada.me(), json!({"disabled": time == 0})).is(200, "");
        }),
        ("deleting, and registering", |server, root, ada, time| {
            if time == 0 {
                root.delete(&ada.me()).is(204, "");
            } else {
                server.user("ada");
            }
        }),
        ("a reset", |server, root, ada, time| {
            let token = root.send("POST", &format!("{}/password-reset", ada.me()), &[], None).json()["token"].clone();
            let reset = json!({"token": token, "password": PASSWORD});
            from(&server.anon(), &format!("198.51.100.{time}"), "/auth/password-reset", &reset).is(204, "");
        }),
        ("ended sessions", |_, root, ada, _| {
            root.delete(&format!("{}/sessions", ada.me())).is(204, "");
        }),
    ];
    let expected = stream(&server(), "ada@example.com", |_| ());
    assert!(expected.iter().any(|(status, _)| *status == 401) && expected.iter().any(|(status, _)| *status == 429));
    for (name, deed) in deeds {
        let server = server();
        let (root, ada) = (server.admin("root"), server.user("ada"));
        let seen = stream(&server, "ada@example.com", |time| deed(&server, &root, &ada, time));
        assert!(seen == expected, "{name}: {seen:?}");
    }
}

#[test]
fn strangers_see_nothing_of_what_becomes_of_an_account_that_was_once_unlocked() {
    let before = || {
        let server = server();
        let (root, ada) = (server.admin("root"), server.user("ada"));
        unlock(&root, &ada);
        (server, root, ada)
    };
    let (server, ..) = before();
    let expected = stream(&server, "ada@example.com", |_| ());
    let (server, root, ada) = before();
    let seen = stream(&server, "ada@example.com", |time| {
        if time == 1 {
            root.delete(&ada.me()).is(204, "");
        }
    });
    assert!(seen == expected, "{seen:?}");
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
    let full = without_room(&server, "INSERT ON sessions");

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
fn a_wrong_current_password_counts_as_a_change_and_for_its_ip_address_but_not_for_sign_ins_to_the_account() {
    let server = server();
    server.user("ada");
    for client in [server.admin("root"), server.user("eve")] {
        let guess = |n: u32| put_from(&client, &stranger(n), &json!({"current_password": WRONG}));
        let hashes = server.app.hashes();
        assert_eq!(let_through(guess, 120), 30, "from wherever");
        assert_eq!(server.app.hashes() - hashes, 30);
        put_from(&client, "192.0.2.1", &json!({"current_password": PASSWORD})).is(429, "too_many_attempts");
        client.get("/auth/me").is(200, "");
    }

    let eve = server.sign_in("eve");
    server.clock.advance(Duration::from_hours(1));
    let guess = |_| put_from(&eve, "203.0.113.7", &json!({"current_password": WRONG}));
    assert_eq!(let_through(guess, 120), 30);
    let others = |n| login(&server, "203.0.113.7", &format!("nobody{n}@example.com"), WRONG);
    assert_eq!(let_through(others, 20), 20, "the IP address");

    assert_eq!(let_through(|_| login(&server, "203.0.113.8", "eve@example.com", WRONG), 300), 10);
    assert_eq!(let_through(|n| login(&server, &stranger(100 + n), "eve@example.com", WRONG), 3600), 90);
}

#[test]
fn a_right_current_password_counts_as_a_change_and_not_as_a_failed_sign_in_of_its_ip_address() {
    let server = server();
    let ada = server.user("ada");
    for body in [json!({"current_password": PASSWORD}), json!({"current_password": PASSWORD, "role": "admin"})] {
        for _ in 0..10 {
            assert!([200, 403].contains(&put_from(&ada, "203.0.113.7", &body).status));
        }
    }
    let others = |n| login(&server, "203.0.113.7", &format!("nobody{n}@example.com"), WRONG);
    assert_eq!(let_through(others, 20), 50);
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
    assert_eq!(server.query::<i64>("SELECT count(*) FROM throttle_accounts"), 0);

    let guess = |n: u32| login(&server, &stranger(1_000 + n), "nobody@example.com", &too_long);
    for n in 0..10 {
        guess(n).is(401, "invalid_credentials");
    }
    server.flush();
    assert_eq!(server.query::<i64>("SELECT count(*) FROM throttle_accounts"), 0);
    guess(10).is(401, "invalid_credentials");
    server.flush();
    assert_eq!(server.query::<i64>("SELECT count(*) FROM throttle_accounts"), 1, "more than ten failures stand in it");
}

#[test]
fn registrations_are_counted_by_address_and_what_validation_refuses_is_not() {
    let server = server();
    let register = |ip: &str, name: &str| {
        let body = json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD});
        from(&server.anon(), ip, "/users", &body)
    };
    for n in 0..100 {
        register("203.0.113.7", &format!("-{n}")).is(400, "validation_failed");
    }
    let attempt = |n| register("203.0.113.7", if n % 2 == 0 { "taken".into() } else { format!("user{n}") }.as_str());
    assert_eq!(let_through(attempt, 120), 30, "also those that learn that a name is taken");
    register("203.0.113.8", "somebody").is(201, "");
}

#[test]
fn administrators_are_not_slowed_down_when_they_make_accounts() {
    let server = Server::start();
    let root = server.admin("root");
    for n in 0..40 {
        let body = json!({"username": format!("u{n}"), "email": format!("u{n}@example.com"), "password": PASSWORD});
        root.post("/users", body).is(201, "");
    }
}

#[test]
fn owners_who_change_their_address_learn_which_are_taken_as_slowly_as_those_who_register() {
    let server = Server::start();
    let ada = server.user("ada");
    server.user("bob");
    let probe = |_| ada.put(&ada.me(), json!({"email": "bob@example.com"}));
    assert_eq!(let_through(probe, 120), 28, "two registrations came from here before");
    ada.get("/auth/me").is(200, "");
}

/// Changes one's own account from a certain IP address.
fn put_from(client: &Client, ip: &str, body: &serde_json::Value) -> Answer {
    let headers = [("content-type", "application/json"), ("x-forwarded-for", ip)];
    client.send("PUT", &client.me(), &headers, Some(body.to_string().as_bytes()))
}

#[test]
fn administrators_who_rename_themselves_and_prove_it_are_not_counted_as_registering() {
    let server = server();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    server.user("bob");
    for _ in 0..10 {
        let body = json!({"username": "bob", "current_password": PASSWORD});
        put_from(&root, "203.0.113.7", &body).is(409, "username_taken");
    }
    let probe = |_| put_from(&ada, "203.0.113.7", &json!({"username": "bob"}));
    assert_eq!(let_through(probe, 120), 30);
}

#[test]
fn an_account_learns_of_thirty_taken_names_from_wherever_it_asks() {
    let server = server();
    let ada = server.user("ada");
    server.user("bob");
    let probe = |n| put_from(&ada, &stranger(n), &json!({"username": "bob"}));
    assert_eq!(let_through(probe, 120), 30);
}

#[test]
fn a_right_current_password_counts_as_a_change_and_is_on_record_whatever_becomes_of_it() {
    for (body, status) in [
        (json!({"current_password": PASSWORD}), 200),
        (json!({"current_password": PASSWORD, "email": "ada@example.com"}), 200),
        (json!({"current_password": PASSWORD, "password": PASSWORD}), 412),
    ] {
        let server = server();
        let ada = server.user("ada");
        let headers = [("content-type", "application/json"), ("if-match", "\"1.99\"")];
        let headers = &headers[..if status == 412 { 2 } else { 1 }];
        let hashes = server.app.hashes();
        let try_out = |_| {
            let answer = ada.send("PUT", &ada.me(), headers, Some(body.to_string().as_bytes()));
            assert!([status, 429].contains(&answer.status), "{answer:?}");
            answer
        };
        assert_eq!(let_through(try_out, 120), 30, "{body}");
        assert_eq!(server.app.hashes() - hashes, 30, "{body}");
        server.flush();
        let noted = "SELECT sum(count) FROM audit WHERE action = 'user.password_confirmed' AND actor = subject";
        assert_eq!(server.query::<i64>(noted), 30, "{body}");
        server.anon().login("ada@example.com", PASSWORD).is(200, "");
    }
}

#[test]
fn what_the_budget_of_registrations_refuses_is_no_change() {
    let server = server();
    let ada = server.user("ada");
    let register = |_| {
        let body = json!({"username": "ada", "email": "bob@example.com", "password": PASSWORD});
        from(&server.anon(), "203.0.113.7", "/users", &body)
    };
    let_through(register, 120);
    for _ in 0..40 {
        put_from(&ada, "203.0.113.7", &json!({"username": "countess"})).is(429, "too_many_attempts");
    }
    let rename = |n: u32| put_from(&ada, "203.0.113.8", &json!({"username": format!("ada{n}")}));
    assert_eq!(let_through(rename, 120), 30);
}

#[test]
fn a_change_that_is_refused_before_anything_was_hashed_or_told_costs_nothing() {
    let server = server();
    let ada = server.user("ada");
    for _ in 0..40 {
        ada.put(&ada.me(), json!({"password": "ada@example.com"})).is(400, "validation_failed");
        ada.put(&ada.me(), json!({"username": "bob", "role": "admin"})).is(403, "forbidden");
        ada.put_if(&ada.me(), Some("\"1.99\""), json!({"username": "bob"})).is(412, "precondition_failed");
    }
    let change = |n: u32| ada.put(&ada.me(), json!({"username": format!("ada{n}")}));
    assert_eq!(let_through(change, 120), 30, "and one that goes through is no registration");
    let register = |n: u32| {
        let body = json!({"username": format!("user{n}"), "email": format!("{n}@example.com"), "password": PASSWORD});
        server.anon().post("/users", body)
    };
    assert_eq!(let_through(register, 120), 29);
}

/// Makes every change of a table fail, as on a full disk, until the guard is dropped.
fn without_room(server: &Server, change: &str) -> impl Drop {
    struct Room(rusqlite::Connection);
    impl Drop for Room {
        fn drop(&mut self) {
            self.0.execute_batch("DROP TRIGGER full").unwrap();
        }
    }
    let database = server.sql();
    database
        .execute_batch(&format!("CREATE TRIGGER full BEFORE {change} BEGIN SELECT RAISE(ABORT, 'full'); END"))
        .unwrap();
    Room(database)
}

#[test]
fn a_registration_that_could_not_be_stored_or_had_no_invitation_is_not_counted() {
    let server = server();
    let register = |name: &str, invitation: Option<&str>| {
        let mut body = json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD});
        if let Some(token) = invitation {
            body["invitation"] = token.into();
        }
        from(&server.anon(), "203.0.113.7", "/users", &body)
    };
    let full = without_room(&server, "INSERT ON users");
    for _ in 0..40 {
        assert!(register("ada", None).status >= 500);
    }
    drop(full);
    for _ in 0..40 {
        register("ada", Some("ushi_wrong")).is(400, "invalid_invitation");
    }
    assert_eq!(let_through(|n| register(&format!("user{n}"), None), 120), 30);
}

#[test]
fn a_reset_with_the_right_token_is_not_counted_whatever_becomes_of_it() {
    let server = server();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let issue = || root.send("POST", &format!("{}/password-reset", ada.me()), &[], None).json()["token"].clone();
    let reset = |token: &serde_json::Value, password: &str| {
        from(&server.anon(), "203.0.113.7", "/auth/password-reset", &json!({"token": token, "password": password}))
    };
    let token = issue();
    let full = without_room(&server, "UPDATE OF password_hash ON users");
    for _ in 0..40 {
        reset(&token, "ada@example.com").is(400, "validation_failed");
        assert!(reset(&token, PASSWORD).status >= 500);
    }
    drop(full);
    for _ in 0..40 {
        reset(&issue(), PASSWORD).is(204, "");
    }
    assert_eq!(let_through(|_| reset(&json!("ushr_wrong"), PASSWORD), 120), 30);
}

/// Somebody who sent no token, from a certain IP address.
fn caller(ip: &str) -> Caller {
    let client = usher::domain::Client { ip: Some(ip.parse().unwrap()) };
    Caller { actor: Actor::Anonymous, client, request_id: None }
}

fn account(name: &str) -> NewAccount {
    NewAccount {
        username: Username::parse(name).unwrap(),
        email: EmailAddress::parse(&format!("{name}@example.com")).unwrap(),
        password: PasswordPolicy::default().accept(PASSWORD, &[]).unwrap(),
        role: Role::User,
        invitation: None,
    }
}

/// Begins an attempt. `None` where it waits to be hashed.
fn begin<T>(attempt: &mut std::pin::Pin<Box<impl Future<Output = Result<T, Error>>>>) -> Option<Error> {
    match attempt.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => None,
        Poll::Ready(Ok(_)) => panic!("nobody hashes"),
        Poll::Ready(Err(error)) => Some(error),
    }
}

/// How many attempts begin to wait before one is refused; each leaves at once.
fn admitted<T, F: Future<Output = Result<T, Error>>>(attempt: impl Fn() -> F) -> u32 {
    for n in 0..1_000 {
        match begin(&mut Box::pin(attempt())) {
            None => {}
            Some(Error::TooManyAttempts(_)) => return n,
            Some(other) => panic!("{other:?}"),
        }
    }
    panic!("there is no limit");
}

#[test]
fn what_there_was_no_room_to_hash_is_given_back() {
    // given: nobody hashes, and somebody of the same site waits in its only place
    let server = server();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let issued = root.send("POST", &format!("{}/password-reset", ada.me()), &[], None).json()["token"].clone();
    let (token, own) = (issued.as_str().unwrap().to_owned(), SessionToken::parse(&ada.token.unwrap()).unwrap());
    let server = server.restart(|settings| (settings.hash_threads, settings.hash_queue) = (0, 4));
    let app = &server.app;
    let one = caller("203.0.113.7");
    let signed_in = futures_executor::block_on(app.sessions.authenticate(&own)).unwrap();
    let target = Some(signed_in.user.id);
    let owner = Caller { actor: Actor::SignedIn(signed_in.into()), ..one.clone() };
    let password = || account("x").password;
    let changes = || UserChanges { password: Some(password()), ..UserChanges::default() };
    let register = || app.accounts.register(&one, account("bob"));
    let reset = || app.resets.reset_password(&one, &token, password());
    let change = || app.accounts.update(&owner, target, changes(), ExpectedRevision::Any);
    let neighbour = caller("203.0.113.8");
    let mut waiting = Box::pin(app.accounts.register(&neighbour, account("eve")));
    assert_eq!(begin(&mut waiting), None);

    // when
    for _ in 0..40 {
        assert_eq!(begin(&mut Box::pin(register())), Some(Error::Overloaded));
        assert_eq!(begin(&mut Box::pin(reset())), Some(Error::Overloaded));
        assert_eq!(begin(&mut Box::pin(change())), Some(Error::Overloaded));
        let sign_in = app.sign_in.with_password(&one, "ada@example.com", PASSWORD, None);
        assert_eq!(begin(&mut Box::pin(sign_in)), Some(Error::Overloaded));
    }
    drop(waiting);

    // then
    assert_eq!([admitted(register), admitted(reset), admitted(change)], [30, 30, 30]);
    assert_eq!(admitted(|| app.sign_in.with_password(&one, "ada@example.com", PASSWORD, None)), 10);
}

#[test]
fn a_sign_in_that_slow_hashes_left_no_room_for_is_given_back() {
    // given: nobody hashes, and as many slow hashes wait as may
    let server = server();
    server.user("ada");
    let bcrypt = "$2b$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS";
    server.sql().execute("UPDATE users SET password_hash = ?1", [bcrypt]).unwrap();
    let server = server.restart(|settings| (settings.hash_threads, settings.hash_queue) = (0, 4));
    let sign_in = |caller| server.app.sign_in.with_password(caller, "ada@example.com", PASSWORD, None);
    let (first, second, one) = (caller("192.0.2.1"), caller("198.51.100.1"), caller("203.0.113.7"));
    let mut waiting = [Box::pin(sign_in(&first)), Box::pin(sign_in(&second))];
    assert!(waiting.iter_mut().all(|one| begin(one).is_none()));

    // when
    for _ in 0..40 {
        assert_eq!(begin(&mut Box::pin(sign_in(&one))), Some(Error::Overloaded));
    }
    drop(waiting);

    // then
    assert_eq!(admitted(|| sign_in(&one)), 10);
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
    let kept: i64 = server.query("SELECT count(*) FROM throttle_accounts");
    assert_eq!(kept, 1);
    let server = server.restart(|settings| settings.http.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]);
    login(&server, &stranger(5_000), "ada@example.com", WRONG).is(429, "too_many_attempts");
    server.clock.advance(Duration::from_hours(1));
    login(&server, &stranger(5_001), "ada@example.com", PASSWORD).is(200, "");
    server.flush();
    assert_eq!(server.query::<i64>("SELECT count(*) FROM throttle_accounts"), 1, "a sign-in clears nothing");
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

#[test]
fn an_owner_changes_their_account_thirty_times_and_then_slowly() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let change = |_| ada.put(&ada.me(), json!({"password": PASSWORD}));
    assert_eq!(let_through(change, 120), 30);
    ada.put(&ada.me(), json!({})).is(200, "");
    root.put(&ada.me(), json!({"password": PASSWORD})).is(200, "");
    for _ in 0..40 {
        root.put(&root.me(), json!({"password": PASSWORD})).is(200, "");
    }
}

#[test]
fn callers_who_leave_before_the_answer_are_charged_and_on_record() {
    // given: nobody hashes, so nobody is answered
    let server = Server::with(|settings| (settings.hash_threads, settings.hash_queue) = (0, 50));
    let body = json!({"email": "nobody@example.com", "password": WRONG}).to_string();
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nhost: usher\r\ncontent-type: application/json\r\ncontent-length";
    let queued = || futures_executor::block_on(server.app.measures()).hashing.queued;

    // when
    for _ in 0..10 {
        let mut stream = std::net::TcpStream::connect(server.address).unwrap();
        std::io::Write::write_all(&mut stream, format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
        crate::support::binary::until("it waits", || (queued() == 1).then_some(()));
        crate::support::hang_up(stream);
        crate::support::binary::until("it left", || (queued() == 0).then_some(()));
    }

    // then
    server.anon().login("nobody@example.com", WRONG).is(429, "too_many_attempts");
    crate::support::binary::until("all are noted", || {
        server.flush();
        let noted = "SELECT ifnull(sum(count), 0) FROM audit WHERE action = 'session.sign_in_failed'";
        (server.query::<i64>(noted) == 10).then_some(())
    });
}
