//! Who may register, invitations, and new passwords without mail.

use crate::support::{Answer, Client, PASSWORD, Server, probes::Probes};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use usher::domain::Registration;

const OTHER: &str = "another long password";

fn account(name: &str) -> Value {
    json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD})
}

fn invited(name: &str, token: &str) -> Value {
    let mut body = account(name);
    body["invitation"] = token.into();
    body
}

fn by_mode(mode: Registration) -> (Server, Client) {
    let server = Server::with(|settings| settings.policy.registration = mode);
    let root = server.admin("root");
    (server, root)
}

/// Makes an invitation and returns its token.
fn invite(admin: &Client, body: Value) -> String {
    let made = admin.post("/invitations", body);
    made.is(201, "");
    made.json()["token"].as_str().unwrap().to_owned()
}

fn reset_token(admin: &Client, user: &Client) -> String {
    let issued = admin.send("POST", &format!("{}/password-reset", user.me()), &[], None);
    issued.is(201, "");
    issued.json()["token"].as_str().unwrap().to_owned()
}

fn reset(client: &Client, token: &str, password: &str) -> Answer {
    client.post("/auth/password-reset", json!({"token": token, "password": password}))
}

#[test]
fn who_may_register_depends_on_the_mode() {
    use Registration::{Closed, Invite, Open};
    let closed = (403, "registration_closed");
    let uninvited = (403, "invitation_required");
    let bad = (400, "invalid_invitation");
    let made = (201, "");
    for (mode, plain, good, wrong) in
        [(Open, made, made, bad), (Invite, uninvited, made, bad), (Closed, closed, closed, closed)]
    {
        let (server, root) = by_mode(mode);
        let user = {
            root.post("/users", account("somebody")).is(201, "");
            server.sign_in("somebody")
        };
        for (n, client) in [server.anon(), user].iter().enumerate() {
            let name = |kind: &str| format!("{kind}{n}");
            client.post("/users", account(&name("plain"))).is(plain.0, plain.1);
            let token = invite(&root, json!({}));
            client.post("/users", invited(&name("good"), &token)).is(good.0, good.1);
            client.post("/users", invited(&name("wrong"), "ushi_nonsense")).is(wrong.0, wrong.1);
            client.post("/users", invited("!", "ushi_nonsense")).is(400, "validation_failed");
        }
        root.post("/users", account("made")).is(201, "");
    }
}

#[test]
fn an_invitation_is_spent_by_the_registration_that_succeeds_and_by_no_other() {
    let (server, root) = by_mode(Registration::Invite);
    let token = invite(&root, json!({}));
    assert!(token.starts_with("ushi_") && token.len() == 54);

    server.anon().post("/users", invited("root", &token)).is(409, "username_taken");
    server.anon().post("/users", invited("x", "")).is(400, "invalid_invitation");
    server.anon().post("/users", invited("-", &token)).is(400, "validation_failed");
    let made = server.anon().post("/users", invited("ada", &token));

    made.is(201, "");
    assert_eq!((&made.json()["role"], &made.json()["email_verified"]), (&"user".into(), &false.into()));
    server.anon().post("/users", invited("bob", &token)).is(400, "invalid_invitation");
    assert!(root.get("/invitations").json()["invitations"].as_array().unwrap().is_empty());
}

#[test]
fn an_invitation_used_by_many_at_once_makes_one_account() {
    let (server, root) = by_mode(Registration::Invite);
    let token = invite(&root, json!({}));
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let one = |n: usize| server.anon().post("/users", invited(&format!("racer{n}"), &token));
        let racers: Vec<_> = (0..20).map(|n| scope.spawn(move || one(n))).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert!(answers.iter().all(|answer| [201, 400].contains(&answer.status)), "{answers:?}");
    assert_eq!(server.user_count(), 2);
}

