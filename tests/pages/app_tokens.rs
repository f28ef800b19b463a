//! App tokens at the doors of apps: what native clients show, and which request may carry it.

use crate::support::{
    PASSWORD, Server,
    apps::{MUSIC, NAVIGATION, NOTES, Visitor},
    person::Page,
    probes::Probes,
};
use base64ct::{Base64, Encoding};
use serde_json::{Value, json};
use std::time::Duration;
use usher::domain::AppTokenSecret;

const BASIC: &str = "Basic realm=\"app token\", charset=\"UTF-8\"";

/// An app token of an account for an app, and where it is.
fn token(server: &Server, name: &str, app: i64) -> (String, String) {
    let owner = server.sign_in(name);
    let path = format!("{}/app-tokens", owner.me());
    let made = owner.post(&path, json!({"name": "git", "app_id": app})).is(201, "").json();
    (made["token"].as_str().unwrap().to_owned(), format!("{path}/{}", made["id"]))
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", Base64::encode_string(format!("{username}:{password}").as_bytes()))
}

fn ask(server: &Server, app: &str, method: &str, headers: &[(&str, &str)]) -> Page {
    Visitor::new(server).verify(app, method, "/x", headers)
}

fn status(server: &Server, app: &str, authorization: &str) -> u16 {
    ask(server, app, "GET", &[("authorization", authorization)]).status
}

fn challenges(answer: &Page) -> Vec<&str> {
    answer.headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap()).collect()
}

#[test]
fn a_native_client_enters_the_app_of_its_token_and_no_other() {
    let server = Server::with_apps();
    server.user("ada");
    let (secret, _) = token(&server, "ada", 1);
    for shown in [
        basic("any", &secret),
        basic("", &secret),
        basic("\u{43a}\u{442}\u{43e}", &secret),
        basic("ush_x", &secret),
        format!("Bearer {secret}"),
        format!("bearer  {secret}"),
        secret.clone(),
    ] {
        let answer = ask(&server, NOTES, "GET", &[("authorization", &shown)]);
        assert_eq!((answer.status, answer.header("remote-user"), answer.header("remote-user-id")), (200, "ada", "1"));
        assert_eq!((answer.header("remote-role"), answer.header("remote-groups")), ("user", ""));
        let elsewhere = ask(&server, MUSIC, "GET", &[("authorization", &shown)]);
        assert!(elsewhere.status == 401 && elsewhere.body.contains("invalid_token"), "{shown}: {elsewhere:?}");
        assert_eq!(status(&server, "http://notes.example.test", &shown), 403, "another scheme");
        assert_eq!(status(&server, "https://unknown.example.test", &shown), 403, "no app at all");
    }
}

#[test]
fn what_is_no_app_token_of_the_app_is_refused_where_it_begins_as_ours_and_else_left_to_the_app() {
    let server = Server::with_apps();
    let ada = server.user("ada");
    let (secret, _) = token(&server, "ada", 1);
    let visitor = Visitor::signed_in(&server, "ada");
    visitor.go(NOTES, "/").unwrap();
    let asks = |values: &[&str]| {
        let headers: Vec<_> = values.iter().map(|value| ("authorization", *value)).collect();
        visitor.verify(NOTES, "GET", "/", &headers).status
    };
    let session = ada.token.unwrap();
    for ours in [
        basic("any", "ushp_x"),
        basic("any", &secret[..secret.len() - 1]),
        basic("any", &secret.to_lowercase()),
        basic("any", &format!("{secret} ")),
        basic("any", AppTokenSecret::generate().reveal()),
        basic("any", &session),
        basic("any", "ushb_x"),
        format!("Bearer {}", AppTokenSecret::generate().reveal()),
        format!("Bearer {secret} x"),
        format!("{secret}, {secret}"),
    ] {
        assert_eq!(asks(&[&ours]), 401, "{ours}");
    }
    let good = basic("any", &secret);
    for two in [[&*good, "Basic YTpi"], ["Basic YTpi", &good], [&good, &good], [&good, &secret], ["x", &secret]] {
        assert_eq!(asks(&two), 401, "{two:?}");
    }
    for of_the_app in
        [basic("ada", "a password"), basic(&secret, ""), basic("any", &format!("x{secret}")), "Basic !".into()]
    {
        assert_eq!(asks(&[&of_the_app]), 200, "{of_the_app}");
        assert_eq!(status(&server, NOTES, &of_the_app), 401, "{of_the_app}");
    }
}

