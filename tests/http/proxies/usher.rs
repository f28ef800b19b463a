//! What stands between proxy and usher: connections, IP addresses, names, TLS, and usher being away.

use super::{AUTH, Answer, Headers, Kind, NOTES, PREFLIGHT, Proxy, Site, Small, WIKI, bearer};
use crate::support::proxies::certificates;
use serde_json::json;
use std::{net::Ipv4Addr, process::Command, sync::atomic::Ordering};

behind_each_proxy! {
    without_usher_nobody_reaches_the_app,
    connections_to_usher_and_to_the_app_are_kept,
    usher_itself_is_not_reached,
    usher_and_the_app_know_the_client_and_the_request,
    two_apps_are_told_apart_by_their_names,
    usher_has_a_name_of_its_own_with_tls,
    a_large_file_of_accounts_reaches_usher,
}

fn without_usher_nobody_reaches_the_app(site: &Site) {
    let ada = site.user("ada");
    site.reached(&site.get_as(&ada, "/"));
    {
        let mut usher = site.usher();
        usher.child.kill().unwrap();
        usher.child.wait().unwrap();
    }
    for target in ["/", "/admin"] {
        for answer in [site.get_as(&ada, target), site.send("GET", target, &[], b"")] {
            let expected = if site.kind == Kind::Nginx {
                503
            } else if site.kind == Kind::Caddy {
                502
            } else {
                500
            };
            assert_eq!(answer.status, expected, "{answer:?}");
            assert!(site.app.take().is_empty());
        }
    }

    // Nor does an answer that is neither yes nor no open the door, or one that names nobody let a forged name through.
    let other = |answer| {
        let (folder, usher, app) = (tempfile::tempdir().unwrap(), Small::start(answer), Small::app());
        let proxy = Proxy::start(site.kind, folder.path(), usher.address, app.address, app.address);
        let forged = "GET / HTTP/1.1\r\nHost: notes.example.com\r\nRemote-User: forged\r\nRemote-User-Id: forged\r\nConnection: close\r\n\r\n";
        let answer = Answer::read(proxy.raw(NOTES, forged));
        assert!(!usher.take().is_empty(), "it was asked");
        (answer, app.take())
    };
    for answer in [
        "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
        "no HTTP\r\n\r\n",
    ] {
        let (through, reached) = other(answer);
        assert!(through.status >= 300 && reached.is_empty(), "{answer:?}: {through:?} {reached:?}");
    }
    let (_, reached) = other("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert!(!format!("{reached:?}").contains("forged"), "{reached:?}");
}

fn connections_to_usher_and_to_the_app_are_kept(site: &Site) {
    let yes = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nRemote-User: ada\r\n\r\n";
    let (folder, usher, app) = (tempfile::tempdir().unwrap(), Small::start(yes), Small::app());
    let proxy = Proxy::start(site.kind, folder.path(), usher.address, app.address, app.address);
    for _ in 0..10 {
        proxy.raw(NOTES, "GET / HTTP/1.1\r\nHost: notes.example.com\r\nConnection: close\r\n\r\n");
    }
    assert_eq!((usher.take().len(), app.take().len()), (10, 10));
    for small in [usher, app] {
        assert!(small.connections.load(Ordering::SeqCst) < 5);
    }
}

fn usher_itself_is_not_reached(site: &Site) {
    let ada = site.user("ada");
    for target in ["/.usher/user", "/.usher/admin", "/api/v1/auth/verify", "/api/v1/auth/me"] {
        let answer = site.get_as(&ada, target);
        assert_eq!((answer.header("remote-user"), answer.header("www-authenticate")), (None, None), "{answer:?}");
        assert!(answer.status == 404 || answer.body == "reached", "{answer:?}");
    }
}

fn usher_and_the_app_know_the_client_and_the_request(site: &Site) {
    let ada = site.user("ada");
    let forged = "X-Forwarded-For: 203.0.113.7\r\nX-Request-Id: chosen-by-the-caller\r\nForwarded: for=203.0.113.7\r\n";
    let request = format!(
        "GET / HTTP/1.1\r\nHost: notes.example.com\r\nAuthorization: {}\r\n{forged}Connection: close\r\n\r\n",
        bearer(&ada)
    );

    let text = site.proxy.raw_from(Ipv4Addr::new(127, 0, 0, 2).into(), NOTES, &request);

    let reached = site.reached(&Answer::read(text));
    assert_eq!(reached.all("x-forwarded-for"), ["127.0.0.2"]);
    assert_eq!((reached.all("x-forwarded-proto"), reached.all("x-forwarded-host")), (vec!["https"], vec![NOTES]));
    let id = reached.all("x-request-id");
    if site.kind == Kind::Traefik {
        assert!(id.is_empty(), "it has none, and the caller's is not taken over: {id:?}");
        return;
    }
    assert!(id.len() == 1 && id[0].len() > 30, "{id:?}");
    let usher = site.usher();
    usher.until_logged(id[0]);
    let log = usher.log();
    let line = log.lines().find(|line| line.contains(id[0])).unwrap();
    assert!(line.contains("/api/v1/auth/verify") && line.contains("127.0.0.2"), "{line}");
}

fn two_apps_are_told_apart_by_their_names(site: &Site) {
    let ada = site.user("ada");
    let token = bearer(&ada);
    let token: Headers<'_> = &[("Authorization", &token)];
    for (host, app, other) in [(NOTES, &site.app, &site.wiki), (WIKI, &site.wiki, &site.app)] {
        assert_eq!(site.send_to(host, "GET", "/", &[], b"").status, 401);
        assert_eq!(site.send_to(host, "GET", "/admin", token, b"").status, 403);
        assert!(app.take().is_empty());

        assert_eq!(site.send_to(host, "GET", "/page", token, b"").body, "reached");
        assert_eq!(site.send_to(host, "OPTIONS", "/page", &PREFLIGHT, b"").body, "reached");

        let [page, preflight] = app.take().try_into().unwrap();
        assert_eq!((page.caller()[0], page.all("host")), ("ada", vec![host]));
        assert!(preflight.is_anonymous() && other.take().is_empty(), "{preflight:?}");
    }
}

/// With curl, which looks at the certificate.
fn usher_has_a_name_of_its_own_with_tls(site: &Site) {
    let authority = &certificates().authority;
    let (ip, port) = (site.proxy.https.ip(), site.proxy.https.port());
    let call = |path: &str, more: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "10", "--noproxy", "*", "--interface", "127.0.0.2"]);
        command.arg("--cacert").arg(authority).args(["--resolve", &format!("{AUTH}:{port}:{ip}")]);
        command.args(more).arg(format!("https://{AUTH}:{port}{path}"));
        let output = command.output().expect("curl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let ada = site.user("ada");

    let login = json!({"email": "ada@example.com", "password": crate::support::PASSWORD}).to_string();
    let forged = ["--header", "X-Forwarded-For: 203.0.113.7", "--header", "Content-Type: application/json"];
    let signed_in = call("/api/v1/auth/login", &[&forged[..], &["--data", &login]].concat());

    let signed_in: serde_json::Value = serde_json::from_str(&signed_in).unwrap();
    let token = format!("Authorization: Bearer {}", signed_in["token"].as_str().unwrap());
    let sessions = call("/api/v1/auth/sessions", &["--header", &token]);
    let sessions: serde_json::Value = serde_json::from_str(&sessions).unwrap();
    let own = sessions["sessions"].as_array().unwrap().iter().find(|session| session["current"] == true).unwrap();
    assert_eq!((&own["ip"], &signed_in["user"]["id"]), (&"127.0.0.2".into(), &ada.id.into()), "{sessions}");
    assert!(site.app.take().is_empty() && site.wiki.take().is_empty());
}

fn a_large_file_of_accounts_reaches_usher(site: &Site) {
    let (token, body) = (bearer(&site.root()), "no account\n".repeat(200_000));
    let length = body.len().to_string();
    let headers =
        [("Authorization", token.as_str()), ("Content-Type", "application/jsonl"), ("Content-Length", length.as_str())];
    let answer = site.send_to(AUTH, "POST", "/api/v1/users/import?dry_run=true", &headers, body.as_bytes());
    assert!(answer.status == 400 && answer.body.contains("validation_failed"), "{answer:?}");
}
