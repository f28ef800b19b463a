//! The audit log in words, and as a file.

use crate::support::{Server, person::Page, probes::Probes};
use serde_json::{Value, json};
use std::time::Duration;

const PAGE: &str = "/admin/audit";

/// A server on which `root` has created `ada` (2) and `bob` (3), ended bob's sessions and deleted `gone` (4); and somebody
/// has guessed at ada's password.
fn server() -> Server {
    let server = Server::with_pages();
    let root = server.admin("root");
    let (ada, bob, gone) = (server.user("ada"), server.user("bob"), server.user("gone"));
    assert_eq!((ada.id, bob.id, gone.id), (2, 3, 4));
    root.delete(&format!("/users/{}/sessions", bob.id)).is(204, "");
    root.delete(&format!("/users/{}", gone.id)).is(204, "");
    server.person().sign_in("ada", "wrong").says(401, "");
    server.flush();
    server
}

/// The sentences of a page.
fn told(page: &Page) -> Vec<String> {
    let rows = page.body.split("<th class=\"long\" scope=\"row\">").skip(1);
    rows.map(|row| row.split("</th>").next().unwrap().replace("&#39;", "'")).collect()
}

#[test]
fn what_happened_is_told_in_words_with_ways_to_the_accounts() {
    let server = server();
    let person = server.signed_in_person("root");
    let page = person.open(PAGE);
    let told = told(&page);
    for sentence in
        ["root ended a session of bob", "root deleted account 4", "somebody failed to sign in to ada's account"]
    {
        assert!(told.iter().any(|told| told == sentence), "{sentence}: {told:?}");
    }
    assert_eq!(told[0], "root signed in", "the newest comes first");
    page.says(200, "<a href=\"/admin/users/1\">root</a>, <a href=\"/admin/users/3\">bob</a>")
        .says(200, "<a href=\"/admin/users/1\">root</a>, 4</td>")
        .says(200, "<td class=\"long\" data-label=\"IP address\">127.0.0.1</td>")
        .says(200, "<code>session.revoked</code>")
        .says(200, "aria-current=\"page\">Audit log</a>");
}

#[test]
fn the_log_is_narrowed_by_action_and_by_account() {
    let server = server();
    let person = server.signed_in_person("root");
    let told = |query: &str| told(&person.open(&format!("{PAGE}?{query}")));
    assert_eq!(told("action=session.revoked"), ["root ended a session of bob"]);
    assert_eq!(told("account=BOB&action=session.revoked"), ["root ended a session of bob"]);
    assert_eq!(told("account=bob@example.com&part=actor&action=session.revoked"), Vec::<String>::new());
    assert_eq!(told("account=1&part=actor&action=session.revoked"), ["root ended a session of bob"]);
    assert_eq!(told("account=4&action=user.deleted"), ["root deleted account 4"]);
    assert_eq!(told("account=&part=&action=user.deleted"), ["root deleted account 4"]);
    assert_eq!(told("from=2026-11-22&to=2026-11-22&action=user.deleted"), ["root deleted account 4"]);
    assert_eq!(told("from=2026-11-23&action=user.deleted"), Vec::<String>::new());
    assert_eq!(told("to=2026-11-21&action=user.deleted"), Vec::<String>::new());
    assert!(person.open(&format!("{PAGE}?from=yesterday")).fault("from").is_some());
    person.open(&format!("{PAGE}?action=user.imported")).says(200, "Nothing of this kind is in the log.");
}

#[test]
fn what_means_nothing_is_told_at_its_field() {
    let server = server();
    let person = server.signed_in_person("root");
    for (query, text) in [
        ("account=nobody", "Account is that of nobody; one that was deleted is found by its id."),
        ("account=two%20words", "id=\"account-fault\""),
        ("account=0", "Account is not an id"),
        ("action=%3Cb%3E", "Action must be one of the actions"),
        ("part=x", "Part of the account must be one of these."),
    ] {
        let page = person.open(&format!("{PAGE}?{query}"));
        page.says(400, text);
        assert!(!page.body.contains("<b>"), "{page:?}");
    }
    person.open(&format!("{PAGE}?cursor=x")).says(400, "This is not a page of the list");
}

