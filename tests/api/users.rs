//! Accounts: making, reading, changing and deleting them, as people and administrators do.

use crate::support::{
    Client, PASSWORD, Server,
    hostile::{attack, refused, request},
    probes::{Entry, Probes},
};
use serde_json::{Value, json};
use std::time::Duration;
use usher::domain::{Action, AuditEvent, ChainHash, UserId};

const FIELDS: [&str; 9] =
    ["id", "username", "email", "email_verified", "role", "disabled", "created_at", "updated_at", "last_login_at"];

fn new_user(name: &str) -> Value {
    json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD})
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

#[test]
fn registration_answers_with_the_account_its_place_and_its_revision() {
    let server = Server::start();

    let made = server.anon().post("/users", new_user("Ada"));

    assert_eq!(made.status, 201);
    assert_eq!((made.header("location"), made.header("etag")), ("/api/v1/users/1", "\"1.1\""));
    assert_eq!(
        made.json(),
        json!({
            "id": 1, "username": "Ada", "email": "Ada@example.com", "email_verified": false, "role": "user",
            "disabled": false, "created_at": "2026-11-22T10:00:00Z", "updated_at": "2026-11-22T10:00:00Z",
            "last_login_at": null
        })
    );
}

#[test]
fn no_answer_ever_holds_a_password_or_a_hash() {
    let server = Server::start();
    let ada = server.user("ada");
    let answers = [
        server.anon().post("/users", new_user("bob")),
        ada.get(&ada.me()),
        ada.get("/auth/me"),
        ada.put(&ada.me(), json!({"password": "another horse battery"})),
        server.anon().login("ada@example.com", "another horse battery"),
    ];
    for answer in answers {
        let text = String::from_utf8(answer.body).unwrap();
        assert!(!text.contains("argon2") && !text.contains("horse"), "{text}");
    }
}

#[test]
fn all_faulty_fields_are_reported_at_once() {
    let server = Server::start();
    let body = json!({"username": "-", "email": "nobody", "password": "short", "nickname": "x", "a b": 1});
    let refused = server.anon().post("/users", body);
    assert_eq!(refused.faulty(), ["(unknown)", "email", "nickname", "password", "username"]);
    assert_eq!(refused.json()["error"]["message"], "5 fields are invalid");
    assert_eq!(server.anon().post("/users", json!({})).faulty(), ["email", "password", "username"]);
    assert_eq!(server.user_count(), 0);
}

#[test]
fn a_field_of_the_wrong_type_or_null_is_refused_by_name() {
    let server = Server::start();
    for value in [json!(null), json!(1), json!(true), json!([]), json!({})] {
        for field in ["username", "email", "password"] {
            let refused = server.anon().post("/users", with(new_user("ada"), field, value.clone()));
            assert_eq!(refused.faulty(), [field], "{value}");
        }
    }
}

#[test]
fn a_field_that_comes_twice_is_refused_by_name() {
    let server = Server::start();
    let body =
        br#"{"username":"ada","email":"ada@example.com","email":"eve@example.com","password":"correct horse battery"}"#;
    let refused = server.anon().send("POST", "/users", &[("content-type", "application/json")], Some(body));
    assert_eq!(refused.faulty(), ["email"]);
}

#[test]
fn a_common_password_or_ones_own_name_is_no_password() {
    let server = Server::start();
    for password in ["Password1", "12345678", "ada.lovelace", "ADA.LOVELACE@example.com"] {
        let body = with(new_user("ada.lovelace"), "password", json!(password));
        assert_eq!(server.anon().post("/users", body).faulty(), ["password"], "{password}");
    }
    let lax = Server::with(|settings| settings.policy.passwords.blocklist = None);
    assert_eq!(lax.anon().post("/users", with(new_user("ada"), "password", json!("password"))).status, 201);
}

