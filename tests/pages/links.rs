//! Links that let their holder do something once: what is true of all of them.

use crate::support::{
    Client, PASSWORD, Server,
    binary::{Serving, command},
    person::{PUBLIC_URL, Page, Person, pages},
};
use serde_json::{Value, json};
use tempfile::tempdir;
use usher::{
    app::Policy,
    domain::{InvitationToken, Origin, ResetToken},
};

pub const LINK: &str = "__Host-usher-link";
pub const OTHER: &str = "another long password";

/// The token of a new invitation.
pub fn invitation(admin: &Client, body: Value) -> String {
    let made = admin.post("/invitations", body);
    made.is(201, "");
    made.json()["token"].as_str().unwrap().to_owned()
}

/// A token for a new password.
pub fn reset_token(admin: &Client, user: &Client) -> String {
    let issued = admin.send("POST", &format!("{}/password-reset", user.me()), &[], None);
    issued.is(201, "");
    issued.json()["token"].as_str().unwrap().to_owned()
}

/// Opens a link, and follows it to its form.
#[track_caller]
pub fn open(person: &Person, path: &str, token: &str) -> Page {
    person.open(&format!("{path}?token={token}")).leads_to(path);
    person.open(path)
}

/// Sends the form of an invitation, as the page gave it out.
pub fn accept(person: &Person, form: &Page, name: &str) -> Page {
    let email = format!("{name}@example.com");
    let fields = [("link", form.value("link")), ("username", name), ("email", &email), ("password", PASSWORD)];
    person.submit("/invited", &fields)
}

/// Sends the form for a new password, as the page gave it out.
pub fn set_password(person: &Person, form: &Page, password: &str) -> Page {
    person.submit("/reset", &[("link", form.value("link")), ("password", password)])
}

/// Tokens for the two pages.
fn tokens(root: &Client, ada: &Client) -> [(&'static str, String); 2] {
    [("/invited", invitation(root, json!({}))), ("/reset", reset_token(root, ada))]
}

#[test]
fn the_token_moves_from_the_url_into_a_cookie_and_is_shown_nowhere() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    for (path, token) in tokens(&root, &ada) {
        let person = server.person();
        let moved = person.open(&format!("{path}?token={token}"));
        moved.leads_to(path);
        let expected = format!("{LINK}={token}; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=3600");
        assert_eq!(moved.set_cookies(), [expected]);

        let form = person.open(path);
        form.says(200, "<form method=\"post\"");
        assert!(!format!("{form:?}").contains(&token[5..25]), "{form:?}");
        assert!(form.set_cookies().is_empty());
    }
}

#[test]
fn a_mail_scanner_that_opens_links_spends_none() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    for (path, token) in tokens(&root, &ada) {
        for method in ["GET", "HEAD"] {
            let scanner = server.person();
            for _ in 0..40 {
                let link = format!("{path}?token={token}");
                assert_eq!(scanner.send(method, &link, &[("sec-fetch-site", "cross-site")], None).status, 303);
                assert_eq!(scanner.send(method, path, &[], None).status, 200);
            }
        }
    }
    let [(_, invitation), (_, reset)] = tokens(&root, &ada);
    for (path, token) in [("/invited", invitation), ("/reset", reset)] {
        let person = server.person();
        let form = open(&person, path, &token);
        let sent = if path == "/reset" { set_password(&person, &form, OTHER) } else { accept(&person, &form, "bob") };
        sent.leads_to("/");
    }
}

#[test]
fn a_form_spends_only_the_link_that_it_was_shown_for() {
    let server = Server::with_pages();
    let (root, ada, bob) = (server.admin("root"), server.user("ada"), server.user("bob"));
    let (of_ada, of_bob) = (reset_token(&root, &ada), reset_token(&root, &bob));
    let person = server.person();
    let (first, second) = (open(&person, "/reset", &of_ada), open(&person, "/reset", &of_bob));

    set_password(&person, &first, OTHER).says(409, "another link was opened in this browser");

    assert_eq!(server.anon().login("ada@example.com", PASSWORD).status, 200);
    assert_eq!(server.anon().login("bob@example.com", PASSWORD).status, 200);
    set_password(&person, &second, OTHER).leads_to("/");
    assert_eq!(person.signed_in_as().as_deref(), Some("bob"));
    let again = open(&person, "/reset", &of_ada);
    set_password(&person, &again, OTHER).leads_to("/");
    assert_eq!(person.signed_in_as().as_deref(), Some("ada"));
}

#[test]
fn a_link_of_another_kind_that_was_opened_meanwhile_takes_the_place_of_the_first() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let [(_, invitation), (_, reset)] = tokens(&root, &ada);
    let person = server.person();
    let (first, second) = (open(&person, "/invited", &invitation), open(&person, "/reset", &reset));
    accept(&person, &first, "bob").says(409, "Another link was opened");
    set_password(&person, &second, OTHER).leads_to("/");
    let first = open(&person, "/invited", &invitation);
    open(&person, "/reset", &reset).says(400, "This link has ended");
    accept(&person, &first, "bob").says(409, "Another link was opened");
}

