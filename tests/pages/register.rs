//! Creating one's own account.

use super::links::{LINK, accept, invitation, open};
use crate::support::{
    PASSWORD, Server,
    apps::{NOTES, Visitor},
    person::{Page, Person, pages},
    probes::Probes,
};
use serde_json::json;
use std::time::Duration;
use usher::domain::Registration;

fn by_mode(mode: Registration) -> Server {
    Server::with(|settings| {
        pages(settings);
        settings.policy.registration = mode;
    })
}

fn register(person: &Person, name: &str) -> Page {
    let email = format!("{name}@example.com");
    person.submit("/register", &[("username", name), ("email", &email), ("password", PASSWORD), ("keep", "yes")])
}

#[test]
fn anybody_can_create_an_account_and_is_signed_in() {
    let server = Server::with_pages();
    let person = server.person();
    let form = person.open("/register");
    for part in ["<label for=\"username\">Username</label>", "<label for=\"email\">E-mail address</label>"] {
        form.says(200, part);
    }
    form.says(200, "<label for=\"password\">Password</label>").says(200, "8 to 256 characters");
    form.says(200, "<button type=\"submit\">Create account</button>");
    assert!(form.field("username").contains("autofocus") && form.field("password").contains("\"new-password\""));

    let created = register(&person, "Ada");

    created.leads_to("/");
    let cookies = created.set_cookies();
    assert!(cookies[0].starts_with("__Host-usher=ushb_") && cookies[0].ends_with("; Max-Age=2592000"), "{cookies:?}");
    assert_eq!(person.signed_in_as().as_deref(), Some("Ada"));
    let account = &server.accounts()[0];
    assert_eq!(
        (account.email.as_str(), account.email_verified, account.role.as_str()),
        ("Ada@example.com", false, "user")
    );
    assert!(account.last_login_at.is_some());
    assert_eq!(server.known_browsers(), ["Ada"]);
    let actions: Vec<_> = server.audit().into_iter().map(|entry| (entry.action, entry.actor, entry.subject)).collect();
    assert_eq!(actions, [("user.registered".into(), None, Some(1)), ("session.signed_in".into(), Some(1), Some(1))]);
    server.anon().login("ada@example.com", PASSWORD).is(200, "");
}

#[test]
fn a_browser_that_is_not_to_be_kept_signed_in_is_not() {
    let server = Server::with_pages();
    let person = server.person();
    let fields = [("username", "ada"), ("email", "ada@example.com"), ("password", PASSWORD)];
    let cookie = person.submit("/register", &fields).set_cookies()[0].to_owned();
    assert!(cookie.starts_with("__Host-usher=ushb_") && !cookie.contains("Max-Age"), "{cookie}");
    server.clock.advance(Duration::from_hours(12));
    assert!(person.signed_in_as().is_none());
}

#[test]
fn every_mistake_stands_at_its_field_with_what_was_typed_but_the_password() {
    let server = Server::with_pages();
    let hashes = server.app.hashes();
    let page =
        server.person().submit("/register", &[("username", "-ada"), ("email", "ada at home"), ("password", "secret7")]);

    page.says(400, "<p class=\"refusal\" role=\"alert\">Nothing was saved.");
    assert!(page.fault("username").unwrap().starts_with("Username must consist of the letters"));
    assert_eq!(page.fault("email"), Some("E-mail address must be an e-mail address such as name@example.com."));
    assert_eq!(page.fault("password"), Some("Password must have at least 8 characters."));
    assert_eq!((page.value("username"), page.value("email"), page.value("password")), ("-ada", "ada at home", ""));
    assert!(page.field("password").contains("aria-describedby=\"password-help password-fault\""));
    assert!(page.field("username").contains("autofocus") && page.body.matches("autofocus").count() == 1);
    assert!(!page.body.contains("secret7") && page.set_cookies().is_empty());
    assert_eq!((server.user_count(), server.app.hashes()), (0, hashes));
}

#[test]
fn a_name_as_the_password_is_told_together_with_other_mistakes() {
    let server = Server::with_pages();
    let own = "Password must not be the account&#39;s username or e-mail address.";
    for (username, email, other) in [("ada.lovelace", "nowhere", "email"), ("-ada", "ada@example.com", "username")] {
        let password = if other == "email" { username } else { email };
        let fields = [("username", username), ("email", email), ("password", password)];
        let page = server.person().submit("/register", &fields);
        assert_eq!((page.status, page.fault("password"), page.fault(other).is_some()), (400, Some(own), true));
    }
}

