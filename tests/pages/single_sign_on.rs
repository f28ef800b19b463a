//! Entering apps behind a proxy with one sign-in.

use crate::support::{
    PASSWORD, Server,
    apps::{MUSIC, NAVIGATION, NOTES, Visitor, behind_a_proxy},
    probes::Probes,
};
use serde_json::{Value, json};
use std::time::Duration;

const APP_COOKIE: &str = "__Host-usher-app";

#[test]
fn one_sign_in_enters_both_apps_at_the_place_that_was_asked_for() {
    let server = Server::with_apps();
    let ada = server.user("ada");
    let visitor = Visitor::new(&server);

    let page = visitor.go(NOTES, "/x?y=1&z=%2Fa#").unwrap_err();
    page.says(200, "<h1>Sign in to Notes</h1>");
    let flow = page.body.split("name=\"flow\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let answer = visitor.person.submit("/sign-in", &[("login", "ada"), ("password", PASSWORD), ("flow", flow)]);
    let on = visitor.follow(answer.header("location")).unwrap();
    on.says(200, "http-equiv=\"refresh\"");
    let next = format!("/enter?flow={flow}");
    assert!(on.body.contains(&format!("<a href=\"{next}\">")), "{on:?}");
    assert_eq!(visitor.go_on(NOTES, next).unwrap(), "/x?y=1&z=%2Fa#");

    assert_eq!(visitor.go(MUSIC, "/").unwrap(), "/", "without a second sign-in");
    let answer = visitor.verify(NOTES, "GET", "/", &NAVIGATION);
    assert_eq!((answer.header("remote-user"), answer.header("remote-user-id")), ("ada", ada.id.to_string().as_str()));
    assert_ne!(visitor.at(NOTES).cookie(APP_COOKIE), visitor.at(MUSIC).cookie(APP_COOKIE));
}

#[test]
fn signing_out_on_one_app_signs_out_of_all_from_the_next_request_on() {
    let server = Server::with_apps();
    server.user("ada");
    let visitor = Visitor::signed_in(&server, "ada");
    visitor.go(NOTES, "/").unwrap();
    visitor.go(MUSIC, "/").unwrap();

    let out = visitor.open_at(NOTES, "/_usher/sign-out");
    assert_eq!(out.header("location"), "https://auth.example.test/sign-out");
    assert_eq!(visitor.verify(NOTES, "GET", "/", &NAVIGATION).status, 200, "nothing was changed yet");
    visitor.person.submit("/sign-out", &[]).leads_to("/sign-in");

    for app in [NOTES, MUSIC] {
        assert_eq!(visitor.verify(app, "GET", "/", &NAVIGATION).status, 302, "{app}");
        assert_eq!(visitor.verify(app, "GET", "/", &[("sec-fetch-mode", "cors")]).status, 401, "{app}");
    }
    assert_eq!(server.session_count(), 1, "the token of the API has nothing to do with it");
}

#[test]
fn what_happens_to_an_account_acts_on_the_next_request_to_every_app() {
    let server = Server::with_apps();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let inside = || {
        let visitor = Visitor::signed_in(&server, "ada");
        visitor.go(NOTES, "/").unwrap();
        visitor
    };
    let is_in = |visitor: &Visitor<'_>| visitor.verify(NOTES, "GET", "/", &[("sec-fetch-mode", "cors")]).status;
    for change in [json!({"disabled": true}), json!({"password": "another battery"})] {
        let visitor = inside();
        assert_eq!(is_in(&visitor), 200);
        root.put(&ada.me(), change.clone());
        assert_eq!(is_in(&visitor), 401, "{change}");
        root.put(&ada.me(), json!({"disabled": false, "password": PASSWORD}));
    }
    let visitor = inside();
    server.set_access("Notes", "admins");
    assert_eq!(is_in(&visitor), 403);
    server.set_access("Notes", "groups");
    assert_eq!(is_in(&visitor), 403);
    server.let_in(ada.id, "Notes");
    assert_eq!(is_in(&visitor), 200);
    server.leave_groups(ada.id);
    assert_eq!(is_in(&visitor), 403);
    server.set_access("Notes", "everyone");
    root.delete(&format!("{}/sessions", ada.me()));
    assert_eq!(is_in(&visitor), 401);
    let visitor = inside();
    server.delete_app("Notes");
    assert_eq!(is_in(&visitor), 403, "no app is registered there");
    server.add_app("Notes", NOTES, "everyone");
    assert_eq!(is_in(&visitor), 401, "its sessions went with it");
    let visitor = inside();
    root.delete(&ada.me());
    assert_eq!(is_in(&visitor), 401);
}

#[test]
fn somebody_who_may_not_enter_is_told_so_and_gets_no_code() {
    let server = Server::with_apps();
    let ada = server.user("ada");
    let root = server.admin("root");
    server.set_access("Notes", "admins");
    let visitor = Visitor::signed_in(&server, "ada");
    visitor.go(NOTES, "/x").unwrap_err().says(403, "Your account may not enter Notes");
    assert_eq!(server.code_counts(), [0, 0]);
    assert_eq!(Visitor::signed_in(&server, "root").go(NOTES, "/x").unwrap(), "/x");
    server.set_access("Notes", "groups");
    Visitor::signed_in(&server, "root").go(NOTES, "/x").unwrap_err().says(403, "may not enter");
    server.let_in(ada.id, "Notes");
    assert_eq!(visitor.go(NOTES, "/x").unwrap(), "/x");

    server.leave_groups(ada.id);
    visitor.go(NOTES, "/y").unwrap_err().says(403, "Your account may not enter Notes");
    server.flush();
    assert_eq!(root.get("/audit?action=access.denied").json()["events"].as_array().unwrap().len(), 3);
}

#[test]
fn a_script_or_a_websocket_is_refused_and_never_redirected() {
    let server = Server::with_apps();
    server.user("ada");
    let (stranger, inside) = (Visitor::new(&server), Visitor::signed_in(&server, "ada"));
    inside.go(NOTES, "/").unwrap();
    let websocket = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    for (method, headers, of_stranger, of_ada) in [
        ("GET", &[("sec-fetch-mode", "cors"), ("sec-fetch-site", "same-origin")] as &[_], 401, 200),
        ("GET", &[("sec-fetch-mode", "cors"), ("sec-fetch-site", "cross-site")], 401, 200),
        ("GET", &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")], 401, 200),
        ("GET", &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")], 401, 200),
        ("GET", &[("accept", "application/json")], 401, 200),
        ("GET", &[], 401, 200),
        ("POST", &[("sec-fetch-site", "same-origin")], 401, 200),
        ("POST", &[("sec-fetch-site", "same-site")], 403, 403),
        ("POST", &[("sec-fetch-site", "cross-site"), ("origin", NOTES)], 403, 403),
        ("DELETE", &[("origin", MUSIC)], 403, 403),
        ("PUT", &[("origin", NOTES)], 401, 200),
        ("POST", &[("origin", "null")], 403, 403),
        ("POST", &[], 401, 403),
        ("BREW", &[("sec-fetch-site", "cross-site")], 403, 403),
        ("GET", &[websocket, ("origin", NOTES)], 401, 200),
        ("GET", &[websocket, ("origin", MUSIC)], 403, 403),
        ("GET", &[websocket, ("sec-fetch-site", "cross-site")], 403, 403),
        ("GET", &[websocket], 401, 403),
    ] {
        for (visitor, expected) in [(&stranger, of_stranger), (&inside, of_ada)] {
            let answer = visitor.verify(NOTES, method, "/", headers);
            assert_eq!(answer.status, expected, "{method} {headers:?}: {answer:?}");
            assert_eq!(answer.header("location"), "", "{method} {headers:?}");
        }
    }
}

#[test]
fn a_person_whose_session_has_ended_and_who_sends_a_form_is_told_that_it_was_not_sent() {
    let server = Server::with_apps();
    let visitor = Visitor::new(&server);
    let headers = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("sec-fetch-site", "same-origin")];
    let page = visitor.verify(NOTES, "POST", "/save", &headers);
    assert_eq!((page.status, page.header("content-type")), (401, "text/html; charset=utf-8"));
    page.says(401, "did not reach the app");
}

#[test]
fn a_role_that_the_proxy_asks_for_counts_beside_the_access_of_the_app() {
    let server = Server::with_apps();
    server.user("ada");
    server.admin("root");
    let (scheme, host) = NOTES.split_once("://").unwrap();
    for (name, status) in [("ada", 403), ("root", 200)] {
        let visitor = Visitor::signed_in(&server, name);
        visitor.go(NOTES, "/").unwrap();
        let mut headers = vec![("x-forwarded-proto", scheme), ("x-forwarded-host", host)];
        headers.extend([("x-forwarded-method", "GET"), ("x-forwarded-uri", "/admin")]);
        headers.extend(NAVIGATION);
        let answer = visitor.at(NOTES).send("GET", "/api/v1/auth/verify?role=admin", &headers, None);
        assert_eq!((answer.status, answer.header("location")), (status, ""), "{name}");
    }
}

#[test]
fn nginx_is_told_by_401_where_to_lead_a_person() {
    let server = Server::with_apps();
    let visitor = Visitor::new(&server);
    let (scheme, host) = NOTES.split_once("://").unwrap();
    let ask = |method: &str, path: &str| {
        let mut headers = vec![("x-forwarded-proto", scheme), ("x-forwarded-host", host)];
        headers.extend([("x-forwarded-method", method), ("x-forwarded-uri", path)]);
        headers.extend(NAVIGATION);
        visitor.at(NOTES).send("GET", "/api/v1/auth/verify?refuse=401", &headers, None)
    };
    assert_eq!(ask("GET", "/x").status, 401);
    assert_eq!(ask("GET", "/x?a=1&b=2").header("location"), format!("{NOTES}/_usher/start?to=%2Fx%3Fa%3D1%26b%3D2"));
    assert_eq!(ask("POST", "/x").header("location"), "");
    for path in ["/x?b=ü", "//evil.example", "/\\evil.example", &format!("/{}", "x".repeat(2_000))] {
        assert_eq!(ask("GET", path).header("location"), format!("{NOTES}/_usher/start?to=%2F"), "{path}");
    }
}

#[test]
fn a_proxy_that_does_not_pass_our_paths_on_leads_nobody_round_in_circles() {
    let server = Server::with_apps();
    let visitor = Visitor::new(&server);
    let answer = visitor.verify(NOTES, "GET", "/_usher/start?to=%2F", &NAVIGATION);
    assert_eq!((answer.status, answer.header("location")), (401, ""));
}

#[test]
fn a_token_of_the_api_enters_only_what_its_account_may_enter() {
    let server = Server::with_apps();
    let ada = server.user("ada");
    let visitor = Visitor::new(&server);
    let bearer = format!("Bearer {}", ada.token.as_deref().unwrap());
    let ask = |app: &str| {
        visitor.verify(app, "POST", "/", &[("authorization", &bearer), ("sec-fetch-site", "cross-site")]).status
    };
    assert_eq!(ask(NOTES), 200, "a token is no cookie: no other site can make a browser send it");
    server.set_access("Notes", "admins");
    assert_eq!((ask(NOTES), ask(MUSIC)), (403, 200));
    let navigating = [("authorization", bearer.as_str()), NAVIGATION[0], NAVIGATION[1]];
    let answer = visitor.verify(NOTES, "GET", "/", &navigating);
    assert_eq!((answer.status, answer.header("location")), (403, ""), "a program is led nowhere");
    assert_eq!(ask("https://unknown.example.test"), 403);
    assert_eq!(ask("http://music.example.org"), 403, "another scheme");
    assert_eq!(ask("https://music.example.org:8443"), 403, "another port");
}

#[test]
fn what_an_app_puts_into_authorization_is_left_to_it_and_what_looks_like_ours_is_judged() {
    let server = Server::with_apps();
    server.user("ada");
    let visitor = Visitor::signed_in(&server, "ada");
    visitor.go(NOTES, "/").unwrap();
    let ask = |value: &str| visitor.verify(NOTES, "GET", "/", &[("authorization", value)]).status;
    for of_the_app in ["Bearer abc", "Basic YTpi", "token", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x", ""] {
        assert_eq!(ask(of_the_app), 200, "{of_the_app}");
    }
    let cookie = visitor.at(NOTES).cookie(APP_COOKIE).unwrap();
    for ours in ["Bearer ush_short", "ush_short", &format!("Bearer {cookie}"), "Bearer ushb_x", "bearer ushp_x"] {
        assert_eq!(ask(ours), 401, "{ours}");
    }
}

#[test]
fn a_session_with_an_app_is_listed_under_its_browser_and_ends_alone_or_with_it() {
    let server = Server::with_apps();
    let ada = server.user("ada");
    let visitor = Visitor::signed_in(&server, "ada");
    visitor.go(NOTES, "/").unwrap();
    visitor.go(MUSIC, "/").unwrap();
    let listed = || {
        let sessions = ada.get("/auth/sessions").json()["sessions"].as_array().unwrap().clone();
        let kinds = sessions.iter().map(|session| session["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        (sessions, kinds)
    };
    let (sessions, kinds) = listed();
    assert_eq!(kinds, ["browser", "app", "app", "api"]);
    assert!(
        sessions[1..3].iter().all(|session| session["parent_id"] == sessions[0]["id"] && session["app_id"].is_i64())
    );
    assert!(
        [0, 3].iter().all(|at| sessions[*at]["parent_id"] == Value::Null && sessions[*at]["app_id"] == Value::Null)
    );

    let id = sessions[1]["id"].as_str().unwrap();
    assert_eq!(ada.delete(&format!("/auth/sessions/{id}")).status, 204);
    assert_eq!(listed().1, ["browser", "app", "api"]);
    let browser = sessions[0]["id"].as_str().unwrap();
    assert_eq!(ada.delete(&format!("/auth/sessions/{browser}")).status, 204);
    assert_eq!(listed().1, ["api"]);
}

#[test]
fn the_use_of_an_app_keeps_its_browser_signed_in_and_both_end_together() {
    let server = Server::with(|settings| {
        crate::support::person::pages(settings);
        behind_a_proxy(settings);
        settings.policy.sessions.idle_timeout = Duration::from_hours(2);
    });
    server.add_app("Notes", NOTES, "everyone");
    server.user("ada");
    let visitor = Visitor::signed_in(&server, "ada");
    visitor.go(NOTES, "/").unwrap();
    for _ in 0..3 {
        server.clock.advance(Duration::from_mins(90));
        assert_eq!(visitor.verify(NOTES, "GET", "/", &[]).status, 200);
        server.flush();
    }
    assert!(visitor.person.signed_in_as().is_some());
    server.clock.advance(Duration::from_hours(2));
    assert_eq!(visitor.verify(NOTES, "GET", "/", &[]).status, 401);
    assert!(visitor.person.signed_in_as().is_none());
}

#[test]
fn a_browser_has_four_sessions_with_an_app_and_they_do_not_count_as_the_accounts() {
    let server = Server::with(|settings| {
        crate::support::person::pages(settings);
        behind_a_proxy(settings);
        settings.policy.sessions.max_per_user = 2;
    });
    server.add_app("Notes", NOTES, "everyone");
    server.user("ada");
    let visitor = Visitor::signed_in(&server, "ada");
    for _ in 0..6 {
        visitor.at(NOTES).cookies.borrow_mut().clear();
        let start = visitor.open_at(NOTES, "/_usher/start?to=%2F");
        let cookie = start.set_cookies()[0].split(';').next().unwrap().to_owned();
        let code = visitor.follow(start.header("location")).unwrap().header("location").to_owned();
        let headers = [("x-forwarded-proto", "https"), ("x-forwarded-host", "notes.example.test"), ("cookie", &cookie)];
        let entered = server.person().send("GET", &code[NOTES.len()..], &headers, None);
        assert_eq!(entered.header("location"), format!("{NOTES}/"));
    }
    assert_eq!(server.session_count(), 2 + 4);
}

#[test]
fn what_is_refused_before_the_sign_in_is_told_to_people_on_a_page_and_to_programs_in_the_envelope() {
    let server = Server::with_apps();
    let visitor = Visitor::new(&server);
    for (app, method, text) in [
        ("https://unknown.example.test", "GET", "No app is registered for the host"),
        (NOTES, "POST", "This request comes from a page of another origin"),
    ] {
        let navigation = [("sec-fetch-mode", "navigate"), ("sec-fetch-site", "cross-site")];
        visitor.verify(app, method, "/", &navigation).says(403, text).says(403, "<h1>You may not do this</h1>");
        let program = visitor.verify(app, method, "/", &[("sec-fetch-mode", "cors"), ("sec-fetch-site", "cross-site")]);
        assert_eq!(serde_json::from_str::<Value>(&program.body).unwrap()["error"]["code"], "forbidden", "{app}");
    }
}

#[test]
fn tabs_that_are_restored_together_all_arrive() {
    let server = Server::with_apps();
    server.user("ada");
    let visitor = Visitor::signed_in(&server, "ada");
    visitor.go(NOTES, "/").unwrap();
    visitor.at(NOTES).cookies.borrow_mut().remove(APP_COOKIE);
    let starts: Vec<_> = ["/a", "/b", "/c"]
        .iter()
        .map(|path| visitor.verify(NOTES, "GET", path, &NAVIGATION).header("location").to_owned())
        .map(|start| visitor.follow(&start).unwrap().header("location").to_owned())
        .collect();
    let codes: Vec<_> =
        starts.iter().map(|enter| visitor.follow(enter).unwrap().header("location").to_owned()).collect();
    let arrived: Vec<_> =
        codes.iter().map(|callback| visitor.follow(callback).unwrap().header("location").to_owned()).collect();
    assert_eq!(arrived, ["/a", "/b", "/c"].map(|path| format!("{NOTES}{path}")));
}

#[test]
fn a_browser_that_goes_round_in_circles_is_told_why() {
    let server = Server::with_apps();
    server.user("ada");
    let visitor = Visitor::signed_in(&server, "ada");
    let start = || visitor.open_at(NOTES, "/_usher/start?to=%2Fx");
    assert_eq!([start().status, start().status], [303, 303]);
    start().says(409, "did not send the cookie").says(409, "Try again");
    assert_eq!(start().status, 303, "after the page it may begin again");

    visitor.go(NOTES, "/y").unwrap();
    let start = || visitor.open_at(NOTES, "/_usher/start?to=%2Fz");
    assert_eq!([start().status, start().status], [303, 303]);
    start().says(409, "the service did not accept it");
    server.clock.advance(Duration::from_mins(1));
    assert_eq!(start().status, 303);
}

#[test]
fn strangers_who_begin_cause_no_write() {
    let server = Server::with_apps();
    let before = server.state();
    let visitor = Visitor::new(&server);
    for n in 0..5 {
        visitor.go(NOTES, &format!("/{n}")).unwrap_err().says(200, "Sign in to Notes");
    }
    visitor.open_at(NOTES, "/_usher/callback?code=ushe_x").says(403, "was made for another browser");
    assert_eq!(server.state(), before);
}

#[test]
fn a_way_that_took_too_long_begins_again_at_the_app() {
    let server = Server::with_apps();
    server.user("ada");
    let visitor = Visitor::signed_in(&server, "ada");
    let enter = visitor.open_at(NOTES, "/_usher/start?to=%2Fx").header("location").to_owned();
    server.clock.advance(Duration::from_secs(3_601));
    let again = visitor.follow(&enter).unwrap();
    assert_eq!(again.header("location"), format!("{NOTES}/_usher/start?to=%2Fx"));
    assert_eq!(visitor.go_on(NOTES, again.header("location").to_owned()).unwrap(), "/x");
}

#[test]
fn the_test_page_shows_what_arrives_and_when_the_proxy_last_asked() {
    let server = Server::with_apps();
    server.user("ada");
    let visitor = Visitor::signed_in(&server, "ada");
    visitor.open_at(NOTES, "/_usher/test").says(200, NOTES).says(200, "<dd>Notes</dd>").says(200, "not yet");
    visitor.go(NOTES, "/").unwrap();
    server.flush();
    let page = visitor.open_at(NOTES, "/_usher/test");
    page.says(200, "2026-11-22T10:00:00Z").says(200, "<dd>arrived</dd>");
    visitor.open_at("https://unknown.example.test", "/_usher/test").says(200, "None is registered");
}
