//! Forms that a page of another site sends with a browser's cookies.

use crate::support::{PASSWORD, Server, person::PUBLIC_URL};

/// Every path that takes a form.
const FORMS: [&str; 5] = ["/sign-in", "/sign-out", "/register", "/invited", "/reset"];

#[test]
fn a_form_of_another_site_is_refused_and_changes_nothing() {
    let server = Server::with_pages();
    server.user("ada");
    let person = server.signed_in_person("ada");
    let fields = [("login", "ada"), ("password", PASSWORD)];
    for path in FORMS {
        for headers in [
            &[] as &[(&str, &str)],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site"), ("origin", PUBLIC_URL)],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("referer", "https://auth.example.test/sign-in")],
        ] {
            let page = person.submit_with(path, headers, &fields);
            page.says(403, "came from a page of another site");
            assert!(page.set_cookies().is_empty(), "{path} {headers:?}");
        }
    }
    assert_eq!(person.signed_in_as().as_deref(), Some("ada"));
}

#[test]
fn nobody_is_signed_in_as_somebody_else_by_another_site() {
    let server = Server::with_pages();
    server.user("ada");
    server.user("eve");
    let person = server.signed_in_person("ada");
    let eves = [("login", "eve"), ("password", PASSWORD)];
    person.submit_with("/sign-in", &[("sec-fetch-site", "cross-site")], &eves).says(403, "another site");
    assert_eq!(person.signed_in_as().as_deref(), Some("ada"));
}

#[test]
fn a_browser_that_says_nothing_of_the_site_is_believed_by_its_origin() {
    let server = Server::with_pages();
    server.user("ada");
    let fields = [("login", "ada"), ("password", PASSWORD)];
    server.person().submit_with("/sign-in", &[("origin", PUBLIC_URL)], &fields).leads_to("/");
}
