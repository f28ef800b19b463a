//! Browsers in which somebody has signed in before: guessing from elsewhere does not keep an owner out of them.

use crate::support::{PASSWORD, Server, person::Person, probes::Probes};
use serde_json::json;
use std::time::Duration;

const KNOWN: &str = "__Host-usher-known";

/// Signs in, and out again: what is left is that the browser is known.
fn known(server: &Server, name: &str) -> Person {
    let person = server.signed_in_person(name);
    person.submit("/sign-out", &[]).leads_to("/sign-in");
    person
}

/// Uses up what anybody else may try at the account from the IP address of the tests.
fn exhaust(server: &Server, name: &str) {
    server.forget_known_addresses();
    for _ in 0..10 {
        assert_eq!(server.person().sign_in(name, "wrong").status, 401);
    }
    assert_eq!(server.person().sign_in(name, PASSWORD).status, 429);
}

#[test]
fn an_owner_gets_in_where_they_signed_in_before_while_others_guess() {
    let server = Server::with_pages();
    server.user("ada");
    let person = known(&server, "ada");
    exhaust(&server, "ada");
    person.sign_in("ada", PASSWORD).leads_to("/");
}

#[test]
fn a_known_browser_has_a_budget_of_its_own_that_ends() {
    let server = Server::with_pages();
    server.user("ada");
    let person = known(&server, "ada");
    for _ in 0..10 {
        person.sign_in("ada", "wrong").says(401, "is wrong");
    }
    assert_eq!(person.sign_in("ada", PASSWORD).header("retry-after"), "300");
    assert_eq!(server.person().sign_in("ada", PASSWORD).status, 303, "others have not been slowed down");
    server.clock.advance(Duration::from_mins(5));
    person.sign_in("ada", PASSWORD).leads_to("/");
}

#[test]
fn the_right_password_gives_the_budget_of_a_known_browser_back() {
    let server = Server::with_pages();
    server.user("ada");
    let person = known(&server, "ada");
    for _ in 0..2 {
        for _ in 0..9 {
            person.sign_in("ada", "wrong").says(401, "is wrong");
        }
        person.sign_in("ada", PASSWORD).leads_to("/");
    }
}

#[test]
fn unlocking_an_account_lets_its_owner_in_in_a_browser_that_is_known() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let person = known(&server, "ada");
    for _ in 0..10 {
        person.sign_in("ada", "wrong").says(401, "is wrong");
    }
    assert_eq!(person.sign_in("ada", PASSWORD).status, 429);
    root.send("POST", &format!("{}/unlock", ada.me()), &[], None).is(204, "");
    person.sign_in("ada", PASSWORD).leads_to("/");
}

#[test]
fn the_ip_address_counts_for_known_browsers_too() {
    let server = Server::with_pages();
    server.user("ada");
    let person = known(&server, "ada");
    for n in 0..50 {
        server.person().sign_in(&format!("nobody{n}"), "wrong");
    }
    assert_eq!(person.sign_in("ada", PASSWORD).status, 429);
}

#[test]
fn a_browser_is_known_to_the_accounts_that_were_signed_in_to_in_it_and_to_no_others() {
    let server = Server::with_pages();
    server.user("ada");
    server.user("bob");
    let person = known(&server, "ada");
    exhaust(&server, "bob");
    assert_eq!(person.sign_in("bob", PASSWORD).status, 429);
}

#[test]
fn the_token_is_drawn_anew_at_each_sign_in_and_never_taken_from_the_browser() {
    let server = Server::with_pages();
    server.user("ada");
    let person = known(&server, "ada");
    let (first, thief) = (person.cookie(KNOWN).unwrap(), person.stolen());
    person.sign_in("ada", PASSWORD).leads_to("/");
    assert_ne!(person.cookie(KNOWN).unwrap(), first);
    exhaust(&server, "ada");
    assert_eq!(thief.sign_in("ada", PASSWORD).status, 429, "the earlier token is worth nothing");

    let planted = server.person();
    let chosen = usher::domain::KnownBrowserToken::generate();
    planted.set_cookie(KNOWN, chosen.reveal());
    server.user("bob");
    planted.sign_in("bob", PASSWORD).leads_to("/");
    assert_ne!(planted.cookie(KNOWN).unwrap(), chosen.reveal());
}

