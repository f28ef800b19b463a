//! Groups: who manages them, who is in them, and what follows from it.

use crate::support::{Client, Server, probes::Probes};
use serde_json::{Value, json};

/// Creates a group, and returns its path.
#[track_caller]
fn group(root: &Client, name: &str) -> String {
    let made = root.post("/groups", json!({"name": name}));
    made.is(201, "").header("location").strip_prefix("/api/v1").unwrap().to_owned()
}

fn member(group: &str, user: &Client) -> String {
    format!("{group}/members/{}", user.id)
}

#[track_caller]
fn join(root: &Client, group: &str, user: &Client) {
    root.send("PUT", &member(group, user), &[], None).is(204, "");
}

fn groups_of(answer: &Value) -> Vec<&str> {
    answer["groups"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

fn told(user: &Client) -> String {
    user.get("/auth/verify").is(200, "").headers["remote-groups"].to_str().unwrap().to_owned()
}

#[test]
fn a_group_is_created_read_renamed_listed_and_deleted() {
    let server = Server::start();
    let root = server.admin("root");

    let made = root.post("/groups", json!({"name": "Family"}));
    assert_eq!((made.status, made.header("location")), (201, "/api/v1/groups/1"));
    assert_eq!(made.json(), json!({"id": 1, "name": "Family"}));
    assert_eq!(root.get("/groups/1").is(200, "").json(), made.json());
    assert_eq!(root.put("/groups/1", json!({})).is(200, "").json(), made.json());
    assert_eq!(root.put("/groups/1", json!({"name": "family"})).is(200, "").json()["name"], "family");
    assert_eq!(root.put("/groups/1", json!({"name": "kin"})).is(200, "").json()["name"], "kin");
    group(&root, "friends");
    assert_eq!(
        root.get("/groups").is(200, "").json(),
        json!({"groups": [{"id": 1, "name": "kin"}, {"id": 2, "name": "friends"}], "next_cursor": null})
    );
    let page = root.get("/groups?limit=1").json();
    let rest = root.get(&format!("/groups?limit=1&cursor={}", page["next_cursor"].as_str().unwrap())).json();
    assert_eq!((&page["groups"][0]["id"], &rest["groups"][0]["id"]), (&json!(1), &json!(2)));
    assert_eq!(rest["next_cursor"], Value::Null);
    root.delete("/groups/1").is(204, "");
    root.delete("/groups/1").is(404, "group_not_found");
    assert_eq!(group(&root, "kin"), "/groups/3", "an id is never used again");

    let counts = ["created", "renamed", "deleted"].map(|what| server.audit_count_of(&format!("group.{what}")));
    assert_eq!(counts, [3, 2, 1], "what changed nothing is not on record");
}

#[test]
fn names_are_unique_without_regard_to_case_and_as_plain_as_usernames() {
    let server = Server::start();
    let root = server.admin("root");
    group(&root, "Family");
    let other = group(&root, "other");
    for name in ["family", "FAMILY", "Family"] {
        root.post("/groups", json!({"name": name})).is(409, "group_name_taken");
        root.put(&other, json!({"name": name})).is(409, "group_name_taken");
    }
    let (long, fits) = ("a".repeat(65), "a".repeat(64));
    for name in ["", " ", " a", "a b", "a,b", "a\0b", "a\r\nb", "\u{202e}a", "\u{212a}in", "fam\u{131}ly", "_a", &long]
    {
        assert_eq!(root.post("/groups", json!({"name": name})).faulty(), ["name"], "{name:?}");
        assert_eq!(root.put(&other, json!({"name": name})).faulty(), ["name"], "{name:?}");
    }
    for name in [Value::Null, json!(1), json!(["a"]), json!({})] {
        assert_eq!(root.post("/groups", json!({"name": name})).faulty(), ["name"]);
    }
    assert_eq!(root.post("/groups", json!({})).faulty(), ["name"]);
    assert_eq!(root.post("/groups", json!({"name": "a", "id": 7})).faulty(), ["id"]);
    for path in ["/groups/0", "/groups/01", "/groups/+1", "/groups/-1", "/groups/1e3", "/groups/99", "/groups/family"] {
        root.get(path).is(404, "group_not_found");
        root.put(path, json!({"name": "x"})).is(404, "group_not_found");
        root.delete(path).is(404, "group_not_found");
        root.get(&format!("{path}/members")).is(404, "group_not_found");
        root.delete(&format!("{path}/sessions")).is(404, "group_not_found");
        root.send("PUT", &format!("{path}/members/1"), &[], None).is(404, "group_not_found");
        root.delete(&format!("{path}/members/1")).is(404, "group_not_found");
    }
    root.get("/groups?cursor=eA").is(400, "validation_failed");
    root.post("/groups", json!({"name": fits})).is(201, "");
}

#[test]
fn a_membership_acts_on_the_next_request_and_is_on_record() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let (zoo, family) = (group(&root, "Zoo"), group(&root, "family"));
    let tag = ada.get("/auth/me").header("etag").to_owned();
    assert_eq!((groups_of(&ada.get("/auth/me").json()), told(&ada)), (vec![], String::new()));

    join(&root, &zoo, &ada);
    join(&root, &family, &ada);
    join(&root, &family, &ada);

    let expected = ["family", "Zoo"];
    assert_eq!(groups_of(&ada.get("/auth/me").json()), expected);
    assert_eq!(groups_of(&ada.get(&ada.me()).json()), expected);
    assert_eq!(groups_of(&root.get(&ada.me()).json()), expected);
    assert_eq!(groups_of(&root.get("/users").json()["users"][1]), expected);
    assert_eq!(groups_of(&root.get("/users?q=ad").json()["users"][0]), expected);
    assert_eq!(groups_of(&root.put(&ada.me(), json!({})).json()), expected);
    assert_eq!(groups_of(&ada.put(&ada.me(), json!({"display_name": "A"})).json()), expected);
    assert_eq!(groups_of(&server.anon().login("ada@example.com", crate::support::PASSWORD).json()["user"]), expected);
    let members = root.get(&format!("{family}/members")).is(200, "").json();
    assert_eq!((members["users"].as_array().unwrap().len(), groups_of(&members["users"][0])), (1, expected.to_vec()));
    assert_eq!(groups_of(&root.get("/users").json()["users"][0]), Vec::<&str>::new());
    assert_eq!(told(&ada), "family,zoo");
    assert_ne!(tag, "");

    root.put(&family, json!({"name": "Kin"})).is(200, "");
    assert_eq!(told(&ada), "kin,zoo");
    root.delete(&member(&zoo, &ada)).is(204, "");
    assert_eq!(told(&ada), "kin");
    root.delete(&member(&zoo, &ada)).is(404, "user_not_found");
    root.delete(&family).is(204, "");
    assert_eq!(told(&ada), "");
    assert_eq!(server.audit_count_about("group.member_added", ada.id), 2);
    assert_eq!(server.audit_count_about("group.member_removed", ada.id), 1);
    for user in ["0", "abc", "999999"] {
        root.send("PUT", &format!("{zoo}/members/{user}"), &[], None).is(404, "user_not_found");
    }
    join(&root, &zoo, &ada);
    root.delete(&ada.me()).is(204, "");
    assert_eq!(root.get(&format!("{zoo}/members")).json()["users"], json!([]));
}

#[test]
fn members_are_listed_page_by_page() {
    let server = Server::start();
    let root = server.admin("root");
    let group = group(&root, "all");
    let users: Vec<Client> = ["a", "b", "c"].map(|name| server.user(name)).into();
    users.iter().rev().for_each(|user| join(&root, &group, user));
    let (mut found, mut cursor) = (vec![], String::new());
    loop {
        let page = root.get(&format!("{group}/members?limit=2{cursor}")).is(200, "").json();
        found.extend(page["users"].as_array().unwrap().iter().map(|user| user["id"].as_i64().unwrap()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(found, users.iter().map(|user| user.id).collect::<Vec<_>>());
    root.get(&format!("{group}/members?cursor=eA")).is(400, "validation_failed");
    root.get(&format!("{group}/members?q=a")).is(400, "validation_failed");
}

/// The header with the names must fit into what proxies have room for.
#[test]
fn an_account_is_in_32_groups_at_most() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let groups: Vec<String> = (0..33).map(|n| group(&root, &format!("{}{n:02}", "g".repeat(62)))).collect();
    groups[..32].iter().for_each(|group| join(&root, group, &ada));

    root.send("PUT", &member(&groups[32], &ada), &[], None).is(409, "too_many_groups");

    join(&root, &groups[0], &ada);
    assert_eq!((told(&ada).split(',').count(), told(&ada).len()), (32, 32 * 65 - 1));
    root.delete(&groups[0]).is(204, "");
    join(&root, &groups[32], &ada);
}

#[test]
fn the_sessions_of_a_group_end_at_once_and_no_others() {
    let server = Server::start();
    let (root, ada, bob, eve) = (server.admin("root"), server.user("ada"), server.user("bob"), server.user("eve"));
    let group = group(&root, "staff");
    let disabled = server.user("cy");
    for member in [&disabled, &ada, &bob] {
        join(&root, &group, member);
    }
    root.put(&disabled.me(), json!({"disabled": true})).is(200, "");
    server.sign_in("bob");

    root.delete(&format!("{group}/sessions")).is(204, "");

    for user in [&ada, &bob] {
        user.get("/auth/me").is(401, "invalid_token");
        assert_eq!(server.audit_count_about("session.revoked", user.id), 1);
    }
    assert_eq!(server.audit_count_about("session.revoked", disabled.id), 0);
    for user in [&eve, &root] {
        user.get("/auth/me").is(200, "");
    }
    assert_eq!(server.session_count(), 2);
}

#[test]
fn a_group_that_can_not_be_read_is_named_and_lets_nobody_in() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let (good, bad) = (group(&root, "good"), group(&root, "bad"));
    join(&root, &good, &ada);
    join(&root, &bad, &ada);
    server.damage_group(2);

    assert_eq!(told(&ada), "good");
    root.get(&bad).is(500, "internal_error");
    root.get("/groups").is(500, "internal_error");
    root.delete(&member(&bad, &ada)).is(204, "");
    root.put(&bad, json!({"name": "bad"})).is(200, "");
    root.get("/groups").is(200, "");
}