#[test]
fn it_opens_nothing_where_no_proxy_that_is_trusted_forwards_an_origin() {
    let server = Server::with_apps();
    server.user("ada");
    let (secret, path) = token(&server, "ada", 1);
    let before = server.rows();
    for shown in [format!("Bearer {secret}"), basic("any", &secret)] {
        for path in ["/auth/verify", "/auth/me", path.rsplit_once('/').unwrap().0] {
            assert_eq!(server.anon().send("GET", path, &[("authorization", &shown)], None).status, 401, "{path}");
        }
    }
    let stranger = Server::with(crate::support::person::pages);
    stranger.add_app("Notes", NOTES, "everyone");
    stranger.user("ada");
    let (secret, _) = token(&stranger, "ada", 1);
    assert_eq!(status(&stranger, NOTES, &basic("any", &secret)), 401, "the peer is not trusted");
    assert_eq!(server.rows(), before);
}

#[test]
fn what_happens_to_token_account_or_app_acts_on_the_next_request() {
    type Change = fn(&Server, &crate::support::Client, &str);
    let changes: [(Change, u16); 8] = [
        (
            |_, root, path| {
                root.delete(path).is(204, "");
            },
            401,
        ),
        (
            |_, root, _| {
                root.put("/users/2", json!({"disabled": true})).is(200, "");
            },
            401,
        ),
        (
            |_, root, _| {
                root.delete("/users/2").is(204, "");
            },
            401,
        ),
        (
            |_, root, _| {
                root.delete("/users/2/sessions").is(204, "");
            },
            401,
        ),
        (
            |_, root, _| {
                root.delete("/apps/1").is(204, "");
            },
            403,
        ),
        (
            |_, root, _| {
                root.put("/apps/1", json!({"access": "admins"})).is(200, "");
            },
            403,
        ),
        (
            |_, root, _| {
                root.put("/apps/1", json!({"url": "https://other.example"})).is(200, "");
            },
            403,
        ),
        (|server, _, _| server.clock.advance(Duration::from_hours(24 * 400)), 200),
    ];
    for (n, (change, after)) in changes.into_iter().enumerate() {
        let server = Server::with_apps();
        let root = server.admin("root");
        server.user("ada");
        let (secret, path) = token(&server, "ada", 1);
        assert_eq!(status(&server, NOTES, &basic("any", &secret)), 200);

        change(&server, &root, &path);

        assert_eq!(status(&server, NOTES, &basic("any", &secret)), after, "change {n}");
    }
}

#[test]
fn one_that_has_expired_or_whose_owner_lacks_the_role_lets_nobody_in() {
    let server = Server::with_apps();
    let ada = server.user("ada");
    let path = format!("{}/app-tokens", ada.me());
    let made = ada.post(&path, json!({"name": "x", "app_id": 1, "expires_in": 60})).json();
    let shown = basic("any", made["token"].as_str().unwrap());
    let as_admin = || {
        let headers = [
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "notes.example.test"),
            ("x-forwarded-method", "GET"),
            ("authorization", shown.as_str()),
        ];
        server.anon().send("GET", "/auth/verify?role=admin", &headers, None).status
    };
    assert_eq!((status(&server, NOTES, &shown), as_admin()), (200, 403));
    server.flush();
    assert_eq!(server.audit_count_by("access.denied", ada.id), 1);
    server.admin("root").put(&ada.me(), json!({"role": "admin"})).is(200, "");
    assert_eq!(as_admin(), 200);

    server.clock.advance(Duration::from_millis(59_999));
    assert_eq!(status(&server, NOTES, &shown), 200);
    server.clock.advance(Duration::from_millis(1));
    assert_eq!(status(&server, NOTES, &shown), 401);
}

#[test]
fn a_page_of_another_origin_makes_no_browser_use_what_it_remembers_by_basic() {
    let server = Server::with_apps();
    server.user("ada");
    let (secret, _) = token(&server, "ada", 1);
    let (basic, bearer) = (basic("any", &secret), format!("Bearer {secret}"));
    let socket = ("sec-websocket-key", "x");
    for (method, says, by_basic) in [
        ("POST", &[] as &[_], 200),
        ("PROPFIND", &[], 200),
        ("POST", &[("origin", NOTES)], 200),
        ("POST", &[("sec-fetch-site", "same-origin")], 200),
        ("POST", &[("origin", "https://evil.example")], 403),
        ("POST", &[("origin", "null")], 403),
        ("DELETE", &[("sec-fetch-site", "cross-site")], 403),
        ("POST", &[("sec-fetch-site", "same-site"), ("origin", NOTES)], 403),
        ("GET", &[("sec-fetch-site", "cross-site")], 403),
        ("GET", &[("sec-fetch-site", "same-site")], 403),
        ("HEAD", &[("sec-fetch-site", "cross-site"), ("origin", NOTES)], 403),
        ("GET", &[("sec-fetch-site", "same-origin")], 200),
        ("GET", &[("sec-fetch-site", "none")], 200),
        ("GET", &[], 200),
        ("GET", &[socket, ("origin", "https://evil.example")], 403),
        ("GET", &[socket, ("origin", NOTES)], 200),
    ] {
        let with = |shown: &str| ask(&server, NOTES, method, &[says, &[("authorization", shown)]].concat()).status;
        assert_eq!((with(&basic), with(&bearer)), (by_basic, 200), "{method} {says:?}");
    }
}