#[test]
fn a_password_is_counted_in_code_points_and_never_trimmed() {
    let server = Server::start();
    let register = |name: &str, password: &str| {
        server.anon().post("/users", with(new_user(name), "password", json!(password))).status
    };
    assert_eq!(register("a", &"é".repeat(7)), 400);
    assert_eq!(register("b", &"é".repeat(256)), 201);
    assert_eq!(register("c", &"é".repeat(257)), 400);
    assert_eq!(register("d", "nul\u{0}nul\u{0}nul"), 400);
    assert_eq!(register("e", "  two spaces  "), 201);
    server.anon().login("e@example.com", "two spaces").is(401, "invalid_credentials");
    assert_eq!(server.anon().login("e@example.com", "  two spaces  ").status, 200);
    assert_eq!(server.anon().login("b@example.com", &"é".repeat(256)).status, 200);
}

#[test]
fn names_and_addresses_are_unique_without_regard_to_case_and_kept_as_typed() {
    let server = Server::start();
    assert_eq!(server.anon().post("/users", new_user("Ada")).status, 201);
    let taken = |body: Value, code: &str| {
        server.anon().post("/users", body).is(409, code);
    };
    taken(json!({"username": "aDA", "email": "other@example.com", "password": PASSWORD}), "username_taken");
    taken(json!({"username": "other", "email": "ADA@EXAMPLE.COM", "password": PASSWORD}), "email_taken");
    taken(json!({"username": "ada", "email": "ada@example.com", "password": PASSWORD}), "username_taken");
}

#[test]
fn where_name_and_address_belong_to_two_others_the_name_is_said_to_be_taken() {
    let server = Server::start();
    let (_ada, _bob, cy) = (server.user("ada"), server.user("bob"), server.user("cy"));
    let both = json!({"username": "ADA", "email": "BOB@example.com", "password": PASSWORD});
    server.anon().post("/users", both).is(409, "username_taken");
    cy.put(&cy.me(), json!({"username": "ada", "email": "bob@example.com"})).is(409, "username_taken");
    cy.put(&cy.me(), json!({"email": "bob@example.com"})).is(409, "email_taken");
}

#[test]
fn an_address_is_verified_only_when_somebody_else_fixed_it() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let verified = |client: &Client, path: &str| client.get(path).json()["email_verified"].clone();
    assert_eq!(verified(&root, &root.me()), true, "made at the shell");
    assert_eq!(verified(&ada, &ada.me()), false, "typed by its owner");
    assert_eq!(root.post("/users", new_user("bob")).json()["email_verified"], true, "made by an administrator");

    root.put(&ada.me(), json!({"email": "ada@example.org"}));
    assert_eq!(verified(&ada, &ada.me()), true);
    ada.put(&ada.me(), json!({"email": "ada@example.org", "username": "ada2"}));
    assert_eq!(verified(&ada, &ada.me()), true, "the same address is no change");
    ada.put(&ada.me(), json!({"email": "Ada@example.org"}));
    assert_eq!(verified(&ada, &ada.me()), false);
    root.put(&root.me(), json!({"email": "root@example.org"}));
    assert_eq!(verified(&root, &root.me()), false, "an administrator's own is like any owner's");
}

#[test]
fn an_account_is_seen_by_its_owner_and_by_administrators() {
    let server = Server::start();
    let (root, ada, bob) = (server.admin("root"), server.user("ada"), server.user("bob"));

    for reader in [&ada, &root] {
        let answer = reader.get(&ada.me());
        assert_eq!(answer.status, 200);
        let body = answer.json();
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), FIELDS);
        assert_eq!(answer.header("etag"), format!("\"{}.1\"", ada.id));
    }
    bob.get(&ada.me()).is(404, "user_not_found");
    server.anon().get(&ada.me()).is(401, "authentication_required");
}

