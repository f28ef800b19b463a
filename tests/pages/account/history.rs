//! The history of one's own account.

use crate::support::{Server, person::Page};
use serde_json::json;

const PAGE: &str = "/account/history";

/// What the page says happened, from top to bottom.
fn texts(page: &Page) -> Vec<&str> {
    page.says(200, "<h1>History</h1>");
    let rows = page.body.split("<th scope=\"row\">").skip(1);
    rows.map(|row| row.split("</th>").next().expect("a cell")).collect()
}

#[test]
fn people_read_what_happened_to_their_account() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    server.anon().login("ada@example.com", "a wrong one").is(401, "invalid_credentials");
    server.flush();
    root.delete(&format!("{}/sessions", ada.me())).is(204, "");
    let person = server.signed_in_person("ada");

    let page = person.open(PAGE);

    assert_eq!(
        texts(&page),
        [
            "You signed in",
            "root ended a session of yours",
            "Somebody failed to sign in to your account",
            "You signed in",
            "You registered"
        ]
    );
    page.says(200, "<time datetime=\"2026-11-22T10:00:00Z\">2026-11-22 10:00 UTC</time>");
    page.says(200, "<td data-label=\"IP address\">127.0.0.1</td>").says(200, "aria-current=\"page\">History</a>");
    assert!(!page.body.contains("Next page") && !page.body.contains("First page"), "{page:?}");
}

#[test]
fn a_long_history_has_pages() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    for n in 0..60 {
        root.put(&ada.me(), json!({"display_name": format!("Ada {n}")})).is(200, "");
    }
    let person = server.signed_in_person("ada");
    let first = person.open(PAGE);
    assert_eq!(texts(&first).len(), 50);
    let (_, from) = first.body.split_once("href=\"/account/history?cursor=").expect("a next page");
    let next = format!("{PAGE}?cursor={}", from.split('"').next().expect("a cursor"));
    let second = person.open(&next);
    assert_eq!(texts(&second).last(), Some(&"You registered"));
    assert_eq!(texts(&second).len(), 13);
    assert!(!second.body.contains("Next page") && second.body.contains("<a href=\"/account/history\">"), "{second:?}");
}

#[test]
fn a_place_that_there_is_not_is_told_in_words() {
    let server = Server::with_pages();
    server.user("ada");
    let person = server.signed_in_person("ada");
    person.open("/account/history?cursor=nonsense").says(400, "Open the list from its beginning");
}

#[test]
fn who_is_not_signed_in_reads_nothing() {
    let server = Server::with_pages();
    server.person().open(PAGE).leads_to("/sign-in?to=%2Faccount%2Fhistory");
}
