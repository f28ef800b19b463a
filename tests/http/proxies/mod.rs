//! What `examples/proxies/` shows is so: the very files, on real nginx, Caddy and Traefik with TLS, between callers, the real
//! executable and small apps that keep what reaches them.

use crate::support::{
    Client,
    binary::{Serving, create_admin},
    probes::Probes,
    proxies::{AUTH, Kind, NOTES, Proxy, WIKI},
    small::{Reached, Small},
};
use std::{collections::BTreeSet, sync::Mutex};

/// Runs each fact behind each proxy.
macro_rules! behind_each_proxy {
    ($($fact:ident,)*) => {
        behind_each_proxy! { behind_nginx Nginx: $($fact,)* }
        behind_each_proxy! { behind_caddy Caddy: $($fact,)* }
        behind_each_proxy! { behind_traefik Traefik: $($fact,)* }
    };
    ($name:ident $kind:ident: $($fact:ident,)*) => {
        mod $name {
            $(#[test] fn $fact() { super::$fact(&crate::proxies::Site::open(crate::support::proxies::Kind::$kind)); })*
        }
    };
}

mod callers;
mod clients;
mod forged;
mod people;
mod requests;
mod usher;

/// Names and values, in the order in which they are sent.
type Headers<'h> = &'h [(&'h str, &'h str)];

/// The origin of web apps that usher grants reading.
const GRANTED: &str = "https://web.example.com";

/// Two apps behind a proxy that asks usher. `root` is an administrator.
struct Site {
    kind: Kind,
    proxy: Proxy,
    /// The app that requests are for where nothing else is said.
    app: Small,
    wiki: Small,
    usher: Mutex<Serving>,
    folder: tempfile::TempDir,
}

/// An answer through the proxy.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn read(text: String) -> Self {
        let text = text.trim_start_matches("HTTP/1.1 100 Continue\r\n\r\n");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP: {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    fn all(&self, name: &str) -> Vec<&str> {
        let headers = self.head.lines().filter_map(|line| line.split_once(':'));
        headers.filter(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }
}

impl Site {
    fn open(kind: Kind) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let public_url = format!("https://{AUTH}");
        let usher = Serving::start(
            folder.path(),
            &["--public-url", &public_url, "--trusted-proxy", "127.0.0.1", "--cors-origin", GRANTED],
        );
        assert!(create_admin(folder.path(), "root").status.success());
        for (name, host) in [("Notes", NOTES), ("Wiki", WIKI)] {
            usher.add_app(name, &format!("https://{host}"), "everyone");
        }
        let (app, wiki) = (Small::app(), Small::app());
        let proxy = Proxy::start(kind, folder.path(), usher.address, app.address, wiki.address);
        Self { kind, proxy, app, wiki, usher: Mutex::new(usher), folder }
    }

    fn usher(&self) -> std::sync::MutexGuard<'_, Serving> {
        self.usher.lock().expect("usher")
    }

    fn root(&self) -> Client {
        self.usher().sign_in("root")
    }

    fn user(&self, name: &str) -> Client {
        let usher = self.usher();
        assert_eq!(usher.register(name).status, 201);
        usher.sign_in(name)
    }

    /// Sends bytes as they are to the host of the app.
    fn raw(&self, bytes: impl AsRef<[u8]>) -> Answer {
        Answer::read(self.proxy.raw(NOTES, bytes))
    }

    /// Sends one request, and nothing after it.
    fn send(&self, method: &str, target: &str, headers: Headers<'_>, body: &[u8]) -> Answer {
        self.send_to(NOTES, method, target, headers, body)
    }

    /// The same to one of the hosts.
    fn send_to(&self, host: &str, method: &str, target: &str, headers: Headers<'_>, body: &[u8]) -> Answer {
        let closes = !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("connection"));
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in headers.iter().chain(closes.then_some(&("Connection", "close"))) {
            text += &format!("{name}: {value}\r\n");
        }
        Answer::read(self.proxy.raw(host, [text.as_bytes(), b"\r\n", body].concat()))
    }

    /// The same with somebody's token.
    fn send_as(&self, who: &Client, method: &str, target: &str, headers: Headers<'_>, body: &[u8]) -> Answer {
        let bearer = bearer(who);
        self.send(method, target, &[&[("Authorization", bearer.as_str())], headers].concat(), body)
    }

    fn get_as(&self, who: &Client, target: &str) -> Answer {
        self.send_as(who, "GET", target, &[], b"")
    }

    /// Asserts that exactly one request came through, and returns it.
    #[track_caller]
    fn reached(&self, answer: &Answer) -> Reached {
        assert_eq!((answer.status, answer.body.as_str()), (200, "reached"), "{answer:?}");
        let mut all = self.app.take();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    #[track_caller]
    fn refused(&self, answer: &Answer, status: u16) {
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(self.app.take().is_empty(), "{answer:?}");
    }
}

fn bearer(who: &Client) -> String {
    format!("Bearer {}", who.token.as_deref().expect("a token"))
}

/// Every way to write a name so that an app may read it as the header, in three cases.
fn spellings(name: &str) -> BTreeSet<String> {
    let marks = "-_.!#$%&'*+^`|~";
    let mut spellings = BTreeSet::from([String::new()]);
    for (n, word) in name.split('-').enumerate() {
        let marks: Vec<String> = if n == 0 { vec![String::new()] } else { marks.chars().map(String::from).collect() };
        let longer = spellings.iter().flat_map(|start| marks.iter().map(move |mark| format!("{start}{mark}{word}")));
        spellings = longer.collect();
    }
    let cases = [str::to_ascii_lowercase, str::to_ascii_uppercase];
    spellings.iter().cloned().chain(cases.iter().flat_map(|case| spellings.iter().map(|text| case(text)))).collect()
}

const PREFLIGHT: [(&str, &str); 3] = [
    ("Origin", "https://elsewhere.example:8443"),
    ("Access-Control-Request-Method", "PUT"),
    ("Access-Control-Request-Headers", "authorization,content-type"),
];
