//! What `usher check` says of the public URL and of the apps behind it.

use crate::{
    shell::done,
    support::{
        PASSWORD,
        binary::{Serving, create_admin, usher},
        person::PUBLIC_URL,
    },
};
use serde_json::Value;
use std::{os::unix::fs::PermissionsExt, path::Path};
use tempfile::tempdir;

/// The findings about a subject: verdict and text.
fn found(folder: &Path, subject: &str) -> Vec<(String, String)> {
    let report: Value = serde_json::from_slice(&usher(folder, &["check", "--json"]).stdout).expect("a document");
    let findings = report["findings"].as_array().expect("findings").iter();
    let text = |finding: &Value, member: &str| finding[member].as_str().expect("text").to_owned();
    findings
        .filter(|finding| finding["subject"] == subject)
        .map(|finding| (text(finding, "verdict"), text(finding, "text")))
        .collect()
}

/// The only finding about a subject, which must say this.
#[track_caller]
fn says(folder: &Path, subject: &str, verdict: &str, text: &str) {
    let found = found(folder, subject);
    assert!(matches!(&found[..], [(v, t)] if v == verdict && t.contains(text)), "{verdict} {text:?}: {found:?}");
}

fn add(folder: &Path, url: &str, access: &str) {
    done(folder, &["app", "add", "--name", "Notes", "--url", url, "--access", access]);
}

#[test]
fn the_public_url_is_there_has_tls_or_is_missing() {
    let folder = tempdir().unwrap();
    assert!(found(folder.path(), "pages").is_empty());
    for (arguments, verdict, text) in [
        (&["--public-url", PUBLIC_URL][..], "ok", "at https://auth.example.test"),
        (&[], "ok", "at http://127.0.0.1:"),
        (&["--public-url", "http://auth.example.test"], "warning", "without TLS"),
        (&["--listen", "0.0.0.0:0"], "warning", "start 'usher serve' with --public-url"),
    ] {
        drop(Serving::start(folder.path(), arguments));
        says(folder.path(), "pages", verdict, text);
    }
}

#[test]
fn an_app_is_not_protected_until_its_proxy_has_asked() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(
        folder.path(),
        &["--public-url", PUBLIC_URL, "--trusted-proxy", "127.0.0.1", "--registration", "invite"],
    );
    add(folder.path(), "https://notes.example.test", "everyone");
    says(folder.path(), "app", "warning", "Notes, 1, at https://notes.example.test: no proxy has asked about it");

    let asks = [
        ("x-forwarded-method", "GET"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "notes.example.test"),
        ("x-forwarded-uri", "/"),
    ];
    assert_eq!(serving.person().send("GET", "/api/v1/auth/verify", &asks, None).status, 401);
    serving.signal("TERM");
    serving.wait(); // what was gathered is written

    says(folder.path(), "app", "ok", "at https://notes.example.test: its proxy 127.0.0.1 last asked at 20");
}

#[test]
fn everyone_under_open_registration_is_anybody() {
    let folder = tempdir().unwrap();
    drop(Serving::start(folder.path(), &["--public-url", PUBLIC_URL]));
    add(folder.path(), "https://notes.example.test", "everyone");
    says(folder.path(), "app", "warning", "everyone may enter, and registration is open");
    done(folder.path(), &["app", "set", "1", "--access", "admins"]);
    assert!(!found(folder.path(), "app")[0].1.contains("registration is open"));
    done(folder.path(), &["app", "set", "1", "--access", "everyone"]);
    drop(Serving::start(folder.path(), &["--public-url", PUBLIC_URL, "--registration", "closed"]));
    assert!(!found(folder.path(), "app")[0].1.contains("registration is open"));
}

#[test]
fn an_app_that_a_new_public_url_shuts_out_is_an_error() {
    let folder = tempdir().unwrap();
    create_admin(folder.path(), "root");
    drop(Serving::start(folder.path(), &["--public-url", PUBLIC_URL]));
    add(folder.path(), "https://notes.example.test", "admins");
    drop(Serving::start(folder.path(), &["--public-url", "https://notes.example.test:8443"]));
    says(folder.path(), "app", "error", "its host is that of the public URL");
    drop(Serving::start(folder.path(), &["--public-url", "http://localhost:8080"]));
    says(folder.path(), "app", "error", "begins with http://, and this one doesn't: 'usher app set 1 --url …'");
    done(folder.path(), &["app", "set", "1", "--url", "http://notes.localhost:8081"]);
    says(folder.path(), "app", "warning", "no proxy has asked");
}

/// What only the command can see, or only when nobody else is writing.
const OF_THE_COMMAND: [&str; 7] = ["file", "schema", "integrity", "audit", "audit head", "policy", "settings"];

#[test]
fn the_page_of_a_running_server_reports_what_the_command_does() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--public-url", PUBLIC_URL]);
    assert!(create_admin(folder.path(), "root").status.success());
    add(folder.path(), "https://notes.example.test", "everyone");
    std::fs::set_permissions(folder.path().join("usher.db"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let person = serving.person();
    person.sign_in("root", PASSWORD).leads_to("/");
    let page = person.open("/admin/health");

    let report: Value = serde_json::from_slice(&usher(folder.path(), &["check", "--json"]).stdout).expect("a document");
    let findings = report["findings"].as_array().expect("findings").iter();
    let text = |finding: &Value, member: &str| finding[member].as_str().expect("text").to_owned();
    let mut reported: Vec<(String, String)> = findings
        .filter(|finding| !OF_THE_COMMAND.contains(&finding["subject"].as_str().expect("text")))
        .inspect(|finding| {
            // Time goes on, and space is taken.
            let is_fixed = !["clock", "disk"].contains(&finding["subject"].as_str().expect("text"));
            let escaped = text(finding, "text").replace('\'', "&#39;").replace('"', "&#34;");
            assert!(!is_fixed || page.body.contains(&escaped), "{finding}: {page:?}");
        })
        .map(|finding| (text(finding, "verdict"), text(finding, "subject")))
        .collect();
    let rows = page.body.split("<tr>\n").skip(1).map(|row| {
        let verdict = row.split("verdict ").nth(1).and_then(|rest| rest.split('"').next()).expect("a verdict");
        let (_, head) = row.split_once("<th class=\"whole\" scope=\"row\">").expect("a subject");
        let head = head.strip_prefix("<a ").map_or(head, |link| link.split_once('>').expect("its text").1);
        (verdict.to_owned(), head.split('<').next().expect("text").to_owned())
    });
    let mut shown: Vec<(String, String)> = rows.collect();
    reported.sort();
    shown.sort();
    assert_eq!(shown, reported);
    assert!(reported.contains(&("error".to_owned(), "modes".to_owned())), "{reported:?}");
}
