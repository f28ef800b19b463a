//! Who gets a hash when many want one, and what it costs.

use crate::support::{Answer, Client, PASSWORD, Server, Settings, binary::until, hang_up, probes::Probes};
use futures_executor::block_on;
use serde_json::{Value, json};
use std::{io::Write, net::TcpStream, time::Duration};
use usher::domain::{Caller, EmailAddress, PasswordHash, Role, UserRecord, Username};

const CROWDED: &str = "203.0.113.7";
/// Of the same network.
const NEIGHBOUR: &str = "203.0.113.250";
const STRANGER: &str = "198.51.100.1";

/// Behind a proxy that says where each request comes from.
fn proxied(settings: &mut Settings) {
    settings.http.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    settings.http.shutdown_timeout = Duration::ZERO;
}

fn taken(server: &Server) -> usize {
    block_on(server.app.stats()).hashing.places_taken
}

/// A request that needs a hash.
struct Asked {
    method: &'static str,
    path: String,
    token: Option<String>,
    body: Value,
}

impl Asked {
    fn answered(&self, server: &Server, ip: &str) -> Answer {
        let client = Client::new(server.address, self.token.clone(), 0);
        let headers = [("content-type", "application/json"), ("x-forwarded-for", ip)];
        client.send(self.method, &self.path, &headers, Some(self.body.to_string().as_bytes()))
    }

    /// Sends it from an IP address, and returns once it has a place. Nobody hashes, so that it keeps it.
    fn waits(&self, server: &Server, ip: &str) -> TcpStream {
        let before = taken(server);
        let (Self { method, path, body, .. }, body_text) = (self, self.body.to_string());
        let token = self.token.as_ref().map(|token| format!("Authorization: {token}\r\n")).unwrap_or_default();
        let mut stream = TcpStream::connect(server.address).unwrap();
        write!(
            stream,
            "{method} /api/v1{path} HTTP/1.1\r\nHost: usher\r\nX-Forwarded-For: {ip}\r\nContent-Type: application/json\r\n\
             {token}Content-Length: {}\r\n\r\n{body}",
            body_text.len()
        )
        .unwrap();
        until("a place", || (taken(server) == before + 1).then_some(()));
        stream
    }
}

#[test]
fn one_site_holds_a_quarter_of_the_places_and_others_get_through() {
    // given: an account with a session and a reset token, and then a server where nobody hashes and 8 may wait
    let server = Server::with(proxied);
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let reset = root.send("POST", &format!("{}/password-reset", ada.me()), &[], None).json()["token"].clone();
    let server = server.restart(|settings| {
        proxied(settings);
        (settings.hash_threads, settings.hash_queue) = (0, 8);
    });
    let asked = |method, path: &str, token, body| Asked { method, path: path.into(), token, body };
    let eve = json!({"username": "eve", "email": "eve@example.com", "password": PASSWORD});
    let sign_in = asked("POST", "/auth/login", None, json!({"email": "ada@example.com", "password": PASSWORD}));
    let everything = [
        asked("POST", "/users", None, eve),
        asked("PUT", &ada.me(), ada.token.clone(), json!({"password": "another long password"})),
        asked("PUT", &ada.me(), ada.token.clone(), json!({"current_password": PASSWORD, "username": "ada2"})),
        asked("POST", "/auth/password-reset", None, json!({"token": reset, "password": "another long password"})),
        asked(
            "POST",
            "/users",
            root.token.clone(),
            json!({"username": "bob", "email": "b@example.com", "password": PASSWORD}),
        ),
    ];

    // when
    let crowd = [sign_in.waits(&server, CROWDED), sign_in.waits(&server, NEIGHBOUR)];

    // then
    for asked in everything.iter().chain([&sign_in]) {
        let refused = asked.answered(&server, CROWDED);
        assert_eq!((refused.is(503, "overloaded").header("retry-after"), taken(&server)), ("1", 2), "{}", asked.path);
        let stranger = asked.waits(&server, STRANGER);
        hang_up(stranger);
        until("the place is free again", || (taken(&server) == 2).then_some(()));
    }
    crowd.into_iter().for_each(hang_up);
    until("the places are free again", || (taken(&server) == 0).then_some(()));
    hang_up(sign_in.waits(&server, CROWDED));
}

