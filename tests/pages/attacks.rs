//! Attacks on single sign-on, each named after what is tried.

use crate::support::{
    Server,
    apps::{MUSIC, NAVIGATION, NOTES, Visitor},
    person::{Person, pages},
    probes::Probes,
};

const APP_COOKIE: &str = "__Host-usher-app";

/// The address with a code to which somebody who is signed in is led for an app.
fn callback(visitor: &Visitor<'_>, app: &str, path: &str) -> String {
    let start = visitor.verify(app, "GET", path, &NAVIGATION).header("location").to_owned();
    let enter = visitor.follow(&start).unwrap().header("location").to_owned();
    let callback = visitor.follow(&enter).unwrap();
    assert_eq!(callback.status, 303, "{callback:?}");
    callback.header("location").to_owned()
}

fn signed_in<'s>(server: &'s Server, name: &str) -> Visitor<'s> {
    server.user(name);
    Visitor::signed_in(server, name)
}

fn is_in(visitor: &Visitor<'_>, app: &str) -> bool {
    visitor.verify(app, "GET", "/", &[]).status == 200
}

#[test]
fn an_open_redirect() {
    let server = Server::with_apps();
    let visitor = signed_in(&server, "ada");
    for to in
        ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/%0d%0aa", "\\\\evil", ""]
    {
        let to: String = form_urlencoded::byte_serialize(to.as_bytes()).collect();
        let start = visitor.open_at(NOTES, &format!("/_usher/start?to={to}"));
        let enter = visitor.follow(start.header("location")).unwrap();
        let back = visitor.follow(enter.header("location")).unwrap();
        let location = back.header("location");
        assert!(location == format!("{NOTES}/") || location == format!("{NOTES}/%0d%0aa"), "{to}: {location}");
        visitor.at(NOTES).cookies.borrow_mut().clear();
    }
    for flow in ["", "https://evil.example", "//evil.example", "AAAA", &"A".repeat(200)] {
        visitor.person.open(&format!("/enter?flow={flow}")).says(404, "leads to no app");
        visitor.person.open(&format!("/continue?flow={flow}")).says(200, "href=\"/enter?flow=");
    }
}

#[test]
fn a_code_that_is_planted_in_another_browser() {
    let server = Server::with_apps();
    let (eve, victim) = (signed_in(&server, "eve"), signed_in(&server, "ada"));
    victim.go(NOTES, "/").unwrap();
    victim.at(NOTES).cookies.borrow_mut().remove(APP_COOKIE);

    let planted = callback(&eve, NOTES, "/x");
    victim.follow(&planted).unwrap().says(403, "made for another browser");
    let without_cookies = Visitor::new(&server);
    without_cookies.follow(&planted).unwrap().says(403, "Cookies may be blocked");

    assert!(!is_in(&victim, NOTES) && !is_in(&without_cookies, NOTES));
    eve.follow(&planted).unwrap();
    assert!(!is_in(&eve, NOTES), "it was used up");
    server.flush();
    assert_eq!(server.occurrences("app.code_refused"), 3);
}

#[test]
fn a_code_that_is_used_again() {
    let server = Server::with_apps();
    let visitor = signed_in(&server, "ada");
    let callback = callback(&visitor, NOTES, "/x");
    assert_eq!(visitor.follow(&callback).unwrap().header("location"), format!("{NOTES}/x"));
    let cookie = visitor.at(NOTES).cookie(APP_COOKIE).unwrap();

    let thief = Visitor::new(&server);
    thief.follow(&callback).unwrap().says(403, "Cookies may be blocked");
    let again = visitor.follow(&callback).unwrap();
    assert_eq!(again.header("location"), format!("{NOTES}/_usher/start?to=%2Fx"), "browsers repeat lost requests");
    assert_eq!(visitor.at(NOTES).cookie(APP_COOKIE).unwrap(), cookie);
    server.flush();
    assert_eq!(server.occurrences("app.code_refused"), 2);
}

#[test]
fn a_code_that_comes_too_late() {
    let server = Server::with_apps();
    let visitor = signed_in(&server, "ada");
    let callback = callback(&visitor, NOTES, "/x");
    server.clock.advance(std::time::Duration::from_mins(1));
    let late = visitor.follow(&callback).unwrap();
    assert_eq!(late.header("location"), format!("{NOTES}/_usher/start?to=%2Fx"));
    assert!(!is_in(&visitor, NOTES));
}

#[test]
fn a_code_whose_browser_has_signed_out_meanwhile() {
    let server = Server::with_apps();
    let visitor = signed_in(&server, "ada");
    let callback = callback(&visitor, NOTES, "/x");
    visitor.person.submit("/sign-out", &[]).leads_to("/sign-in");
    visitor.follow(&callback).unwrap();
    assert!(!is_in(&visitor, NOTES));
}

