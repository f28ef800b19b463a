//! What all pages have in common, failures included.

use crate::support::{
    Server,
    person::{PUBLIC_URL, pages},
};
use serde_json::Value;
use std::collections::BTreeSet;

#[test]
fn failures_of_pages_are_pages_that_name_the_request_and_those_of_the_api_keep_their_form() {
    let server = Server::with_pages();
    let person = server.person();

    for (method, path, status, says) in [
        ("GET", "/nothing", 404, "There is no such page"),
        ("GET", "/sign-in/", 404, "There is no such page"),
        ("GET", "/apis", 404, "There is no such page"),
        ("PUT", "/sign-in", 405, "can’t be done here"),
        ("POST", "/", 405, "can’t be done here"),
    ] {
        let page = person.send(method, path, &[("sec-fetch-site", "same-origin")], None);
        page.says(status, says).says(status, page.header("x-request-id"));
    }
    assert_eq!(person.send("PUT", "/sign-in", &[], None).header("allow"), "GET, HEAD, POST");
    for (path, code) in
        [("/api/v1/nothing", "not_found"), ("/api", "not_found"), ("/api/v1/auth/me", "authentication_required")]
    {
        let answer = person.send("GET", path, &[], None);
        assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap()["error"]["code"], code, "{path}");
    }
    assert_eq!(server.anon().get("//healthz").status, 200);
}

#[test]
fn a_form_that_no_page_sends_is_refused_with_a_page() {
    let server = Server::with_pages();
    let person = server.person();
    let send = |kind: &str, body: &[u8]| {
        person.send("POST", "/sign-in", &[("sec-fetch-site", "same-origin"), ("content-type", kind)], Some(body))
    };
    let form = "application/x-www-form-urlencoded";
    send("application/json", b"{}").says(415, "did not arrive as this page sends it");
    send("text/plain", b"login=a").says(415, "did not arrive as this page sends it");
    send(form, b"login=a&login=b").says(400, "did not arrive as this page sends it");
    send(form, "a".repeat(70_000).as_bytes()).says(413, "too large");
    send(form, b"").says(401, "is wrong");
    send(form, b"login=%ff%00&password=%ff").says(401, "is wrong");
}

#[test]
fn pages_are_at_the_public_url_alone() {
    let server = Server::with_pages();
    server.admin("root");
    for host in ["other.example.test", "auth.example.test:8443", "auth.example.test.", "localhost", ""] {
        let mut person = server.person();
        person.host = host.to_owned();
        let page = person.open("/sign-in");
        page.says(404, PUBLIC_URL).says(404, "--public-url");
        let refused = person.sign_in("root", crate::support::PASSWORD);
        assert!(refused.status == 404 && refused.set_cookies().is_empty(), "{host}: {refused:?}");
    }
    let mut person = server.person();
    person.host = "AUTH.example.test".to_owned();
    assert_eq!(person.open("/sign-in").status, 200);
    let forged = server.person().send("GET", "/", &[("x-forwarded-host", "evil.example")], None);
    forged.leads_to("/sign-in");
}

#[test]
fn without_a_public_url_there_are_no_pages() {
    let server = Server::start();
    for path in ["//sign-in", "//sign-out"] {
        server.anon().get(path).is(404, "not_found");
    }
    assert_eq!(server.anon().get("//").header("location"), "/docs");
}

#[test]
fn the_style_sheet_and_the_icon_may_be_kept_for_their_names_change_with_them() {
    let server = Server::with_pages();
    let person = server.person();
    let page = person.open("/sign-in");
    let urls = page.body.split('"').filter_map(|part| part.strip_prefix(PUBLIC_URL));
    let found: BTreeSet<&str> = urls.filter(|path| path.starts_with("/assets/")).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    for path in found {
        assert_eq!(person.open(path).status, 200, "{path}");
    }
    person.open("/assets/style-0000000000000000.css").says(404, "There is no such page");
}

#[test]
fn text_that_somebody_chose_is_never_markup() {
    let server = Server::with(|settings| {
        pages(settings);
        settings.policy.instance_name = "<b>\"Ada's\" & friends</b>".to_owned();
    });
    let page = server.person().sign_in("<script>alert(1)</script>\" autofocus onfocus=\"x", "wrong");
    page.says(401, "&#60;script&#62;alert(1)&#60;/script&#62;&#34; autofocus onfocus=&#34;x");
    assert!(!page.body.contains("<script") && !page.body.contains("<b>"), "{page:?}");
}

#[test]
fn the_first_page_tells_how_to_create_an_administrator_until_there_is_one() {
    let server = Server::with_pages();
    server.person().open("/").says(200, "There is no administrator yet");
    server.admin("root");
    server.person().open("/").leads_to("/sign-in");
    server.signed_in_person("root").open("/").says(200, "root");
}