#[test]
fn put_changes_what_it_is_given_and_leaves_the_rest() {
    let server = Server::start();
    let ada = server.user("ada");
    server.clock.advance(Duration::from_mins(1));

    let changed = ada.put(&ada.me(), json!({"username": "countess"}));

    assert_eq!(changed.status, 200);
    assert_eq!(changed.header("etag"), format!("\"{}.2\"", ada.id));
    let body = changed.json();
    assert_eq!((&body["username"], &body["email"]), (&json!("countess"), &json!("ada@example.com")));
    assert_eq!(
        (&body["created_at"], &body["updated_at"]),
        (&json!("2026-11-22T10:00:00Z"), &json!("2026-11-22T10:01:00Z"))
    );
    assert_eq!(server.anon().login("ada@example.com", PASSWORD).status, 200);
}

#[test]
fn changing_nothing_is_fine_and_no_new_revision() {
    let server = Server::start();
    let ada = server.user("ada");
    server.clock.advance(Duration::from_hours(1));
    for body in [json!({}), json!({"username": "ada", "email": "ada@example.com"})] {
        let answer = ada.put(&ada.me(), body);
        assert_eq!((answer.status, answer.header("etag")), (200, format!("\"{}.1\"", ada.id).as_str()));
        assert_eq!(answer.json()["updated_at"], "2026-11-22T10:00:00Z");
    }
}

#[test]
fn a_sign_in_is_no_change_of_the_account() {
    let server = Server::start();
    let ada = server.user("ada");
    let answer = ada.get(&ada.me());
    assert_eq!(answer.header("etag"), format!("\"{}.1\"", ada.id));
    assert_eq!(answer.json()["last_login_at"], "2026-11-22T10:00:00Z");
}

#[test]
fn if_match_lets_a_change_through_only_from_the_revision_it_names() {
    let server = Server::start();
    let ada = server.user("ada");
    let (tag, stale) = (format!("\"{}.1\"", ada.id), format!("\"{}.9\"", ada.id));
    let body = |name: &str| json!({"username": name});

    for refused in [stale.clone(), format!("W/{tag}"), "\"x\"".into(), format!("\"{}.1\"", ada.id + 1)] {
        ada.put_if(&ada.me(), Some(&refused), body("x")).is(412, "precondition_failed");
        ada.send("DELETE", &ada.me(), &[("if-match", &refused)], None).is(412, "precondition_failed");
    }
    assert_eq!(ada.put_if(&ada.me(), Some(&tag), body("a")).status, 200);
    ada.put_if(&ada.me(), Some(&tag), body("b")).is(412, "precondition_failed");
    assert_eq!(ada.put_if(&ada.me(), Some("*"), body("c")).status, 200);
    let list = format!("{stale}, \"{}.3\"", ada.id);
    assert_eq!(ada.put_if(&ada.me(), Some(&list), body("d")).status, 200);
    let now = format!("\"{}.4\"", ada.id);
    assert_eq!(ada.send("DELETE", &ada.me(), &[("if-match", &now)], None).status, 204);
}

#[test]
fn faults_are_told_in_the_promised_order() {
    let server = Server::start();
    let (root, ada, _bob) = (server.admin("root"), server.user("ada"), server.user("bob"));
    let stale = Some("\"1.999\"");
    let nowhere = "/users/4711";

    server.anon().put_if(nowhere, stale, json!({"role": 1})).is(401, "authentication_required");
    ada.put_if(nowhere, stale, json!({"role": 1})).is(400, "validation_failed");
    ada.put_if(nowhere, stale, json!({"role": "admin"})).is(404, "user_not_found");
    ada.put_if(&ada.me(), stale, json!({"role": "admin", "username": "bob"})).is(403, "forbidden");
    ada.put_if(&ada.me(), stale, json!({"username": "bob"})).is(412, "precondition_failed");
    ada.put(&ada.me(), json!({"username": "bob"})).is(409, "username_taken");
    root.put_if(&root.me(), stale, json!({"role": "user"})).is(412, "precondition_failed");
    root.put(&root.me(), json!({"role": "user"})).is(409, "last_admin");
}