#[test]
fn an_invitation_fixes_address_and_role() {
    let (server, root) = by_mode(Registration::Closed);
    let server = server.restart(|settings| settings.policy.registration = Registration::Invite);
    let root = Client::new(server.address, root.token, root.id);
    let token = invite(&root, json!({"email": "Ada@Example.com", "role": "admin"}));

    server.anon().post("/users", invited("eve", &token)).is(400, "invalid_invitation");
    let made = server.anon().post("/users", invited("ada", &token));

    made.is(201, "");
    assert_eq!((&made.json()["role"], &made.json()["email_verified"]), (&"admin".into(), &true.into()));
    assert_eq!(made.json()["email"], "ada@example.com", "as its owner typed it");
}

#[test]
fn an_invitation_expires_and_can_be_taken_back() {
    let (server, root) = by_mode(Registration::Invite);
    let (usual, short) = (invite(&root, json!({})), invite(&root, json!({"expires_in": 60})));
    let listed = root.get("/invitations").json();
    let times: Vec<&str> =
        listed["invitations"].as_array().unwrap().iter().map(|one| one["expires_at"].as_str().unwrap()).collect();
    assert_eq!(times, ["2026-11-29T10:00:00Z", "2026-11-22T10:01:00Z"]);

    server.clock.advance(Duration::from_mins(1));
    server.anon().post("/users", invited("ada", &short)).is(400, "invalid_invitation");
    root.delete("/invitations/2").is(404, "invitation_not_found");
    root.delete("/invitations/1").is(204, "");
    root.delete("/invitations/1").is(404, "invitation_not_found");
    server.anon().post("/users", invited("ada", &usual)).is(400, "invalid_invitation");
    for id in ["0", "x", "01", "-1", "99999999999999999999", "%20"] {
        root.delete(&format!("/invitations/{id}")).is(404, "invitation_not_found");
    }
}

#[test]
fn invitations_are_listed_in_pages_without_their_tokens() {
    let (server, root) = by_mode(Registration::Open);
    for n in 0..5 {
        invite(&root, json!({"email": format!("guest{n}@example.com")}));
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = root.get(&format!("/invitations?limit=2{cursor}")).json();
        for one in page["invitations"].as_array().unwrap() {
            assert!(one.get("token").is_none());
            assert_eq!((&one["created_by"], &one["role"]), (&root.id.into(), &"user".into()));
            seen.push(one["id"].as_i64().unwrap());
        }
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    assert_eq!(root.get("/invitations?cursor=eA&limit=0&x=1").faulty(), ["limit", "x"]);
    assert_eq!(root.get("/invitations?cursor=eA").faulty(), ["cursor"]);
    let ada = server.user("ada");
    for client in [&ada, &server.anon()] {
        let (status, code) = if client.token.is_some() { (403, "forbidden") } else { (401, "authentication_required") };
        client.get("/invitations").is(status, code);
        client.post("/invitations", json!({})).is(status, code);
        client.delete("/invitations/1").is(status, code);
        client.delete("/invitations/99").is(status, code);
    }
}

#[test]
fn what_is_wrong_with_an_invitation_is_told_at_once() {
    let (_server, root) = by_mode(Registration::Open);
    for (body, faulty) in [
        (json!({"email": "x", "role": "root", "expires_in": 0}), vec!["email", "expires_in", "role"]),
        (json!({"expires_in": "1d"}), vec!["expires_in"]),
        (json!({"expires_in": 1.5}), vec!["expires_in"]),
        (json!({"expires_in": 31_536_001}), vec!["expires_in"]),
        (json!({"email": null, "token": "x"}), vec!["email", "token"]),
    ] {
        assert_eq!(root.post("/invitations", body.clone()).faulty(), faulty, "{body}");
    }
}

#[test]
fn a_reset_token_sets_one_password_and_ends_all_sessions() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let token = reset_token(&root, &ada);
    assert!(token.starts_with("ushr_") && token.len() == 54);

    reset(&server.anon(), &token, OTHER).is(204, "");

    ada.get("/auth/me").is(401, "invalid_token");
    server.anon().login("ada@example.com", PASSWORD).is(401, "invalid_credentials");
    server.anon().login("ada@example.com", OTHER).is(200, "");
    reset(&server.anon(), &token, PASSWORD).is(400, "invalid_reset_token");
    root.get("/auth/me").is(200, "");
}

