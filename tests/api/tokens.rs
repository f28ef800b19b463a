//! Tokens: what opens something, and when one dies.

use crate::support::{
    PASSWORD, Server,
    hostile::{CANARY, attack, code, json_request, refused, registration, request, statuses},
    probes::Probes,
};
use serde_json::json;
use std::time::Duration;
use usher::domain::SessionToken;

const DAY: Duration = Duration::from_hours(24);

/// Everything that needs a session, with a body where one is needed.
fn protected(id: i64) -> Vec<(String, &'static str)> {
    let user = format!("/api/v1/users/{id}");
    vec![
        (format!("GET {user}"), ""),
        (format!("PUT {user}"), r#"{"username": "Canary7Zq"}"#),
        (format!("DELETE {user}"), ""),
        ("GET /api/v1/auth/me".into(), ""),
        ("POST /api/v1/auth/logout".into(), ""),
    ]
}

#[test]
fn only_a_living_sessions_own_token_opens_anything() {
    let server = Server::start();
    let ada = server.user("ada");
    let token = ada.token.clone().expect("a token");
    let stored = server.token_hash();
    let session = server.session_id_of(ada.id).expect("a session");
    let password_hash = server.password_hash();
    let hexadecimal = stored.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let unknown = SessionToken::generate();
    let none = "authentication_required";
    let bad = "invalid_token";
    let mut sent: Vec<(String, &str)> = vec![
        (String::new(), none),
        ("Authorization:".into(), none),
        ("Authorization:   ".into(), none),
        (format!("Authorization: Basic {token}"), none),
        (format!("Authorization: Token {token}"), none),
        (format!("Authorization: Digest username={token}"), none),
        (format!("Authorization: BearerX {token}"), none),
        (format!("Proxy-Authorization: Bearer {token}"), none),
        (format!("X-Authorization: Bearer {token}"), none),
        (format!("X-Api-Key: {token}"), none),
        (format!("Cookie: token={token}; Authorization=Bearer {token}"), none),
        ("Authorization: Bearer".into(), bad),
        (format!("Authorization: {token} x"), bad),
        (format!("Authorization: {token}  {token}"), bad),
        (format!("Authorization: {token}\tx"), bad),
        ("Authorization: ush_ x".into(), bad),
        ("Authorization: Bearer Canary7Zq".into(), bad),
        ("Authorization: Canary7Zq".into(), bad),
        (format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}"), bad),
        (format!("Authorization: Bearer {token}\r\nAuthorization: Basic eDp5"), bad),
        (format!("Authorization: Basic eDp5\r\nAuthorization: Bearer {token}"), bad),
        (format!("Authorization: Bearer {token}, Bearer {token}"), bad),
        (format!("Authorization: Bearer Bearer {token}"), bad),
        (format!("Authorization: Bearer {token} x"), bad),
        (format!("Authorization: Bearer \"{token}\""), bad),
        (format!("Authorization: Bearer {token}\u{e9}"), bad),
        ("Authorization: Bearer \u{442}\u{43e}\u{43a}\u{435}\u{43d}".into(), bad),
        (format!("Authorization: Bearer {}", "a".repeat(8192)), bad),
        (format!("Authorization: Bearer {token}{}", "a".repeat(8192)), bad),
        (format!("Authorization: Bearer {}", token.to_uppercase()), bad),
        (format!("Authorization: Bearer {}", &token[4..]), bad),
        (format!("Authorization: Bearer {}", token.replacen("ush_", "ushr_", 1)), bad),
        (format!("Authorization: Bearer {}", token.replacen("ush_", "ushi_", 1)), bad),
        (format!("Authorization: Bearer {}", &token[..token.len() - 1]), bad),
        (format!("Authorization: Bearer {token}0"), bad),
        (format!("Authorization: Bearer {hexadecimal}"), bad),
        (format!("Authorization: Bearer ush_{}", &hexadecimal[..49]), bad),
        (format!("Authorization: Bearer {session}"), bad),
        (format!("Authorization: Bearer {password_hash}"), bad),
        (format!("Authorization: Bearer {}", unknown.reveal()), bad),
        ("Authorization: Bearer null".into(), bad),
        ("Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.".into(), bad),
    ];
    for at in 0..token.len() {
        let mut flipped = token.clone().into_bytes();
        flipped[at] = if flipped[at] == b'a' { b'b' } else { b'a' };
        sent.push((format!("Authorization: Bearer {}", String::from_utf8(flipped).expect("ASCII")), bad));
    }
    let mut attacks = Vec::new();
    for (header, code) in &sent {
        let headers: Vec<&str> =
            [header.as_str(), "Content-Type: application/json"].into_iter().filter(|h| !h.is_empty()).collect();
        let all = protected(ada.id);
        let lines =
            if header.len() < 200 && header.contains("ush_") && attacks.len() > 150 { &all[3..4] } else { &all[..] };
        for (line, body) in lines {
            attacks.push(attack(format!("{line} with {header:.90}"), request(line, &headers, body), 401, code));
        }
    }
    let with_query = format!("GET /api/v1/auth/me?token={token}&access_token={token}&authorization=Bearer%20{token}");
    attacks.push(attack("a token in the query", request(&with_query, &[], ""), 400, "validation_failed"));
    let in_body = json!({"token": token, "access_token": token}).to_string();
    attacks.push(attack("a token in the body", json_request("POST /api/v1/auth/logout", in_body), 401, none));

    refused(&server, attacks);

    for header in [format!("Bearer {token}"), format!("bEARER   {token}"), token.clone()] {
        assert_eq!(server.anon().send("GET", "/auth/me", &[("authorization", &header)], None).status, 200, "{header}");
    }
}

#[test]
fn an_invalid_token_is_not_the_same_as_none_where_none_is_needed() {
    let server = Server::start();
    let ada = server.user("ada");
    let token = ada.token.clone().expect("a token");
    ada.post("/auth/logout", json!({}));
    let login = json!({"email": "ada@example.com", "password": PASSWORD}).to_string();
    let hashes = server.app.hashes();
    let mut attacks = Vec::new();
    for header in
        [format!("Authorization: Bearer {token}"), "Authorization: Canary7Zq".into(), "Authorization: \u{e9}".into()]
    {
        for (line, body) in [("POST /api/v1/users", registration(CANARY)), ("POST /api/v1/auth/login", login.clone())] {
            let bytes = request(line, &[&header, "Content-Type: application/json"], body);
            attacks.push(attack(format!("{line} with {header}"), bytes, 401, "invalid_token"));
        }
    }

    refused(&server, attacks);

    assert_eq!(server.app.hashes(), hashes, "refused before any hash");
}

#[test]
fn a_401_says_which_scheme_and_whether_the_token_was_bad() {
    let server = Server::start();

    let (none, bad) = (server.anon().get("/auth/me"), server.anon().with_token("x").get("/auth/me"));

    assert_eq!(none.is(401, "authentication_required").header("www-authenticate"), "Bearer");
    assert_eq!(bad.is(401, "invalid_token").header("www-authenticate"), "Bearer error=\"invalid_token\"");
}

#[test]
fn a_session_ends_when_it_is_not_used() {
    let server = Server::start();
    let ada = server.user("ada");

    server.clock.advance(7 * DAY - Duration::from_millis(1));
    assert_eq!(ada.get("/auth/me").status, 200);
    server.flush();
    server.clock.advance(7 * DAY - Duration::from_millis(1));
    assert_eq!(ada.get("/auth/me").status, 200, "it was used");
    server.flush();
    server.clock.advance(7 * DAY);

    for (line, body) in protected(ada.id) {
        let header = format!("Authorization: Bearer {}", ada.token.as_deref().expect("a token"));
        let answer = server.raw(request(&line, &[&header, "Content-Type: application/json"], body));
        assert_eq!((statuses(&answer), code(&answer)), (vec![401], "invalid_token"), "{line}: {answer}");
    }
}

#[test]
fn a_session_ends_at_its_absolute_end_however_much_it_is_used() {
    let server = Server::start();
    let ada = server.user("ada");
    for _ in 0..5 {
        server.clock.advance(6 * DAY - Duration::from_millis(1));
        assert_eq!(ada.get("/auth/me").status, 200);
        server.flush();
    }

    server.clock.advance(Duration::from_millis(5));

    ada.get("/auth/me").is(401, "invalid_token");
    server.flush();
    ada.get("/auth/me").is(401, "invalid_token");
}

#[test]
fn a_use_that_has_been_gathered_does_not_revive_a_session_after_its_end() {
    let server = Server::start();
    let ada = server.user("ada");
    server.clock.advance(6 * DAY);
    assert_eq!(ada.get("/auth/me").status, 200);

    assert_eq!(ada.post("/auth/logout", json!({})).status, 200);
    server.flush();

    ada.get("/auth/me").is(401, "invalid_token");
    assert_eq!(server.session_count(), 0);
}

#[test]
fn a_token_dies_with_logout_with_disabling_and_with_its_account() {
    let server = Server::start();
    let root = server.admin("root");
    let (out, disabled, deleted) = (server.user("out"), server.user("disabled"), server.user("deleted"));

    assert_eq!(out.post("/auth/logout", json!({})).status, 200);
    assert_eq!(root.put(&disabled.me(), json!({"disabled": true})).status, 200);
    assert_eq!(root.delete(&deleted.me()).status, 204);

    for dead in [&out, &disabled, &deleted] {
        let before = server.rows();
        dead.get("/auth/me").is(401, "invalid_token");
        dead.get(&dead.me()).is(401, "invalid_token");
        dead.put(&dead.me(), json!({})).is(401, "invalid_token");
        dead.delete(&dead.me()).is(401, "invalid_token");
        dead.post("/auth/logout", json!({})).is(401, "invalid_token");
        assert_eq!(server.rows(), before);
    }
    assert_eq!(root.put(&disabled.me(), json!({"disabled": false})).status, 200);
    disabled.get("/auth/me").is(401, "invalid_token");
    assert!(server.user("after").id > deleted.id, "ids are not used twice");
}