#[test]
fn role_and_disabled_are_for_administrators() {
    let server = Server::start();
    let (root, ada, bob) = (server.admin("root"), server.user("ada"), server.user("bob"));

    for body in
        [json!({"role": "user"}), json!({"role": "admin"}), json!({"disabled": false}), json!({"disabled": true})]
    {
        ada.put(&ada.me(), body.clone()).is(403, "forbidden");
        ada.put(&bob.me(), body).is(404, "user_not_found");
    }
    assert_eq!(root.put(&ada.me(), json!({"role": "admin"})).json()["role"], "admin");
    assert_eq!(ada.get(&bob.me()).status, 200, "the next request has the new role");
    assert_eq!(root.put(&ada.me(), json!({"role": "user"})).json()["role"], "user");
    ada.get(&bob.me()).is(404, "user_not_found");
}

#[test]
fn a_disabled_account_has_no_sessions_and_gets_none() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));

    assert_eq!(root.put(&ada.me(), json!({"disabled": true})).json()["disabled"], true);

    ada.get("/auth/me").is(401, "invalid_token");
    server.anon().login("ada@example.com", PASSWORD).is(401, "invalid_credentials");
    root.put(&ada.me(), json!({"disabled": false}));
    ada.get("/auth/me").is(401, "invalid_token");
    assert_eq!(server.anon().login("ada@example.com", PASSWORD).status, 200);
}

#[test]
fn the_last_enabled_administrator_stays() {
    let server = Server::start();
    let (root, other) = (server.admin("root"), server.admin("other"));
    root.put(&other.me(), json!({"disabled": true}));

    root.put(&root.me(), json!({"role": "user"})).is(409, "last_admin");
    root.put(&root.me(), json!({"disabled": true})).is(409, "last_admin");
    root.delete(&root.me()).is(409, "last_admin");

    root.put(&other.me(), json!({"disabled": false}));
    assert_eq!(root.delete(&root.me()).status, 204);
}

#[test]
fn changing_the_password_ends_the_other_sessions() {
    let server = Server::start();
    let (here, there) = (server.user("ada"), server.sign_in("ada"));

    assert_eq!(here.put(&here.me(), json!({"password": "another horse battery"})).status, 200);

    assert_eq!(here.get("/auth/me").status, 200);
    there.get("/auth/me").is(401, "invalid_token");
    server.anon().login("ada@example.com", PASSWORD).is(401, "invalid_credentials");
    assert_eq!(server.anon().login("ada@example.com", "another horse battery").status, 200);
}

#[test]
fn a_password_set_by_an_administrator_ends_all_sessions_of_the_account() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    assert_eq!(root.put(&ada.me(), json!({"password": "another horse battery"})).status, 200);
    ada.get("/auth/me").is(401, "invalid_token");
    assert_eq!(root.get("/auth/me").status, 200);
}

#[test]
fn setting_a_password_voids_reset_tokens() {
    let server = Server::start();
    let ada = server.user("ada");
    server.add_reset(ada.id);
    ada.put(&ada.me(), json!({"password": "another horse battery"}));
    assert_eq!(server.reset_count(), 0);
}

#[test]
fn ones_own_password_or_address_needs_a_fresh_sign_in_or_the_current_password() {
    let server = Server::start();
    let ada = server.user("ada");
    server.clock.advance(Duration::from_secs(15 * 60 + 1));
    let wanted = [json!({"password": "another horse battery"}), json!({"email": "ada@example.org"})];

    for body in &wanted {
        ada.put(&ada.me(), body.clone()).is(403, "reauthentication_required");
        let wrong = with(body.clone(), "current_password", json!("wrong horse battery"));
        ada.put(&ada.me(), wrong).is(403, "reauthentication_required");
    }
    assert_eq!(ada.put(&ada.me(), json!({"username": "ada2"})).status, 200, "a name does not need it");
    assert_eq!(ada.put(&ada.me(), json!({"email": "ada@example.com"})).status, 200, "nor the same address");
    for body in &wanted {
        let right = with(body.clone(), "current_password", json!(PASSWORD));
        let changed = ada.put(&ada.me(), right);
        assert_eq!(changed.status, 200, "{changed:?}");
        server.anon().login("ada@example.org", PASSWORD);
        if body.get("password").is_some() {
            ada.put(&ada.me(), json!({"password": PASSWORD, "current_password": "another horse battery"}));
        }
    }
}