#[test]
fn a_later_reset_token_a_new_password_and_time_void_a_reset_token() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let (first, second) = (reset_token(&root, &ada), reset_token(&root, &ada));
    reset(&server.anon(), &first, OTHER).is(400, "invalid_reset_token");
    reset(&server.anon(), &second, "short").is(400, "validation_failed");
    reset(&server.anon(), &second, "ada@example.com").is(400, "validation_failed");
    reset(&server.anon(), &second, OTHER).is(204, "");

    let third = reset_token(&root, &ada);
    root.put(&ada.me(), json!({"password": PASSWORD})).is(200, "");
    reset(&server.anon(), &third, OTHER).is(400, "invalid_reset_token");

    let fourth = reset_token(&root, &ada);
    server.clock.advance(Duration::from_hours(1));
    reset(&server.anon(), &fourth, OTHER).is(400, "invalid_reset_token");
}

#[test]
fn a_reset_token_used_by_many_at_once_sets_one_password() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let token = reset_token(&root, &ada);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let (server, token) = (&server, token.as_str());
        let one = move |n: usize| reset(&server.anon(), token, &format!("{OTHER} {n}")).status;
        let racers: Vec<_> = (0..10).map(|n| scope.spawn(move || one(n))).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 204).count(), 1);
    assert!(statuses.iter().all(|status| [204, 400].contains(status)), "{statuses:?}");
}

#[test]
fn tokens_of_one_kind_open_nothing_of_another() {
    let (server, root) = by_mode(Registration::Open);
    let ada = server.user("ada");
    let (invitation, reset_one, session) =
        (invite(&root, json!({})), reset_token(&root, &ada), ada.token.clone().unwrap());
    for token in [&invitation, &reset_one] {
        ada.with_token(token).get("/auth/me").is(401, "invalid_token");
    }
    for token in [&invitation, &session, &String::new(), &"x".repeat(1_000)] {
        reset(&server.anon(), token, OTHER).is(400, "invalid_reset_token");
    }
    for token in [&reset_one, &session] {
        server.anon().post("/users", invited("bob", token)).is(400, "invalid_invitation");
    }
}

#[test]
fn reset_tokens_are_made_by_administrators() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let ask = |client: &Client, id: &str| client.send("POST", &format!("/users/{id}/password-reset"), &[], None);
    ask(&server.anon(), "2").is(401, "authentication_required");
    ask(&ada, "2").is(403, "forbidden");
    ask(&ada, "99").is(403, "forbidden");
    ask(&root, "99").is(404, "user_not_found");
    ask(&root, "x").is(404, "user_not_found");
    let issued = ask(&root, "2");
    assert_eq!(issued.json()["expires_at"], "2026-11-22T11:00:00Z");
}

#[test]
fn secrets_are_stored_as_hashes_alone() {
    let (server, root) = by_mode(Registration::Open);
    let ada = server.user("ada");
    let tokens = [invite(&root, json!({})), reset_token(&root, &ada)];
    server.checkpoint();
    let bytes = std::fs::read(server.database()).unwrap();
    for token in tokens {
        assert!(!bytes.windows(20).any(|window| window == &token.as_bytes()[5..25]), "a token is in the file");
    }
}

