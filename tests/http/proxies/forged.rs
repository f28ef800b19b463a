//! What a caller says of a request is not believed: neither where it goes to, nor what it is.

use super::{AUTH, Headers, NOTES, Site, WIKI, people::Browser};
use crate::support::{
    apps::NAVIGATION,
    proxies::{Kind, Proxy},
    small::Small,
};
use serde_json::json;

behind_each_proxy! {
    a_forged_host_is_not_that_of_the_app,
    a_forged_method_or_path_is_not_that_of_the_request,
    the_cookie_of_an_app_opens_nothing_at_the_host_of_usher,
    an_absolute_target_does_not_lead_to_another_app,
    a_connection_that_was_opened_for_one_app_does_not_open_another,
    what_a_caller_says_of_its_ip_address_does_not_reach_the_app,
}

/// Only `root` may enter the wiki, and the browser of `ada` has a session with the notes.
fn inside_one(site: &Site) -> Browser<'_> {
    site.user("ada");
    let browser = Browser::inside(site, "ada");
    let root = site.root();
    let apps = root.get("/apps").json();
    let wiki = apps["apps"].as_array().unwrap().iter().find(|app| app["name"] == "Wiki").unwrap()["id"].clone();
    assert_eq!(root.put(&format!("/apps/{wiki}"), json!({"access": "admins"})).status, 200);
    browser
}

fn a_forged_host_is_not_that_of_the_app(site: &Site) {
    let browser = inside_one(site);
    let notes = browser.cookies_of(NOTES);
    for name in ["X-Forwarded-Host", "x-forwarded-host", "X_Forwarded_Host", "X-Forwarded.Host", "Forwarded", "X-Host"]
    {
        let value = if name == "Forwarded" { "host=notes.example.com;proto=https" } else { NOTES };
        let headers = [("Cookie", notes.as_str()), (name, value), ("X-Forwarded-Proto", "https")];
        let answer = site.send_to(WIKI, "GET", "/", &headers, b"");
        assert_eq!(answer.status, 401, "{name}: {answer:?}");
        let headers = [&headers[..], &NAVIGATION].concat();
        let answer = site.send_to(WIKI, "GET", "/", &headers, b"");
        let location = answer.header("location").unwrap_or_default();
        assert!(location.starts_with("https://wiki.example.net/_usher/start?"), "{name}: {answer:?}");
        let answer = site.send_to(WIKI, "GET", "/_usher/start?to=%2F", &headers, b"");
        assert!(answer.status == 303 && answer.all("set-cookie").len() == 1, "{name}: {answer:?}");
        let test = site.send_to(WIKI, "GET", "/_usher/test", &headers, b"");
        assert!(test.body.contains("<dd>Wiki</dd>") && !test.body.contains(NOTES), "{name}: {test:?}");
    }
    let http: Headers<'_> = &[("X-Forwarded-Proto", "http"), ("X-Forwarded-Port", "80"), ("X-Forwarded-Ssl", "off")];
    let answer = site.send("GET", "/", &[http, &NAVIGATION].concat(), b"");
    assert!(answer.header("location").unwrap_or_default().starts_with("https://notes.example.com/"), "{answer:?}");
    assert!(site.app.take().is_empty() && site.wiki.take().is_empty());
}

fn a_forged_method_or_path_is_not_that_of_the_request(site: &Site) {
    let browser = inside_one(site);
    let foreign = [("Origin", "https://elsewhere.example"), ("Content-Length", "0")];
    for forged in [
        &[("X-Forwarded-Method", "GET"), ("X-Forwarded-Method", "HEAD")][..],
        &[("X-HTTP-Method-Override", "GET"), ("X-Forwarded-Uri", "/_usher/test")],
    ] {
        site.refused(&browser.send("POST", NOTES, "/data", &[&foreign[..], forged].concat(), b""), 403);
    }
    let forged = [&NAVIGATION[..], &[("X-Forwarded-Uri", "/elsewhere"), ("X-Original-Url", "/elsewhere")]].concat();
    let answer = Browser::new(site).send("GET", NOTES, "/page", &forged, b"");
    assert_eq!(answer.header("location"), Some("https://notes.example.com/_usher/start?to=%2Fpage"), "{answer:?}");
    let reached = site.reached(&browser.send("GET", NOTES, "/page", &forged, b""));
    assert!(!format!("{:?}", reached.all("x-forwarded-uri")).contains("elsewhere"), "{reached:?}");
}

