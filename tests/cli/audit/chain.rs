//! Changes of the log, which `usher check` finds.

use super::{broken, check, copy_of, head, proven, twelve_entries};
use crate::support::{
    binary::Serving,
    damage::{Damage, Tampering},
    probes::Probes,
};
use tempfile::{TempDir, tempdir};
use usher::domain::ChainPoint;

#[test]
fn whatever_is_changed_in_the_log_is_found_and_the_entry_is_named() {
    let server = twelve_entries();
    for (tampering, named) in [
        (Tampering::MoveInTime(5), "entry 5 "),
        (Tampering::SetAction(6, "user.registered"), "entry 6 "),
        (Tampering::AppendSpaceToAction(6), "entry 6 "),
        (Tampering::SetActor(6, None), "entry 6 "),
        (Tampering::SetActor(1, Some(1)), "entry 1 "),
        (Tampering::SwapActorAndSubject(5), "entry 5 "),
        (Tampering::SetSubject(7, Some(3)), "entry 7 "),
        (Tampering::SetIp(5, None), "entry 5 "),
        (Tampering::SetIp(12, Some("203.0.113.9")), "entry 12 "),
        (Tampering::SetRequestId(5, ""), "entry 5 "),
        (Tampering::SwapIpAndRequestId(5), "entry 5 "),
        (Tampering::SetCount(5, 2), "entry 5 "),
        (Tampering::AddToCountBeyond32Bits(5), "entry 5 "),
        (Tampering::SetRandomHash(5), "entry 5 "),
        (Tampering::SetRandomHash(12), "entry 12 "),
        (Tampering::Delete(1..=1), "entry 1 is missing"),
        (Tampering::Delete(5..=7), "entries 5 to 7 are missing"),
        (Tampering::Delete(12..=12), "ends at entry 11, but entry 12"),
        (Tampering::DeleteAll, "ends at entry 0, but entry 12"),
        (Tampering::Copy { from: 12, to: 13 }, "entry 13 "),
        (Tampering::Copy { from: 12, to: -1 }, "entry -1 "),
        (Tampering::SwapNumbers(5, 6), "entry 5 "),
        (Tampering::CutOffAfter(11), "ends at entry 11, but entry 12"),
        (Tampering::SetHeadId(11), "entry 12 "),
        (Tampering::SetHeadId(13), "ends at entry 12, but entry 13"),
        (Tampering::ClearHeadHash, "entry 12 "),
        (Tampering::SetRandomAnchorHash, "entry 1 "),
        (Tampering::SetAnchorId(3), "entry 1 "),
        (Tampering::TakeAwayUpTo(3), "entry 4 "),
        (Tampering::ForgetHeadAndAnchor, "where the log begins and ends is missing"),
        (Tampering::SetHashOfOneByte(5), "entry 5 "),
    ] {
        // given
        let folder = copy_of(&server);
        proven(folder.path(), &[]);

        // when
        folder.tamper(&tampering);

        // then
        let found = broken(folder.path(), &[]);
        assert!(found.contains("audit ") && found.contains(named), "{tampering:?}: {found}");
    }
}

#[test]
fn a_tail_that_was_cut_off_with_care_is_found_with_a_head_that_was_kept_elsewhere_and_not_without() {
    let folder = copy_of(&twelve_entries());
    let (kept, older) = (head(folder.path()), point(&folder, 9));
    folder.tamper(&Tampering::CutOffWithCareAfter(10));

    let without = proven(folder.path(), &[]);
    let with = broken(folder.path(), &["--audit-head", &kept.to_string()]);

    assert!(without.contains("Without it, only accidents and simple edits can be found"), "{without}");
    assert!(with.contains("ends at entry 10, before entry 12"), "{with}");
    proven(folder.path(), &["--audit-head", &older.to_string()]); // what is older than the cut is still there
}

fn point(folder: &TempDir, id: i64) -> ChainPoint {
    let entry = folder.audit().into_iter().find(|entry| entry.id == id).expect("it is there");
    ChainPoint { id, hash: entry.hash }
}

#[test]
fn a_chain_that_was_rebuilt_is_found_with_a_head_that_was_kept_elsewhere_and_not_without() {
    let folder = copy_of(&twelve_entries());
    let (kept, older) = (head(folder.path()), point(&folder, 4));
    folder.tamper(&Tampering::SetIp(5, Some("203.0.113.9")));
    folder.rebuild_chain();

    proven(folder.path(), &[]);
    let found = broken(folder.path(), &["--audit-head", &kept.to_string()]);
    assert!(found.contains("entry 12 is not the one that you kept"), "{found}");
    proven(folder.path(), &["--audit-head", &older.to_string()]); // what was before the change is as it was
}

#[test]
fn a_point_of_the_log_proves_what_was_before_it() {
    let folder = copy_of(&twelve_entries());
    let all = [1, 6, 12].map(|id| point(&folder, id));
    for kept in all.into_iter().chain([ChainPoint::START]) {
        let lines = proven(folder.path(), &["--audit-head", &kept.to_string()]);
        assert!(lines.contains(&format!("the log contains entry {} as you kept it", kept.id)), "{lines}");
    }
    folder.tamper(&Tampering::Delete(6..=6));
    let found = broken(folder.path(), &["--audit-head", &all[1].to_string()]);
    assert!(found.contains("entry 6 is missing") && found.contains("entry 6 that you kept is missing"), "{found}");
    for bad in ["", "12", "12:00", "x:y"] {
        assert_eq!(check(folder.path(), &["--audit-head", bad]).status.code(), Some(2), "{bad}");
    }
}

#[test]
fn a_head_that_the_server_logged_proves_the_log() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    serving.until_logged("head=1:");
    serving.register("ada");
    serving.signal("TERM");
    let (_, log) = serving.wait();

    let logged = log.lines().rev().find_map(|line| line.split_once("head=")).expect("the head in the log").1;
    assert!(logged.starts_with("2:"), "{log}");
    proven(folder.path(), &["--audit-head", logged.trim()]);
}