#[test]
fn the_flow_of_another_app() {
    let server = Server::with_apps();
    let visitor = signed_in(&server, "ada");
    let callback = callback(&visitor, NOTES, "/x");
    let query = callback.split_once('?').unwrap().1;
    visitor.open_at(MUSIC, "/_usher/start?to=%2F");
    let notes = visitor.at(NOTES).cookie("__Host-usher-flow").unwrap();
    visitor.at(MUSIC).set_cookie("__Host-usher-flow", &notes);
    visitor.open_at(MUSIC, &format!("/_usher/callback?{query}")).says(403, "another app");
    visitor.follow(&callback).unwrap();
    assert!(!is_in(&visitor, NOTES) && !is_in(&visitor, MUSIC), "it was used up");
}

#[test]
fn the_cookie_of_another_app() {
    let server = Server::with_apps();
    let visitor = signed_in(&server, "ada");
    visitor.go(NOTES, "/").unwrap();
    let cookie = visitor.at(NOTES).cookie(APP_COOKIE).unwrap();
    visitor.at(MUSIC).set_cookie(APP_COOKIE, &cookie);
    assert!(is_in(&visitor, NOTES) && !is_in(&visitor, MUSIC));
    let browser = server.person();
    browser.set_cookie("__Host-usher", &cookie);
    assert_eq!(browser.signed_in_as(), None, "nor does it open a page of ours");
    let as_app = Visitor::new(&server);
    as_app.at(NOTES).set_cookie(APP_COOKIE, &visitor.person.cookie("__Host-usher").unwrap());
    assert!(!is_in(&as_app, NOTES), "nor the browser's an app");
}

#[test]
fn the_host_of_an_app_that_may_be_entered_in_a_request_to_another() {
    let server = Server::with_apps();
    let visitor = signed_in(&server, "ada");
    visitor.go(NOTES, "/").unwrap();
    server.set_access("Music", "admins");
    let cookie = format!("{APP_COOKIE}={}", visitor.at(NOTES).cookie(APP_COOKIE).unwrap());
    // The proxy says for which app it asks; what the client says of the host does not count.
    let ask = |forwarded: &[(&str, &str)]| {
        let mut headers = vec![("x-forwarded-method", "GET"), ("x-forwarded-uri", "/"), ("cookie", cookie.as_str())];
        headers.extend(forwarded);
        let mut person = server.person();
        person.host = "notes.example.test".to_owned();
        person.send("GET", "/api/v1/auth/verify", &headers, None).status
    };
    let (https, music, notes) = (("x-forwarded-proto", "https"), "music.example.org", "notes.example.test");
    assert_eq!(ask(&[https, ("x-forwarded-host", notes)]), 200);
    assert_eq!(ask(&[https, ("x-forwarded-host", music)]), 401);
    for (name, host) in [
        ("two lines", &[https, ("x-forwarded-host", notes), ("x-forwarded-host", music)] as &[_]),
        ("a list", &[https, ("x-forwarded-host", "notes.example.test, music.example.org")]),
        ("a path", &[https, ("x-forwarded-host", "notes.example.test/music.example.org")]),
        ("somebody in front", &[https, ("x-forwarded-host", "x@notes.example.test")]),
        ("a host in the scheme", &[("x-forwarded-proto", "https://notes.example.test/"), ("x-forwarded-host", music)]),
        ("a capital scheme", &[("x-forwarded-proto", "HTTPS"), ("x-forwarded-host", notes)]),
        ("no scheme", &[("x-forwarded-host", notes)]),
        ("two schemes", &[https, https, ("x-forwarded-host", notes)]),
        ("no host", &[https]),
        ("a foreign scheme", &[("x-forwarded-proto", "ftp"), ("x-forwarded-host", notes)]),
        ("an empty host", &[https, ("x-forwarded-host", "")]),
        ("a dot behind", &[https, ("x-forwarded-host", "notes.example.test.")]),
        ("a name below", &[https, ("x-forwarded-host", "x.notes.example.test")]),
    ] {
        assert_eq!(ask(host), 403, "{name}");
    }
}

#[test]
fn a_request_without_its_method_or_with_two() {
    let server = Server::with_apps();
    let visitor = signed_in(&server, "ada");
    visitor.go(NOTES, "/").unwrap();
    let host = [("x-forwarded-proto", "https"), ("x-forwarded-host", "notes.example.test")];
    for methods in [&[] as &[(&str, &str)], &[("x-forwarded-method", "GET"), ("x-forwarded-method", "POST")]] {
        let headers = [&host as &[_], methods].concat();
        let answer = visitor.at(NOTES).send("GET", "/api/v1/auth/verify", &headers, None);
        assert_eq!(answer.status, 403, "{methods:?}");
    }
}

#[test]
fn forged_forwarded_headers_from_a_peer_that_is_no_proxy() {
    let server = Server::with(pages);
    server.add_app("Notes", NOTES, "everyone");
    server.user("ada");
    let visitor = Visitor::signed_in(&server, "ada");
    visitor.open_at(NOTES, "/_usher/start?to=%2F").says(403, "127.0.0.1, which is not a --trusted-proxy");
    visitor.open_at(NOTES, "/_usher/callback?code=x").says(403, "--trusted-proxy");
    visitor.open_at(NOTES, "/_usher/sign-out").says(403, "--trusted-proxy");
    visitor.open_at(NOTES, "/_usher/test").says(403, "--trusted-proxy");
    // No origin is believed, so no cookie is read, and nobody is led anywhere.
    let answer = visitor.verify(NOTES, "GET", "/", &NAVIGATION);
    assert_eq!((answer.status, answer.header("location")), (401, ""));
}

