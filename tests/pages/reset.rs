//! Setting a new password with a link.

use super::links::{LINK, OTHER, open, reset_token, set_password};
use crate::support::{self, PASSWORD, Server, probes::Probes};
use futures_executor::block_on;
use serde_json::json;
use std::time::Duration;
use usher::{
    app::BrowserVisit,
    domain::{Actor, Caller, Client, Error, PasswordPolicy, ResetToken},
};

#[test]
fn the_owner_sets_a_password_and_is_signed_in_here_alone() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("Ada"));
    let (earlier, person) = (server.signed_in_person("ada"), server.person());
    let form = open(&person, "/reset", &reset_token(&root, &ada));
    form.says(200, "<label for=\"password\">New password</label>").says(200, "8 to 256 characters");
    form.says(200, "<button type=\"submit\">Set password</button>").says(200, "Ada is signed out everywhere else");
    assert!(form.value("username") == "Ada" && form.field("username").contains(" readonly"));
    assert!(form.field("password").contains("autofocus") && form.field("password").contains("\"new-password\""));

    let set = set_password(&person, &form, OTHER);

    set.leads_to("/");
    assert_eq!((person.signed_in_as().as_deref(), person.cookie(LINK)), (Some("Ada"), None));
    assert_eq!(earlier.signed_in_as(), None);
    ada.get("/auth/me").is(401, "invalid_token");
    server.anon().login("ada@example.com", PASSWORD).is(401, "invalid_credentials");
    server.anon().login("ada@example.com", OTHER).is(200, "");
    assert_eq!(server.known_browsers(), ["Ada"]);
    let entries = server.audit();
    let at = entries.iter().position(|entry| entry.action == "user.password_reset").expect("it is on record");
    assert_eq!((entries[at].subject, entries[at + 1].action.as_str()), (Some(ada.id), "session.signed_in"));
}

#[test]
fn keeping_the_browser_signed_in_is_a_choice() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    for (keep, ends) in [(&[][..], "Path=/"), (&[("keep", "yes")], "Max-Age=2592000")] {
        let person = server.person();
        let form = open(&person, "/reset", &reset_token(&root, &ada));
        let fields = [("link", form.value("link")), ("password", OTHER)];
        let set = person.submit("/reset", &[&fields[..], keep].concat());
        assert!(set.set_cookies()[0].ends_with(ends), "{set:?}");
    }
}

#[test]
fn a_password_that_is_refused_is_told_at_its_field_and_spends_nothing() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("Ada.Lovelace"));
    let person = server.person();
    let form = open(&person, "/reset", &reset_token(&root, &ada));
    for (typed, fault) in [
        ("", "New password must have at least 8 characters."),
        ("seven77", "New password must have at least 8 characters."),
        ("password", "New password is on a list of common passwords; choose another."),
        ("ada.lovelace", "New password must not be the account&#39;s username or e-mail address."),
        ("ADA.lovelace@example.com", "New password must not be the account&#39;s username or e-mail address."),
        ("nul\0nul\0nul", "New password must not contain the character NUL."),
    ] {
        let page = set_password(&person, &form, typed);
        page.says(400, "role=\"alert\"");
        assert_eq!((page.fault("password"), page.value("password")), (Some(fault), ""), "{typed}");
        assert_eq!((page.value("username"), page.value("link")), ("Ada.Lovelace", form.value("link")));
        assert!(page.field("password").contains("autofocus") && page.set_cookies().is_empty());
    }
    assert_eq!(server.anon().login("ada.lovelace@example.com", PASSWORD).status, 200);
    set_password(&person, &form, OTHER).leads_to("/");
}

