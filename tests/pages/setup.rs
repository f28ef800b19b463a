//! Setting up: the first administrator, by a link.

use super::links::{LINK, open};
use crate::support::{
    PASSWORD, Server,
    binary::{Serving, complaint, create_admin, until, usher},
    person::{PUBLIC_URL, Page, Person},
    probes::Probes,
};
use futures_executor::block_on;
use serde_json::json;
use std::time::Duration;
use tempfile::tempdir;
use usher::domain::{Caller, Error};

const PAGE: &str = "/setup";

/// The token of a new link.
fn token(server: &Server) -> String {
    let link = block_on(server.app.setup.issue(&Caller::shell())).expect("it can be written");
    link.expect("there is no administrator").token.reveal().to_owned()
}

/// Sends the form as the page gave it out.
fn create(person: &Person, form: &Page, name: &str, password: &str) -> Page {
    let email = format!("{name}@example.com");
    let fields = [("link", form.value("link")), ("username", name), ("email", &email), ("password", password)];
    person.submit(PAGE, &[&fields[..], &[("keep", "yes")]].concat())
}

#[test]
fn the_first_administrator_is_created_and_signed_in() {
    let server = Server::with_pages();
    let (person, token) = (server.person(), token(&server));
    let form = open(&person, PAGE, &token);
    for text in [
        "<label for=\"username\">Username</label>",
        "<label for=\"email\">E-mail address</label>",
        "<label for=\"password\">Password</label>",
        "<button type=\"submit\">Create administrator</button>",
    ] {
        form.says(200, text);
    }
    assert!(form.field("username").contains("autofocus") && !form.body.contains(&token[5..25]));

    create(&person, &form, "root", PASSWORD).leads_to("/admin/apps/new");

    assert_eq!((person.signed_in_as().as_deref(), person.cookie(LINK)), (Some("root"), None));
    person.open("/admin/apps/new").says(200, "<h1>Protect an app</h1>");
    let root = server.sign_in("root");
    let me = root.get("/auth/me").json();
    assert_eq!((&me["role"], &me["email_verified"]), (&json!("admin"), &json!(true)));
    let actions: Vec<String> = server.audit().into_iter().map(|entry| entry.action).take(4).collect();
    assert_eq!(actions, ["setup.link_issued", "user.registered", "setup.completed", "session.signed_in"]);
    assert_eq!(server.known_browsers(), ["root"]);
}

#[test]
fn all_that_is_wrong_is_told_at_its_field_and_the_link_still_works() {
    let server = Server::with_pages();
    server.user("ada");
    let person = server.person();
    let form = open(&person, PAGE, &token(&server));
    let fields = [("link", form.value("link")), ("username", "-x"), ("email", "nowhere"), ("password", "short")];
    let page = person.submit(PAGE, &fields);
    page.says(400, "role=\"alert\"").says(400, "Type the password again.");
    assert!(["username", "email", "password"].iter().all(|field| page.fault(field).is_some()), "{page:?}");
    assert_eq!((page.value("username"), page.value("email"), page.value("password")), ("-x", "nowhere", ""));

    let taken = create(&person, &page, "ada", PASSWORD);
    taken.says(409, "Username is taken; choose another.");
    let own_name = create(&person, &page, "a.long.name", "a.long.name");
    own_name.says(400, "must not be the account&#39;s username or e-mail address.");
    assert_eq!(person.signed_in_as(), None);

    create(&person, &page, "root", PASSWORD).leads_to("/admin/apps/new");
}

#[test]
fn a_link_works_for_an_hour_once_and_until_the_next_one() {
    let server = Server::with_pages();
    let (person, first) = (server.person(), token(&server));
    let form = open(&person, PAGE, &first);
    server.clock.advance(Duration::from_hours(1));
    person.set_cookie(LINK, &first);
    create(&person, &form, "root", PASSWORD).says(400, "This link has ended");
    open(&server.person(), PAGE, &first).says(400, "This link has ended");

    let second = token(&server);
    let form = open(&person, PAGE, &second);
    let third = token(&server);
    create(&person, &form, "root", PASSWORD).says(400, "This link has ended");
    open(&server.person(), PAGE, &second).says(400, "This link has ended");

    let form = open(&person, PAGE, &third);
    create(&person, &form, "root", PASSWORD).leads_to("/admin/apps/new");
    let late = server.person();
    late.set_cookie(LINK, &third);
    create(&late, &form, "eve", PASSWORD).says(400, "If you have just used it yourself, sign in.");
    assert_eq!(server.accounts().len(), 1);
    assert_eq!(server.app.hashes(), 1, "nothing is hashed for a link that does not work");
}

#[test]
fn of_two_who_send_the_form_at_once_one_becomes_the_administrator() {
    let server = Server::with_pages();
    let token = token(&server);
    let digest = open(&server.person(), PAGE, &token).value("link").to_owned();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let send = |n: usize| {
            let person = server.person();
            person.set_cookie(LINK, &token);
            let (name, email) = (format!("root{n}"), format!("root{n}@example.com"));
            let fields = [("link", digest.as_str()), ("username", &name), ("email", &email), ("password", PASSWORD)];
            person.submit(PAGE, &fields).status
        };
        let racers: Vec<_> = (0..10).map(|n| scope.spawn(move || send(n))).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [303, 400].contains(status)), "{statuses:?}");
    assert_eq!(server.accounts().len(), 1);
}