fn the_cookie_of_an_app_opens_nothing_at_the_host_of_usher(site: &Site) {
    let browser = inside_one(site);
    let notes = browser.cookies_of(NOTES);
    let headers = [
        ("Cookie", notes.as_str()),
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", NOTES),
        ("X-Forwarded-Uri", "/"),
    ];
    for headers in [&headers[..], &headers[..1]] {
        let answer = site.send_to(AUTH, "GET", "/api/v1/auth/verify", headers, b"");
        assert!([401, 403].contains(&answer.status) && answer.header("remote-user").is_none(), "{answer:?}");
    }
    let answer = site.send_to(AUTH, "GET", "/_usher/test", &headers, b"");
    assert!(!answer.body.contains("<dd>Notes</dd>"), "{answer:?}");
    let answer = site.send_to(AUTH, "GET", "/_usher/start?to=%2F", &headers, b"");
    assert!(answer.status == 403 && answer.all("set-cookie").is_empty(), "{answer:?}");
}

/// `GET http://other-app/` with the `Host` of an app that lets the caller in.
fn an_absolute_target_does_not_lead_to_another_app(site: &Site) {
    let browser = inside_one(site);
    let notes = browser.cookies_of(NOTES);
    for target in ["http://wiki.example.net/", "https://wiki.example.net/", "https://wiki.example.net:443/x"] {
        let answer = site.send("GET", target, &[("Cookie", &notes)], b"");
        let reached = site.app.take();
        assert!(site.wiki.take().is_empty(), "{target}: {answer:?}");
        // It may be taken for a request to the app that the caller may enter, whole.
        assert!(reached.iter().all(|reached| reached.all("host") == [NOTES]), "{target}: {reached:?}");
        assert_eq!(answer.status == 200, reached.len() == 1, "{target}: {answer:?}");
    }
    // The other way round, the app is told its own name.
    let swapped =
        format!("GET https://{NOTES}/x HTTP/1.1\r\nHost: {WIKI}\r\nCookie: {notes}\r\nConnection: close\r\n\r\n");
    let reached = site.reached(&site.raw(swapped));
    assert_eq!((reached.all("host"), reached.all("x-forwarded-host")), (vec![NOTES], vec![NOTES]));
    for target in ["http://auth.example.com/api/v1/auth/verify", "https://auth.example.com/api/v1/auth/verify"] {
        let answer = site.send("GET", target, &[("Cookie", &notes)], b"");
        assert!(answer.header("remote-user").is_none() && site.wiki.take().is_empty(), "{target}: {answer:?}");
        site.app.take();
    }
}

/// The name in the TLS handshake is one app's, and `Host` another's.
fn a_connection_that_was_opened_for_one_app_does_not_open_another(site: &Site) {
    let browser = inside_one(site);
    let notes = browser.cookies_of(NOTES);
    for opened in [NOTES, AUTH] {
        for host in [WIKI, "unknown.example.org", "", "notes.example.com.example.org", "wiki.example.net."] {
            let request = format!(
                "GET / HTTP/1.1\r\nHost: {host}\r\nCookie: {notes}\r\nRemote_User: forged\r\nConnection: close\r\n\r\n"
            );
            let answer = site.proxy.raw(opened, request);
            let reached = [site.app.take(), site.wiki.take()].concat();
            assert!(reached.is_empty() && !answer.contains("reached"), "{opened} {host}: {answer} {reached:?}");
        }
        // nginx reads what stands before `Host` by the rules of the name in the handshake.
        let request = format!(
            "GET / HTTP/1.1\r\nRemote_User: forged\r\nHost: {NOTES}\r\nCookie: {notes}\r\nConnection: close\r\n\r\n"
        );
        site.proxy.raw(opened, request);
        assert!(!format!("{:?}", site.app.take()).contains("forged"), "{opened}");
    }
}

/// An app could take it for the proxy's word, also under names as CGI and WSGI read them.
fn what_a_caller_says_of_its_ip_address_does_not_reach_the_app(site: &Site) {
    let browser = inside_one(site);
    let said = "203.0.113.9";
    let forged = [
        ("Forwarded", "for=203.0.113.9"),
        ("X-Real-Ip", said),
        ("X_Forwarded_For", said),
        ("X_Forwarded-For", said),
        ("X-Forwarded-For", said),
    ];
    // Traefik passes on unusual spellings of names that are not ours.
    let forged = if site.kind == Kind::Traefik { [&forged[..2], &forged[4..]].concat() } else { forged.to_vec() };
    let reached = site.reached(&browser.send("GET", NOTES, "/page", &forged, b""));
    assert!(!format!("{reached:?}").contains(said), "{reached:?}");
}

#[test]
fn behind_caddy_a_token_does_not_go_to_ushers_pages_on_the_host_of_an_app() {
    let (folder, usher, app) = (tempfile::tempdir().unwrap(), Small::app(), Small::app());
    let proxy = Proxy::start(Kind::Caddy, folder.path(), usher.address, app.address, app.address);
    usher.take();
    let head = "GET /_usher/test HTTP/1.1\r\nAuthorization: Bearer ush_secret\r\nConnection: close";
    proxy.raw(NOTES, format!("{head}\r\nHost: {NOTES}\r\n\r\n"));
    let reached = usher.take();
    assert!(reached.len() == 1 && reached[0].all("authorization").is_empty(), "{reached:?}");
}
