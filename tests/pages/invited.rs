//! Creating an account with the link of an invitation.

use super::links::{LINK, accept, invitation, open};
use crate::support::{Client, PASSWORD, Server, person::pages, probes::Probes};
use serde_json::json;
use std::time::Duration;
use usher::domain::Registration;

fn by_mode(mode: Registration) -> (Server, Client) {
    let server = Server::with(|settings| {
        pages(settings);
        settings.policy.registration = mode;
    });
    let root = server.admin("root");
    (server, root)
}

#[test]
fn an_invited_person_creates_an_account_and_is_signed_in() {
    for mode in [Registration::Open, Registration::Invite] {
        let (server, root) = by_mode(mode);
        let person = server.person();
        let form = open(&person, "/invited", &invitation(&root, json!({"role": "admin"})));
        form.says(200, "<button type=\"submit\">Create account</button>");
        assert!(form.field("email").contains(" required") && !form.field("email").contains("readonly"));

        let created = accept(&person, &form, "ada");

        created.leads_to("/");
        assert_eq!((person.signed_in_as().as_deref(), person.cookie(LINK)), (Some("ada"), None));
        let ada = server.accounts().pop().unwrap();
        assert_eq!((ada.username.as_str(), ada.role.as_str(), ada.email_verified), ("ada", "admin", false));
        assert_eq!(server.audit_count_by("invitation.spent", root.id), 1);
        assert_eq!(server.known_browsers(), ["ada"]);
    }
}

#[test]
fn an_email_address_that_the_invitation_fixes_is_shown_and_can_not_be_changed() {
    let (server, root) = by_mode(Registration::Invite);
    let token = invitation(&root, json!({"email": "Ada@Example.com"}));
    let person = server.person();
    let form = open(&person, "/invited", &token);
    form.says(200, "The invitation is for this e-mail address.");
    assert!(form.value("email") == "Ada@Example.com" && form.field("email").contains(" readonly"));

    let fields =
        [("link", form.value("link")), ("username", "-"), ("email", "eve@example.com"), ("password", PASSWORD)];
    let again = person.submit("/invited", &fields);
    assert_eq!((again.status, again.value("email"), again.fault("email")), (400, "Ada@Example.com", None));
    assert!(again.field("username").contains("autofocus"));
    let fields =
        [("link", form.value("link")), ("username", "ada"), ("email", "eve@example.com"), ("password", PASSWORD)];
    person.submit("/invited", &fields).leads_to("/");

    let ada = server.accounts().pop().unwrap();
    assert_eq!((ada.email.as_str(), ada.email_verified), ("Ada@Example.com", true));
}

#[test]
fn somebody_who_has_an_account_already_is_told_to_sign_in() {
    let (server, root) = by_mode(Registration::Invite);
    let person = server.person();
    let form = open(&person, "/invited", &invitation(&root, json!({"email": "root@example.com"})));
    let fields = [("link", form.value("link")), ("username", "ada"), ("password", PASSWORD)];
    person.submit("/invited", &fields).says(409, "There is an account with this e-mail address");
    assert_eq!(server.user_count(), 1);
}

#[test]
fn an_invitation_is_not_spent_where_nobody_can_be_signed_in() {
    let (server, root) = by_mode(Registration::Invite);
    let person = server.person();
    let form = open(&person, "/invited", &invitation(&root, json!({})));
    for change in ["INSERT ON sessions", "INSERT ON known_browsers", "DELETE ON invitations"] {
        let full = server.without_room(change);
        let failed = accept(&person, &form, "ada");
        assert!(failed.status >= 500 && failed.set_cookies().is_empty(), "{failed:?}");
        drop(full);
    }
    assert_eq!(server.user_count(), 1);
    accept(&person, &form, "ada").leads_to("/");
}

#[test]
fn the_fixed_email_address_is_no_password() {
    let (server, root) = by_mode(Registration::Invite);
    let person = server.person();
    let form = open(&person, "/invited", &invitation(&root, json!({"email": "ada@example.com"})));
    let fields = [("link", form.value("link")), ("username", "ada"), ("password", "ada@example.com")];
    let page = person.submit("/invited", &fields);
    let fault = "Password must not be the account&#39;s username or e-mail address.";
    assert_eq!((page.status, page.fault("password")), (400, Some(fault)));
}

