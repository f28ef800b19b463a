//! What is recorded, and how many entries a flood of guesses writes.

use super::{all_pages, events};
use crate::support::{
    Answer, Client, PASSWORD, Server,
    probes::{Entry, Probes},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use usher::domain::{Action, Registration};

/// Fails to sign in, without costing a hash.
fn guess(client: &Client) -> Answer {
    client.login("nobody@example.com", &"x".repeat(257))
}

/// What somebody did, which answer that had, and which entry of the log reports it.
type Deed = (&'static str, Answer, Option<i64>, Option<i64>);

/// What other tests record.
const ELSEWHERE: &[Action] = &[
    Action::AttemptThrottled,
    Action::UserImported,
    Action::DatabaseBackedUp,
    Action::AuditExported,
    Action::AppTokenCreated,
    Action::AppTokenRevoked,
    Action::GroupCreated,
    Action::GroupRenamed,
    Action::GroupDeleted,
    Action::GroupMemberAdded,
    Action::GroupMemberRemoved,
    Action::AppCreated,
    Action::AppChanged,
    Action::AppDeleted,
    Action::AppEntered,
    Action::EntryCodeRefused,
    Action::SetUp,
    Action::SetupLinkIssued,
];

#[test]
fn everything_that_is_to_be_recorded_is_by_ids_with_address_and_request_and_without_secrets() {
    // given
    let server = Server::start();
    let root = server.admin("root");
    server.sign_in("root"); // a second session, to be ended
    let known: i64 = server.newest_audit_id();
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
    let missing: Vec<_> =
        Action::ALL.iter().filter(|action| !seen.contains(action.as_str()) && !ELSEWHERE.contains(action)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let texts = format!("{:?}", server.audit());
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

    let rows = server.audit_count_of("session.sign_in_failed");
    assert_eq!(server.occurrences("session.sign_in_failed"), 1_200);
    assert!(rows <= 256 + 2 * 6 + 3, "{rows} entries for 1,200 guesses");
    let of_many = server.audit().into_iter().filter(|entry| entry.count > 1);
    let naming: Vec<Entry> = of_many.filter(|entry| entry.ip.is_some() || entry.request_id.is_some()).collect();
    assert!(naming.is_empty(), "an entry for many requests names none: {naming:?}");
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
    assert_eq!(server.audit_count_of("session.sign_in_failed"), 256);

    server.clock.advance(Duration::from_mins(1));
    let last = &events(&root, "action=session.sign_in_failed&limit=1")[0];
    assert_eq!(last["count"], 50);
}
