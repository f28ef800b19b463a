//! Changes of one's own account, which can guess at a password and learn which names are taken.

use super::{WRONG, from, let_through, login, put_from, server, stranger};
use crate::support::{
    Client, PASSWORD, Server,
    probes::{Entry, Probes},
};
use serde_json::json;
use std::time::Duration;

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
fn owners_who_change_their_address_learn_which_are_taken_as_slowly_as_those_who_register() {
    let server = Server::start();
    let ada = server.user("ada");
    server.user("bob");
    let probe = |_| ada.put(&ada.me(), json!({"email": "bob@example.com"}));
    assert_eq!(let_through(probe, 120), 28, "two registrations came from here before");
    ada.get("/auth/me").is(200, "");
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
        let log = server.audit();
        let by_owner = |entry: &&Entry| entry.action == "user.password_confirmed" && entry.actor == entry.subject;
        assert_eq!(log.iter().filter(by_owner).map(|entry| entry.count).sum::<u32>(), 30, "{body}");
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
fn owners_call_themselves_something_else_and_create_app_tokens_thirty_times_and_then_slowly() {
    let server = server();
    let app = server.add_app("Notes", "http://notes.example", "everyone");
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let create = |client: &Client, app| {
        client.post(&format!("{}/app-tokens", client.me()), json!({"name": "Player", "app_id": app}))
    };
    for _ in 0..40 {
        create(&ada, 99).is(404, "app_not_found");
        create(&root, app).is(201, "");
        root.put(&ada.me(), json!({"display_name": "Ada"})).is(200, "");
    }

    let change = |n| match n % 2 {
        0 => put_from(&ada, &stranger(n), &json!({"display_name": format!("Ada {n}")})),
        _ => create(&ada, app),
    };
    assert_eq!(let_through(change, 120), 30, "from wherever");

    create(&ada, app).is(429, "too_many_attempts");
    for n in 0..15 {
        let newest = &ada.get(&format!("{}/app-tokens", ada.me())).json()["app_tokens"][0]["id"];
        assert_eq!(ada.delete(&format!("{}/app-tokens/{newest}", ada.me())).status, 204, "{n}");
    }
    server.clock.advance(Duration::from_mins(2));
    create(&ada, app).is(201, "");
    server.flush();
    assert_eq!(server.occurrences("attempt.throttled"), 2);
    assert_eq!(server.audit_count_about("app_token.created", ada.id), 16);
}
