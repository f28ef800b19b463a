//! Who gets a hash when many want one, and what it costs.

mod support;

use futures_executor::block_on;
use serde_json::{Value, json};
use std::{io::Write, net::TcpStream, time::Duration};
use support::{Answer, Client, PASSWORD, Server, Settings, binary::until};

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
    block_on(server.app.measures()).hashing.places_taken
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
        drop(stranger);
        until("the place is free again", || (taken(&server) == 2).then_some(()));
    }
    drop(crowd);
    until("the places are free again", || (taken(&server) == 0).then_some(()));
    drop(sign_in.waits(&server, CROWDED));
}
