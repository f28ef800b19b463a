//! Who gets what from every page and every form: role, page and ownership in one table. A page that the table lacks fails it.

use crate::support::{
    PASSWORD, Server,
    person::{Page, Person},
    probes::Probes,
    unique,
};
use serde_json::json;
use std::{collections::BTreeSet, time::Duration};

/// What somebody gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gets {
    /// The page, or what a form has done.
    It,
    /// The sign-in.
    SignIn,
    /// To type the password again.
    Password,
    /// A page or a form with this status, which says what is wrong.
    Status(u16),
}
use Gets::{It, Password, SignIn, Status};

const FORBIDDEN: Gets = Status(403);

/// A request, and what is sent. In both, `{id}` is one's own account or another's, and `{n}` a
/// number that nobody else has.
struct Row(&'static str, &'static str, &'static [(&'static str, &'static str)], [Gets; 5]);

/// Nobody; a user, about their own account and about another's; an administrator, about a user; the same after a while.
const COLUMNS: [&str; 5] =
    ["not signed in", "user, own", "user, another's", "administrator", "administrator with an old sign-in"];

/// For everybody.
const OPEN: [Gets; 5] = [It; 5];
/// For those who are signed in.
const MEMBERS: [Gets; 5] = [SignIn, It, It, It, It];
/// For those who have signed in lately.
const OWN: [Gets; 5] = [SignIn, It, It, It, Password];
/// What administrators look at.
const READ: [Gets; 5] = [SignIn, FORBIDDEN, FORBIDDEN, It, It];
/// What they change.
const CHANGE: [Gets; 5] = [SignIn, FORBIDDEN, FORBIDDEN, It, Password];

#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row("GET /", "/", &[], MEMBERS),
    Row("GET /sign-in", "/sign-in", &[], OPEN),
    Row("POST /sign-in", "/sign-in", &[("login", "bob"), ("password", PASSWORD)], OPEN),
    Row("GET /sign-out", "/sign-out", &[], OPEN),
    Row("POST /sign-out", "/sign-out", &[], [SignIn; 5]),
    Row("GET /confirm", "/confirm", &[], MEMBERS),
    Row("POST /confirm", "/confirm", &[("confirm-password", "wrong")], [SignIn, Status(401), Status(401), Status(401), Status(401)]),
    Row("GET /register", "/register", &[], OPEN),
    Row("POST /register", "/register", &[("username", "eve{n}"), ("email", "eve{n}@example.com"), ("password", PASSWORD)], OPEN),
    // Without a link.
    Row("GET /invited", "/invited", &[], [Status(400); 5]),
    Row("POST /invited", "/invited", &[], [Status(400); 5]),
    Row("GET /reset", "/reset", &[], [Status(400); 5]),
    Row("POST /reset", "/reset", &[], [Status(400); 5]),
    Row("GET /setup", "/setup", &[], [Status(400); 5]),
    Row("POST /setup", "/setup", &[], [Status(400); 5]),
    // On the way to an app that there is not.
    Row("GET /enter", "/enter?flow=unknown", &[], [Status(404); 5]),
    Row("GET /continue", "/continue?flow=unknown", &[], OPEN),
    Row("GET /_usher/start", "/_usher/start", &[], [FORBIDDEN; 5]),
    Row("GET /_usher/callback", "/_usher/callback", &[], [FORBIDDEN; 5]),
    Row("GET /_usher/sign-out", "/_usher/sign-out", &[], [FORBIDDEN; 5]),
    Row("GET /_usher/test", "/_usher/test", &[], [FORBIDDEN; 5]),

    Row("GET /account", "/account", &[], MEMBERS),
    Row("POST /account", "/account", &[("revision", "1"), ("username", "x"), ("email", "x")], [SignIn, Status(400), Status(400), Status(400), Status(400)]),
    // They have passwords, or end it all, so that it is asked for before.
    Row("GET /account/password", "/account/password", &[], OWN),
    Row("POST /account/password", "/account/password", &[("password", "short")], [SignIn, Status(409), Status(409), Status(409), Status(409)]),
    Row("GET /account/sessions", "/account/sessions", &[], MEMBERS),
    Row("POST /account/sessions", "/account/sessions", &[("session", "none")], MEMBERS),
    Row("GET /account/app-tokens", "/account/app-tokens", &[], MEMBERS),
    Row("POST /account/app-tokens", "/account/app-tokens", &[("name", "phone"), ("app", "1"), ("life", "30")], OWN),
    Row("POST /account/app-tokens/revoke", "/account/app-tokens/revoke", &[("token", "1")], OWN),
    Row("GET /account/history", "/account/history", &[], MEMBERS),
    Row("GET /account/delete", "/account/delete", &[], OWN),
    Row("POST /account/delete", "/account/delete", &[("typed_name", "eve")], [SignIn, Status(400), Status(400), Status(400), Status(400)]),

    Row("GET /admin", "/admin", &[], READ),
    Row("GET /admin/audit", "/admin/audit", &[], READ),
    // Somebody who finds an open browser must not take the whole log away.
    Row("GET /admin/audit/export", "/admin/audit/export?format=csv", &[], CHANGE),
    Row("GET /admin/health", "/admin/health", &[], READ),
    Row("GET /admin/apps/new", "/admin/apps/new", &[], READ),
    Row("POST /admin/apps/new", "/admin/apps/new", &[
        ("name", "Wiki"), ("url", "https://wiki.example.test"), ("access", "admins"), ("proxy", "caddy"), ("upstream", "127.0.0.1:1"),
    ], CHANGE),
    Row("GET /admin/apps", "/admin/apps", &[], READ),
    Row("GET /admin/apps/{app_id}", "/admin/apps/1", &[], READ),
    Row("POST /admin/apps/{app_id}", "/admin/apps/1", &[
        ("name", "Wiki"), ("url", "https://notes.example.test"), ("access", "admins"),
        ("was-name", "Notes"), ("was-url", "https://notes.example.test"), ("was-access", "everyone"),
    ], CHANGE),
    Row("POST /admin/apps/{app_id}/delete", "/admin/apps/1/delete", &[("typed_name", "Notes")], CHANGE),

    Row("GET /admin/users", "/admin/users", &[], READ),
    // Its form has a password, so that it is asked for before.
    Row("GET /admin/users/new", "/admin/users/new", &[], CHANGE),
    Row("POST /admin/users/new", "/admin/users/new", &[("username", "eve"), ("email", "eve@example.com"), ("password", PASSWORD)], CHANGE),
    // As the page before. What is sent here is not its form.
    Row("GET /admin/users/import", "/admin/users/import", &[], CHANGE),
    Row("POST /admin/users/import", "/admin/users/import", &[("file", "x")], [SignIn, FORBIDDEN, FORBIDDEN, Status(415), Password]),
    Row("GET /admin/users/{user_id}", "/admin/users/{id}", &[], READ),
    Row("POST /admin/users/{user_id}", "/admin/users/{id}", &[
        ("revision", "{id}.1"), ("display_name", "x"), ("username", "bob"), ("email", "bob@example.com"), ("role", "admin"),
    ], CHANGE),
    Row("POST /admin/users/{user_id}/groups", "/admin/users/{id}/groups", &[("group-1", "yes")], CHANGE),
    Row("POST /admin/users/{user_id}/sessions", "/admin/users/{id}/sessions", &[("which", "all")], CHANGE),
    Row("POST /admin/users/{user_id}/app-tokens", "/admin/users/{id}/app-tokens", &[("token", "1")], CHANGE),
    Row("POST /admin/users/{user_id}/disable", "/admin/users/{id}/disable", &[], CHANGE),
    Row("POST /admin/users/{user_id}/enable", "/admin/users/{id}/enable", &[], CHANGE),
    Row("POST /admin/users/{user_id}/unlock", "/admin/users/{id}/unlock", &[], CHANGE),
    Row("POST /admin/users/{user_id}/reset", "/admin/users/{id}/reset", &[], CHANGE),
    Row("POST /admin/users/{user_id}/delete", "/admin/users/{id}/delete", &[("typed_name", "bob")], CHANGE),
    Row("GET /admin/groups", "/admin/groups", &[], READ),
    Row("POST /admin/groups", "/admin/groups", &[("name", "friends")], CHANGE),
    Row("GET /admin/groups/{group_id}", "/admin/groups/1", &[], READ),
    Row("POST /admin/groups/{group_id}", "/admin/groups/1", &[("name", "friends")], CHANGE),
    Row("POST /admin/groups/{group_id}/join", "/admin/groups/1/join", &[("login", "ada")], CHANGE),
    Row("POST /admin/groups/{group_id}/leave", "/admin/groups/1/leave", &[("user", "{id}")], CHANGE),
    Row("POST /admin/groups/{group_id}/sessions", "/admin/groups/1/sessions", &[], CHANGE),
    Row("POST /admin/groups/{group_id}/delete", "/admin/groups/1/delete", &[], CHANGE),
    Row("GET /admin/invitations", "/admin/invitations", &[], READ),
    Row("POST /admin/invitations", "/admin/invitations", &[("role", "user"), ("lifetime", "3600"), ("count", "2")], CHANGE),
    Row("POST /admin/invitations/{invitation_id}/delete", "/admin/invitations/1/delete", &[], CHANGE),
];

