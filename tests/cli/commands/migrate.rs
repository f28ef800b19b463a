//! `usher migrate`.

use super::{refused, succeeded};
use crate::support::binary::{Serving, complaint, files, usher};
use tempfile::tempdir;

#[test]
fn migrate_makes_a_private_database_and_is_up_to_date_the_second_time() {
    use std::os::unix::fs::PermissionsExt;

    // given
    let folder = tempdir().unwrap();

    // when
    let first = usher(folder.path(), &["migrate"]);
    let made = files(folder.path());
    let second = usher(folder.path(), &["migrate"]);

    // then
    assert!(succeeded(&first).contains("created"));
    assert!(succeeded(&second).contains("up to date"));
    assert_eq!((complaint(&first), complaint(&second)), (String::new(), String::new()));
    assert_eq!(made.keys().collect::<Vec<_>>(), ["usher.db", "usher.db.lock"]);
    for name in made.keys() {
        let mode = folder.path().join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{name}");
    }
    assert!(files(folder.path()) == made, "the second run changed a byte");
}

#[test]
fn the_status_of_the_schema_is_told_without_writing() {
    // given
    let folder = tempdir().unwrap();

    // when
    let before = usher(folder.path(), &["migrate", "--status"]);
    let nothing = files(folder.path());
    succeeded(&usher(folder.path(), &["migrate"]));
    let made = files(folder.path());
    let after = usher(folder.path(), &["migrate", "--status"]);

    // then
    assert!(succeeded(&before).contains("no database"));
    assert!(succeeded(&after).contains("up to date"));
    assert!(nothing.is_empty(), "{:?}", nothing.keys());
    assert!(files(folder.path()) == made, "the status wrote something");
}

#[test]
fn a_database_is_not_migrated_under_a_running_server_but_its_status_is_told() {
    let folder = tempdir().unwrap();
    let _serving = Serving::start(folder.path(), &[]);
    let line = refused(&usher(folder.path(), &["migrate"]), 1);
    assert!(line.contains("in use") && line.contains("stop"), "{line}");
    assert!(succeeded(&usher(folder.path(), &["migrate", "--status"])).contains("up to date"));
}
