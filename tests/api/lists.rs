//! Lists of accounts: pages, filters, orders and searches, as an administrator asks for them.

use crate::support::{Client, PASSWORD, Server, probes::Probes};
use serde_json::Value;

/// Follows a list from its first page to its last.
fn pages(client: &Client, query: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = client.get(&format!("/users?{query}{cursor}"));
        let body = answer.is(200, "").json();
        pages.push(names(&body));
        match body["next_cursor"].as_str() {
            None => return pages,
            Some(next) => {
                assert!(next.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{next}");
                cursor = format!("&cursor={next}");
            }
        }
    }
}

fn names(body: &Value) -> Vec<String> {
    let users = body["users"].as_array().expect("users").iter();
    users.map(|user| user["username"].as_str().expect("a name").to_owned()).collect()
}

/// An administrator `root`, and `carl`, `ada`, `Bob`, `eve`, of whom all but `eve` signed in, a minute apart; `Bob` is
/// disabled and `carl` an administrator.
fn a_few() -> (Server, Client) {
    let server = Server::start();
    let root = server.admin("root");
    for name in ["carl", "ada", "Bob"] {
        server.clock.advance(std::time::Duration::from_mins(1));
        server.user(name);
    }
    let eve = serde_json::json!({"username": "eve", "email": "mallory@example.org", "password": PASSWORD});
    server.anon().post("/users", eve).is(201, "");
    root.put("/users/4", serde_json::json!({"disabled": true})).is(200, "");
    root.put("/users/2", serde_json::json!({"role": "admin"})).is(200, "");
    (server, root)
}

#[test]
fn pages_follow_each_other_in_every_order() {
    let (_server, root) = a_few();
    for (sort, expected) in [
        ("id", "root carl ada Bob eve"),
        ("-id", "eve Bob ada carl root"),
        ("username", "ada Bob carl eve root"),
        ("-username", "root eve carl Bob ada"),
        ("created_at", "root carl ada Bob eve"),
        ("-created_at", "eve Bob ada carl root"),
        ("last_login_at", "eve root carl ada Bob"),
        ("-last_login_at", "Bob ada carl root eve"),
    ] {
        let expected: Vec<&str> = expected.split(' ').collect();
        for limit in [1, 2, 5, 200] {
            let pages = pages(&root, &format!("limit={limit}&sort={sort}"));
            assert_eq!(pages.concat(), expected, "{sort} {limit}");
            assert!(pages.iter().all(|page| page.len() <= limit));
            assert_eq!(pages.len(), 5usize.div_ceil(limit), "{sort} {limit}: no empty page");
        }
    }
    assert_eq!(pages(&root, "").concat().join(" "), "root carl ada Bob eve", "by id, unless said otherwise");
}

#[test]
fn filters_and_searches_go_together() {
    let (_server, root) = a_few();
    for (query, expected) in [
        ("role=admin", "root carl"),
        ("role=user", "ada Bob eve"),
        ("disabled=true", "Bob"),
        ("disabled=false&role=user", "ada eve"),
        ("q=BO", "Bob"),
        ("q=mallory", "eve"),
        ("q=mallory%40example.org", "eve"),
        ("q=a", "ada"),
        ("q=example", ""),
        ("q=%25", ""),
        ("q=a%27b", ""),
        ("q=%00", ""),
        ("q=c&role=admin&disabled=false&sort=-username", "carl"),
        ("q=c&role=user", ""),
    ] {
        let found = pages(&root, query).concat().join(" ");
        assert_eq!(found, expected, "{query}");
        let counted = root.get(&format!("/users?{query}&count=true&limit=1")).json();
        assert_eq!(counted["total"], expected.split_whitespace().count(), "{query}");
    }
    assert!(root.get("/users?count=false").json().get("total").is_none());
    assert!(root.get("/users").json().get("total").is_none());
}

#[test]
fn an_account_that_comes_or_goes_meanwhile_moves_no_other() {
    let (server, root) = a_few();
    let first = root.get("/users?sort=username&limit=2").json();
    assert_eq!(names(&first), ["ada", "Bob"]);
    server.user("aaron");
    root.delete("/users/4").is(204, "");
    let next = first["next_cursor"].as_str().unwrap();
    assert_eq!(names(&root.get(&format!("/users?sort=username&cursor={next}")).json()), ["carl", "eve", "root"]);
}

#[test]
fn what_is_wrong_with_a_query_is_told_by_parameter_all_at_once() {
    let (_server, root) = a_few();
    let other = root.get("/users?sort=username&limit=1").json()["next_cursor"].as_str().unwrap().to_owned();
    let long = format!("q={}", "x".repeat(255));
    for (query, faulty) in [
        ("limit=0", vec!["limit"]),
        ("limit=201", vec!["limit"]),
        ("limit=ten", vec!["limit"]),
        ("limit=", vec!["limit"]),
        ("limit=1&limit=1", vec!["limit"]),
        ("limit=1&limit=2&sort=name&cursor=%21", vec!["cursor", "limit", "sort"]),
        ("cursor=", vec!["cursor"]),
        ("cursor=x", vec!["cursor"]),
        ("cursor=aWQgMQ==", vec!["cursor"]),
        ("cursor=aWQgMDE", vec!["cursor"]),
        (&format!("cursor={other}"), vec!["cursor"]),
        (&format!("cursor={other}&sort=-username"), vec!["cursor"]),
        ("role=root", vec!["role"]),
        ("role=", vec!["role"]),
        ("disabled=1", vec!["disabled"]),
        ("sort=email", vec!["sort"]),
        ("count=yes", vec!["count"]),
        ("q=", vec!["q"]),
        (&long, vec!["q"]),
        ("page=2", vec!["page"]),
        ("LIMIT=1", vec!["LIMIT"]),
        ("%C3%A9=1&ush_secret=1&a%20b=2", vec!["(unknown)", "ush_secret"]),
        ("role=user&role=admin&q=a&q=b", vec!["q", "role"]),
    ] {
        assert_eq!(root.get(&format!("/users?{query}")).faulty(), faulty, "{query}");
    }
}

#[test]
fn the_list_is_for_administrators() {
    let (server, _root) = a_few();
    server.anon().get("/users").is(401, "authentication_required");
    server.sign_in("ada").get("/users").is(403, "forbidden");
    server.sign_in("ada").get("/users?limit=0").is(400, "validation_failed");
    server.flush();
    assert_eq!(server.audit_count_by("access.denied", 3), 1);
}