#[test]
fn forged_remote_headers() {
    let server = Server::with_apps();
    let visitor = signed_in(&server, "ada");
    visitor.go(NOTES, "/").unwrap();
    let forged = [("remote-user", "root"), ("remote-user-id", "1"), ("remote-role", "admin"), ("remote-email", "a@b")];
    let answer = visitor.verify(NOTES, "GET", "/", &forged);
    assert_eq!((answer.header("remote-user"), answer.header("remote-role")), ("ada", "user"));
    for name in ["remote-user", "remote-user-id", "remote-email", "remote-role"] {
        assert_eq!(answer.headers.get_all(name).iter().count(), 1, "{name}");
    }
}

#[test]
fn an_app_on_another_port_of_the_public_host() {
    let server = Server::with_apps();
    server.add_app("Twin", "https://auth.example.test:8443", "everyone");
    let visitor = signed_in(&server, "ada");
    // Cookies ignore ports: such an app would get the one that opens everything.
    let twin = "https://auth.example.test:8443";
    assert_eq!(visitor.verify(twin, "GET", "/", &NAVIGATION).status, 403);
    visitor.open_at(twin, "/_usher/start?to=%2F").says(403, "No app is registered");
}

#[test]
fn another_scheme_or_port_of_an_apps_host() {
    let server = Server::with_apps();
    let visitor = signed_in(&server, "ada");
    visitor.go(NOTES, "/").unwrap();
    for other in ["http://notes.example.test", "https://notes.example.test:8443"] {
        assert_eq!(visitor.verify(other, "GET", "/", &NAVIGATION).status, 403, "{other}");
        visitor.open_at(other, "/_usher/start?to=%2F").says(403, "No app is registered");
        visitor.open_at(other, "/_usher/callback?code=x").says(403, "No app is registered");
    }
}

#[test]
fn cookies_that_a_sibling_tosses() {
    let server = Server::with_apps();
    let visitor = signed_in(&server, "ada");
    visitor.go(NOTES, "/").unwrap();
    let own = visitor.at(NOTES).cookie(APP_COOKIE).unwrap();
    let ask = |line: &str| {
        let bare: Person = Visitor::new(&server).at(NOTES);
        let headers = [
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "notes.example.test"),
            ("x-forwarded-method", "GET"),
            ("cookie", line),
        ];
        bare.send("GET", "/api/v1/auth/verify", &headers, None).status
    };
    assert_eq!(ask(&format!("{APP_COOKIE}={own}")), 200);
    // Without the prefix anybody below the same domain can set it; twice, one of the two is theirs.
    for line in
        [format!("usher-app={own}"), format!("{APP_COOKIE}={own}; {APP_COOKIE}=x"), format!("__host-usher-app={own}")]
    {
        assert_eq!(ask(&line), 401, "{line}");
    }
}

#[test]
fn a_token_from_auth_login_of_somebody_whom_access_excludes() {
    let server = Server::with_apps();
    let ada = server.user("ada");
    server.set_access("Notes", "admins");
    let visitor = Visitor::new(&server);
    let token = ada.token.clone().unwrap();
    for value in [format!("Bearer {token}"), token] {
        assert_eq!(visitor.verify(NOTES, "GET", "/", &[("authorization", &value)]).status, 403, "{value}");
    }
}

#[test]
fn a_host_header_of_an_attacker_in_links_and_redirects() {
    let server = Server::with_apps();
    let visitor = signed_in(&server, "ada");
    let mut person = visitor.at(NOTES);
    person.host = "evil.example".to_owned();
    let headers = [("x-forwarded-proto", "https"), ("x-forwarded-host", "notes.example.test")];
    let start = person.send("GET", "/_usher/start?to=%2F", &headers, None);
    assert!(start.header("location").starts_with("https://auth.example.test/enter?flow="), "{start:?}");
    person.send("GET", "/sign-in", &[("x-forwarded-host", "auth.example.test")], None).says(404, "--public-url");
}

#[test]
fn signing_somebody_in_to_an_app_as_the_attacker() {
    let server = Server::with_apps();
    let (eve, victim) = (signed_in(&server, "eve"), signed_in(&server, "ada"));
    // The attacker's way, up to where the sign-in page would lead on.
    let enter = eve.open_at(NOTES, "/_usher/start?to=%2F").header("location").to_owned();
    let code = victim.follow(&enter).unwrap().header("location").to_owned();
    victim.follow(&code).unwrap().says(403, "Cookies may be blocked");
    eve.follow(&code).unwrap();
    assert!(
        !is_in(&eve, NOTES) && !is_in(&victim, NOTES),
        "the code was used up where it was shown without its cookie"
    );
}
