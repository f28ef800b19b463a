//! Groups, and who is in them.

use crate::support::{Client, Server, person::Person};
use serde_json::json;

const PAGE: &str = "/admin/groups";

/// A server with `root`, who is signed in in a browser, `ada`, and the group `family`.
fn scene() -> (Server, Client, Person, Client) {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    root.post("/groups", json!({"name": "family"})).is(201, "");
    let person = server.signed_in_person("root");
    (server, root, person, ada)
}

#[test]
fn groups_are_created_and_renamed() {
    let (_server, root, person, _) = scene();
    person.open(PAGE).says(200, "<a href=\"/admin/groups/1\">family</a>");
    person.submit(PAGE, &[("name", "friends")]).leads_to("/admin/groups/2?done=group-created");
    let taken = person.submit(PAGE, &[("name", "Family")]);
    taken.says(409, "Name is that of another group; choose another");
    assert_eq!(taken.value("name"), "Family");
    let faulty = person.submit(PAGE, &[("name", "no name")]);
    assert!(faulty.status == 400 && faulty.fault("name").is_some(), "{faulty:?}");

    person.submit("/admin/groups/2", &[("name", "relatives")]).leads_to("/admin/groups/2?done=saved");
    person.submit("/admin/groups/2", &[("name", "FAMILY")]).says(409, "Name is that of another group");
    let faulty = person.submit("/admin/groups/2", &[("name", "")]);
    assert!(faulty.status == 400 && faulty.fault("name").is_some(), "{faulty:?}");
    assert_eq!(root.get("/groups/2").json()["name"], "relatives");
}

#[test]
fn members_are_added_by_name_or_e_mail_and_removed() {
    let (server, root, person, ada) = scene();
    server.user("bob");
    server.user("1984");
    person.open("/admin/groups/1").says(200, "Nobody is in this group.");
    for login in ["ada", "BOB@example.com", "1984", " ada "] {
        person.submit("/admin/groups/1/join", &[("login", login)]).leads_to("/admin/groups/1?done=member-added");
    }
    let members = root.get("/groups/1/members").json();
    assert_eq!(members["users"].as_array().unwrap().len(), 3);
    for unknown in ["eve", "eve@example.com", "", "not a name", "@", "1"] {
        let again = person.submit("/admin/groups/1/join", &[("login", unknown)]);
        again.says(400, "belongs to no account");
        assert_eq!(again.value("login"), unknown);
    }
    let id = ada.id.to_string();
    let leave = || person.submit("/admin/groups/1/leave", &[("user", &id)]);
    leave().leads_to("/admin/groups/1?done=member-removed");
    leave().leads_to("/admin/groups/1?done=member-removed");
    assert!(!person.open("/admin/groups/1").body.contains("ada@example.com"));
    root.get(&ada.me()).is(200, "");
}

#[test]
fn many_members_stand_on_several_pages() {
    let (server, _, person, _) = scene();
    server
        .sql()
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 69)
         INSERT INTO users (username, username_key, email, email_key, email_verified, password_hash,
                            password_version, role, disabled, revision, created_at, updated_at)
         SELECT 'p' || i, 'p' || i, 'p' || i || '@x', 'p' || i || '@x', 1, '', 1, 'user', 0, 1, 0, 0 FROM n;
         INSERT INTO group_members (user_id, group_id) SELECT id, 1 FROM users WHERE username GLOB 'p*'",
        )
        .unwrap();
    let first = person.open("/admin/groups/1");
    first.says(200, ">p10</a>").says(200, ">p59</a>");
    let (before, _) = first.body.split_once("\" rel=\"next\">Next page</a>").expect("it goes on");
    let second = person.open(before.rsplit("href=\"").next().unwrap());
    second.says(200, ">p60</a>").says(200, ">p69</a>").says(200, ">First page</a>");
    assert!(!second.body.contains("Next page"));
    person.open("/admin/groups/1?cursor=x").says(400, "This is not a page of the list");
    person.open("/admin/groups?cursor=x").says(400, "This is not a page of the list");
}

#[test]
fn many_groups_stand_on_several_pages_and_nobody_is_in_too_many() {
    let (server, root, person, ada) = scene();
    for n in 2..=51 {
        root.post("/groups", json!({"name": format!("g{n}")})).is(201, "");
    }
    let first = person.open(PAGE);
    first.says(200, ">g50</a>");
    assert!(!first.body.contains(">g51</a>") && !first.body.contains("First page"), "{first:?}");
    let (before, _) = first.body.split_once("\" rel=\"next\">Next page</a>").expect("it goes on");
    person.open(before.rsplit("href=\"").next().unwrap()).says(200, ">g51</a>").says(200, ">First page</a>");

    let id = ada.id;
    server
        .sql()
        .execute(
            &format!("INSERT INTO group_members (user_id, group_id) SELECT {id}, id FROM groups WHERE id <= 32"),
            [],
        )
        .unwrap();
    let refused = person.submit("/admin/groups/33/join", &[("login", "ada")]);
    refused.says(409, "Nothing was saved: an account can be in 32 groups at most.");
    assert_eq!((refused.value("login"), refused.value("name")), ("ada", "g33"));
}

#[test]
fn all_sessions_of_members_end() {
    let (server, root, person, ada) = scene();
    let bob = server.user("bob");
    root.put(&format!("/groups/1/members/{}", ada.id), json!({})).is(204, "");
    person.submit("/admin/groups/1/sessions", &[]).leads_to("/admin/groups/1?done=sessions-ended");
    ada.get("/auth/me").is(401, "invalid_token");
    bob.get("/auth/me").is(200, "");
}

#[test]
fn a_group_that_opens_an_app_stays_and_the_page_says_why() {
    let (_server, root, person, _) = scene();
    let app =
        json!({"name": "Notes & more", "url": "https://notes.example.test", "access": "groups", "groups": ["family"]});
    root.post("/apps", app).is(201, "");
    person.open("/admin/groups/1").says(200, "<a href=\"/admin/apps/1\"><bdi>Notes &#38; more</bdi></a>");
    person.submit("/admin/groups/1/delete", &[]).says(409, "Nothing was deleted: an app lets this group in.");
    root.delete("/apps/1").is(204, "");
    person.submit("/admin/groups/1/delete", &[]).leads_to("/admin/groups?done=group-deleted");
    for path in ["", "/join", "/leave", "/sessions", "/delete"] {
        person.submit(&format!("/admin/groups/1{path}"), &[("name", "x")]).says(404, "There is no such");
    }
    person.open("/admin/groups/1").says(404, "There is no such");
    person.open(PAGE).says(200, "There is no group yet.");
}
