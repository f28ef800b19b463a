//! People in a real browser: Chromium, driven by the scripts beside this file, before the real executable.

#![cfg(feature = "system-tests")]

#[path = "../support/mod.rs"]
mod support;

mod front;

use front::Front;
use serde_json::{Map, Value, json};
use std::{path::Path, process::Command};
use support::{
    PASSWORD,
    binary::{Serving, create_admin},
};
use tempfile::TempDir;

/// The names of apps behind the proxy. The last one is not registered.
const APPS: [&str; 3] = ["notes.example.com", "wiki.example.net", "unknown.example.com"];

/// A server with its database and its public URL.
struct Installation {
    name: &'static str,
    url: &'static str,
    serving: Serving,
    _folder: TempDir,
}

impl Installation {
    fn start(name: &'static str, url: &'static str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let serving = Serving::start(folder.path(), &[&["--public-url", url], arguments].concat());
        Self { name, url, serving, _folder: folder }
    }

    /// The same with an administrator `root`.
    fn with_admin(self) -> Self {
        assert!(create_admin(&self.serving.folder, "root").status.success());
        self
    }

    /// The link for the first administrator, from the log.
    fn setup_link(&self) -> String {
        let log = self.serving.log();
        let (_, token) = log.split_once("/setup?token=").expect("a link");
        format!("{}/setup?token={}", self.url, token.split_whitespace().next().expect("a token"))
    }

    fn host(&self) -> &'static str {
        self.url.split_once("://").expect("an origin").1
    }
}

/// Runs a script, which says on standard error what was not as it should be.
fn play(script: &str, given: &Value) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let only = std::env::var_os("ONLY_STATE");
    let played =
        Command::new(here.join("node")).arg(here.join(script)).args(only).env("GIVEN", given.to_string()).output();
    let played = played.expect("a shell");
    assert!(played.status.success(), "{}", String::from_utf8_lossy(&played.stderr));
}

#[test]
fn every_page_in_each_of_its_states_can_be_seen_and_used_by_everybody() {
    let main = Installation::start("main", "https://auth.example.com", &["--trusted-proxy", "127.0.0.1"]).with_admin();
    let others = [
        Installation::start("closed", "http://closed.localhost", &["--registration", "closed"]).with_admin(),
        Installation::start("invite", "http://invite.localhost", &["--registration", "invite"]).with_admin(),
        Installation::start(
            "plain",
            "http://plain.example.test",
            &["--instance-name", "The Household of Ada Lovelace, and Friends"],
        )
        .with_admin(),
        Installation::start("empty", "http://empty.localhost", &[]),
    ];
    let front = Front::start(main.serving.address, &[&[main.host()], &APPS[..]].concat());

    let mut resolve = front.resolve.clone();
    let mut sites = Map::new();
    for site in others.iter().chain([&main]) {
        if site.name != "main" {
            resolve.push(format!("MAP {} {}", site.host(), site.serving.address));
        }
        let api = format!("http://{}/api/v1", site.serving.address);
        sites.insert(site.name.to_owned(), json!({"url": site.url, "api": api, "setup": site.setup_link()}));
    }
    resolve.push(format!("MAP elsewhere.localhost {}", others[0].serving.address));
    let routes: Vec<String> =
        usher::http::pages().into_iter().map(|(path, method)| format!("{method} {path}")).collect();
    let shots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../browser/shots");
    let given = json!({
        "password": PASSWORD, "sites": sites, "apps": APPS, "routes": routes, "resolve": resolve, "key_hash": front.key_hash,
        "shots": shots,
    });
    play("states.mjs", &given);
}