#[test]
fn a_link_that_has_ended_says_so_at_the_link_and_at_the_form() {
    let ends: [fn(&Server, &support::Client, &support::Client, &str); 6] = [
        |server, _, _, _| server.clock.advance(Duration::from_hours(1)),
        |_, root, ada, _| drop(reset_token(root, ada)),
        |server, _, _, token| {
            server.anon().post("/auth/password-reset", json!({"token": token, "password": OTHER})).is(204, "");
        },
        |_, root, ada, _| assert_eq!(root.delete(&ada.me()).status, 204),
        |_, root, ada, _| assert_eq!(root.put(&ada.me(), json!({"password": OTHER})).status, 200),
        |server, root, _, _| {
            server.admin("other");
            root.put(&root.me(), json!({"role": "user"})).is(200, "");
        },
    ];
    for end in ends {
        let server = Server::with_pages();
        let (root, ada) = (server.admin("root"), server.user("ada"));
        let (person, token) = (server.person(), reset_token(&root, &ada));
        let form = open(&person, "/reset", &token);
        end(&server, &root, &ada, &token);
        let hashes: Vec<String> = server.accounts().into_iter().map(|account| account.password_hash).collect();

        let late = set_password(&person, &form, "a third long password");

        late.says(400, "This link has ended").says(400, "ask for a new link");
        assert!(late.set_cookies().is_empty() && !late.body.contains("Username"), "{late:?}");
        open(&server.person(), "/reset", &token).says(400, "This link has ended");
        let now: Vec<String> = server.accounts().into_iter().map(|account| account.password_hash).collect();
        assert_eq!(now, hashes);
    }
}

#[test]
fn a_form_that_is_sent_again_says_that_the_link_was_used_and_leaves_the_session() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let (person, token) = (server.person(), reset_token(&root, &ada));
    let form = open(&person, "/reset", &token);
    set_password(&person, &form, OTHER).leads_to("/");
    set_password(&person, &form, OTHER).says(400, "This page needs a link");
    person.set_cookie(LINK, &token);
    set_password(&person, &form, "a third long password").says(400, "If you have just used it yourself, sign in.");
    assert_eq!(person.signed_in_as().as_deref(), Some("ada"));
    server.anon().login("ada@example.com", OTHER).is(200, "");
}

#[test]
fn a_form_that_is_sent_twice_at_once_sets_one_password() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let token = reset_token(&root, &ada);
    let digest = open(&server.person(), "/reset", &token).value("link").to_owned();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let send = |n: usize| {
            let person = server.person();
            person.set_cookie(LINK, &token);
            person.submit("/reset", &[("link", digest.as_str()), ("password", &format!("{OTHER} {n}"))]).status
        };
        let racers: Vec<_> = (0..10).map(|n| scope.spawn(move || send(n))).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [303, 400].contains(status)), "{statuses:?}");
    assert_eq!(server.session_count_of(ada.id), 1);
}

#[test]
fn the_password_of_a_disabled_account_is_set_and_nobody_is_signed_in() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    root.put(&ada.me(), json!({"disabled": true})).is(200, "");
    let (person, token) = (server.person(), reset_token(&root, &ada));
    let form = open(&person, "/reset", &token);

    set_password(&person, &form, OTHER).says(403, "The password is set, but the account is disabled");

    assert_eq!(person.signed_in_as(), None);
    assert_eq!((server.session_count_of(ada.id), server.known_browsers().len()), (0, 0));
    root.put(&ada.me(), json!({"disabled": false})).is(200, "");
    server.anon().login("ada@example.com", OTHER).is(200, "");
}

#[test]
fn somebody_who_is_signed_in_sets_their_own_password_and_stays_signed_in() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let person = server.signed_in_person("ada");
    let thief = person.stolen();
    let form = open(&person, "/reset", &reset_token(&root, &ada));
    assert!(!form.body.contains("You are signed in as"), "{form:?}");
    set_password(&person, &form, OTHER).leads_to("/");
    assert_eq!((person.signed_in_as().as_deref(), thief.signed_in_as()), (Some("ada"), None));
}

#[test]
fn somebody_else_who_is_signed_in_is_told_and_makes_way_for_the_owner() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    server.user("bob");
    let person = server.signed_in_person("bob");
    let thief = person.stolen();
    let form = open(&person, "/reset", &reset_token(&root, &ada));
    form.says(200, "You are signed in as bob, who is signed out in this browser.");
    assert_eq!(set_password(&person, &form, "short").status, 400);
    assert_eq!(person.signed_in_as().as_deref(), Some("bob"), "not before");

    set_password(&person, &form, OTHER).leads_to("/");

    assert_eq!((person.signed_in_as().as_deref(), thief.signed_in_as()), (Some("ada"), None));
    server.anon().login("bob@example.com", PASSWORD).is(200, "");
}

