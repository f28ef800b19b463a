//! Whose word counts for the IP address of a client.

use super::requests;
use crate::support::{
    PASSWORD,
    binary::{Serving, until, usher},
    probes::Probes,
};
use serde_json::json;
use tempfile::tempdir;

/// Signs `ada` in with `X-Forwarded-For` lines, also with a wrong password.
fn sign_in_through(serving: &Serving, lines: &[&str]) {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(lines.iter().map(|line| ("x-forwarded-for", *line)));
    for (password, status) in [(PASSWORD, 200), ("a wrong password", 401)] {
        let body = json!({"email": "ada@example.com", "password": password}).to_string();
        assert_eq!(serving.client().send("POST", "/auth/login", &headers, Some(body.as_bytes())).status, status);
    }
}

/// The addresses of the sign-ins, good ones and bad ones, oldest first, once there are so many.
fn audited(serving: &Serving, count: usize) -> Vec<Option<String>> {
    until("the attempts are in the audit log", || {
        let is_attempt = |action: &str| ["session.signed_in", "session.sign_in_failed"].contains(&action);
        let found: Vec<_> =
            serving.audit().into_iter().filter(|entry| is_attempt(&entry.action)).map(|entry| entry.ip).collect();
        (found.len() >= count).then_some(found)
    })
}

#[test]
fn behind_a_trusted_proxy_the_clients_address_is_in_the_log_the_audit_table_and_the_session() {
    // given
    let folder = tempdir().unwrap();
    let arguments = ["--trusted-proxy", "127.0.0.1,10.0.0.0/8", "--log-format", "json"];
    let serving = Serving::start(folder.path(), &arguments);
    serving.register("ada").is(201, "");

    for (lines, expected) in [
        (&["203.0.113.7"][..], "203.0.113.7"),
        (&["6.6.6.6, 203.0.113.8", "10.1.2.3"], "203.0.113.8"),
        (&["[2001:db8::1]:4711"], "2001:db8::1"),
        (&["::ffff:203.0.113.9"], "203.0.113.9"),
        (&["203.0.113.7, nonsense"], "127.0.0.1"),
        (&[], "127.0.0.1"),
    ] {
        // when
        let before = audited(&serving, 0).len();
        sign_in_through(&serving, lines);

        // then
        let addresses = audited(&serving, before + 2);
        assert!(addresses[before..].iter().all(|ip| ip.as_deref() == Some(expected)), "{expected}: {addresses:?}");
        assert_eq!(serving.session_ips().last().unwrap().as_deref(), Some(expected));
        let logged = until("both are logged", || {
            let log = serving.log();
            let of = |line: &&str| line.contains("/auth/login") && line.contains(&format!("\"{expected}\""));
            (log.lines().filter(of).count() >= 2).then_some(log)
        });
        assert!(requests(&logged).values().flatten().any(|line| line["client"] == expected));
    }
}

#[test]
fn a_proxy_that_is_declared_in_ipv6_form_is_trusted_in_ipv4_too() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--trusted-proxy", "::ffff:127.0.0.1,::ffff:10.0.0.0/104"]);
    serving.register("ada").is(201, "");
    sign_in_through(&serving, &["203.0.113.7, 10.1.2.3"]);
    assert_eq!(serving.session_ips(), [Some("203.0.113.7".to_owned())]);
}

#[test]
fn a_proxy_on_this_machine_that_nobody_declared_is_warned_about_once_and_its_clients_are_unknown() {
    // given
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--trusted-proxy", "10.0.0.0/8"]);
    serving.register("ada").is(201, "");

    // when
    for _ in 0..3 {
        sign_in_through(&serving, &["203.0.113.7"]);
    }

    // then
    until("it is noted", || (serving.undeclared_proxy_count() == 1).then_some(()));
    let addresses = audited(&serving, 6);
    assert_eq!(addresses, vec![None; 6]);
    assert_eq!(serving.session_ips(), vec![None; 3]);
    serving.signal("TERM");
    let (_, log) = serving.wait();
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("--trusted-proxy")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    assert!(warnings[0].contains("WARN") && !log.contains("203.0.113.7"), "{log}");
    let weaker = ["--trusted-proxy 127.0.0.1", "share one budget against guessing", "lock an owner out"];
    assert!(weaker.iter().all(|text| warnings[0].contains(text)), "{log}");

    // then: the same is in the report, until a server is started again
    let check = || String::from_utf8(usher(folder.path(), &["check"]).stdout).unwrap();
    let report = check();
    let line = report.lines().find(|line| line.starts_with("warning  proxy ")).unwrap_or_else(|| panic!("{report}"));
    assert!(weaker.iter().all(|text| line.contains(text)), "{line}");
    drop(Serving::start(folder.path(), &["--trusted-proxy", "127.0.0.1"]));
    assert!(!check().contains("--trusted-proxy"), "{}", check());
}
