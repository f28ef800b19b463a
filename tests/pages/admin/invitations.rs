//! Invitations, and their links.

use crate::support::{
    PASSWORD, Server,
    person::{Page, Person},
};
use std::time::Duration;
use usher::domain::Registration;

const PAGE: &str = "/admin/invitations";

fn scene(registration: Registration) -> (Server, Person) {
    let server = Server::with(|settings| {
        crate::support::person::pages(settings);
        settings.policy.registration = registration;
    });
    server.admin("root");
    let person = server.signed_in_person("root");
    (server, person)
}

fn fields<'f>(changes: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    let usual = [("email", ""), ("role", "user"), ("lifetime", "604800"), ("count", "1")];
    usual
        .map(|(name, value)| {
            (name, changes.iter().find(|(other, _)| *other == name).map_or(value, |(_, value)| *value))
        })
        .to_vec()
}

/// The paths of the links on a page.
fn links(page: &Page) -> Vec<&str> {
    let links = page.body.split("<code>").skip(1).map(|rest| rest.split('<').next().unwrap());
    links.filter_map(|link| link.strip_prefix("https://auth.example.test")).collect()
}

#[test]
fn an_invitation_is_shown_once_and_lets_its_holder_in() {
    let (server, person) = scene(Registration::Invite);
    person
        .open(PAGE)
        .says(200, "No invitation can be used.")
        .says(200, "<option value=\"604800\" selected>7 days</option>");
    let shown = person.submit(PAGE, &fields(&[("email", "ada@example.com"), ("role", "admin"), ("lifetime", "3600")]));
    shown
        .says(201, "ada@example.com alone creates an account, once, who is an administrator then.")
        .says(201, "2026-11-22 11:00 UTC")
        .says(201, "<svg class=\"qr\"");
    let [link] = links(&shown)[..] else { panic!("{shown:?}") };
    let list = person.open(PAGE);
    list.says(200, "ada@example.com").says(200, "2026-11-22 11:00 UTC").says(200, "by root");
    assert!(!list.body.contains("ushi_"));

    let ada = server.person();
    ada.open(link).leads_to("/invited");
    let form = ada.open("/invited");
    let typed =
        [("link", form.value("link")), ("username", "ada"), ("email", "ada@example.com"), ("password", PASSWORD)];
    ada.submit("/invited", &typed).leads_to("/");
    ada.open(PAGE).says(200, "No invitation can be used.");
}

#[test]
fn twenty_are_created_at_once() {
    let (server, person) = scene(Registration::Invite);
    let shown = person.submit(PAGE, &fields(&[("count", "20")]));
    shown.says(201, "With each link, one person creates an account, once.");
    let mut all = links(&shown);
    assert_eq!((all.len(), shown.body.matches("<svg").count()), (20, 20));
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 20);
    for link in [all[0], all[19]] {
        let visitor = server.person();
        visitor.open(link).leads_to("/invited");
        visitor.open("/invited").says(200, "Create account");
    }
    for label in [" 1:", " 20:"] {
        shown.says(201, &format!("aria-label=\"QR code{label}"));
    }
}

#[test]
fn all_that_is_wrong_is_told_at_its_field_and_nothing_is_created() {
    let (server, person) = scene(Registration::Invite);
    let again =
        person.submit(PAGE, &fields(&[("email", "nobody"), ("role", "king"), ("lifetime", "5"), ("count", "101")]));
    assert_eq!(again.status, 400);
    for field in ["email", "role", "lifetime", "count"] {
        assert!(again.fault(field).is_some(), "{field}: {again:?}");
    }
    assert_eq!((again.value("email"), again.value("count")), ("nobody", "101"));
    for count in ["0", "", "-1", "1.5", "many", "99999999999999999999"] {
        let again = person.submit(PAGE, &fields(&[("count", count)]));
        assert!(again.status == 400 && again.fault("count").is_some(), "{again:?}");
    }
    let again = person.submit(PAGE, &fields(&[("count", "2"), ("email", "ada@example.com")]));
    assert!(again.status == 400 && again.fault("count").is_some(), "{again:?}");
    assert_eq!(server.query::<i64>("SELECT count(*) FROM invitations"), 0);
}

#[test]
fn an_invitation_is_deleted() {
    let (server, person) = scene(Registration::Invite);
    let shown = person.submit(PAGE, &fields(&[]));
    let delete = format!("{PAGE}/1/delete");
    person.submit(&delete, &[]).leads_to("/admin/invitations?done=invitation-deleted");
    person.submit(&delete, &[]).says(404, "There is no such invitation");
    person.submit(&format!("{PAGE}/x/delete"), &[]).says(404, "There is no such invitation");
    let visitor = server.person();
    visitor.open(links(&shown)[0]).leads_to("/invited");
    visitor.open("/invited").says(400, "This link has ended");
}

#[test]
fn a_long_list_has_pages_and_who_invited_may_be_gone() {
    let (server, person) = scene(Registration::Invite);
    person.submit(PAGE, &fields(&[("count", "51")]));
    server.sql().execute_batch("UPDATE invitations SET created_by = NULL WHERE id = 1").unwrap();
    let first = person.open(PAGE);
    first.says(200, "by the command line").says(200, "/50/delete");
    let (before, _) = first.body.split_once("\" rel=\"next\">Next page</a>").expect("it goes on");
    let second = person.open(before.rsplit("href=\"").next().unwrap());
    second.says(200, "/51/delete").says(200, ">First page</a>");
    person.open(&format!("{PAGE}?cursor=x")).says(400, "This is not a page of the list");
    // They end by themselves.
    server.clock.advance(Duration::from_hours(168));
    server.signed_in_person("root").open(PAGE).says(200, "No invitation can be used.");
}

#[test]
fn where_nobody_may_register_the_page_says_so() {
    let (_server, person) = scene(Registration::Closed);
    person.open(PAGE).says(200, "nobody can use an invitation");
    let (_server, person) = scene(Registration::Open);
    assert!(!person.open(PAGE).body.contains("nobody can use an invitation"));
}