#[test]
fn a_current_password_that_is_given_must_be_right() {
    let server = Server::start();
    let ada = server.user("ada");
    let body = json!({"password": "another horse battery", "current_password": "wrong horse battery"});
    ada.put(&ada.me(), body).is(403, "reauthentication_required");
    server.flush();
    let failed = server.audit_count_of("session.sign_in_failed");
    assert_eq!(failed, 1, "a wrong one counts as a failed sign-in");
}

#[test]
fn reauthentication_can_be_turned_off_and_is_not_asked_of_an_administrator_about_others() {
    let server = Server::with(|settings| settings.policy.reauthenticate_after = Duration::ZERO);
    let (root, ada) = (server.admin("root"), server.user("ada"));
    server.clock.advance(Duration::from_hours(24));
    assert_eq!(ada.put(&ada.me(), json!({"email": "ada@example.org"})).status, 200);

    let server = server.restart(|_| {});
    let root = Client::new(server.address, root.token, root.id);
    assert_eq!(root.put(&ada.me(), json!({"password": "another horse battery"})).status, 200);
    root.put(&root.me(), json!({"password": "another horse battery"})).is(403, "reauthentication_required");
}

#[test]
fn a_new_password_is_held_against_the_name_it_will_go_with() {
    let server = Server::start();
    let ada = server.user("ada.lovelace");
    assert_eq!(ada.put(&ada.me(), json!({"password": "Ada.Lovelace"})).faulty(), ["password"]);
    assert_eq!(ada.put(&ada.me(), json!({"username": "countess", "password": "COUNTESS"})).faulty(), ["password"]);
    let answer = ada.put(&ada.me(), json!({"username": "countess", "password": "ada.lovelace"}));
    assert_eq!(answer.status, 200, "the old name is a password like any other");
}

#[test]
fn a_deleted_account_is_gone_with_its_sessions_and_its_id_is_never_used_again() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));

    let gone = ada.delete(&ada.me());

    assert_eq!((gone.status, gone.body.len()), (204, 0));
    ada.get("/auth/me").is(401, "invalid_token");
    root.get(&ada.me()).is(404, "user_not_found");
    root.delete(&ada.me()).is(404, "user_not_found");
    assert_eq!(server.session_count_of(ada.id), 0);
    assert!(server.user("ada").id > ada.id);
}

#[test]
fn an_app_that_holds_a_token_cannot_delete_the_account_behind_it() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let bob = server.user("bob");
    server.clock.advance(Duration::from_mins(15) + Duration::from_millis(1));

    ada.delete(&ada.me()).is(403, "reauthentication_required");
    root.delete(&root.me()).is(403, "reauthentication_required");
    ada.send("DELETE", &ada.me(), &[("if-match", "\"1.99\"")], None).is(403, "reauthentication_required");
    assert_eq!(root.delete(&bob.me()).status, 204, "somebody else's is not the administrator's own");
    server.flush();
    assert_eq!(server.audit_count_about("access.denied", ada.id), 2);

    assert_eq!(server.sign_in("ada").delete(&ada.me()).status, 204);
}

#[test]
fn without_a_limit_any_session_may_delete_its_account() {
    let server = Server::with(|settings| settings.policy.reauthenticate_after = Duration::ZERO);
    let ada = server.user("ada");
    server.clock.advance(Duration::from_hours(24));
    assert_eq!(ada.delete(&ada.me()).status, 204);
}

#[test]
fn an_administrator_deletes_others() {
    let server = Server::start();
    let (root, ada, bob) = (server.admin("root"), server.user("ada"), server.user("bob"));
    ada.delete(&bob.me()).is(404, "user_not_found");
    assert_eq!(root.delete(&bob.me()).status, 204);
    bob.get("/auth/me").is(401, "invalid_token");
}