#[test]
fn a_long_log_has_pages_that_keep_what_narrows_it() {
    let server = server();
    let root = server.sign_in("root");
    for n in 0..60 {
        root.put("/users/2", json!({"display_name": format!("Ada {n}")})).is(200, "");
    }
    let person = server.signed_in_person("root");
    let page = person.open(&format!("{PAGE}?action=user.updated&account=ada"));
    assert_eq!(told(&page).len(), 50);
    let (_, link) =
        page.body.split_once("<a href=\"/admin/audit?action=user.updated&#38;account=ada&#38;cursor=").unwrap();
    let cursor = link.split('"').next().unwrap();
    let next = person.open(&format!("{PAGE}?action=user.updated&account=ada&cursor={cursor}"));
    assert_eq!(told(&next).len(), 10);
    next.says(200, "<a href=\"/admin/audit?action=user.updated&#38;account=ada\">First page</a>");
}

#[test]
fn the_log_is_a_file_however_long_it_is() {
    let server = server();
    let root = server.sign_in("root");
    for n in 0..1_010 {
        root.put("/users/2", json!({"display_name": format!("Ada {n}")})).is(200, "");
    }
    let person = server.signed_in_person("root");
    let newest = server.newest_audit_id();
    let lines = person.open("/admin/audit/export?format=jsonl");
    assert_eq!((lines.status, lines.header("content-type")), (200, "application/jsonl"));
    assert_eq!(lines.header("content-disposition"), "attachment; filename=\"audit-log.jsonl\"");
    let entries: Vec<Value> = lines.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<i64> = entries.iter().map(|entry| entry["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, (1..=newest).collect::<Vec<_>>());
    let exported = root.get("/audit?action=audit.exported").json();
    assert_eq!((&exported["events"][0]["id"], &exported["events"][0]["actor"]), (&json!(newest + 1), &json!(1)));
    let listed = root.get("/audit?limit=1&action=user.deleted").json();
    let deleted = entries.iter().find(|entry| entry["action"] == "user.deleted").unwrap();
    assert_eq!(deleted, &listed["events"][0], "an entry has the shape of the API");

    let table = person.open("/admin/audit/export?format=csv&action=session.revoked&account=bob");
    assert_eq!((table.status, table.header("content-type")), (200, "text/csv; charset=utf-8"));
    let rows: Vec<&str> = table.body.lines().collect();
    assert_eq!(rows[0], "id,time,action,description,actor,user,count,ip,request_id,hash");
    assert!(rows[1].contains(",\"session.revoked\",\"root ended a session of bob\",1,3,1,\"127.0.0.1\","), "{rows:?}");
    assert_eq!(rows.len(), 2);
    let nothing = person.open("/admin/audit/export?format=csv&action=user.imported");
    assert_eq!(nothing.body.lines().count(), 1);
    for (bad, said) in [
        ("", "Format must be csv or jsonl."),
        ("format=pdf", "Format must be csv or jsonl."),
        ("format=csv&account=nobody", "Account is that of nobody"),
        ("format=csv&action=x", "Action must be one of the actions"),
    ] {
        person.open(&format!("/admin/audit/export?{bad}")).says(400, said);
    }
}

#[test]
fn taking_the_log_away_needs_a_recent_sign_in_and_reading_it_does_not() {
    let server = server();
    let person = server.signed_in_person("root");
    server.clock.advance(Duration::from_hours(1));
    person.open(PAGE).says(200, "Audit log");
    let asked = person.open("/admin/audit/export?format=csv&account=bob");
    asked.says(403, "Confirm that it is you");
    assert_eq!(asked.value("confirm-to"), "/admin/audit/export?format=csv&#38;account=bob");
}

#[test]
fn a_link_of_another_site_takes_nothing_away() {
    let server = server();
    let person = server.signed_in_person("root");
    let path = "/admin/audit/export?format=csv";
    person
        .send("GET", path, &[("sec-fetch-site", "cross-site")], None)
        .says(403, "A link of another site does not take the log away.");
    assert_eq!(server.sign_in("root").get("/audit?action=audit.exported").json()["events"], json!([]));
}
