//! Links that administrators hand over.

use crate::{
    shell::{document, done, fails, serving},
    support::{
        PASSWORD,
        binary::{command, create_admin, output},
        person::PUBLIC_URL,
    },
};
use std::{collections::BTreeSet, path::Path};
use tempfile::tempdir;

const COMMANDS: [(&[&str], &str, &str); 2] =
    [(&["invite"], "/invited?token=", "ushi_"), (&["user", "reset-token", "ada"], "/reset?token=", "ushr_")];

#[track_caller]
fn printed(folder: &Path, command: &[&str], more: &[&str]) -> String {
    let text = done(folder, &[command, more].concat());
    text.strip_suffix('\n').filter(|line| !line.contains('\n')).unwrap_or_else(|| panic!("{text:?}")).to_owned()
}

#[test]
fn many_invitations_are_printed_one_a_line() {
    let (folder, serving) = serving(&["--public-url", PUBLIC_URL]);
    let (path, root) = (folder.path(), serving.sign_in("root"));

    let printed = done(path, &["invite", "--count", "20"]);

    let links: BTreeSet<&str> = printed.lines().collect();
    assert_eq!((links.len(), printed.lines().count()), (20, 20));
    assert!(links.iter().all(|link| link.starts_with(&format!("{PUBLIC_URL}/invited?token=ushi_"))), "{printed}");
    assert_eq!(root.get("/invitations").json()["invitations"].as_array().unwrap().len(), 20);
    let listed = document(&done(path, &["invite", "--count", "1", "--json"]));
    assert_eq!(listed["invitations"].as_array().unwrap().len(), 1);
    fails(path, &["invite", "--count", "2", "--email", "eve@example.com"], 1, "count must be 1");
    fails(path, &["invite", "--count", "101"], 2, "must be a whole number from 1 to 100");
}

#[test]
fn a_link_opens_a_page_of_the_server_and_the_token_alone_is_for_the_api() {
    let (folder, serving) = serving(&["--public-url", PUBLIC_URL]);
    for (command, path, prefix) in COMMANDS {
        let link = printed(folder.path(), command, &[]);
        assert!(link.starts_with(&format!("{PUBLIC_URL}{path}{prefix}")), "{link}");
        let person = serving.person();
        let moved = person.open(link.strip_prefix(PUBLIC_URL).unwrap());
        person.open(moved.header("location")).says(200, "<form method=\"post\"");

        let token = printed(folder.path(), command, &["--token"]);
        assert!(token.starts_with(prefix) && token.len() == 54, "{token}");
        let as_json = document(&printed_json(folder.path(), command));
        assert!(as_json["token"].as_str().unwrap().starts_with(prefix), "{as_json}");
        fails(folder.path(), &[command, &["--json", "--token"]].concat(), 2, "--token");
    }
}

fn printed_json(folder: &Path, command: &[&str]) -> String {
    done(folder, &[command, &["--json"]].concat())
}

#[test]
fn a_link_leads_to_a_new_password() {
    let (folder, serving) = serving(&["--public-url", PUBLIC_URL]);
    let link = printed(folder.path(), &["user", "reset-token", "ada"], &[]);
    let person = serving.person();
    person.open(link.strip_prefix(PUBLIC_URL).unwrap()).leads_to("/reset");
    let form = person.open("/reset");
    let fields = [("link", form.value("link")), ("password", "another long password")];
    person.submit("/reset", &fields).leads_to("/");
    serving.client().login("ada@example.com", PASSWORD).is(401, "invalid_credentials");
    serving.client().login("ada@example.com", "another long password").is(200, "");
}

#[test]
fn the_public_url_is_the_servers_unless_a_variable_or_a_flag_says_otherwise() {
    let (folder, serving) = serving(&[]);
    for (arguments, path, _) in COMMANDS {
        let of_server = printed(folder.path(), arguments, &[]);
        assert!(of_server.starts_with(&format!("http://{}{path}", serving.address)), "{of_server}");
        let with = |flag: &[&str]| {
            let mut one = command(folder.path());
            one.env("USHER_PUBLIC_URL", "https://a.example").args(arguments).args(flag);
            String::from_utf8(output(&mut one).stdout).unwrap()
        };
        assert!(with(&[]).starts_with("https://a.example/"));
        assert!(with(&["--public-url", "https://b.example"]).starts_with("https://b.example/"));
        fails(folder.path(), &[arguments, &["--public-url", "b.example"]].concat(), 2, "--public-url");
    }
}

#[test]
fn without_a_public_url_the_token_is_printed() {
    let folder = tempdir().unwrap();
    done(folder.path(), &["migrate"]);
    assert!(create_admin(folder.path(), "ada").status.success());
    for (command, _, prefix) in COMMANDS {
        assert!(printed(folder.path(), command, &[]).starts_with(prefix));
    }
}
