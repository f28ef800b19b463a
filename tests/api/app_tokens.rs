//! App tokens: who creates them, for which apps, and what revokes them.

use crate::support::{Answer, Client, PASSWORD, START, Server, probes::Probes};
use serde_json::{Value, json};
use std::time::Duration;
use usher::domain::Origin;

const DAY: Duration = Duration::from_hours(24);
const NOTES: &str = "http://notes.example";

/// A server with an app that everyone may enter.
fn server() -> Server {
    let server = Server::start();
    server.add_app("Notes", NOTES, "everyone");
    server
}

fn tokens(user: &Client) -> String {
    format!("{}/app-tokens", user.me())
}

fn create(user: &Client, body: Value) -> Answer {
    user.post(&tokens(user), body)
}

fn new() -> Value {
    json!({"name": "Player", "app_id": 1})
}

fn with(field: &str, value: Value) -> Value {
    let mut body = new();
    body[field] = value;
    body
}

fn names(list: &Answer) -> Vec<String> {
    let listed = list.json()["app_tokens"].as_array().unwrap().clone();
    listed.iter().map(|token| token["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_app_token_is_created_shown_once_listed_and_revoked() {
    let server = server();
    let (root, ada) = (server.admin("root"), server.user("ada"));

    let made = create(&ada, with("expires_in", json!(3_600))).is(201, "").json();

    let secret = made["token"].as_str().unwrap();
    assert!(secret.starts_with("ushp_") && secret.len() == 54, "{secret}");
    let mut expected = json!({"id": 1, "name": "Player", "app_id": 1, "app_name": "Notes",
        "created_at": made["created_at"], "expires_at": made["expires_at"], "last_used_at": null});
    let seconds = |field: &str| usher::domain::Timestamp::parse(made[field].as_str().unwrap()).unwrap().as_millis();
    assert_eq!((seconds("created_at"), seconds("expires_at")), (START, START + 3_600_000));
    for reader in [&ada, &root] {
        assert_eq!(reader.get(&tokens(&ada)).is(200, "").json(), json!({"app_tokens": [expected]}));
    }
    assert_eq!(root.get(&tokens(&root)).is(200, "").json(), json!({"app_tokens": []}));
    expected["token"] = secret.into();
    assert_eq!(made, expected);
    assert!(!server.rows().iter().any(|row| row.contains(secret)), "only its hash is stored");

    let forever = create(&ada, with("name", "\u{43f}\u{43b}\u{435}\u{435}\u{440} \u{1f3b5}".into())).is(201, "").json();
    assert_eq!((&forever["id"], &forever["expires_at"]), (&json!(2), &Value::Null));
    assert_eq!(names(&ada.get(&tokens(&ada))), ["\u{43f}\u{43b}\u{435}\u{435}\u{440} \u{1f3b5}", "Player"]);
    ada.delete(&format!("{}/1", tokens(&ada))).is(204, "");
    ada.delete(&format!("{}/1", tokens(&ada))).is(404, "app_token_not_found");
    root.delete(&format!("{}/2", tokens(&root))).is(404, "app_token_not_found");
    root.delete(&format!("{}/2", tokens(&ada))).is(204, "");
    assert_eq!(create(&ada, new()).json()["id"], 3, "an id is never used again");
    assert_eq!(server.audit_count_about("app_token.created", ada.id), 3);
    assert_eq!(server.audit_count_about("app_token.revoked", ada.id), 2);
}

#[test]
fn it_opens_nothing_here() {
    let server = server();
    let root = server.admin("root");
    let secret = create(&root, new()).json()["token"].as_str().unwrap().to_owned();
    let before = server.rows();
    for header in [format!("Bearer {secret}"), secret.clone()] {
        for path in ["/auth/me", "/users", "/auth/verify", &tokens(&root)] {
            let answer = server.anon().send("GET", path, &[("authorization", &header)], None);
            answer.is(401, "invalid_token");
        }
    }
    assert_eq!(server.rows(), before);
}

#[test]
fn only_an_app_that_the_account_may_enter_is_found() {
    let server = Server::with(|settings| {
        settings.policy.public_url = Some(Origin::parse("http://auth.example").unwrap());
    });
    let (root, ada) = (server.admin("root"), server.user("ada"));
    for (name, access) in [("all", "everyone"), ("staff", "admins"), ("kin", "groups"), ("auth", "everyone")] {
        server.add_app(name, &format!("http://{name}.example"), access);
    }
    let tries = |user: &Client| [1, 2, 3, 4, 99].map(|app| create(user, with("app_id", app.into())));
    let statuses = |answers: &[Answer]| answers.iter().map(|answer| answer.status).collect::<Vec<_>>();

    let refused = tries(&ada);

    assert_eq!(statuses(&refused), [201, 404, 404, 404, 404]);
    assert!(refused[1..].iter().all(|answer| answer.body == refused[4].body), "whether it exists stays unknown");
    refused[1].is(404, "app_not_found");
    assert_eq!(statuses(&tries(&root)), [201, 201, 404, 404, 404]);
    server.let_in(ada.id, "kin");
    assert_eq!(statuses(&tries(&ada)), [201, 404, 201, 404, 404]);
    server.leave_groups(ada.id);
    assert_eq!(create(&ada, with("app_id", 3.into())).status, 404);
    assert_eq!(names(&ada.get(&tokens(&ada))).len(), 3, "what was created before is still listed");
}

/// What may end something: its name, what is done to the second of two accounts, and whether app tokens stay.
type End = (&'static str, fn(&Server, &Client, &Client, &str) -> u16, bool);

#[test]
fn what_ends_all_sessions_revokes_app_tokens_and_nothing_less_does() {
    let server = server();
    let root = server.admin("root");
    let group = root.post("/groups", json!({"name": "staff"})).header("location").to_owned();
    let group = group.strip_prefix("/api/v1").unwrap();
    let ends: [End; 9] = [
        ("sign-out", |_, ada, _, _| ada.post("/auth/logout", json!({})).status, true),
        ("the others", |_, ada, _, _| ada.delete("/auth/sessions").status, true),
        ("own password", |_, ada, _, _| ada.put(&ada.me(), json!({"password": "another horse battery"})).status, true),
        ("role", |_, ada, root, _| root.put(&ada.me(), json!({"role": "admin"})).status, true),
        ("all of one", |_, ada, root, _| root.delete(&format!("{}/sessions", ada.me())).status, false),
        (
            "all of a group",
            |_, ada, root, group| {
                root.send("PUT", &format!("{group}/members/{}", ada.id), &[], None).is(204, "");
                root.delete(&format!("{group}/sessions")).status
            },
            false,
        ),
        ("disabled", |_, ada, root, _| root.put(&ada.me(), json!({"disabled": true})).status, false),
        (
            "password by an administrator",
            |_, ada, root, _| root.put(&ada.me(), json!({"password": "another horse battery"})).status,
            false,
        ),
        (
            "reset",
            |server, ada, root, _| {
                let issued = root.send("POST", &format!("{}/password-reset", ada.me()), &[], None).json();
                let body = json!({"token": issued["token"], "password": "another horse battery"});
                server.anon().post("/auth/password-reset", body).status
            },
            false,
        ),
    ];
    for (n, (name, end, stays)) in ends.into_iter().enumerate() {
        let ada = server.user(&format!("ada{n}"));
        create(&root, new()).is(201, "");
        for _ in 0..2 {
            create(&ada, new()).is(201, "");
        }

        assert!(end(&server, &ada, &root, group) < 300, "{name}");

        let left = names(&root.get(&tokens(&ada))).len();
        assert_eq!(left, if stays { 2 } else { 0 }, "{name}");
        let revoked = root.get(&format!("/audit?action=app_token.revoked&user={}", ada.id)).json();
        let counts: Vec<_> = revoked["events"].as_array().unwrap().iter().map(|event| event["count"].clone()).collect();
        assert_eq!(counts, if stays { vec![] } else { vec![json!(2)] }, "{name}");
        assert_eq!(names(&root.get(&tokens(&root))).len(), n + 1, "{name}: others keep theirs");
    }
}

#[test]
fn they_go_with_their_account_and_with_their_app() {
    let server = server();
    server.add_app("Wiki", "http://wiki.example", "everyone");
    let (root, ada) = (server.admin("root"), server.user("ada"));
    for (user, app) in [(&root, 1), (&root, 2), (&ada, 1), (&ada, 2)] {
        create(user, with("app_id", app.into())).is(201, "");
    }
    root.delete("/apps/2").is(204, "");
    assert_eq!(server.app_token_count(), 2);
    ada.delete(&ada.me()).is(204, "");
    assert_eq!(server.app_token_count(), 1);
    assert_eq!(names(&root.get(&tokens(&root))).len(), 1);
    root.get(&tokens(&ada)).is(404, "user_not_found");
}

#[test]
fn one_that_has_expired_is_not_there() {
    let server = server();
    let ada = server.user("ada");
    create(&ada, with("expires_in", json!(60))).is(201, "");
    create(&ada, new()).is(201, "");
    server.clock.advance(Duration::from_millis(59_999));
    assert_eq!(names(&ada.get(&tokens(&ada))).len(), 2);

    server.clock.advance(Duration::from_millis(1));

    assert_eq!(names(&ada.get(&tokens(&ada))).len(), 1);
    ada.delete(&format!("{}/1", tokens(&ada))).is(404, "app_token_not_found");
    server.clock.advance(300 * DAY);
    let ada = server.sign_in("ada");
    assert_eq!(names(&ada.get(&tokens(&ada))).len(), 1, "the other one never does");
}

#[test]
fn an_account_can_have_a_hundred_and_those_that_have_expired_make_room() {
    let server = Server::with(|settings| settings.policy.throttle = false);
    server.add_app("Notes", NOTES, "everyone");
    let (ada, bob) = (server.user("ada"), server.user("bob"));
    for n in 0..100 {
        let body = if n == 50 { with("expires_in", json!(60)) } else { new() };
        create(&ada, body).is(201, "");
    }
    let before = server.rows();
    create(&ada, new()).is(409, "too_many_app_tokens");
    assert_eq!(server.rows(), before);
    create(&bob, new()).is(201, "");

    server.clock.advance(Duration::from_mins(1));
    create(&ada, new()).is(201, "");
    create(&ada, new()).is(409, "too_many_app_tokens");
    assert_eq!(server.app_token_count(), 101);
    ada.delete(&format!("{}/1", tokens(&ada))).is(204, "");
    create(&ada, new()).is(201, "");
}

#[test]
fn hostile_fields_and_ids_are_refused() {
    let server = server();
    let ada = server.user("ada");
    create(&ada, new()).is(201, "");
    let before = server.rows();
    let long = "a".repeat(101);
    for name in ["", " ", " a", "a ", "a\0", "a\nb", "\u{1b}[2J", "\u{202e}a", "\u{200b}", "\u{feff}", &long] {
        assert_eq!(create(&ada, with("name", name.into())).faulty(), ["name"], "{name:?}");
    }
    for (field, values) in [
        ("name", json!([null, 1, ["a"], {}, true])),
        ("app_id", json!([null, "1", 0, -1, 1.5, 9_223_372_036_854_775_808_u64, [1], true])),
        ("expires_in", json!([null, "60", 0, -1, 1.5, 31_536_001, 1e99, true])),
    ] {
        for value in values.as_array().unwrap() {
            assert_eq!(create(&ada, with(field, value.clone())).faulty(), [field], "{value}");
        }
    }
    assert_eq!(create(&ada, json!({})).faulty(), ["app_id", "name"]);
    for field in ["id", "token", "user_id", "created_at", "last_used_at", "scope"] {
        assert_eq!(create(&ada, with(field, json!(1))).faulty(), [field]);
    }
    create(&ada, with("app_id", json!(i64::MAX))).is(404, "app_not_found");
    for id in ["0", "01", "+1", "-1", "1e3", "99", "Player", "1%00", "\u{202e}"] {
        ada.delete(&format!("{}/{id}", tokens(&ada))).is(404, "app_token_not_found");
    }
    assert_eq!(server.rows(), before);
}

#[test]
fn markup_in_a_name_comes_back_as_it_was_sent() {
    let server = server();
    let ada = server.user("ada");
    for name in ["<script>alert(1)</script>", "'; DROP TABLE app_tokens; --", "{{7*7}}", "\u{1f3b5}\u{fe0f}"] {
        assert_eq!(create(&ada, with("name", name.into())).is(201, "").json()["name"], name);
    }
    assert_eq!(names(&ada.get(&tokens(&ada))).len(), 4);
}

#[test]
fn one_with_a_name_that_can_not_be_read_is_still_listed_and_revoked() {
    let server = server();
    let ada = server.user("ada");
    create(&ada, new()).is(201, "");
    server.damage_app_tokens();
    assert_eq!(names(ada.get(&tokens(&ada)).is(200, "")), ["damaged-1"]);
    ada.delete(&format!("{}/1", tokens(&ada))).is(204, "");
}

#[test]
fn strangers_learn_nothing_about_the_app_tokens_of_others() {
    let server = server();
    let (ada, eve) = (server.user("ada"), server.user("eve"));
    create(&ada, new()).is(201, "");
    let before = server.rows();
    let asked = |user: &str| {
        let path = format!("/users/{user}/app-tokens");
        let one = format!("{path}/1");
        [eve.get(&path), eve.post(&path, new()), eve.delete(&one)].map(|answer| (answer.status, answer.body))
    };
    let answers = [ada.id.to_string(), "99999".into(), "0".into(), "abc".into()].map(|user| asked(&user));
    assert!(answers.iter().all(|answer| *answer == answers[0]) && answers[0][0].0 == 404, "{answers:?}");
    assert_eq!(server.rows(), before);
    assert_eq!(server.anon().login("ada@example.com", PASSWORD).status, 200);
}