/// A server with `root`, `ada` and `bob`, a group, an app, an invitation and an app token; and the five of a row, in their
/// order.
fn scene() -> (Server, [(Person, i64); 5]) {
    let server = Server::with_pages();
    let (root, ada, bob) = (server.admin("root"), server.user("ada"), server.user("bob"));
    root.post("/groups", json!({"name": "family"})).is(201, "");
    root.put(&format!("/groups/1/members/{}", bob.id), json!({})).is(204, "");
    root.post("/apps", json!({"name": "Notes", "url": "https://notes.example.test", "access": "everyone"})).is(201, "");
    root.post("/invitations", json!({})).is(201, "");
    bob.post(&format!("/users/{}/app-tokens", bob.id), json!({"name": "phone", "app_id": 1})).is(201, "");
    let stale = server.signed_in_person("root");
    server.clock.advance(Duration::from_mins(16));
    let [own, another] = [(); 2].map(|()| server.signed_in_person("ada"));
    let admin = server.signed_in_person("root");
    let people = [(server.person(), bob.id), (own, ada.id), (another, bob.id), (admin, bob.id), (stale, bob.id)];
    for (person, _) in &people {
        person.open("/sign-out");
    }
    server.flush(); // nothing but what a row does is written from now on
    (server, people)
}