#[test]
fn a_browser_keeps_four_accounts_and_an_account_sixteen_browsers() {
    let server = Server::with_pages();
    let names = ["ann", "bob", "cid", "dan", "eve"];
    let person = server.person();
    for name in names {
        server.user(name);
        server.clock.advance(Duration::from_secs(1));
        person.sign_in(name, PASSWORD).leads_to("/");
    }
    assert_eq!(server.known_browsers(), ["bob", "cid", "dan", "eve"]);

    for _ in 0..17 {
        server.clock.advance(Duration::from_secs(1));
        server.signed_in_person("eve");
    }
    assert_eq!(server.known_browsers().iter().filter(|name| *name == "eve").count(), 16);
    exhaust(&server, "eve");
    assert_eq!(person.sign_in("eve", PASSWORD).status, 429, "the oldest browser is forgotten");
}

#[test]
fn ending_all_sessions_forgets_the_browsers() {
    let server = Server::with_pages();
    let ada = server.user("ada");
    let person = known(&server, "ada");
    assert_eq!(ada.delete("/auth/sessions").status, 204);
    assert_eq!(server.known_browsers(), ["ada"], "others only");
    assert_eq!(ada.delete(&format!("{}/sessions", ada.me())).status, 204);
    assert!(server.known_browsers().is_empty());
    exhaust(&server, "ada");
    assert_eq!(person.sign_in("ada", PASSWORD).status, 429);
}

#[test]
fn ending_the_sessions_of_a_group_forgets_the_browsers_of_its_members() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    known(&server, "ada");
    known(&server, "root");
    root.post("/groups", json!({"name": "staff"})).is(201, "");
    root.send("PUT", &format!("/groups/1/members/{}", ada.id), &[], None).is(204, "");
    root.delete("/groups/1/sessions").is(204, "");
    assert_eq!(server.known_browsers(), ["root"]);
}

#[test]
fn a_sign_in_to_another_account_gives_nobody_more_guesses() {
    let server = Server::with_pages();
    server.user("ada");
    server.user("mallory");
    let person = known(&server, "ada");
    exhaust(&server, "ada");
    for _ in 0..10 {
        person.sign_in("ada", "wrong").says(401, "is wrong");
    }
    person.sign_in("mallory", PASSWORD).leads_to("/");
    for login in ["ada", "ada@example.com"] {
        assert_eq!(person.sign_in(login, PASSWORD).status, 429, "{login}");
    }
}

#[test]
fn a_new_password_forgets_the_browsers() {
    let server = Server::with_pages();
    let ada = server.user("ada");
    known(&server, "ada");
    assert_eq!(ada.put(&ada.me(), serde_json::json!({"password": "another battery"})).status, 200);
    assert!(server.known_browsers().is_empty());
}

#[test]
fn a_reset_forgets_the_browsers() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    known(&server, "ada");
    let reset = root.send("POST", &format!("{}/password-reset", ada.me()), &[], None).json();
    let body = serde_json::json!({"token": reset["token"], "password": "another battery"});
    assert_eq!(server.anon().post("/auth/password-reset", body).status, 204);
    assert!(server.known_browsers().is_empty());
}

#[test]
fn after_ninety_days_a_browser_is_a_stranger_and_its_row_is_deleted() {
    let server = Server::with_pages();
    server.user("ada");
    let person = known(&server, "ada");
    let ninety = Duration::from_hours(90 * 24);
    server.clock.advance(ninety + Duration::from_secs(1));
    exhaust(&server, "ada");
    assert_eq!(person.sign_in("ada", PASSWORD).status, 429);
}
