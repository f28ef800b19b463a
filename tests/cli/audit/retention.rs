//! What is kept, and for how long.

use super::{DAY, broken, folder_of, head, keeping_a_day, left, proven, prune};
use crate::support::{
    START, Server,
    binary::{Serving, create_admin, until, usher},
    probes::Probes,
};
use serde_json::json;
use std::time::Duration;
use tempfile::tempdir;
use usher::domain::Timestamp;

const HOUR: Duration = Duration::from_hours(1);

#[test]
fn what_retention_takes_away_leaves_a_chain_that_can_be_proven() {
    let server = keeping_a_day();
    let ada = server.user("ada");
    let kept = head(&folder_of(&server));
    server.clock.advance(DAY + HOUR);
    ada.put(&ada.me(), json!({"username": "countess"})).is(200, "");
    let newer = head(&folder_of(&server));

    prune(&server);
    ada.put(&ada.me(), json!({"username": "ada"})).is(200, "");

    assert_eq!(left(&server), (3, 2));
    assert!(proven(&folder_of(&server), &[]).contains("2 entries, 3 to 4"));
    proven(&folder_of(&server), &["--audit-head", &kept.to_string()]); // the very point where the log now begins
    proven(&folder_of(&server), &["--audit-head", &newer.to_string()]);
    let first = format!("1:{}", kept.hash);
    let complaint = broken(&folder_of(&server), &["--audit-head", &first]);
    assert!(complaint.contains("retention has deleted entry 1"), "{complaint}");
}

#[test]
fn a_clock_that_jumps_ahead_takes_half_a_day_of_the_log_at_each_sweep() {
    let server = keeping_a_day();
    prune(&server); // behind the sweep of the start
    let root = server.admin("root");
    for _ in 0..8 {
        server.clock.advance(6 * HOUR);
        root.put(&root.me(), json!({"username": format!("root{}", crate::support::unique())}));
    }
    assert_eq!(left(&server), (1, 10));

    server.clock.advance(365 * DAY);
    prune(&server);

    assert_eq!(left(&server), (4, 7), "the first twelve hours, and no more");
    server.clock.set(Timestamp::from_millis(START) + 2 * DAY);
    prune(&server);
    assert_eq!(left(&server), (6, 5), "set right again, a day is left, as is promised");
}

#[test]
fn beyond_the_number_of_entries_that_are_kept_the_oldest_go_whatever_their_age() {
    let server = Server::with(|settings| settings.policy.audit.max_rows = 5);
    for n in 0..10 {
        server.user(&format!("user{n}"));
    }
    prune(&server);
    assert_eq!(left(&server), (16, 5));
    proven(&folder_of(&server), &[]);
}

#[test]
fn the_settings_reach_the_server_which_prunes_when_it_starts() {
    let folder = tempdir().unwrap();
    usher(folder.path(), &["migrate"]);
    for name in ["ada", "bob", "cy"] {
        assert!(create_admin(folder.path(), name).status.success());
    }
    let before = folder.audit_count();
    let serving = Serving::start(folder.path(), &["--audit-max-rows", "2"]);
    until("the oldest are gone", || (folder.audit_count() == 2).then_some(()));
    drop(serving);
    assert!(before > 2);
    until("the rest is older than a second, and gone", || {
        let serving = Serving::start(folder.path(), &["--audit-retention", "1s"]);
        serving.until_logged("head="); // which comes after pruning
        (folder.audit_count() == 0).then_some(())
    });
    proven(folder.path(), &[]);
}
