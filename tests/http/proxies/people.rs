//! People with browsers: led to the sign-in, in and out of both apps, and what their browsers send of their own accord.

use super::{AUTH, Answer, Headers, Kind, NOTES, Site, WIKI, bearer};
use crate::support::{PASSWORD, apps::NAVIGATION};
use serde_json::json;
use std::{cell::RefCell, collections::BTreeMap, fs};

behind_each_proxy! {
    one_sign_in_enters_both_apps_and_one_sign_out_leaves_both,
    a_script_is_refused_and_not_redirected,
    a_websocket_needs_a_session_and_the_origin_of_the_app,
    exactly_four_paths_are_passed_to_usher,
    a_path_that_is_too_long_leads_to_the_first_page,
    an_app_that_is_not_registered_is_refused,
    somebody_who_may_not_enter_is_told_so,
    the_app_does_not_get_the_cookie_of_usher,
    without_usher_people_are_not_let_in,
    no_query_of_usher_is_logged,
    http_leads_to_https,
}

/// A browser, with the cookies that it keeps for each host.
pub struct Browser<'s> {
    site: &'s Site,
    pub cookies: RefCell<BTreeMap<(String, String), String>>,
}

impl<'s> Browser<'s> {
    pub fn new(site: &'s Site) -> Self {
        Self { site, cookies: RefCell::default() }
    }

    /// Somebody who has signed in, and entered both apps.
    pub fn inside(site: &'s Site, name: &str) -> Self {
        let browser = Self::new(site);
        browser.sign_in(NOTES, name);
        for (host, app) in [(NOTES, &site.app), (WIKI, &site.wiki)] {
            assert_eq!(browser.open(host, "/").0.body, "reached");
            app.take();
        }
        browser
    }

    /// Sends one request with the cookies of the host.
    pub fn send(&self, method: &str, host: &str, target: &str, headers: Headers<'_>, body: &[u8]) -> Answer {
        let cookies = self.cookies_of(host);
        let mut all = headers.to_vec();
        if !cookies.is_empty() {
            all.push(("Cookie", &cookies));
        }
        let answer = self.site.send_to(host, method, target, &all, body);
        for line in answer.all("set-cookie") {
            let (pair, attributes) = line.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a name and a value");
            let key = (host.to_owned(), name.to_owned());
            if attributes.contains("Max-Age=0") {
                self.cookies.borrow_mut().remove(&key);
            } else {
                self.cookies.borrow_mut().insert(key, value.to_owned());
            }
        }
        answer
    }