#[test]
fn the_cursor_stands_at_the_first_mistake() {
    let server = Server::with_pages();
    let submit = |password: &str| {
        let fields = [("username", "ada"), ("email", "ada@example.com"), ("password", password)];
        server.person().submit("/register", &fields)
    };
    for (password, fault) in [
        ("", "Password must have at least 8 characters."),
        ("password", "Password is on a list of common passwords; choose another."),
        ("ADA@example.com", "Password must not be the account&#39;s username or e-mail address."),
        (&"x".repeat(257), "Password must have at most 256 characters."),
    ] {
        let page = submit(password);
        assert_eq!((page.status, page.fault("password")), (400, Some(fault)));
        assert!(page.fault("username").is_none() && page.fault("email").is_none());
        assert!(page.field("password").contains("autofocus") && page.body.matches("autofocus").count() == 1);
    }
}

#[test]
fn a_taken_name_and_a_taken_email_address_stand_at_their_fields() {
    let server = Server::with_pages();
    server.user("ada");
    let submit = |name: &str, email: &str| {
        server.person().submit("/register", &[("username", name), ("email", email), ("password", PASSWORD)])
    };
    for (name, email, field, fault) in [
        ("ADA", "new@example.com", "username", "Username is taken; choose another."),
        ("new", "ADA@example.com", "email", "E-mail address is taken; use another."),
        ("ada", "ada@example.com", "username", "Username is taken; choose another."),
    ] {
        let page = submit(name, email);
        assert_eq!((page.status, page.fault(field)), (409, Some(fault)));
        assert!(page.field(field).contains("autofocus") && page.body.matches("aria-invalid").count() == 1);
        assert_eq!((page.value("username"), page.value("email")), (name, email));
        assert!(page.set_cookies().is_empty());
    }
    assert_eq!(server.user_count(), 1);
}

#[test]
fn a_form_that_is_sent_twice_creates_one_account_and_leaves_its_session() {
    let server = Server::with_pages();
    let person = server.person();
    register(&person, "ada").leads_to("/");
    let again = register(&person, "ada");
    assert_eq!((again.status, again.fault("username")), (409, Some("Username is taken; choose another.")));
    assert_eq!((person.signed_in_as().as_deref(), server.user_count()), (Some("ada"), 1));
}

#[test]
fn a_form_that_many_browsers_send_at_once_creates_one_account() {
    let server = Server::with_pages();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..10).map(|_| scope.spawn(|| register(&server.person(), "ada").status)).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [303, 409].contains(status)), "{statuses:?}");
    assert_eq!((server.user_count(), server.session_count()), (1, 1));
}

#[test]
fn where_registration_is_not_open_the_page_says_why_and_nobody_registers() {
    for (mode, says, then) in [
        (Registration::Closed, "Registration is closed", "Ask one of them"),
        (Registration::Invite, "You need an invitation", "ask an administrator for one"),
    ] {
        let server = by_mode(mode);
        server.admin("root");
        // An administrator fills it in as anybody else.
        for person in [server.person(), server.signed_in_person("root")] {
            person.open("/register").says(403, says).says(403, then);
            let refused = register(&person, "ada");
            refused.says(403, says);
            assert!(refused.set_cookies().is_empty());
            person.submit("/register", &[("username", "")]).says(403, says); // and not what is wrong with the fields
        }
        assert_eq!(server.user_count(), 1);
        server.flush();
        assert_eq!(server.occurrences("access.denied"), 6);
    }
}

#[test]
fn the_sign_in_page_leads_to_it_where_registration_is_open_and_only_there() {
    for mode in Registration::ALL {
        let page = by_mode(mode).person().open("/sign-in");
        assert_eq!(page.body.contains("href=\"/register\""), mode == Registration::Open, "{page:?}");
    }
}

#[test]
fn somebody_on_the_way_to_an_app_registers_and_enters_it() {
    let server = Server::with_apps();
    let visitor = Visitor::new(&server);
    let at_sign_in = visitor.go(NOTES, "/inbox").unwrap_err();
    let (_, from) = at_sign_in.body.split_once("<a href=\"/register?flow=").expect("a link");
    let path = format!("/register?flow={}", from.split('"').next().unwrap());

    let form = visitor.person.open(&path);
    let flow = form.value("flow").to_owned();
    form.says(200, "<a href=\"/enter?flow=");
    let fields = [("flow", flow.as_str()), ("username", "ada"), ("email", "ada@example.com"), ("password", "short")];
    let again = visitor.person.submit("/register", &fields);
    assert_eq!((again.status, again.value("flow")), (400, flow.as_str()));
    let fields = [("flow", flow.as_str()), ("username", "ada"), ("email", "ada@example.com"), ("password", PASSWORD)];
    let created = visitor.person.submit("/register", &fields);

    assert!(created.status == 303 && created.header("location").starts_with("/continue?flow="), "{created:?}");
    let on = visitor.person.open(created.header("location"));
    let (_, to) = on.body.split_once("content=\"0; url=").expect("a way on");
    assert_eq!(visitor.go_on(NOTES, to.split('"').next().unwrap().to_owned()).unwrap(), "/inbox");
}

