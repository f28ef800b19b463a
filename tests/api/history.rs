//! What happened to an account, for its owner.

use crate::support::{Client, Server};
use serde_json::{Value, json};

fn history(client: &Client, of: &Client, query: &str) -> Vec<Value> {
    let answer = client.get(&format!("{}/history{query}", of.me()));
    answer.is(200, "").json()["events"].as_array().expect("a list").clone()
}

fn texts(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["text"].as_str().expect("a text")).collect()
}

#[test]
fn owners_read_what_they_did_and_what_was_done_to_them_in_words() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    server.anon().login("ada@example.com", "a wrong one").is(401, "invalid_credentials");
    server.flush();
    server.sign_in("ada");
    root.put(&ada.me(), json!({"display_name": "Ada"})).is(200, "");
    ada.put(&ada.me(), json!({"password": "another battery"})).is(200, "");
    root.send("POST", &format!("{}/unlock", ada.me()), &[], None).is(204, "");

    let events = history(&ada, &ada, "");

    assert_eq!(
        texts(&events),
        [
            "root unlocked your account",
            "You set a new password",
            "root changed your account",
            "You signed in",
            "Somebody failed to sign in to your account",
            "You signed in",
            "You registered",
        ]
    );
    let facts = |at: usize| ["action", "actor", "actor_username", "ip", "count"].map(|name| events[at][name].clone());
    assert_eq!(facts(0), [json!("user.unlocked"), json!("other"), json!("root"), Value::Null, json!(1)]);
    assert_eq!(facts(1), [json!("user.password_changed"), json!("owner"), Value::Null, json!("127.0.0.1"), json!(1)]);
    assert_eq!(
        facts(4),
        [json!("session.sign_in_failed"), json!("unknown"), Value::Null, json!("127.0.0.1"), json!(1)]
    );
    assert_eq!(history(&root, &ada, ""), events, "administrators read the same");
    let known = ["id", "at", "action", "actor", "actor_username", "ip", "count", "text"];
    assert!(events.iter().all(|event| event.as_object().expect("an object").keys().eq(known)), "{events:?}");
}

#[test]
fn other_users_are_not_named_to_one_another_but_to_administrators() {
    let server = Server::start();
    let (root, ada, eve) = (server.admin("root"), server.user("ada"), server.user("eve"));
    for target in [&ada, &root] {
        eve.send("POST", &format!("{}/unlock", target.me()), &[], None).is(403, "forbidden");
    }

    let of_ada = &history(&ada, &ada, "")[0];
    assert_eq!(of_ada["text"], "Somebody else asked for something about your account that is not allowed");
    assert_eq!(
        [&of_ada["actor"], &of_ada["actor_username"], &of_ada["ip"]],
        [&json!("other"), &Value::Null, &Value::Null]
    );
    let of_root = &history(&root, &root, "")[0];
    assert_eq!(of_root["text"], "eve asked for something about your account that is not allowed");
    assert_eq!([&of_root["actor_username"], &of_root["ip"]], [&json!("eve"), &Value::Null]);
    // An administrator who reads it for somebody sees what that one sees.
    assert_eq!(history(&root, &ada, "")[0]["actor_username"], Value::Null);
}

#[test]
fn one_who_was_an_administrator_reads_of_nobody_but_administrators() {
    let server = Server::start();
    let (root, ada, bob) = (server.admin("root"), server.admin("ada"), server.user("bob"));
    ada.put(&bob.me(), json!({"display_name": "Bob"})).is(200, "");
    assert_eq!(texts(&history(&ada, &ada, ""))[0], "You changed bob's account");
    root.put(&ada.me(), json!({"role": "user"})).is(200, "");
    assert_eq!(
        texts(&history(&ada, &ada, ""))[..2],
        ["root changed the role of your account", "You changed another account"]
    );
    let of_bob = &history(&bob, &bob, "")[0];
    assert_eq!([&of_bob["actor_username"], &of_bob["ip"]], [&Value::Null, &Value::Null], "what ada did as one");
    root.put(&root.me(), json!({"display_name": "Root"})).is(200, "");
    let by_one_who_is_none = history(&bob, &bob, "");
    assert_eq!(texts(&by_one_who_is_none)[0], "Somebody else changed your account");
}

#[test]
fn pages_have_each_entry_once() {
    let server = Server::start();
    let ada = server.user("ada");
    for _ in 0..10 {
        server.sign_in("ada");
        server.anon().login("ada@example.com", "a wrong one");
    }
    let all = history(&ada, &ada, "?limit=200");
    assert!(all.len() > 12, "{all:?}");
    let (mut walked, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ada.get(&format!("{}/history?limit=3{cursor}", ada.me())).is(200, "").json();
        walked.extend(page["events"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(walked, all);
}

#[test]
fn strangers_read_nothing_and_learn_nothing() {
    let server = Server::start();
    let (root, ada, eve) = (server.admin("root"), server.user("ada"), server.user("eve"));
    let of = |client: &Client, path: &str| client.get(&format!("{path}/history"));
    of(&server.anon(), &ada.me()).is(401, "authentication_required");
    let (there, not_there) = (of(&eve, &ada.me()), of(&eve, "/users/99999"));
    assert_eq!((there.is(404, "user_not_found").body.clone(), there.status), (not_there.body, not_there.status));
    of(&root, "/users/99999").is(404, "user_not_found");
    of(&root, "/users/abc").is(404, "user_not_found");
    for query in ["cursor=x", "limit=0", "limit=1&limit=1", "user=1", "action=session.signed_in"] {
        ada.get(&format!("{}/history?{query}", ada.me())).is(400, "validation_failed");
    }
}
