//! Guessing, as a guesser and as the owner of the account meet its limits.

mod changes;
mod given_back;
mod registration;
mod sign_in;
mod strangers;

use crate::support::{Answer, Client, Server};
use serde_json::json;

const WRONG: &str = "a wrong password";

/// A server behind a proxy that says where each request comes from.
fn server() -> Server {
    Server::with(|settings| {
        settings.http.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
}

/// Sends from a certain address.
fn from(client: &Client, ip: &str, path: &str, body: &serde_json::Value) -> Answer {
    let headers = [("content-type", "application/json"), ("x-forwarded-for", ip)];
    client.send("POST", path, &headers, Some(body.to_string().as_bytes()))
}

fn login(server: &Server, ip: &str, email: &str, password: &str) -> Answer {
    from(&server.anon(), ip, "/auth/login", &json!({"email": email, "password": password}))
}

/// Somebody at a site of their own.
fn stranger(n: u32) -> String {
    std::net::Ipv4Addr::from_bits(0x0a00_0001 + (n << 8)).to_string()
}

/// Somebody whom one IPv6 site gives another subscriber's address each time.
fn of_one_site(n: u32) -> String {
    format!("2001:db8:1:{n:x}::1")
}

/// How many attempts are answered otherwise than with `429`, which tells when to come again.
#[track_caller]
fn let_through(attempt: impl Fn(u32) -> Answer, seconds: u64) -> u32 {
    for n in 0..1_000 {
        let answer = attempt(n);
        if answer.status == 429 {
            answer.is(429, "too_many_attempts");
            assert_eq!(answer.header("retry-after"), seconds.to_string());
            assert_eq!(answer.json()["error"]["details"], json!({"retry_after_seconds": seconds}));
            return n;
        }
    }
    panic!("there is no limit");
}

/// Changes one's own account from a certain IP address.
fn put_from(client: &Client, ip: &str, body: &serde_json::Value) -> Answer {
    let headers = [("content-type", "application/json"), ("x-forwarded-for", ip)];
    client.send("PUT", &client.me(), &headers, Some(body.to_string().as_bytes()))
}
