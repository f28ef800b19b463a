//! How long sessions with apps last, and what bounds them.

use crate::support::{
    PASSWORD, Server, Settings,
    apps::{MUSIC, NAVIGATION, NOTES, Visitor, behind_a_proxy},
    person::pages,
    probes::Probes,
};
use std::time::Duration;

const HOUR: Duration = Duration::from_hours(1);

/// A server with one app, and somebody who may enter it.
fn with(change: impl FnOnce(&mut Settings)) -> Server {
    let server = Server::with(|settings| {
        pages(settings);
        behind_a_proxy(settings);
        change(settings);
    });
    server.add_app("Notes", NOTES, "everyone");
    server.user("ada");
    server
}

fn status(visitor: &Visitor<'_>) -> u16 {
    visitor.verify(NOTES, "GET", "/", &[]).status
}

#[test]
fn one_ends_when_its_time_is_over_although_its_browser_has_signed_in_again() {
    let server = with(|settings| {
        settings.policy.sessions.lifetime = 2 * HOUR;
        settings.policy.sessions.idle_timeout = 2 * HOUR;
    });
    let visitor = Visitor::signed_in(&server, "ada");
    visitor.go(NOTES, "/").unwrap();
    server.clock.advance(HOUR);
    visitor.person.sign_in("ada", PASSWORD).leads_to("/");
    assert_eq!(status(&visitor), 200);

    server.clock.advance(HOUR);

    assert_eq!(status(&visitor), 401);
    assert!(visitor.person.signed_in_as().is_some());
}

#[test]
fn its_use_is_recorded_beside_that_of_its_browser() {
    let server = with(|_| {});
    let ada = server.sign_in("ada");
    let visitor = Visitor::signed_in(&server, "ada");
    visitor.go(NOTES, "/").unwrap();

    server.clock.advance(HOUR);
    assert_eq!(status(&visitor), 200);
    server.flush();

    let sessions = ada.get("/auth/sessions").json()["sessions"].as_array().unwrap().clone();
    let used: Vec<_> = sessions.iter().filter(|one| one["kind"] != "api").map(|one| &one["last_used_at"]).collect();
    assert_eq!(used, ["2026-11-22T11:00:00Z", "2026-11-22T11:00:00Z"]);
}

#[test]
fn a_new_sign_in_counts_browsers_and_no_apps() {
    let server = with(|settings| settings.policy.sessions.max_per_user = 2);
    let visitor = Visitor::signed_in(&server, "ada");
    for app in [NOTES, NOTES] {
        visitor.at(app).cookies.borrow_mut().clear();
        visitor.go(app, "/").unwrap();
    }
    server.clock.advance(HOUR);
    server.signed_in_person("ada");
    assert!(visitor.person.signed_in_as().is_some(), "it is the second newest of two");
    assert_eq!(status(&visitor), 200);
}

#[test]
fn entering_again_and_again_has_an_end() {
    let server = with(|_| {});
    let visitor = Visitor::signed_in(&server, "ada");
    let enter = visitor.open_at(NOTES, "/_usher/start?to=%2F").header("location").to_owned();
    for _ in 0..60 {
        assert_eq!(visitor.follow(&enter).unwrap().status, 303);
    }
    visitor.follow(&enter).unwrap().says(429, "Wait 10 seconds");
    assert_eq!(server.code_counts()[0], 60);
    server.clock.advance(Duration::from_secs(10));
    assert_eq!(visitor.follow(&enter).unwrap().status, 303);
}

#[test]
fn codes_are_deleted_an_hour_after_their_end() {
    let server = with(|_| {});
    Visitor::signed_in(&server, "ada").go(NOTES, "/").unwrap();
    let sweep = || futures_executor::block_on(server.app.maintenance.sweep()).unwrap();
    server.clock.advance(HOUR);
    sweep();
    assert_eq!(server.code_counts(), [1, 1]);
    server.clock.advance(Duration::from_mins(2));
    sweep();
    assert_eq!(server.code_counts(), [0, 0]);
}

#[test]
fn an_app_whose_host_becomes_the_public_url_is_none() {
    let server = Server::with_apps();
    server.user("ada");
    let visitor = Visitor::signed_in(&server, "ada");
    visitor.go(MUSIC, "/").unwrap();
    let cookie = visitor.at(MUSIC).cookie("__Host-usher-app").unwrap();
    let enter = visitor.open_at(MUSIC, "/_usher/start?to=%2F").header("location").to_owned();
    drop(visitor);

    let server = server.restart(|settings| {
        behind_a_proxy(settings);
        settings.policy.public_url = Some(usher::domain::Origin::parse(MUSIC).unwrap());
    });

    let visitor = Visitor::new(&server);
    visitor.at(MUSIC).set_cookie("__Host-usher-app", &cookie);
    assert_eq!(visitor.verify(MUSIC, "GET", "/", &[]).status, 403);
    let mut person = server.person();
    "music.example.org".clone_into(&mut person.host);
    let path = enter.strip_prefix(crate::support::person::PUBLIC_URL).unwrap();
    person.open(path).says(404, "leads to no app");
}

#[test]
fn without_pages_nobody_is_led_to_a_sign_in() {
    let server = Server::with(behind_a_proxy);
    server.add_app("Notes", NOTES, "everyone");
    let answer = Visitor::new(&server).verify(NOTES, "GET", "/", &NAVIGATION);
    assert_eq!((answer.status, answer.header("location")), (401, ""));
}

#[test]
fn many_requests_with_one_code_open_one_session() {
    let server = with(|_| {});
    let visitor = Visitor::signed_in(&server, "ada");
    let start = visitor.open_at(NOTES, "/_usher/start?to=%2F");
    let cookie = start.set_cookies()[0].split(';').next().unwrap().to_owned();
    let callback = visitor.follow(start.header("location")).unwrap().header("location")[NOTES.len()..].to_owned();
    let (server, cookie, callback) = (&server, &cookie, &callback);

    let locations: Vec<String> = std::thread::scope(|scope| {
        let ask = || {
            let headers =
                [("x-forwarded-proto", "https"), ("x-forwarded-host", "notes.example.test"), ("cookie", cookie)];
            server.person().send("GET", callback, &headers, None).header("location").to_owned()
        };
        let threads: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });

    let entered = locations.iter().filter(|location| **location == format!("{NOTES}/")).count();
    assert_eq!((entered, server.session_count()), (1, 3), "beside those of the browser and of the API: {locations:?}");
}
