//! An account, and what administrators do about it.

use crate::support::{
    Client, PASSWORD, Server,
    person::{Page, Person},
};
use serde_json::{Value, json};

/// A server with `root`, who is signed in in a browser, and with `ada`.
fn scene() -> (Server, Client, Person, Client, String) {
    let server = Server::with_pages();
    let root = server.admin("root");
    let ada = server.user("ada");
    let person = server.signed_in_person("root");
    let path = format!("/admin/users/{}", ada.id);
    (server, root, person, ada, path)
}

fn fields<'f>(page: &'f Page, changes: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    let field = |name| {
        let changed = changes.iter().find(|(other, _)| *other == name);
        (name, changed.map_or_else(|| page.value(name), |(_, value)| value))
    };
    let mut fields = ["revision", "display_name", "username", "email"].map(field).to_vec();
    fields.extend(changes.iter().filter(|(name, _)| *name == "role"));
    fields
}

/// What the audit log has of an account, the latest first.
fn history(server: &Server, root: &Client, id: i64) -> Vec<String> {
    server.flush();
    let found = root.get(&format!("/audit?user={id}")).json();
    let events = found["events"].as_array().unwrap().iter();
    events.map(|event| event["action"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_account_is_shown_and_changed() {
    let (_server, root, person, ada, path) = scene();
    root.put(&ada.me(), json!({"display_name": "Ada <b>Lovelace</b>"})).is(200, "");
    let page = person.open(&path);
    page.says(200, "<h1>ada</h1>")
        .says(200, "<bdi>Ada &#60;b&#62;Lovelace&#60;/b&#62;</bdi>")
        .says(200, "2026-11-22 10:00 UTC")
        .says(200, &format!("href=\"/admin/audit?account={}\"", ada.id));
    let changed = [("username", "ada2"), ("email", "new@example.com"), ("role", "admin"), ("display_name", "")];
    person.submit(&path, &fields(&page, &changed)).leads_to(&format!("{path}?done=saved"));
    let now = root.get(&ada.me()).json();
    assert_eq!(
        [&now["username"], &now["email"], &now["role"], &now["display_name"], &now["email_verified"]],
        [&json!("ada2"), &json!("new@example.com"), &json!("admin"), &Value::Null, &json!(true)]
    );
    let again = person.submit(&path, &fields(&person.open(&path), &[("username", "root"), ("role", "king")]));
    assert!(again.status == 400 && again.fault("role").is_some(), "{again:?}");
    person.submit(&path, &fields(&person.open(&path), &[("username", "Root")])).says(409, "Username is taken");
}

#[test]
fn of_two_administrators_the_second_sees_what_the_first_has_changed() {
    let (server, root, first, ada, path) = scene();
    server.admin("boss");
    let second = server.signed_in_person("boss");
    let (seen, seen_too) = (first.open(&path), second.open(&path));
    first
        .submit(&path, &fields(&seen, &[("email", "first@example.com"), ("role", "admin")]))
        .leads_to(&format!("{path}?done=saved"));

    // What is wrong beside it says nothing of the change.
    let wrong = second.submit(&path, &fields(&seen_too, &[("username", "no name"), ("role", "user")]));
    assert!(wrong.status == 400 && wrong.fault("username").is_some(), "{wrong:?}");
    let changes = [("username", "ada"), ("email", "second@example.com"), ("role", "user")];
    let again = second.submit(&path, &fields(&wrong, &changes));
    again
        .says(412, "this was changed meanwhile")
        .says(412, "It is now first@example.com.")
        .says(412, "It is now Administrator.");
    assert_eq!(
        (again.value("email"), &root.get(&ada.me()).json()["email"]),
        ("second@example.com", &json!("first@example.com"))
    );
    second.submit(&path, &fields(&again, &[("role", "user")])).leads_to(&format!("{path}?done=saved"));
    let now = root.get(&ada.me()).json();
    assert_eq!((&now["email"], &now["role"]), (&json!("second@example.com"), &json!("user")));
}

#[test]
fn groups_are_joined_and_left_by_boxes() {
    let (server, root, person, ada, path) = scene();
    let groups: Vec<i64> = ["family", "friends", "work", "club"]
        .map(|name| root.post("/groups", json!({"name": name})).json()["id"].as_i64().unwrap())
        .to_vec();
    for group in &groups[..2] {
        root.put(&format!("/groups/{group}/members/{}", ada.id), json!({})).is(204, "");
    }
    let page = person.open(&path);
    let ticked = |group: i64| page.body.contains(&format!("name=\"group-{group}\" value=\"yes\" checked"));
    assert_eq!(groups.iter().map(|group| ticked(*group)).collect::<Vec<_>>(), [true, true, false, false]);

    // Meanwhile somebody else adds her to the last one, whose box was not ticked.
    root.put(&format!("/groups/{}/members/{}", groups[3], ada.id), json!({})).is(204, "");
    let names: Vec<String> =
        ["was-group-", "group-"].iter().flat_map(|kind| groups.iter().map(move |id| format!("{kind}{id}"))).collect();
    let sent = [&names[0], &names[1], &names[4], &names[6]].map(|name| (name.as_str(), "yes"));
    person.submit(&format!("{path}/groups"), &sent).leads_to(&format!("{path}?done=saved"));
    assert_eq!(root.get(&ada.me()).json()["groups"], json!(["club", "family", "work"]));
    let history = history(&server, &root, ada.id);
    assert_eq!(history[..2], ["group.member_added", "group.member_removed"]);
}

#[test]
fn too_many_groups_are_joined_not_at_all() {
    let (server, root, person, ada, path) = scene();
    let names: Vec<String> = (1..=33).map(|n| format!("group-{n}")).collect();
    for name in &names {
        root.post("/groups", json!({"name": name})).is(201, "");
    }
    let sent: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "yes")).collect();
    person
        .submit(&format!("{path}/groups"), &sent)
        .says(409, "Nothing was saved: an account can be in 32 groups at most.");
    assert_eq!(root.get(&ada.me()).json()["groups"], json!([]));
    person.submit(&format!("{path}/groups"), &[("group-77", "yes"), ("group-1", "yes")]).says(404, "There is no such");
    assert_eq!(server.query::<i64>("SELECT count(*) FROM group_members"), 0);
}

#[test]
fn sessions_are_seen_and_ended_one_by_one_or_all() {
    let (server, _root, person, ada, path) = scene();
    let browser = server.person();
    browser.sign_in("ada", PASSWORD);
    let another = server.sign_in("ada");
    let page = person.open(&path);
    assert_eq!(page.body.matches("name=\"session\"").count(), 3);
    let stolen = another.get("/auth/sessions").json();
    let stolen = stolen["sessions"].as_array().unwrap().iter().find(|session| session["current"] == true).unwrap();
    let end = format!("{path}/sessions");
    person.submit(&end, &[("session", stolen["id"].as_str().unwrap())]).leads_to(&format!("{path}?done=session-ended"));
    another.get("/auth/me").is(401, "invalid_token");
    ada.get("/auth/me").is(200, "");
    // It is as the administrator wants it, no matter who was faster.
    person.submit(&end, &[("session", stolen["id"].as_str().unwrap())]).leads_to(&format!("{path}?done=session-ended"));
    person.submit(&end, &[]).leads_to(&format!("{path}?done=session-ended"));
    assert_eq!(browser.signed_in_as().as_deref(), Some("ada"), "an empty form ends nothing");

    person.submit(&end, &[("which", "all")]).leads_to(&format!("{path}?done=sessions-ended"));
    ada.get("/auth/me").is(401, "invalid_token");
    assert_eq!(browser.signed_in_as(), None);
    person.open(&path).says(200, "Nobody is signed in to this account.");
}

/// Ids of sessions are no secret, and one of another account is not this account's.
#[test]
fn a_session_of_another_account_is_not_ended_here() {
    let (server, root, person, _, path) = scene();
    let bob = server.user("bob");
    let session = root.get(&format!("/users/{}/sessions", bob.id)).json()["sessions"][0]["id"].clone();
    person.submit(&format!("{path}/sessions"), &[("session", session.as_str().unwrap())]);
    bob.get("/auth/me").is(200, "");
}

#[test]
fn an_account_is_disabled_and_enabled() {
    let (server, root, person, ada, path) = scene();
    person.submit(&format!("{path}/disable"), &[]).leads_to(&format!("{path}?done=disabled"));
    person.open(&format!("{path}?done=disabled")).says(200, "its sessions have ended").says(200, "Enable account");
    ada.get("/auth/me").is(401, "invalid_token");
    person.submit(&format!("{path}/enable"), &[]).leads_to(&format!("{path}?done=enabled"));
    server.sign_in("ada");
    assert_eq!(history(&server, &root, ada.id)[1..3], ["user.enabled", "user.disabled"]);
}

#[test]
fn the_last_administrator_stays_and_the_page_says_why() {
    let (server, root, person, _, _) = scene();
    let own = format!("/admin/users/{}", root.id);
    let last = "this is the last administrator who can sign in";
    person.submit(&format!("{own}/disable"), &[]).says(409, last);
    person.submit(&format!("{own}/delete"), &[("typed_name", "root")]).says(409, last);
    let page = person.open(&own);
    person.submit(&own, &fields(&page, &[("role", "user")])).says(409, last);
    assert_eq!(person.signed_in_as().as_deref(), Some("root"));
    // With another one, they may go.
    server.admin("boss");
    person.submit(&format!("{own}/disable"), &[]).leads_to(&format!("{own}?done=disabled"));
    assert_eq!(person.signed_in_as(), None);
}

#[test]
fn an_account_that_waits_after_wrong_passwords_is_unlocked() {
    let (server, _, person, _, path) = scene();
    let guess = |password| server.anon().login("ada@example.com", password).status;
    while guess("wrong horse") != 429 {}
    assert_eq!(guess(PASSWORD), 429);
    person.submit(&format!("{path}/unlock"), &[]).leads_to(&format!("{path}?done=unlocked"));
    assert_eq!(guess(PASSWORD), 200);
}

#[test]
fn a_link_for_a_new_password_is_shown_once_with_a_code() {
    let (server, _, person, _, path) = scene();
    let page = person.submit(&format!("{path}/reset"), &[]);
    page.says(201, "This is shown once.")
        .says(201, "<svg class=\"qr\" viewBox=\"0 0 ")
        .says(201, "role=\"img\" aria-label=\"QR code");
    let (_, link) = page.body.split_once("<code>").unwrap();
    let link = link.split('<').next().unwrap();
    assert!(!person.open(&path).body.contains("/reset?token="));
    let owner = server.person();
    owner.open(link.trim_start_matches("https://auth.example.test")).leads_to("/reset");
    let form = owner.open("/reset");
    form.says(200, "value=\"ada\"");
    owner.submit("/reset", &[("link", form.value("link")), ("password", "another battery")]).leads_to("/");
    assert_eq!(owner.signed_in_as().as_deref(), Some("ada"));
}

#[test]
fn an_account_is_deleted_by_its_username() {
    let (server, root, person, ada, path) = scene();
    for wrong in ["", "ad", "root", "ada@example.com"] {
        let again = person.submit(&format!("{path}/delete"), &[("typed_name", wrong)]);
        assert!(again.status == 400 && again.fault("typed_name").is_some(), "{again:?}");
    }
    root.get(&ada.me()).is(200, "");
    person.submit(&format!("{path}/delete"), &[("typed_name", "ada")]).leads_to("/admin/users?done=account-deleted");
    person.open("/admin/users?done=account-deleted").says(200, "The account was deleted.").says(200, "1 account<");
    person.open(&path).says(404, "There is no such user");
    assert_eq!(server.query::<i64>("SELECT count(*) FROM users"), 1);
}

#[test]
fn what_is_no_account_is_not_there() {
    let (_server, _, person, _, _) = scene();
    for id in ["77", "0", "01", "x", "-1", "%00"] {
        person.open(&format!("/admin/users/{id}")).says(404, "There is no such");
        for action in ["", "/groups", "/sessions", "/disable", "/enable", "/unlock", "/reset", "/delete"] {
            person.submit(&format!("/admin/users/{id}{action}"), &[]).says(404, "There is no such");
        }
    }
}