#[test]
fn too_many_registrations_are_told_to_wait_and_lose_nothing_that_was_typed() {
    let server = Server::with_pages();
    for n in 0..30 {
        register(&server.person(), &format!("user{n}")).leads_to("/");
    }
    let person = server.person();
    let page = register(&person, "ada");
    page.says(429, "Too many attempts. Wait 2 minutes, then try again.");
    assert_eq!((page.header("retry-after"), page.value("username"), page.value("password")), ("120", "ada", ""));
    assert!(page.field("password").contains("autofocus"));
    server.clock.advance(Duration::from_mins(2));
    register(&person, "ada").leads_to("/");
}

#[test]
fn somebody_who_is_signed_in_is_told_what_becomes_of_them_and_gains_no_rights_by_it() {
    let server = Server::with_pages();
    server.admin("root");
    let person = server.signed_in_person("root");
    let thief = person.stolen();
    person
        .open("/register")
        .says(200, "You are signed in as root. Once the new account is created, root is signed out");

    register(&person, "ada").leads_to("/");

    assert_eq!((person.signed_in_as().as_deref(), thief.signed_in_as()), (Some("ada"), None));
    let ada = server.accounts().pop().unwrap();
    assert_eq!((ada.username.as_str(), ada.email_verified, ada.role.as_str()), ("ada", false, "user"));
    assert_eq!(server.audit_count_by("user.registered", 1), 0);
}

#[test]
fn somebody_who_is_signed_in_stays_so_when_the_form_is_refused() {
    let server = Server::with_pages();
    server.user("bob");
    let person = server.signed_in_person("bob");
    assert_eq!(register(&person, "bob").status, 409);
    assert_eq!(person.signed_in_as().as_deref(), Some("bob"));
}

#[test]
fn an_administrator_has_no_more_registrations_than_anybody_else() {
    let server = Server::with_pages();
    server.admin("root");
    for n in 0..30 {
        register(&server.signed_in_person("root"), &format!("user{n}")).leads_to("/");
    }
    assert_eq!(register(&server.signed_in_person("root"), "ada").status, 429);
}

#[test]
fn what_was_typed_is_never_markup() {
    let server = Server::with_pages();
    let markup = "<script>alert(1)</script>\" autofocus onfocus=\"x";
    let page = server
        .person()
        .submit("/register", &[("username", markup), ("email", markup), ("password", markup), ("flow", markup)]);
    assert_eq!(page.status, 400);
    assert!(!page.body.contains("<script") && !page.body.contains("onfocus=\"x"), "{page:?}");
    let escaped = "&#60;script&#62;alert(1)&#60;/script&#62;&#34; autofocus onfocus=&#34;x";
    assert_eq!((page.value("username"), page.value("email"), page.value("flow")), (escaped, escaped, escaped));
}

#[test]
fn an_invitation_is_not_used_up_by_somebody_who_registers_without_it() {
    let server = Server::with_pages();
    let root = server.admin("root");
    let (person, token) = (server.person(), invitation(&root, json!({"role": "admin"})));
    let form = open(&person, "/invited", &token);
    register(&person, "bob").leads_to("/");
    assert_eq!(server.accounts().pop().unwrap().role, "user");
    assert!(person.cookie(LINK).is_some());
    accept(&person, &form, "ada").leads_to("/");
    assert_eq!(server.accounts().pop().unwrap().role, "admin");
}

#[test]
fn a_service_that_is_busy_says_so_and_changes_nothing() {
    let server = Server::with(|settings| {
        pages(settings);
        settings.hash_threads = 0;
        settings.hash_queue = 0;
    });
    let page = register(&server.person(), "ada");
    page.says(503, "The service is busy. Wait a few seconds, then try again.");
    assert_eq!((page.header("retry-after"), page.value("username")), ("1", "ada"));
    assert_eq!(server.user_count(), 0);
}
