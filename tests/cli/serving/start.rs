//! How a server starts, and why it does not.

use super::{connect, could_not, rest_of};
use crate::support::{
    binary::{Serving, command, complaint, create_admin, files, usher},
    damage::Damage,
};
use std::{io::BufRead, net::TcpListener};
use tempfile::tempdir;

#[test]
fn the_first_start_says_how_to_make_an_administrator_and_one_with_an_administrator_does_not() {
    // given
    let folder = tempdir().unwrap();

    // when
    let first = Serving::start(folder.path(), &[]);
    first.until_logged("usher create-admin");
    first.signal("TERM");
    let (_, first) = first.wait();
    assert!(create_admin(folder.path(), "ada").status.success());
    let second = Serving::start(folder.path(), &[]);
    second.signal("TERM");
    let (_, second) = second.wait();

    // then
    assert!(first.contains("a new database was created") && first.contains("no administrator"), "{first}");
    assert!(!second.contains("create-admin") && !second.contains("no administrator"), "{second}");
}

#[test]
fn the_start_names_the_page_unless_there_is_none() {
    let folder = tempdir().unwrap();
    let with = Serving::start(folder.path(), &[]);
    with.until_logged(&format!("the API documentation is at http://{}/docs", with.address));
    with.signal("TERM");
    with.wait();

    let without = Serving::start(folder.path(), &["--no-docs"]);
    without.signal("TERM");
    let (_, log) = without.wait();
    assert!(!log.contains("/docs"), "{log}");
}

#[test]
fn an_address_that_everyone_can_reach_is_warned_about_while_registration_is_open() {
    let folder = tempdir().unwrap();
    let everywhere = Serving::start(folder.path(), &["--listen", "0.0.0.0:0"]);
    everywhere.until_logged("registration is open");
    everywhere.signal("TERM");
    everywhere.wait();

    let here = Serving::start(folder.path(), &[]);
    here.signal("TERM");
    let (_, log) = here.wait();
    assert!(!log.contains("registration is open"), "{log}");
}

#[test]
fn a_port_that_is_taken_is_said_in_one_line_that_names_the_flag() {
    let folder = tempdir().unwrap();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let line = could_not(&usher(folder.path(), &["serve", "--listen", &taken]));
    assert!(line.contains(&taken) && line.contains("in use") && line.contains("--listen"), "{line}");
}

#[test]
fn a_start_that_is_refused_for_a_port_leaves_the_folder_as_it_was() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    for was in ["nothing", "a database", "a database to be migrated"] {
        // given
        let folder = tempdir().unwrap();
        match was {
            "a database" => assert!(usher(folder.path(), &["migrate"]).status.success()),
            "a database to be migrated" => folder.make_version_1(),
            _ => {}
        }
        let before = files(folder.path());

        for flag in ["--listen", "--metrics-listen"] {
            // when
            let line = could_not(&usher(folder.path(), &["serve", flag, &taken]));

            // then
            assert!(line.contains("in use by another program") && line.contains(flag), "{line}");
            let after = files(folder.path());
            assert!(after == before, "{was}: {:?} became {:?}", before.keys(), after.keys());
        }
    }
}

#[test]
fn a_server_is_started_again_at_once_on_the_port_of_one_that_closed_its_connections() {
    // given: the side that closes first keeps the port for a while
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    let address = serving.address;
    let mut idle = connect(address, "GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n");
    idle.read_line(&mut String::new()).unwrap();
    serving.signal("TERM");
    serving.wait();
    rest_of(idle);

    // when
    let again = Serving::start(folder.path(), &["--listen", &address.to_string()]);

    // then
    again.client().get("//healthz").is(200, "");
}

#[test]
fn an_address_of_another_machine_is_said_in_one_line_that_names_the_flag() {
    let folder = tempdir().unwrap();
    let line = could_not(&usher(folder.path(), &["serve", "--listen", "192.0.2.1:0"]));
    assert!(line.contains("does not have the IP address 192.0.2.1;") && line.contains("--listen"), "{line}");
}

#[test]
fn a_second_server_on_the_same_file_is_refused_and_the_command_line_works_beside_the_first() {
    // given
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);

    // when
    let second = usher(folder.path(), &["serve"]);
    let admin = create_admin(folder.path(), "ada");

    // then
    let line = could_not(&second);
    assert!(line.contains("usher.db") && line.contains("in use") && line.contains("stop"), "{line}");
    assert!(admin.status.success(), "{}", complaint(&admin));
    serving.sign_in("ada").get("/auth/me").is(200, "");
}

#[test]
fn a_database_by_another_name_for_the_same_file_is_not_served_twice() {
    // given
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    std::os::unix::fs::symlink(folder.path().join("usher.db"), folder.path().join("link.db")).unwrap();

    // when
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let second = usher(folder.path(), &["serve", "--database", "link.db", "--listen", &taken]);

    // then
    let line = could_not(&second);
    assert!(line.contains("in use by another 'usher"), "{line}");
    serving.client().get("//readyz").is(200, "");
}

#[test]
fn a_folder_that_is_not_there_or_no_folder_is_said_in_one_line() {
    // given
    let folder = tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let before = files(folder.path());

    for database in ["no/such/usher.db", "file/usher.db"] {
        for subcommand in ["serve", "migrate"] {
            // when
            let line = could_not(&usher(folder.path(), &[subcommand, "--database", database]));

            // then
            assert!(line.contains(database), "{subcommand}: {line}");
        }
    }
    assert_eq!(files(folder.path()), before);
}

#[test]
fn the_documentation_page_is_there_unless_the_settings_say_no() {
    let folder = tempdir().unwrap();
    for (arguments, status) in [(&[][..], 200), (&["--no-docs"], 404)] {
        let serving = Serving::start(folder.path(), arguments);
        assert_eq!(serving.client().get("//docs").status, status, "{arguments:?}");
        serving.client().get("/openapi.json").is(200, "");
    }
}

#[test]
fn the_lock_of_a_server_that_was_killed_does_not_keep_the_next_one_out() {
    let folder = tempdir().unwrap();
    let mut serving = Serving::start(folder.path(), &[]);
    serving.child.kill().unwrap();
    serving.child.wait().unwrap();
    let again = Serving::start(folder.path(), &[]);
    again.client().get("//readyz").is(200, "");
}

#[test]
fn a_misspelled_variable_is_named_at_the_start() {
    let folder = tempdir().unwrap();
    let mut serve = command(folder.path());
    serve.args(["serve", "--argon2-memory", "64"]).env("USHER_REGISTRATON", "closed");
    let serving = Serving::spawn(folder.path(), &mut serve);
    assert!(serving.log().contains("USHER_REGISTRATON is not a setting"), "{}", serving.log());
}
