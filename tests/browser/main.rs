//! People in a real browser: Chromium, driven by the scripts beside this file, before the real executable and real proxies.
//!
//! Pictures of every page in each of its states are in `target/browser/shots` afterwards. Those of the README are taken again by
//!
//! ```sh
//! IMAGES=examples/images cargo test --features system-tests --test browser every_page
//! ```
//!
//! `ONLY_STATE='/register|not there'` looks at some states alone: those whose request or name has one of these parts.

#![cfg(feature = "system-tests")]

#[path = "../support/mod.rs"]
mod support;

use serde_json::{Map, Value, json};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};
use support::{
    PASSWORD,
    binary::{Serving, command, create_admin},
    proxies::{AUTH, Kind, NOTES, Proxy, WIKI, certificates},
    unique,
};
use tempfile::TempDir;

/// By how much a server's clock is ahead, for libfaketime.
const CLOCK: &str = "clock";

/// A server with its database and its public URL.
struct Installation {
    url: String,
    serving: Serving,
    _folder: TempDir,
}

impl Installation {
    fn start(url: &str, arguments: &[&str]) -> Self {
        Self::prepared(url, arguments, |_, _| ())
    }

    /// The same with a clock that is as far from that of the machine as the file [`CLOCK`] in its folder says.
    fn with_clock(url: &str, arguments: &[&str]) -> Self {
        Self::prepared(url, arguments, |command, folder| {
            let clock = folder.join(CLOCK);
            std::fs::write(&clock, "+0").expect("a file");
            command.env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketime.so.1");
            command
                .env("FAKETIME_TIMESTAMP_FILE", clock)
                .env("FAKETIME_NO_CACHE", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        })
    }

    fn prepared(url: &str, arguments: &[&str], prepare: impl FnOnce(&mut Command, &Path)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = command(folder.path());
        command.args(["serve", "--argon2-memory", "64", "--public-url", url]).args(arguments);
        prepare(&mut command, folder.path());
        let serving = Serving::spawn(folder.path(), &mut command);
        serving.until_logged("/setup?token=");
        Self { url: url.to_owned(), serving, _folder: folder }
    }

    /// The same with an administrator `root`.
    fn with_admin(self) -> Self {
        assert!(create_admin(&self.serving.folder, "root").status.success());
        self
    }

    /// What a script needs to know.
    fn given(&self) -> Value {
        let log = self.serving.log();
        let (_, token) = log.split_once("/setup?token=").expect("a link for the first administrator");
        let token = token.split_whitespace().next().expect("a token");
        let setup = format!("{}/setup?token={token}", self.url);
        let api = format!("http://{}/api/v1", self.serving.address);
        json!({"url": self.url, "api": api, "setup": setup, "database": self.serving.folder.join("usher.db")})
    }
}

/// A server and its apps behind a proxy with TLS.
struct Site {
    usher: Installation,
    /// Where the proxy finds the apps, which are the scripts' own.
    upstreams: [SocketAddr; 2],
    proxy: Proxy,
    _folder: TempDir,
}

impl Site {
    fn open(kind: Kind) -> Self {
        Self::of(kind, Installation::start(&format!("https://{AUTH}"), &["--trusted-proxy", "127.0.0.1"]))
    }

    fn of(kind: Kind, usher: Installation) -> Self {
        // An IP address of this machine that no other test listens on.
        let [_, _, third, fourth] = std::process::id().to_be_bytes();
        let own = Ipv4Addr::new(127, 200 + u8::try_from(unique() % 50).expect("small"), third, fourth);
        let upstreams = [3000, 3001].map(|port| SocketAddr::from((own, port)));
        let folder = tempfile::tempdir().expect("a folder");
        let proxy = Proxy::start(kind, folder.path(), usher.serving.address, upstreams[0], upstreams[1]);
        Self { usher, upstreams, proxy, _folder: folder }
    }

    /// Where Chromium finds each host.
    fn hosts(&self) -> Vec<String> {
        [AUTH, NOTES, WIKI].iter().map(|host| format!("MAP {host} {}", self.proxy.https)).collect()
    }
}

/// By which Chromium trusts the proxies: the SHA-256 of their public key, in Base64.
fn key_hash() -> String {
    let script = "openssl x509 -in \"$0\" -pubkey -noout | openssl pkey -pubin -outform der |
                  openssl dgst -sha256 -binary | openssl base64";
    let made = Command::new("sh").args(["-ec", script]).arg(&certificates().certificate).output();
    let hash = String::from_utf8(made.expect("openssl is installed").stdout).expect("text").trim().to_owned();
    assert!(!hash.is_empty(), "there is no certificate");
    hash
}

/// Runs a script, which says on standard error what was not as it should be.
fn play(script: &str, given: &Value) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let played = Command::new(here.join("node")).arg(here.join(script)).env("GIVEN", given.to_string()).output();
    let played = played.expect("a shell");
    assert!(played.status.success(), "{}", String::from_utf8_lossy(&played.stderr));
}

