//! The list of all accounts, and the form for another.

use crate::support::{PASSWORD, Server, person::Page};
use serde_json::json;
use std::time::Duration;

const PAGE: &str = "/admin/users";
const NEW: &str = "/admin/users/new";

/// The usernames on a page, in their order.
fn listed(page: &Page) -> Vec<&str> {
    let rows = page.body.split("<th scope=\"row\"><a href=\"/admin/users/").skip(1);
    rows.map(|row| row.split('>').nth(1).unwrap().split('<').next().unwrap()).collect()
}

#[test]
fn accounts_are_searched_narrowed_and_sorted() {
    let server = Server::with_pages();
    let root = server.admin("root");
    let ada = server.user("ada");
    server.user("adele");
    server.user("bob");
    root.put(&ada.me(), json!({"disabled": true, "display_name": "Ada Lovelace"})).is(200, "");
    let person = server.signed_in_person("root");

    let page = person.open(PAGE);
    page.says(200, "4 accounts").says(200, "<bdi>Ada Lovelace</bdi>").says(200, "aria-current=\"page\">Accounts</a>");
    assert_eq!(listed(&page), ["root", "ada", "adele", "bob"]);
    for (query, expected) in [
        ("q=AD", &["ada", "adele"][..]),
        ("q=bob%40example", &["bob"]),
        ("q=nobody", &[]),
        ("role=admin", &["root"]),
        ("role=&disabled=true&q=&sort=", &["ada"]),
        ("disabled=false&role=user", &["adele", "bob"]),
        ("sort=-username", &["root", "bob", "adele", "ada"]),
        ("sort=-id&q=ad", &["adele", "ada"]),
    ] {
        let page = person.open(&format!("{PAGE}?{query}"));
        page.says(200, &format!("{} account", expected.len()));
        assert_eq!(listed(&page), expected, "{query}");
    }
    let kept = person.open(&format!("{PAGE}?q=a%22d&role=user&sort=-id"));
    assert_eq!(kept.value("q"), "a&#34;d");
    kept.says(200, "<option value=\"user\" selected>").says(200, "<option value=\"-id\" selected>");
}

#[test]
fn a_long_list_goes_on_on_further_pages() {
    let server = Server::with_pages();
    server.admin("root");
    server
        .sql()
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 129)
         INSERT INTO users (username, username_key, email, email_key, email_verified, password_hash,
                            password_version, role, disabled, revision, created_at, updated_at)
         SELECT 'p' || i, 'p' || i, 'p' || i || '@x', 'p' || i || '@x', 1, '', 1, 'user', 0, 1, 0, 0 FROM n",
        )
        .unwrap();
    let person = server.signed_in_person("root");
    let (mut path, mut seen, mut pages) = (format!("{PAGE}?sort=-username&role=user"), Vec::new(), 0);
    loop {
        let page = person.open(&path);
        page.says(200, "120 accounts");
        assert_eq!(page.body.contains(">First page</a>"), pages > 0);
        seen.extend(listed(&page).into_iter().map(str::to_owned));
        pages += 1;
        let Some((before, _)) = page.body.split_once("\" rel=\"next\">Next page</a>") else { break };
        path = before.rsplit("href=\"").next().unwrap().replace("&#38;", "&");
    }
    let mut expected: Vec<String> = (10..=129).map(|i| format!("p{i}")).collect();
    expected.sort();
    expected.reverse();
    assert_eq!((seen, pages), (expected, 3));
}

#[test]
fn what_can_not_be_read_is_told_at_its_field_or_in_words() {
    let server = Server::with_pages();
    server.admin("root");
    let person = server.signed_in_person("root");
    let too_long = format!("{PAGE}?q={}", "a".repeat(255));
    let page = person.open(&too_long);
    assert_eq!((page.status, page.fault("q").is_some()), (400, true), "{page:?}");
    for bad in ["role=king", "disabled=perhaps", "sort=shoe-size"] {
        let page = person.open(&format!("{PAGE}?{bad}"));
        let (name, _) = bad.split_once('=').unwrap();
        assert!(page.status == 400 && page.fault(name).is_some(), "{page:?}");
    }
    for bad in ["cursor=x", "cursor=aWQgMQ&sort=-id"] {
        person.open(&format!("{PAGE}?{bad}")).says(400, "This is not a page of the list");
    }
}

#[test]
fn an_administrator_creates_an_account() {
    let server = Server::with_pages();
    server.admin("root");
    let person = server.signed_in_person("root");
    person.open(NEW).says(200, "<h1>New account</h1>");
    let fields = |username| [("username", username), ("email", "ada@example.com"), ("password", PASSWORD)];
    person.submit(NEW, &fields("ada")).leads_to("/admin/users/2?done=user-created");
    person.open("/admin/users/2?done=user-created").says(200, "The account was created.");
    assert_eq!(server.signed_in_person("ada").signed_in_as().as_deref(), Some("ada"));
    let again = person.submit(NEW, &fields("grace"));
    again.says(409, "E-mail address is taken; use another");
    assert_eq!((again.value("username"), again.value("password")), ("grace", ""));
    let again = person.submit(NEW, &[("username", "no name"), ("email", "nobody"), ("password", "short")]);
    assert!(["username", "email", "password"].iter().all(|field| again.fault(field).is_some()), "{again:?}");
}

#[test]
fn nobody_types_a_new_password_in_vain() {
    let server = Server::with_pages();
    server.admin("root");
    let person = server.signed_in_person("root");
    server.clock.advance(Duration::from_mins(16));
    person.open(NEW).says(403, "Confirm that it is you");
    person.open(PAGE).says(200, "1 account");
}

/// Where anybody may register, everybody could create accounts here, too, with no limit on how often.
#[test]
fn others_create_no_accounts_here() {
    let server = Server::with_pages();
    server.admin("root");
    server.user("ada");
    let person = server.signed_in_person("ada");
    let fields = [("username", "eve"), ("email", "eve@example.com"), ("password", PASSWORD)];
    person.submit(NEW, &fields).says(403, "You may not do this");
    person.open(NEW).says(403, "You may not do this");
    person.open(&format!("{PAGE}?sort=nothing")).says(403, "You may not do this");
    assert_eq!(server.query::<i64>("SELECT count(*) FROM users"), 2);
}