#[test]
fn where_there_is_an_administrator_no_link_works() {
    let server = Server::with_pages();
    let (person, token) = (server.person(), token(&server));
    let form = open(&person, PAGE, &token);
    server.admin("root");
    create(&person, &form, "eve", PASSWORD).says(400, "This link has ended");
    open(&server.person(), PAGE, &token).says(400, "This link has ended");
    assert_eq!(server.accounts().len(), 1);
    assert!(block_on(server.app.setup.issue(&Caller::shell())).unwrap().is_none());
}

#[test]
fn an_administrator_who_is_there_by_the_time_that_the_password_is_hashed_is_the_first() {
    let server = Server::with_pages();
    server.user("ada");
    let (token, hashes) = (token(&server), server.app.hashes());
    let digest = open(&server.person(), PAGE, &token).value("link").to_owned();
    let held = server.hold_writes();
    let late = std::thread::scope(|scope| {
        let send = scope.spawn(|| {
            let person = server.person();
            person.set_cookie(LINK, &token);
            let fields =
                [("link", digest.as_str()), ("username", "eve"), ("email", "e@example.com"), ("password", PASSWORD)];
            person.submit(PAGE, &fields).status
        });
        until("the password is hashed", || (server.app.hashes() > hashes).then_some(()));
        held.make_administrators();
        held.release();
        send.join().expect("no thread panics")
    });
    assert_eq!((late, server.accounts().len()), (400, 1));
}

#[test]
fn somebody_who_is_signed_in_is_told_what_becomes_of_them() {
    let server = Server::with_pages();
    server.user("ada");
    let person = server.signed_in_person("ada");
    let form = open(&person, PAGE, &token(&server));
    form.says(200, "You are signed in as ada, who is signed out in this browser.");
    create(&person, &form, "root", PASSWORD).leads_to("/admin/apps/new");
    assert_eq!(
        (person.signed_in_as().as_deref(), server.session_count()),
        (Some("root"), 2),
        "ada's own is that of the API"
    );
}

#[test]
fn nobody_makes_a_link_over_the_network() {
    let server = Server::with_pages();
    let caller = Caller { actor: usher::domain::Actor::Anonymous, ..Caller::shell() };
    assert_eq!(block_on(server.app.setup.issue(&caller)).map(|link| link.is_some()), Err(Error::Forbidden));
}

#[test]
fn a_form_from_another_site_or_for_another_link_creates_nobody() {
    let server = Server::with_pages();
    let (person, first) = (server.person(), token(&server));
    let form = open(&person, PAGE, &first);
    let fields =
        [("link", form.value("link")), ("username", "eve"), ("email", "e@example.com"), ("password", PASSWORD)];
    person.submit_with(PAGE, &[("sec-fetch-site", "cross-site")], &fields).says(403, "role=\"alert\"");
    let second = token(&server);
    open(&person, PAGE, &second);
    person.submit(PAGE, &fields).says(409, "Another link was opened");
    person.open(PAGE).says(200, "Create administrator");
    server.person().open(PAGE).says(400, "This page needs a link");
    server.person().open("/setup?token=ushs_nonsense").leads_to(PAGE);
    assert!(server.accounts().is_empty());
}

/// The link in a line of a log or an output.
fn link_in(text: &str) -> String {
    let (_, from) = text.split_once(&format!("{PUBLIC_URL}/setup?token=")).unwrap_or_else(|| panic!("no link: {text}"));
    from.split_whitespace().next().expect("a token").trim_end_matches(['"', ',']).to_owned()
}

#[test]
fn the_link_is_in_the_log_of_each_start_without_an_administrator_and_a_command_prints_another() {
    let folder = tempdir().unwrap();
    let arguments = ["--public-url", PUBLIC_URL];
    let server = Serving::start(folder.path(), &arguments);
    server.until_logged("/setup?token=");
    let logged = link_in(&server.log());
    open(&server.person(), PAGE, &logged).says(200, "Create administrator");

    let printed = usher(folder.path(), &["setup-link"]);
    assert!(printed.status.success(), "{printed:?}");
    let text = String::from_utf8(printed.stdout).unwrap();
    let token = link_in(&text);
    assert_eq!(text, format!("{PUBLIC_URL}/setup?token={token}\n"));
    open(&server.person(), PAGE, &logged).says(400, "This link has ended");
    let person = server.person();
    let form = open(&person, PAGE, &token);
    create(&person, &form, "root", PASSWORD).leads_to("/admin/apps/new");

    let refused = usher(folder.path(), &["setup-link"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(complaint(&refused).contains("there is an administrator already"), "{refused:?}");
    drop(server);
    let again = Serving::start(folder.path(), &arguments);
    assert!(!again.log().contains("/setup?token="), "{}", again.log());
}

#[test]
fn each_start_makes_a_new_link() {
    let folder = tempdir().unwrap();
    let log = || {
        let server = Serving::start(folder.path(), &["--public-url", PUBLIC_URL]);
        server.until_logged("/setup?token=");
        server.log()
    };
    let (first, second) = (link_in(&log()), link_in(&log()));
    assert_ne!(first, second);
}

#[test]
fn without_a_public_url_the_command_says_what_to_do() {
    let folder = tempdir().unwrap();
    assert!(usher(folder.path(), &["migrate"]).status.success());
    let refused = usher(folder.path(), &["setup-link"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(complaint(&refused).contains("give --public-url, or use 'usher create-admin'"), "{refused:?}");
    let given = usher(folder.path(), &["setup-link", "--public-url", "https://sso.example.org"]);
    assert!(String::from_utf8(given.stdout).unwrap().starts_with("https://sso.example.org/setup?token=ushs_"));
    create_admin(folder.path(), "root");
}