#[test]
fn every_page_in_each_of_its_states_can_be_seen_and_used_by_everybody() {
    let mut site = Site::open(Kind::Caddy);
    site.usher = site.usher.with_admin();
    let others = [
        ("closed", Installation::start("http://closed.localhost", &["--registration", "closed"]).with_admin()),
        ("invite", Installation::start("http://invite.localhost", &["--registration", "invite"]).with_admin()),
        (
            "plain",
            Installation::start(
                "http://plain.example.com",
                &["--instance-name", "The Household of Ada Lovelace, and Friends"],
            )
            .with_admin(),
        ),
        ("empty", Installation::start("http://empty.localhost", &[])),
        ("troubled", Installation::start("http://troubled.localhost", &[]).with_admin()),
        ("stale", Installation::start("http://stale.localhost", &["--reauthenticate-after", "1s"]).with_admin()),
    ];

    let mut resolve = site.hosts();
    let mut sites = Map::from_iter([("main".to_owned(), site.usher.given())]);
    for (name, other) in &others {
        let host = other.url.trim_start_matches("http://");
        resolve.push(format!("MAP {host} {}", other.serving.address));
        sites.insert((*name).to_owned(), other.given());
    }
    resolve.push(format!("MAP elsewhere.localhost {}", others[0].1.serving.address));
    let routes = usher::http::pages().into_iter().map(|(path, method)| format!("{method} {path}"));
    let given = json!({
        "password": PASSWORD, "sites": sites, "apps": [NOTES, WIKI], "upstreams": site.upstreams, "resolve": resolve,
        "key_hash": key_hash(), "routes": routes.collect::<Vec<_>>(), "only": std::env::var("ONLY_STATE").ok(),
        "images": std::env::var("IMAGES").ok(), "shots": shots("shots"),
    });
    play("states.mjs", &given);
}

/// A folder for pictures.
fn shots(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("../browser").join(name)
}

/// The pages on the hosts of apps, on a phone.
fn on_the_hosts_of_apps(kind: Kind, name: &str) {
    let mut site = Site::open(kind);
    site.usher = site.usher.with_admin();
    let given = json!({
        "password": PASSWORD, "sites": {"main": site.usher.given()}, "apps": [NOTES, WIKI], "upstreams": site.upstreams,
        "resolve": site.hosts(), "key_hash": key_hash(), "kind": name, "looks": [["phone", "light"]],
        "shots": shots(&format!("shots-{name}")),
    });
    play("behind.mjs", &given);
}

#[test]
fn pages_on_the_hosts_of_apps_are_the_same_behind_nginx() {
    on_the_hosts_of_apps(Kind::Nginx, "nginx");
}

#[test]
fn pages_on_the_hosts_of_apps_are_the_same_behind_traefik() {
    on_the_hosts_of_apps(Kind::Traefik, "traefik");
}

#[test]
fn people_look_after_their_account_by_keyboard_and_leave_nothing_behind_the_back_button() {
    let usher = Installation::start("http://account.localhost", &[]).with_admin();
    let given = json!({
        "password": PASSWORD, "sites": {"main": usher.given()}, "key_hash": key_hash(), "mode": "keyboard",
        "resolve": [format!("MAP account.localhost {}", usher.serving.address)],
    });
    play("account.mjs", &given);
}

/// From the first start to two apps, and what happens there.
fn journey(kind: Kind) {
    for mode in ["without scripts", "keyboard", "mouse"] {
        let site = Site::open(kind);
        let given = json!({
            "password": PASSWORD, "sites": {"main": site.usher.given()}, "apps": [NOTES, WIKI],
            "upstreams": site.upstreams, "resolve": site.hosts(), "key_hash": key_hash(), "mode": mode,
            "hosts": {"auth": AUTH},
        });
        play("journey.mjs", &given);
    }
}

#[test]
fn a_family_comes_together_without_a_shell_and_without_scripts() {
    let usher = Installation::with_clock(&format!("https://{AUTH}"), &["--trusted-proxy", "127.0.0.1"]);
    let site = Site::of(Kind::Caddy, usher);
    let given = json!({
        "password": PASSWORD, "sites": {"main": site.usher.given()}, "apps": [NOTES, WIKI],
        "upstreams": site.upstreams, "resolve": site.hosts(), "key_hash": key_hash(), "authority": certificates().authority,
        "clock": site.usher.serving.folder.join(CLOCK),
    });
    play("family.mjs", &given);
}

#[test]
fn people_enter_apps_behind_nginx() {
    journey(Kind::Nginx);
}

#[test]
fn people_enter_apps_behind_caddy() {
    journey(Kind::Caddy);
}

#[test]
fn people_enter_apps_behind_traefik() {
    journey(Kind::Traefik);
}