#[test]
fn the_apps_that_were_entered_in_this_browser_are_left_with_the_password() {
    use crate::support::apps::{NOTES, Visitor};
    let server = Server::with_apps();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let visitor = Visitor::signed_in(&server, "ada");
    assert_eq!(visitor.go(NOTES, "/x").unwrap(), "/x");
    assert_eq!(visitor.verify(NOTES, "GET", "/x", &[]).status, 200);
    let form = open(&visitor.person, "/reset", &reset_token(&root, &ada));
    set_password(&visitor.person, &form, OTHER).leads_to("/");
    assert_eq!(visitor.verify(NOTES, "GET", "/x", &[]).status, 401);
}

#[test]
fn wrong_links_are_counted_with_wrong_tokens_of_the_api_and_right_ones_are_not() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let (right, person) = (reset_token(&root, &ada), server.person());
    for _ in 0..40 {
        open(&person, "/reset", &right).says(200, "New password");
    }
    let form = open(&person, "/reset", &right);
    for n in 0..30 {
        let wrong = ResetToken::generate();
        if n % 2 == 0 {
            open(&server.person(), "/reset", wrong.reveal()).says(400, "This link has ended");
        } else {
            let body = json!({"token": wrong.reveal(), "password": OTHER});
            server.anon().post("/auth/password-reset", body).is(400, "invalid_reset_token");
        }
    }

    let refused = open(&server.person(), "/reset", ResetToken::generate().reveal());

    person.open("/reset").says(200, "New password"); // others who share the IP address don't keep an owner from the form
    refused.says(429, "Too many attempts").says(429, "Wait 2 minutes, then try again.");
    assert_eq!(refused.header("retry-after"), "120");
    set_password(&person, &form, OTHER).says(429, "Wait 2 minutes");
    let body = json!({"token": right, "password": OTHER});
    server.anon().post("/auth/password-reset", body).is(429, "too_many_attempts");
    server.clock.advance(Duration::from_mins(2));
    set_password(&person, &form, OTHER).leads_to("/");
}

/// The page asks for the account first, so that guesses hardly ever come this far.
#[test]
fn wrong_tokens_are_counted_at_the_password_too() {
    let server = Server::with_pages();
    let caller = Caller { actor: Actor::Anonymous, client: Client::default(), request_id: None };
    let guess = || {
        let password = PasswordPolicy::default().accept(OTHER, &[]).unwrap();
        let visit = BrowserVisit { keep: false, known: None, user_agent: None };
        let token = ResetToken::generate();
        block_on(server.app.resets.reset_password_in_browser(&caller, &token, password, visit)).map(drop)
    };
    // Callers without an IP address share ten times the budget of one.
    for _ in 0..300 {
        assert_eq!(guess(), Err(Error::InvalidResetToken));
    }
    assert!(matches!(guess(), Err(Error::TooManyAttempts(_))));
}

#[test]
fn a_link_is_not_spent_where_nobody_can_be_signed_in() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let person = server.person();
    let form = open(&person, "/reset", &reset_token(&root, &ada));
    for change in ["INSERT ON sessions", "INSERT ON known_browsers", "DELETE ON password_resets"] {
        let full = server.without_room(change);
        let failed = set_password(&person, &form, OTHER);
        assert!(failed.status >= 500 && failed.set_cookies().is_empty(), "{failed:?}");
        drop(full);
    }
    server.anon().login("ada@example.com", PASSWORD).is(200, "");
    set_password(&person, &form, OTHER).leads_to("/");
}

#[test]
fn an_account_that_others_guess_at_is_signed_in_to_by_its_owner_with_the_link() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    server.forget_known_addresses();
    for n in 0..60 {
        server.person().sign_in(if n < 10 { "ada" } else { "nobody" }, "wrong");
    }
    assert_eq!(server.person().sign_in("ada", PASSWORD).status, 429);
    let person = server.person();
    let form = open(&person, "/reset", &reset_token(&root, &ada));
    set_password(&person, &form, OTHER).leads_to("/");
    assert_eq!(person.signed_in_as().as_deref(), Some("ada"));
}

#[test]
fn a_password_costs_one_hash_and_a_mistake_none() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let person = server.person();
    let form = open(&person, "/reset", &reset_token(&root, &ada));
    let before = server.app.hashes();
    set_password(&person, &form, "ada@example.com").says(400, "role=\"alert\"");
    assert_eq!(server.app.hashes(), before);
    set_password(&person, &form, OTHER).leads_to("/");
    assert_eq!(server.app.hashes(), before + 1);
}