/// What tells whether a sign-in cost a slow hash.
fn cost_of(server: &Server) -> impl Fn(&str) -> bool {
    let stats = || block_on(server.app.stats()).hashing;
    move |email| {
        let before = stats();
        server.anon().login(email, "a wrong password").is(401, "invalid_credentials");
        let after = stats();
        assert_eq!(after.computed - before.computed, 1, "{email}");
        after.slow > before.slow
    }
}

fn unknown(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("nobody{n}@example.com"))
}

#[test]
fn a_changed_cost_does_not_reveal_who_has_an_account() {
    // given: accounts of a time when a hash cost several times as much
    let server = Server::with(|settings| {
        settings.policy.throttle = false;
        settings.cost.memory = 1024;
    });
    let names = ["ada", "bob", "eve"];
    for name in names {
        server.user(name);
    }
    let server = server.restart(|settings| settings.policy.throttle = false);
    let is_slow = cost_of(&server);

    // then: others cost as much, whatever is typed
    assert!(names.iter().all(|name| is_slow(&format!("{name}@example.com"))));
    assert!(unknown(50).all(|email| is_slow(&email)));
    assert!(["", "no address", &"x".repeat(1_000)].iter().all(|typed| is_slow(typed)));

    // when their owners have signed in, theirs and the others' cost what new ones do
    for name in names {
        server.sign_in(name);
    }
    assert!(!names.iter().any(|name| is_slow(&format!("{name}@example.com"))));
    assert!(!unknown(50).any(|email| is_slow(&email)));
}

#[test]
fn unknown_addresses_cost_what_accounts_cost_in_the_same_proportion_and_each_the_same_every_time() {
    // given: every third account was imported with a hash that costs more, of ours or of another service
    let server = Server::with(|settings| settings.policy.throttle = false);
    assert!(!unknown(1).any(|email| cost_of(&server)(&email)), "where there is nobody, a new one's cost");
    let name = |n: usize| format!("user{n}");
    let record = |n: usize| UserRecord {
        username: Username::parse(&name(n)).unwrap(),
        email: EmailAddress::parse(&format!("{}@example.com", name(n))).unwrap(),
        email_verified: false,
        role: Role::User,
        disabled: n.is_multiple_of(5),
        created_at: None,
        display_name: None,
        password_hash: PasswordHash::from_text(match n % 6 {
            0 => format!("$argon2id$v=19$m=64,t=8,p=1${TAIL}"),
            3 => "$2b$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS".into(),
            _ => format!("$argon2id$v=19$m=64,t=1,p=1${TAIL}"),
        }),
    };
    let records = (0..300).map(|n| (n as u64, record(n))).collect();
    block_on(server.app.transfer.import(&Caller::shell(), records)).unwrap();
    server.delete_users(30..=150);
    let is_slow = cost_of(&server);

    // when
    let found: Vec<bool> = unknown(400).map(|email| is_slow(&email)).collect();

    // then
    let slow = found.iter().filter(|slow| **slow).count();
    assert!((90..180).contains(&slow), "a third of 400, give or take five standard deviations: {slow}");
    for (email, slow) in unknown(400).zip(&found).take(60) {
        assert_eq!(is_slow(&email.to_uppercase()), *slow, "{email}");
    }
    for n in 200..230 {
        assert_eq!(is_slow(&format!("{}@example.com", name(n))), n % 3 == 0, "a known one costs what it costs");
    }

    // when a newcomer registers, hardly anything changes
    server.user("newcomer");
    let changed = unknown(400).zip(&found).take(100).filter(|(email, slow)| is_slow(email) != **slow).count();
    assert!(changed <= 5, "{changed}");
}

/// A salt and an output that are no password's.
const TAIL: &str = "c2FsdHNhbHRzYWx0$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI";
