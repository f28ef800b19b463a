//! The log: a line for each request, and no secrets.

use super::requests;
use crate::support::{
    Answer, PASSWORD,
    binary::{Serving, command, files},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tempfile::tempdir;

/// Everything that people paste where it does not belong. Returns the secrets, and the answers.
fn leave_secrets_everywhere(serving: &Serving) -> (BTreeSet<String>, Vec<Answer>) {
    let canary = |place: &str| format!("canary-{place}-q7Zx");
    let json_type = ("content-type", "application/json");
    let body = |fields: Value| fields.to_string().into_bytes();
    let (first, second) = (canary("first-password"), canary("second-password"));
    let mut answers = Vec::new();

    let anon = serving.client();
    answers.push(anon.post("/users", json!({"username": "ada", "email": "ada@example.com", "password": first})));
    let signed_in = anon.login("ada@example.com", &first);
    let token = signed_in.json()["token"].as_str().expect("a token").to_owned();
    answers.push(signed_in);
    let ada = anon.with_token(&token);
    let basic = ("authorization", format!("Basic {}", canary("basic")));
    let (bare, bearer) = (("authorization", token.clone()), ("authorization", format!("Bearer {}", canary("bearer"))));
    let key = ("x-api-key", canary("header"));
    let cookie = ("cookie", format!("session={}", canary("cookie")));
    let agent = ("user-agent", canary("agent"));
    answers.extend([
        ada.put("/users/1", json!({"password": second, "current_password": canary("current")})),
        ada.put("/users/1", json!({"password": second, "current_password": first})),
        anon.login("ada@example.com", &canary("wrong-password")),
        anon.login(&canary("unknown-address"), &canary("other-password")),
        anon.login(&format!("{}@example.com", canary("unknown")), &canary("other-password")),
        anon.post(
            "/users",
            json!({"username": canary("twin"), "email": "ada@example.com", "password": canary("password")}),
        ),
        anon.post(
            "/users",
            json!({"username": "b", "email": "b@example.com", "password": PASSWORD, canary("field"): canary("value")}),
        ),
        anon.send("POST", "/users", &[json_type], Some(canary("no-json").as_bytes())),
        anon.send("POST", "/auth/login", &[json_type], Some(&body(json!({"email": 1, "password": [canary("type")]})))),
        anon.send("POST", "/auth/login", &[("content-type", &canary("type"))], Some(b"{}")),
        ada.get(&format!("/auth/me?access_token={token}")),
        anon.get(&format!("/users?token={}", canary("query"))),
        ada.get(&format!("/users/{}", canary("path"))),
        ada.get(&format!("/users/{token}")),
        anon.get(&format!("/{token}/{}", canary("unmatched"))),
        anon.get(&format!("//{}", canary("root"))),
        anon.send("GET", "/auth/me", &[(basic.0, &basic.1)], None),
        anon.send("GET", "/auth/me", &[(bearer.0, &bearer.1)], None),
        anon.send(
            "GET",
            "/auth/me",
            &[(bare.0, &bare.1), (key.0, &key.1), (cookie.0, &cookie.1), (agent.0, &agent.1)],
            None,
        ),
        ada.send("CANARY-METHOD-Q7ZX", "/users", &[], None),
        ada.send("DELETE", "/auth/me", &[("if-match", &canary("if-match"))], None),
        ada.send("GET", "/auth/me", &[("x-request-id", &canary("request-id"))], None),
        ada.post("/auth/logout", json!({})),
        ada.get("/auth/me"),
    ]);
    // The halves, too: a log that cuts a secret in two has not kept it.
    let (front, back) = token.split_at(25);
    let secrets = [front, back, "canary", "CANARY", "q7Zx"].map(str::to_owned);
    (secrets.into(), answers)
}

#[track_caller]
fn found_nowhere(secrets: &BTreeSet<String>, place: &str, bytes: &[u8]) {
    for secret in secrets {
        let at = bytes.windows(secret.len()).position(|window| window == secret.as_bytes());
        let around = |at: usize| String::from_utf8_lossy(&bytes[at.saturating_sub(150)..(at + 150).min(bytes.len())]);
        assert!(at.is_none(), "{secret} is in {place}: {}", at.map(around).unwrap_or_default());
    }
}

#[test]
fn no_secret_reaches_the_log_or_the_files_even_when_everything_is_logged() {
    for format in ["text", "json"] {
        // given
        let folder = tempdir().unwrap();
        let mut traced = command(folder.path());
        traced.env("RUST_LOG", "trace").args(["serve", "--argon2-memory", "64", "--log-format", format]);
        let serving = Serving::spawn(folder.path(), &mut traced);

        // when
        let (secrets, _) = leave_secrets_everywhere(&serving);
        let no_http =
            ["canary-q7Zx\r\n\r\n", "GET / canary/q7Zx\r\n\r\n", "GET / HTTP/1.1\r\ncanary q7Zx: canary\r\n\r\n"];
        assert!(no_http.iter().all(|bytes| crate::support::raw(serving.address, bytes).starts_with("HTTP/1.1 400 ")));
        let open = files(folder.path());
        serving.signal("TERM");
        let (_, log) = serving.wait();

        // then
        assert!(open.contains_key("usher.db-wal") && open.contains_key("usher.db-shm"));
        assert!(log.contains("DEBUG"), "the log holds more than it does by default: {log}");
        found_nowhere(&secrets, "the log", log.as_bytes());
        assert!(!log.contains("$argon2"), "a hash is in the log");
        for (name, bytes) in open.into_iter().chain(files(folder.path())) {
            found_nowhere(&secrets, &name, &bytes);
        }
    }
}

#[test]
fn each_request_is_one_line_of_json_with_its_template_and_no_path() {
    // given
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--log-format", "json"]);

    // when
    let (_, answers) = leave_secrets_everywhere(&serving);
    let id = |answer: &Answer| answer.header("x-request-id").to_owned();
    let of_user = id(&serving.client().get("/users/7"));
    let of_nothing = id(&serving.client().get("/nothing/here"));
    let of_health = id(&serving.client().get("//healthz"));
    serving.signal("TERM");
    let (_, log) = serving.wait();

    // then
    let requests = requests(&log);
    assert_eq!(requests.len(), answers.len() + 3);
    for answer in &answers {
        let lines = requests.get(&id(answer)).unwrap_or_else(|| panic!("no line for {answer:?}"));
        assert_eq!(lines.len(), 1, "{lines:?}");
        let line = &lines[0];
        assert_eq!(line["status"], answer.status, "{line}");
        assert!(line["method"].is_string() && line["micros"].is_u64() && line["timestamp"].is_string(), "{line}");
        assert_eq!(line["client"], "127.0.0.1", "{line}");
        let templates = [
            "/api/v1/users",
            "/api/v1/users/{user_id}",
            "/api/v1/auth/login",
            "/api/v1/auth/logout",
            "/api/v1/auth/me",
            "unmatched",
        ];
        assert!(templates.iter().any(|template| line["route"] == *template), "{line}");
    }
    assert_eq!(requests[&of_user][0]["route"], "/api/v1/users/{user_id}");
    assert_eq!(requests[&of_nothing][0]["route"], "unmatched");
    assert_eq!(requests[&of_health][0]["route"], "/healthz");
    assert!(!log.contains("/users/7") && !log.contains("/nothing"), "{log}");
    assert!(requests.values().flatten().any(|line| line["method"] == "other"), "{log}");
    assert!(requests.values().flatten().any(|line| line["user"] == 1), "the user's id is missing: {log}");
}

#[test]
fn a_request_id_is_kept_from_a_trusted_proxy_only_and_only_a_harmless_one() {
    // given
    let folder = tempdir().unwrap();
    let longest = "x".repeat(64);
    let ask = |serving: &Serving, given: &str| {
        let answer = serving.client().send("GET", "//healthz", &[("x-request-id", given)], None);
        answer.header("x-request-id").to_owned()
    };

    // when
    let trusting = Serving::start(folder.path(), &["--trusted-proxy", "127.0.0.0/8", "--log-format", "json"]);
    let kept = ["req-1", "A.b_c-9", &longest].map(|given| (given, ask(&trusting, given)));
    let replaced = ["two words", "a;b", "\"quoted\"", &format!("{longest}x")]
        .map(|given| (given.to_owned(), ask(&trusting, given)));
    trusting.signal("TERM");
    let (_, log) = trusting.wait();
    let wary = Serving::start(folder.path(), &["--trusted-proxy", "10.0.0.0/8"]);
    let (first, second) = (ask(&wary, "req-1"), ask(&wary, "req-1"));

    // then
    let requests = requests(&log);
    for (given, answered) in kept {
        assert_eq!(given, answered);
        assert_eq!(requests[given].len(), 1);
    }
    for (given, answered) in replaced {
        assert!(given != answered && !answered.is_empty() && requests.contains_key(&answered), "{given}");
    }
    assert!(first != "req-1" && second != "req-1" && first != second);
}