#[test]
fn changes_are_in_the_audit_log_by_id_and_without_secrets() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    root.put(&ada.me(), json!({"username": "ada2", "role": "admin", "disabled": true}));
    root.put(&ada.me(), json!({"role": "user", "disabled": false, "password": "another horse battery"}));
    root.delete(&ada.me());
    ada.put(&ada.me(), json!({}));

    let log = server.audit();
    let entries: Vec<_> = log.iter().map(|entry| (entry.action.as_str(), entry.actor, entry.subject)).collect();

    let (r, a) = (Some(root.id), Some(ada.id));
    let expected = [
        ("user.registered", None, r),
        ("session.signed_in", r, r),
        ("user.registered", None, a),
        ("session.signed_in", a, a),
        ("user.updated", r, a),
        ("user.role_changed", r, a),
        ("user.disabled", r, a),
        ("user.password_changed", r, a),
        ("user.role_changed", r, a),
        ("user.enabled", r, a),
        ("user.deleted", r, a),
    ];
    assert_eq!(entries, expected);
}

#[test]
fn refusals_are_in_the_audit_log() {
    let server = Server::start();
    let ada = server.user("ada");
    ada.put(&ada.me(), json!({"role": "admin"})).is(403, "forbidden");
    server.flush();
    let denied = |entry: &&Entry| {
        entry.action == "access.denied" && entry.actor == Some(ada.id) && entry.subject == Some(ada.id)
    };
    assert_eq!(server.audit().iter().filter(denied).count(), 1);
}

#[test]
fn every_entry_of_the_audit_log_contains_the_hash_of_the_one_before() {
    let server = Server::start();
    let ada = server.user("ada");
    server.anon().login("ada@example.com", "wrong horse battery");
    server.flush();
    ada.put(&ada.me(), json!({"username": "ada2"}));

    let (mut last, mut hash) = (0, ChainHash::START);
    for entry in server.audit() {
        let event = AuditEvent {
            at: entry.at,
            action: *Action::ALL.iter().find(|known| known.as_str() == entry.action).unwrap(),
            actor: entry.actor.and_then(UserId::new),
            subject: entry.subject.and_then(UserId::new),
            ip: entry.ip.map(|ip| ip.parse().unwrap()),
            request_id: entry.request_id.map(Into::into),
            count: entry.count,
        };
        assert_eq!(entry.id, last + 1);
        last += 1;
        hash = event.chain(last, &hash);
        assert_eq!(entry.hash, hash, "entry {last}");
    }
    assert_eq!(last, 4);
    assert_eq!(server.audit_head(), (last, hash));
}

#[test]
fn an_if_match_that_is_no_list_of_our_tags_matches_nothing() {
    let server = Server::start();
    let ada = server.user("ada");
    let header = format!("Authorization: Bearer {}", ada.token.as_deref().expect("a token"));
    let mut attacks = Vec::new();
    for tag in [
        "",
        "\"\"",
        "W/\"1.1\"",
        "1.1",
        "\"1.1",
        "\"1\"",
        "\"1.2\"",
        "\"2.1\"",
        "\"-1.1\"",
        "\"1.1.1\"",
        "\"+1.1\"",
        "\"1.99999999999999999999\"",
        "\u{e9}",
        "Canary7Zq",
        "\"**\"",
        ",,",
    ] {
        let if_match = format!("If-Match: {tag}");
        for (line, body) in [("PUT /api/v1/users/1", r#"{"username": "Canary7Zq"}"#), ("DELETE /api/v1/users/1", "")] {
            let bytes = request(line, &[&header, &if_match, "Content-Type: application/json"], body);
            attacks.push(attack(format!("{line} with {if_match}"), bytes, 412, "precondition_failed"));
        }
    }

    refused(&server, attacks);
}