#[test]
fn what_an_administrator_handed_out_ends_with_the_right_to_hand_it_out() {
    let ends: [fn(&Client, &Client) -> Answer; 3] = [
        |root, admin| root.put(&admin.me(), json!({"role": "user"})),
        |root, admin| root.put(&admin.me(), json!({"disabled": true})),
        |root, admin| root.delete(&admin.me()),
    ];
    for end in ends {
        let (server, root) = by_mode(Registration::Invite);
        let admin = server.admin("admin");
        let (of_root, of_admin) = (invite(&root, json!({})), invite(&admin, json!({"role": "admin"})));
        let reset_one = reset_token(&admin, &root);

        assert!(end(&root, &admin).status < 300);

        server.anon().post("/users", invited("mallory", &of_admin)).is(400, "invalid_invitation");
        reset(&server.anon(), &reset_one, OTHER).is(400, "invalid_reset_token");
        server.anon().post("/users", invited("ada", &of_root)).is(201, "");
        assert_eq!(server.audit_count_of("invitation.deleted"), 1);
    }
}

#[test]
fn the_audit_log_shows_whose_invitation_let_somebody_in() {
    let (server, root) = by_mode(Registration::Invite);
    let admin = server.admin("admin");
    let token = invite(&admin, json!({}));
    let made = server.anon().post("/users", invited("ada", &token)).json();
    let spent = root.get("/audit?action=invitation.spent").json()["events"][0].clone();
    assert_eq!((&spent["actor"], &spent["subject"]), (&admin.id.into(), &made["id"]));
}

#[test]
fn an_invitation_for_another_address_costs_no_hash() {
    let (server, root) = by_mode(Registration::Invite);
    let token = invite(&root, json!({"email": "ada@example.com"}));
    let hashes = server.app.hashes();
    server.anon().post("/users", invited("eve", &token)).is(400, "invalid_invitation");
    assert_eq!(server.app.hashes(), hashes);
}

#[test]
fn many_invitations_are_created_at_once_each_for_one_account() {
    // given
    let (server, root) = by_mode(Registration::Invite);

    // when
    let made = root.post("/invitations", json!({"count": 20, "role": "admin", "expires_in": 60}));

    // then
    let made = made.is(201, "").json()["invitations"].as_array().unwrap().clone();
    let tokens: BTreeSet<&str> = made.iter().map(|one| one["token"].as_str().unwrap()).collect();
    let ids: BTreeSet<i64> = made.iter().map(|one| one["id"].as_i64().unwrap()).collect();
    assert_eq!((made.len(), tokens.len(), ids.len()), (20, 20, 20));
    assert!(made.iter().all(|one| one["role"] == "admin" && one["expires_at"] == "2026-11-22T10:01:00Z"));
    assert_eq!(root.get("/invitations").json()["invitations"].as_array().unwrap().len(), 20);
    for (n, token) in tokens.iter().take(2).enumerate() {
        server.anon().post("/users", invited(&format!("guest{n}"), token)).is(201, "");
        server.anon().post("/users", invited("late", token)).is(400, "invalid_invitation");
    }
    let entries: Vec<_> = server.audit().into_iter().filter(|entry| entry.action == "invitation.created").collect();
    assert_eq!(entries.iter().map(|entry| entry.count).collect::<Vec<_>>(), [20]);

    let most = root.post("/invitations", json!({"count": 100})).is(201, "").json();
    assert_eq!(most["invitations"].as_array().unwrap().len(), 100);
    let one = root.post("/invitations", json!({"count": 1, "email": "ada@example.com"})).is(201, "").json();
    assert_eq!(one["invitations"][0]["email"], "ada@example.com");
}

#[test]
fn too_many_invitations_or_many_for_one_address_are_refused_and_none_is_created() {
    let (server, root) = by_mode(Registration::Open);
    let (ada, before) = (server.user("ada"), server.rows());
    for count in [json!(0), json!(101), json!(-1), json!(1.5), json!("2"), Value::Null, json!(1e30)] {
        assert_eq!(root.post("/invitations", json!({"count": count})).faulty(), ["count"], "{count}");
    }
    let several = json!({"count": 2, "email": "ada@example.com"});
    assert_eq!(root.post("/invitations", several.clone()).faulty(), ["count"]);
    ada.post("/invitations", several).is(403, "forbidden");
    server.fail_after_invitations(5);
    root.post("/invitations", json!({"count": 6})).is(500, "internal_error");
    assert_eq!(server.rows(), before);
}