#[test]
fn a_form_without_the_digest_of_its_link_does_nothing() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    for (path, token) in tokens(&root, &ada) {
        let person = server.person();
        let digest = open(&person, path, &token).value("link").to_owned();
        let cut = &digest[1..];
        for link in [&[][..], &[("link", "")], &[("link", cut)], &[("link", token.as_str())]] {
            let fields = [("username", "eve"), ("email", "eve@example.com"), ("password", OTHER)];
            let page = person.submit(path, &[&fields[..], link].concat());
            page.says(409, "Another link was opened");
            assert!(page.set_cookies().is_empty());
        }
    }
    assert_eq!(server.anon().login("ada@example.com", PASSWORD).status, 200);
    assert_eq!(server.anon().login("eve@example.com", OTHER).status, 401);
}

#[test]
fn a_page_without_its_link_says_what_to_do() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let [(_, invitation), (_, reset)] = tokens(&root, &ada);
    for (path, of_the_other_kind) in [("/invited", reset), ("/reset", invitation)] {
        let person = server.person();
        person.open(path).says(400, "This page needs a link");
        person.submit(path, &[("link", "x"), ("password", OTHER)]).says(400, "This page needs a link");
        let cut = &of_the_other_kind[..40];
        for token in ["", "x", cut, &of_the_other_kind, "%00", "%ff", "ushr_", &"x".repeat(3_000)] {
            person.set_cookie(LINK, "of an earlier link");
            let moved = person.open(&format!("{path}?token={token}"));
            moved.leads_to(path);
            assert_eq!(person.cookie(LINK), None, "{token}");
            person.open(path).says(400, "This page needs a link");
        }
    }
}

#[test]
fn a_link_that_nobody_made_says_so_and_a_cookie_that_comes_twice_is_none() {
    let server = Server::with_pages();
    let person = server.person();
    for (path, token) in [
        ("/invited", InvitationToken::generate().reveal().to_owned()),
        ("/reset", ResetToken::generate().reveal().to_owned()),
    ] {
        open(&person, path, &token).says(400, "This link has ended").says(400, "ask for a new link");
        let cookies = format!("{LINK}={token}; {LINK}={token}");
        server.person().send("GET", path, &[("cookie", &cookies)], None).says(400, "This page needs a link");
    }
}

#[test]
fn a_link_with_spaces_around_it_as_mail_programs_make_them_still_opens() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let token = reset_token(&root, &ada);
    open(&server.person(), "/reset", &format!("%20{token}%0A")).says(200, "New password");
}

#[test]
fn links_open_at_the_public_url_alone() {
    let server = Server::with_pages();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    for (path, token) in tokens(&root, &ada) {
        let mut person = server.person();
        person.host = "evil.example".to_owned();
        let page = person.open(&format!("{path}?token={token}"));
        page.says(404, PUBLIC_URL);
        assert!(page.set_cookies().is_empty());
    }
}

#[test]
fn without_tls_the_cookie_has_another_name() {
    let server = Server::with(|settings| {
        settings.policy =
            Policy { public_url: Some(Origin::parse("http://auth.example.test").unwrap()), ..Policy::default() };
    });
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let person = server.person();
    let form = open(&person, "/reset", &reset_token(&root, &ada));
    form.says(200, "not encrypted");
    assert_eq!(person.cookies.borrow().keys().cloned().collect::<Vec<_>>(), ["usher-link"]);
    set_password(&person, &form, OTHER).leads_to("/");
    assert_eq!(person.cookies.borrow().keys().cloned().collect::<Vec<_>>(), ["usher", "usher-known"]);
}

/// What is typed and what is given out on these pages.
#[test]
fn no_secret_of_a_link_reaches_the_log() {
    let folder = tempdir().unwrap();
    let mut traced = command(folder.path());
    traced.env("RUST_LOG", "trace").args(["serve", "--argon2-memory", "64", "--public-url", PUBLIC_URL]);
    let serving = Serving::spawn(folder.path(), &mut traced);
    crate::support::binary::create_admin(folder.path(), "root");
    let root = serving.sign_in("root");
    serving.register("ada").is(201, "");
    let ada = serving.sign_in("ada");
    let mut secrets = Vec::new();
    for (path, token) in tokens(&root, &ada) {
        let person = serving.person();
        let form = open(&person, path, &token);
        secrets.push(form.value("link").to_owned());
        let wrong = set_password(&person, &form, "short-7");
        assert!([400, 409].contains(&wrong.status), "{wrong:?}");
        let sent = if path == "/reset" { set_password(&person, &form, OTHER) } else { accept(&person, &form, "bob") };
        sent.leads_to("/");
        secrets.push(token[5..30].to_owned());
        secrets.push(token[30..].to_owned());
        let [session, known] = ["__Host-usher", "__Host-usher-known"].map(|name| person.cookie(name).unwrap());
        secrets.push(session[5..30].to_owned());
        secrets.push(known[5..30].to_owned());
    }
    serving.signal("TERM");
    let (_, log) = serving.wait();
    assert!(log.contains("/reset") && log.contains("/invited"), "{log}");
    for secret in secrets.iter().map(String::as_str).chain([OTHER, PASSWORD, "short-7"]) {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

/// What a page of ours asks for names a clean URL as its `Referer`.
#[test]
fn a_referer_never_holds_a_token() {
    let server = Server::with(pages);
    let (root, ada) = (server.admin("root"), server.user("ada"));
    for (path, token) in tokens(&root, &ada) {
        let person = server.person();
        let from_mail = [("sec-fetch-site", "cross-site"), ("referer", "https://mail.example/")];
        let moved = person.send("GET", &format!("{path}?token={token}&more=1"), &from_mail, None);
        assert!(moved.body.is_empty() && moved.status == 303 && moved.header("location") == path);
        assert_eq!(person.open(path).header("referrer-policy"), "same-origin");
    }
}