#[test]
fn a_form_that_is_refused_spends_nothing() {
    let (server, root) = by_mode(Registration::Invite);
    let person = server.person();
    let form = open(&person, "/invited", &invitation(&root, json!({})));
    let submit = |name: &str, password: &str| {
        let fields =
            [("link", form.value("link")), ("username", name), ("email", "ada@example.com"), ("password", password)];
        person.submit("/invited", &fields)
    };
    let faulty = submit("ada", "short");
    assert_eq!((faulty.status, faulty.value("link"), faulty.value("username")), (400, form.value("link"), "ada"));
    assert_eq!(submit("root", PASSWORD).fault("username"), Some("Username is taken; choose another."));
    assert!(person.cookie(LINK).is_some() && person.signed_in_as().is_none());
    submit("ada", PASSWORD).leads_to("/");
}

#[test]
fn an_invitation_that_has_ended_says_so_at_the_link_and_at_the_form() {
    let ends: [fn(&Server, &Client, &str); 4] = [
        |server, _, _| server.clock.advance(Duration::from_hours(7 * 24)),
        |_, root, _| assert_eq!(root.delete("/invitations/1").status, 204),
        |server, _, token| {
            let body =
                json!({"username": "eve", "email": "eve@example.com", "password": PASSWORD, "invitation": token});
            server.anon().post("/users", body).is(201, "");
        },
        |server, root, _| {
            server.admin("other");
            root.delete(&root.me()).is(204, "");
        },
    ];
    for end in ends {
        let (server, root) = by_mode(Registration::Invite);
        let (person, token) = (server.person(), invitation(&root, json!({})));
        let form = open(&person, "/invited", &token);
        end(&server, &root, &token);
        let count = server.user_count();

        let late = accept(&person, &form, "ada");

        late.says(400, "This link has ended").says(400, "ask for a new link");
        assert!(late.set_cookies().is_empty());
        open(&server.person(), "/invited", &token).says(400, "This link has ended");
        assert_eq!(server.user_count(), count);
    }
}

#[test]
fn an_invitation_is_worth_nothing_where_registration_is_closed() {
    let (server, root) = by_mode(Registration::Closed);
    let token = invitation(&root, json!({}));
    for person in [server.person(), server.signed_in_person("root")] {
        open(&person, "/invited", &token).says(403, "Registration is closed");
    }
    let opened = server.restart(pages);
    let form = open(&opened.person(), "/invited", &token);
    let closed = opened.restart(|settings| {
        pages(settings);
        settings.policy.registration = Registration::Closed;
    });
    let later = closed.person();
    later.set_cookie(LINK, &token);
    accept(&later, &form, "ada").says(403, "Registration is closed");
    assert_eq!(closed.user_count(), 1);
}

#[test]
fn a_form_that_is_sent_twice_at_once_creates_one_account() {
    let (server, root) = by_mode(Registration::Invite);
    let token = invitation(&root, json!({}));
    let digest = open(&server.person(), "/invited", &token).value("link").to_owned();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let send = |n: usize| {
            let person = server.person();
            person.set_cookie(LINK, &token);
            let (name, email) = (format!("racer{n}"), format!("racer{n}@example.com"));
            let fields = [("link", digest.as_str()), ("username", &name), ("email", &email), ("password", PASSWORD)];
            person.submit("/invited", &fields).status
        };
        let racers: Vec<_> = (0..10).map(|n| scope.spawn(move || send(n))).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [303, 400].contains(status)), "{statuses:?}");
    assert_eq!(server.user_count(), 2);
}

#[test]
fn a_form_that_is_sent_again_says_that_the_link_was_used_and_leaves_the_session() {
    let (server, root) = by_mode(Registration::Invite);
    let person = server.person();
    let token = invitation(&root, json!({}));
    let form = open(&person, "/invited", &token);
    accept(&person, &form, "ada").leads_to("/");
    accept(&person, &form, "ada").says(400, "This page needs a link");
    person.set_cookie(LINK, &token);
    accept(&person, &form, "ada").says(400, "If you have just used it yourself, sign in.");
    assert_eq!((person.signed_in_as().as_deref(), server.user_count()), (Some("ada"), 2));
}

#[test]
fn an_administrator_who_tries_their_own_link_is_told_and_is_replaced_only_by_sending_it() {
    let (server, root) = by_mode(Registration::Invite);
    let person = server.signed_in_person("root");
    let form = open(&person, "/invited", &invitation(&root, json!({})));
    form.says(200, "You are signed in as root. Once the new account is created, root is signed out in this browser.");
    assert_eq!(person.signed_in_as().as_deref(), Some("root"));

    accept(&person, &form, "ada").leads_to("/");

    let ada = server.accounts().pop().unwrap();
    assert_eq!((ada.email_verified, person.signed_in_as().as_deref()), (false, Some("ada")));
    assert_eq!(server.audit_count_by("user.registered", root.id), 0);
}
