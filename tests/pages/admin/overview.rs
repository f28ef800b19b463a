//! The overview of the administrators' console.

use crate::support::{
    PASSWORD, Server,
    apps::{NOTES, Visitor},
    probes::Probes,
};
use serde_json::json;
use std::time::Duration;

const PAGE: &str = "/admin";

#[test]
fn accounts_and_sessions_are_counted() {
    let server = Server::with_apps();
    let root = server.admin("root");
    server.user("ada");
    let bob = server.user("bob");
    root.put(&format!("/users/{}", bob.id), json!({"disabled": true})).is(200, "");
    Visitor::signed_in(&server, "ada").go(NOTES, "/").unwrap();
    let person = server.signed_in_person("root");
    let page = person.open(PAGE);
    page.says(200, "<a href=\"/admin/users\">3</a> (administrators: 1, disabled: 1)")
        .says(200, "<dd>2 of browsers, 1 of browsers at apps, 2 of programs</dd>")
        .says(200, "aria-current=\"page\">Overview</a>");
    person.open("/").says(200, "<a href=\"/admin\">Administration</a>");
    assert!(!server.signed_in_person("ada").open("/").body.contains("/admin"));
}

#[test]
fn the_charts_and_their_table_say_the_same() {
    let server = Server::with_pages();
    server.admin("root");
    server.user("ada");
    for _ in 0..3 {
        server.person().sign_in("ada", "wrong").says(401, "");
    }
    server.flush();
    server.clock.advance(Duration::from_hours(24));
    let person = server.signed_in_person("root");
    let page = person.open(PAGE);
    for text in [
        "aria-label=\"Sign-ins a day: 3 in 90 days, at most 2 on one day, 2026-11-22\"",
        "aria-label=\"Refusals a day: 3 in 90 days, at most 3 on one day, 2026-11-22\"",
        "<th scope=\"row\">2026-11-23</th><td data-label=\"Sign-ins\">1</td><td data-label=\"Refusals\">0</td>",
        "<th scope=\"row\">2026-11-22</th><td data-label=\"Sign-ins\">2</td><td data-label=\"Refusals\">3</td>",
        "<th scope=\"row\">2026-08-26</th><td data-label=\"Sign-ins\">0</td>",
    ] {
        page.says(200, text);
    }
    assert_eq!((page.body.matches("<svg").count(), page.body.matches("<th scope=\"row\">").count()), (3, 90));
}

#[test]
fn an_empty_service_has_charts_too() {
    let server = Server::with_pages();
    server.admin("root");
    server.clock.advance(Duration::from_hours(24 * 200));
    let person = server.person();
    person.sign_in("root", PASSWORD).leads_to("/");
    let page = person.open(PAGE);
    page.says(200, "aria-label=\"Refusals a day: none in 90 days\"").says(200, "<path class=\"bars\" d=\"\"/>");
}

#[test]
fn the_line_of_health_is_at_most_a_minute_old() {
    let server = Server::with_apps();
    server.admin("root");
    let person = server.signed_in_person("root");
    let wrong = || person.open(PAGE).body.contains("1 error");
    assert!(!wrong());
    server.damage_apps("name = '' WHERE id = 1");
    assert!(!wrong());
    server.clock.advance(Duration::from_secs(59));
    assert!(!wrong());
    server.clock.advance(Duration::from_secs(1));
    assert!(wrong());
}

#[test]
fn every_part_of_the_console_is_one_link_away() {
    let server = Server::with_pages();
    server.admin("root");
    let person = server.signed_in_person("root");
    let page = person.open(PAGE);
    let (_, sections) = page.body.split_once("aria-label=\"Administration\">").expect("the sections");
    let links = sections.split("</nav>").next().expect("their end").split("<a href=\"").skip(1);
    let links: Vec<&str> = links.map(|link| link.split('"').next().expect("a path")).collect();
    let expected = ["", "/users", "/groups", "/apps", "/invitations", "/audit", "/health"];
    assert_eq!(links, expected.map(|path| format!("/admin{path}")));
    for path in links {
        person.open(path).says(200, &format!("<a href=\"{path}\" aria-current=\"page\">"));
    }
}

#[test]
fn nobody_else_sees_it() {
    let server = Server::with_pages();
    server.admin("root");
    server.user("ada");
    for path in [PAGE, "/admin/health"] {
        server.signed_in_person("ada").open(path).says(403, "You may not do this");
        server.person().open(path).leads_to(&format!("/sign-in?to={}", path.replace('/', "%2F")));
    }
}