    /// The value of the header for a host.
    pub fn cookies_of(&self, host: &str) -> String {
        let cookies = self.cookies.borrow();
        let own = cookies.iter().filter(|((of, _), _)| of == host);
        own.map(|((_, name), value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// Opens a page and follows where that leads. Returns the last answer, and the address of the page.
    pub fn open(&self, host: &str, target: &str) -> (Answer, String) {
        let mut url = format!("https://{host}{target}");
        for _ in 0..12 {
            let (host, path) = host_and_path(&url);
            let answer = self.send("GET", &host, &path, &NAVIGATION, b"");
            match (answer.status, answer.header("location")) {
                (302 | 303, Some(location)) if location.starts_with('/') => url = format!("https://{host}{location}"),
                (302 | 303, Some(location)) => location.clone_into(&mut url),
                _ => return (answer, url),
            }
        }
        panic!("it goes round in circles: {url}");
    }

    /// Opens an app, signs in where that leads, and goes on to the app.
    pub fn sign_in(&self, host: &str, name: &str) -> (Answer, String) {
        let (page, url) = self.open(host, "/page?of=today");
        assert!(page.status == 200 && url.starts_with(&format!("https://{AUTH}/enter?flow=")), "{url}: {page:?}");
        let (_, flow) = url.split_once("flow=").expect("a flow");
        let form = format!("login={name}&password={}&keep=yes&flow={flow}", PASSWORD.replace(' ', "+"));
        let length = form.len().to_string();
        let headers = [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Content-Length", length.as_str()),
            ("Origin", "https://auth.example.com"),
            ("Sec-Fetch-Site", "same-origin"),
        ];
        let answer = self.send("POST", AUTH, "/sign-in", &headers, form.as_bytes());
        assert_eq!(answer.status, 303, "{answer:?}");
        let (page, _) = self.open(AUTH, answer.header("location").expect("a location"));
        let (_, link) = page.body.split_once("url=").expect("a page that leads on");
        let link = link.split('"').next().expect("its end").replace("&#38;", "&").replace("&amp;", "&");
        self.open(AUTH, &link)
    }
}

fn host_and_path(url: &str) -> (String, String) {
    let rest = url.strip_prefix("https://").unwrap_or_else(|| panic!("{url} is not safe"));
    let at = rest.find('/').expect("a path");
    (rest[..at].to_owned(), rest[at..].to_owned())
}

fn one_sign_in_enters_both_apps_and_one_sign_out_leaves_both(site: &Site) {
    let ada = site.user("ada");
    let browser = Browser::new(site);

    let (answer, url) = browser.sign_in(NOTES, "ada");
    assert_eq!(url, format!("https://{NOTES}/page?of=today"));
    let reached = site.reached(&answer);
    assert_eq!((reached.caller()[0], reached.caller()[1]), ("ada", ada.id.to_string().as_str()));
    // nginx leaves a header without a value away.
    assert_eq!(reached.all("remote-name"), ["ada"]);
    assert!(reached.all("remote-groups").concat().is_empty(), "{reached:?}");
    let (answer, url) = browser.open(WIKI, "/other");
    assert_eq!((answer.body.as_str(), url), ("reached", format!("https://{WIKI}/other")));
    assert_eq!(site.wiki.take().remove(0).caller()[0], "ada");

    let (page, url) = browser.open(NOTES, "/_usher/sign-out");
    assert!(page.status == 200 && url == format!("https://{AUTH}/sign-out"), "{url}: {page:?}");
    let headers = [("Sec-Fetch-Site", "same-origin"), ("Content-Length", "0")];
    assert_eq!(browser.send("POST", AUTH, "/sign-out", &headers, b"").status, 303);
    for host in [NOTES, WIKI] {
        assert_eq!(browser.send("GET", host, "/", &[("Sec-Fetch-Mode", "cors")], b"").status, 401);
        let (page, url) = browser.open(host, "/");
        assert!(
            page.body.contains("Password") && url.starts_with(&format!("https://{AUTH}/enter?")),
            "{url}: {page:?}"
        );
    }
    assert!(site.app.take().is_empty() && site.wiki.take().is_empty());
}

fn a_script_is_refused_and_not_redirected(site: &Site) {
    let ada = site.user("ada");
    let stranger = Browser::new(site);
    let fetch = [("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty"), ("Sec-Fetch-Site", "same-origin")];
    let foreign = [
        ("Sec-Fetch-Mode", "cors"),
        ("Sec-Fetch-Dest", "empty"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Origin", "https://elsewhere.example"),
        ("Content-Length", "0"),
    ];
    // A browser that says nothing of itself, and accepts pages or not.
    let old: [Headers<'_>; 2] = [&[("Accept", "application/json")], &[("Accept", "*/*")]];
    for headers in [&fetch[..], old[0], old[1]] {
        let answer = stranger.send("GET", NOTES, "/data", headers, b"");
        site.refused(&answer, 401);
        assert_eq!(answer.header("location"), None, "{answer:?}");
    }
    assert_eq!(stranger.send("GET", NOTES, "/page", &[("Accept", "text/html")], b"").status, 302);
    site.refused(&stranger.send("POST", NOTES, "/data", &foreign, b""), 403);
    let form = [NAVIGATION[0], NAVIGATION[1], ("Sec-Fetch-Site", "same-origin"), ("Content-Length", "0")];
    let answer = stranger.send("POST", NOTES, "/data", &form, b"");
    site.refused(&answer, 401);
    assert!(answer.body.contains("not reach the app"), "{answer:?}");

    let inside = Browser::inside(site, "ada");
    assert_eq!(site.reached(&inside.send("GET", NOTES, "/data", &fetch, b"")).caller()[0], "ada");
    let own = [&fetch[..], &[("Content-Length", "0"), ("Origin", "https://notes.example.com")]].concat();
    site.reached(&inside.send("POST", NOTES, "/data", &own, b""));
    site.reached(&inside.send("DELETE", NOTES, "/data", &[("Sec-Fetch-Site", "same-origin")], b""));
    site.refused(&inside.send("POST", NOTES, "/data", &foreign, b""), 403);
    site.refused(&inside.send("DELETE", NOTES, "/data", &foreign[3..], b""), 403);
    let bearer = bearer(&ada);
    let program = [&foreign[..], &[("Authorization", bearer.as_str())]].concat();
    assert_eq!(site.reached(&stranger.send("POST", NOTES, "/data", &program, b"")).caller()[0], "ada");
}

fn a_websocket_needs_a_session_and_the_origin_of_the_app(site: &Site) {
    site.user("ada");
    let handshake = |browser: &Browser<'_>, origin: &str| {
        let headers = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Origin", origin),
        ];
        let cookies = browser.cookies_of(NOTES);
        let mut text = format!("GET /live HTTP/1.1\r\nHost: {NOTES}\r\nCookie: {cookies}\r\n");
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        let mut stream = site.proxy.connect(NOTES);
        std::io::Write::write_all(&mut stream, format!("{text}\r\n").as_bytes()).expect("it reads");
        let line = crate::support::small::read_line(&mut stream).expect("an answer");
        line.split(' ').nth(1).expect("a status").parse::<u16>().expect("a number")
    };
    let own = "https://notes.example.com";
    let stranger = Browser::new(site);
    assert_eq!(handshake(&stranger, own), 401);
    assert_eq!(handshake(&stranger, "https://elsewhere.example"), 403);
    let inside = Browser::inside(site, "ada");
    for other in ["https://elsewhere.example", "https://wiki.example.net", "http://notes.example.com", "null"] {
        assert_eq!(handshake(&inside, other), 403, "{other}");
    }
    assert!(site.app.take().is_empty());
    assert_eq!(handshake(&inside, own), 101);
    assert_eq!(site.app.take().remove(0).caller()[0], "ada");
}

fn exactly_four_paths_are_passed_to_usher(site: &Site) {
    site.user("ada");
    let stranger = Browser::new(site);
    for (path, status) in [
        ("/_usher/start?to=%2F", 303),
        ("/_usher/callback?code=x", 403),
        ("/_usher/sign-out", 303),
        ("/_usher/test", 200),
    ] {
        let answer = stranger.send("GET", NOTES, path, &NAVIGATION, b"");
        assert!(
            answer.status == status && answer.header("x-content-type-options") == Some("nosniff"),
            "{path}: {answer:?}"
        );
    }
    let test = stranger.send("GET", WIKI, "/_usher/test", &NAVIGATION, b"");
    assert!(test.body.contains("https://wiki.example.net") && test.body.contains("Wiki"), "{test:?}");

    let inside = Browser::inside(site, "ada");
    for path in ["/_usher", "/_usher/", "/_usher/other", "/_usher/start/", "/_usher/start/x", "/_usher/test.html"] {
        site.refused(&stranger.send("GET", NOTES, path, &[], b""), 401);
        assert_eq!(site.reached(&inside.send("GET", NOTES, path, &[], b"")).target, path);
    }
    // Other spellings of the four, and ways out of them, are no way to anything else.
    for path in [
        "/_USHER/start",
        "/_usher/%73tart",
        "/_usher//test",
        "/_usher%2ftest",
        "/_usher/test%0a",
        "/_usher/x/../test",
        "/api/v1/../../_usher/test",
        "/_usher/test/../../api/v1/service",
        "/_usher/test%2f..%2f..%2fapi/v1/service",
    ] {
        let answer = stranger.send("GET", NOTES, path, &[], b"");
        let began = answer.header("location").is_some_and(|to| to.starts_with("https://auth.example.com/enter?"));
        let tested = answer.body.contains("https://notes.example.com");
        assert!(answer.status >= 400 || began || tested, "{path}: {answer:?}");
        assert!(site.app.take().is_empty(), "{path}");
    }
}

fn a_path_that_is_too_long_leads_to_the_first_page(site: &Site) {
    let to = |length: usize| {
        let path = format!("/{}", "a".repeat(length - 1));
        let answer = Browser::new(site).send("GET", NOTES, &path, &NAVIGATION, b"");
        assert_eq!(answer.status, 302, "{answer:?}");
        answer.header("location").expect("a location").to_owned()
    };
    assert_eq!(to(2_000), format!("https://{NOTES}/_usher/start?to=%2F{}", "a".repeat(1_999)));
    for length in [2_001, 6_000] {
        assert_eq!(to(length), format!("https://{NOTES}/_usher/start?to=%2F"));
    }
    // So long that the proxy or usher does not read it.
    for length in [20_000, 200_000] {
        let answer = Browser::new(site).send("GET", NOTES, &format!("/{}", "a".repeat(length)), &NAVIGATION, b"");
        assert!(answer.status >= 400, "{answer:?}");
    }
    assert!(site.app.take().is_empty());
}

fn an_app_that_is_not_registered_is_refused(site: &Site) {
    site.user("ada");
    let inside = Browser::inside(site, "ada");
    let root = site.root();
    let apps = root.get("/apps").json();
    let wiki = apps["apps"].as_array().unwrap().iter().find(|app| app["name"] == "Wiki").unwrap()["id"].clone();
    assert_eq!(root.delete(&format!("/apps/{wiki}")).status, 204);
    let bearer = bearer(&root);
    for (browser, headers) in [
        (&inside, &NAVIGATION[..]),
        (&inside, &[]),
        (&Browser::new(site), &NAVIGATION[..]),
        (&Browser::new(site), &[("Authorization", bearer.as_str())]),
    ] {
        let answer = browser.send("GET", WIKI, "/", headers, b"");
        assert_eq!((answer.status, answer.header("location")), (403, None), "{answer:?}");
    }
    assert_eq!(inside.send("GET", WIKI, "/_usher/start", &NAVIGATION, b"").status, 403);
    assert!(site.wiki.take().is_empty());
    site.reached(&inside.send("GET", NOTES, "/", &NAVIGATION, b""));
}

fn somebody_who_may_not_enter_is_told_so(site: &Site) {
    site.user("ada");
    let inside = Browser::inside(site, "ada");
    let root = site.root();
    let apps = root.get("/apps").json();
    let wiki = apps["apps"].as_array().unwrap().iter().find(|app| app["name"] == "Wiki").unwrap()["id"].clone();
    let changed = root.put(&format!("/apps/{wiki}"), json!({"access": "admins"}));
    assert_eq!(changed.status, 200, "{changed:?}");

    let (page, url) = inside.open(WIKI, "/");

    assert!(page.status == 403 && page.body.contains("Wiki") && url.contains("/enter?flow="), "{url} {page:?}");
    assert_eq!(inside.send("GET", WIKI, "/", &[("Sec-Fetch-Mode", "cors")], b"").status, 403);
    assert!(site.wiki.take().is_empty());
}

fn the_app_does_not_get_the_cookie_of_usher(site: &Site) {
    site.user("ada");
    let inside = Browser::inside(site, "ada");
    let ours = inside.cookies_of(NOTES);
    let own = ours.split("; ").find(|cookie| cookie.starts_with("__Host-usher-app=usha_")).expect("our cookie");
    for (sent, kept) in [
        (own.to_owned(), ""),
        (format!("a=1; {own}"), "a=1"),
        (format!("{own}; b=2"), "b=2"),
        (format!("a=1; {own}; b=2; c=3"), "a=1; b=2; c=3"),
        (format!("x{own}; {own}"), &format!("x{own}")),
    ] {
        let reached = site.reached(&site.send("GET", "/", &[("Cookie", &sent)], b""));
        assert_eq!(reached.caller()[0], "ada");
        // Traefik can't take one cookie away.
        let kept = if site.kind == Kind::Traefik { &sent } else { kept };
        assert_eq!(reached.all("cookie").concat(), kept, "{sent}");
    }
}

fn without_usher_people_are_not_let_in(site: &Site) {
    site.user("ada");
    let inside = Browser::inside(site, "ada");
    {
        let mut usher = site.usher();
        usher.child.kill().unwrap();
        usher.child.wait().unwrap();
    }
    let (asked, passed) = match site.kind {
        Kind::Nginx => (503, 502),
        Kind::Caddy => (502, 502),
        Kind::Traefik => (500, 502),
    };
    for browser in [&inside, &Browser::new(site)] {
        let answer = browser.send("GET", NOTES, "/", &NAVIGATION, b"");
        assert_eq!((answer.status, answer.header("location")), (asked, None), "{answer:?}");
        assert_eq!(browser.send("GET", NOTES, "/_usher/start?to=%2F", &NAVIGATION, b"").status, passed);
        assert_eq!(browser.send("GET", AUTH, "/sign-in", &NAVIGATION, b"").status, passed);
    }
    assert!(site.app.take().is_empty());
}

/// Each proxy logs all that it can here, also what fails.
fn no_query_of_usher_is_logged(site: &Site) {
    site.user("ada");
    let inside = Browser::inside(site, "ada");
    let open = || {
        for (host, path) in [
            (NOTES, "/_usher/start?to=%2Fsecret"),
            (NOTES, "/_usher/callback?code=ushe_secret"),
            (AUTH, "/enter?flow=secret"),
            (AUTH, "/reset?token=secret"),
        ] {
            inside.send("GET", host, path, &[("Referer", "https://auth.example.com/reset?token=secret")], b"");
        }
    };
    open();
    {
        let mut usher = site.usher();
        usher.child.kill().unwrap();
        usher.child.wait().unwrap();
    }
    open();
    inside.send("GET", NOTES, "/a-page-of-the-app", &[], b"");
    let logs = || {
        ["output", "access.log", "error.log"]
            .map(|name| fs::read_to_string(site.folder.path().join(name)).unwrap_or_default())
            .concat()
    };
    crate::support::binary::until("the log", || logs().contains("/a-page-of-the-app").then_some(()));
    for line in logs().lines() {
        assert!(!line.contains("secret") && !line.contains("usher_") && !line.contains("flow="), "{line}");
    }
}

fn http_leads_to_https(site: &Site) {
    for host in [AUTH, NOTES, WIKI] {
        let request = format!("GET /page?x=1 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = Answer::read(crate::support::raw(site.proxy.http, request));
        let location = answer.header("location").unwrap_or_default();
        let (_, rest) = location.split_once(host).unwrap_or_default();
        assert!((300..400).contains(&answer.status) && location.starts_with("https://"), "{answer:?}");
        assert!(rest.trim_start_matches(|c: char| c == ':' || c.is_ascii_digit()) == "/page?x=1", "{answer:?}");
    }
}