#[test]
fn basic_is_offered_to_what_may_be_a_native_client_and_to_no_browser() {
    let server = Server::with_apps();
    server.add_app("Plain", "http://plain.example.test", "everyone");
    let none = &[] as &[_];
    let wrong = basic("any", "ushp_x");
    let unknown = basic("any", AppTokenSecret::generate().reveal());
    for (method, headers, offered) in [
        ("GET", none, true),
        ("PROPFIND", none, true),
        ("GET", &[("accept", "*/*")], true),
        ("GET", &[("authorization", "Basic YTpi")], true),
        ("GET", &[("authorization", &wrong)], true),
        ("GET", &[("authorization", &unknown)], true),
        ("GET", &[("authorization", "Bearer ush_x")], true),
        ("GET", &[("cookie", "theirs=1")], true),
        ("GET", &[("sec-fetch-site", "same-origin")], false),
        ("GET", &[("sec-fetch-mode", "cors")], false),
        ("GET", &[("sec-fetch-dest", "empty")], false),
        ("GET", &[("cookie", "__Host-usher-app=x")], false),
        ("GET", &[("cookie", "a=b; __Host-usher-flow=x")], false),
    ] {
        let answer = ask(&server, NOTES, method, headers);
        assert_eq!(answer.status, 401, "{headers:?}");
        let found = challenges(&answer);
        let (bearer, before) = found.split_last().unwrap();
        assert_eq!(before, if offered { &[BASIC] as &[_] } else { &[] }, "{headers:?}");
        assert!(bearer.starts_with("Bearer"), "{headers:?}");
    }
    assert_eq!(challenges(&ask(&server, "http://plain.example.test", "GET", none)).len(), 1, "not in the clear");
    let person = ask(&server, NOTES, "GET", &NAVIGATION);
    assert_eq!((person.status, challenges(&person)), (302, vec![]));
    assert_eq!(ask(&server, NOTES, "GET", &[("accept", "text/html")]).status, 302);
    assert_eq!(ask(&server, "https://unknown.example.test", "GET", none).status, 403);
}

#[test]
fn a_client_with_a_bad_token_is_led_to_no_page() {
    let server = Server::with_apps();
    let unknown = basic("any", AppTokenSecret::generate().reveal());
    for shown in [unknown, basic("any", "ushp_x")] {
        let answer = ask(&server, NOTES, "GET", &[("authorization", &shown), ("accept", "text/html")]);
        assert_eq!((answer.status, answer.header("location")), (401, ""), "{answer:?}");
    }
}

#[test]
fn the_last_use_is_gathered_and_written_about_once_a_minute() {
    let server = Server::with_apps();
    server.user("ada");
    let (secret, path) = token(&server, "ada", 1);
    let ada = server.sign_in("ada");
    let listed = || ada.get(path.rsplit_once('/').unwrap().0).json()["app_tokens"][0]["last_used_at"].clone();
    assert_eq!((listed(), server.app_token_used_at()), (Value::Null, None));

    let begun = server.clock.now();
    let uses = |seconds: u64| {
        server.clock.set(begun + Duration::from_secs(seconds));
        assert_eq!(status(&server, NOTES, &basic("any", &secret)), 200);
    };
    uses(1);
    assert!(listed().is_string(), "it is seen before it is written");
    assert_eq!(server.app_token_used_at(), None, "no request writes");
    server.flush();
    assert_eq!(server.app_token_used_at(), Some(begun + Duration::from_secs(1)));
    uses(61);
    server.flush();
    assert_eq!(server.app_token_used_at(), Some(begun + Duration::from_secs(1)));
    uses(62);
    server.flush();
    assert_eq!(server.app_token_used_at(), Some(begun + Duration::from_secs(62)));
    assert_eq!(status(&server, MUSIC, &basic("any", &secret)), 401);
    uses(0);
    server.flush();
    assert_eq!(server.app_token_used_at(), Some(begun), "a time that is yet to come was wrong");
    assert_eq!(server.anon().login("ada@example.com", PASSWORD).status, 200);
}
