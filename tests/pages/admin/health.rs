//! What is wrong with the service, on a page.

use crate::support::{
    Server,
    apps::{NAVIGATION, NOTES, Visitor},
    probes::Probes,
};

const PAGE: &str = "/admin/health";

#[test]
fn a_page_says_what_is_wrong_and_where_to_correct_it() {
    let server = Server::with_apps();
    server.admin("root");
    let person = server.signed_in_person("root");
    Visitor::new(&server).verify(NOTES, "GET", "/", &NAVIGATION);
    server.flush();
    let page = person.open(PAGE);
    page.says(200, "aria-current=\"page\">Health</a>")
        .says(200, "<bdi>at https://auth.example.test</bdi>")
        .says(200, "<bdi>Music, 2, at https://music.example.org: everyone may enter")
        .says(200, "no proxy has asked about it")
        .says(200, "<span class=\"verdict warning\">warning</span></td>\n<th class=\"whole\" scope=\"row\"><a href=\"/admin/apps\">app</a></th>")
        .says(200, "<pre><code>usher check</code></pre>");
    assert!(!page.body.contains("verdict error"), "{page:?}");

    server.damage_apps("name = '' WHERE id = 2");
    let page = person.open(PAGE);
    page.says(200, "<strong class=\"verdict error\">1 error and ").says(200, "the app 2 is damaged");
    let place = |text: &str| page.body.find(text).unwrap_or_else(|| panic!("{text}: {page:?}"));
    assert!(place("the app 2 is damaged") < place("Notes, 1, at"), "the worst comes first");
    assert!(place("Notes, 1, at") < place("at https://auth.example.test<"), "then what only might go wrong");
}

#[test]
fn what_the_page_says_is_of_now() {
    let server = Server::with_apps();
    server.admin("root");
    let person = server.signed_in_person("root");
    person.open(PAGE).says(200, " warnings</strong>").says(200, "<bdi>1 can be read</bdi>");
    server.damage_apps("name = '' WHERE id = 2");
    person.open(PAGE).says(200, "1 error and ");
    person.open("/admin").says(200, "<span class=\"verdict error\">1 error and ");
}