fn got(page: &Page) -> Gets {
    match page.status {
        303 if page.header("location").starts_with("/sign-in") => SignIn,
        200 | 201 | 303 | 307 => It,
        403 if page.body.contains("Confirm that it is you") => Password,
        status => Status(status),
    }
}

fn send(Row(request, path, fields, _): &Row, person: &Person, id: i64) -> Page {
    let id = id.to_string();
    let path = path.replace("{id}", &id);
    if request.starts_with("GET ") {
        return person.open(&path);
    }
    let fields: Vec<(&str, String)> = fields
        .iter()
        .map(|(name, value)| (*name, value.replace("{id}", &id).replace("{n}", &unique().to_string())))
        .collect();
    person.submit(&path, &fields.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>())
}

#[test]
fn every_page_answers_each_role_as_the_table_says() {
    let mut wrong = Vec::new();
    for row in TABLE {
        let Row(request, _, _, expected) = row;
        let (server, people) = scene();
        // Those who are refused come first: they change nothing for the others.
        for at in [0, 4, 2, 1, 3] {
            let (person, id) = &people[at];
            let before = server.rows();
            let page = send(row, person, *id);
            let got = got(&page);
            if got != expected[at] {
                wrong.push(format!("{request}, {}: {got:?}, and not {:?}", COLUMNS[at], expected[at]));
            }
            if request.starts_with("POST /admin/") && got != It && server.rows() != before {
                wrong.push(format!("{request}, {}: it was refused, and changed something", COLUMNS[at]));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_page_is_in_the_table() {
    let listed: BTreeSet<&str> = TABLE.iter().map(|Row(request, ..)| *request).collect();
    let pages: Vec<String> =
        usher::http::pages().into_iter().map(|(path, method)| format!("{method} {path}")).collect();
    let missing: Vec<&String> =
        pages.iter().filter(|page| !page.starts_with("GET /assets/") && !listed.contains(page.as_str())).collect();
    assert!(missing.is_empty(), "no row says who gets {missing:?}");
    let gone: Vec<&&str> = listed.iter().filter(|request| !pages.iter().any(|page| page == **request)).collect();
    assert!(gone.is_empty(), "no page is {gone:?}");
}
