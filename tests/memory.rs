//! What hashing leaves behind in memory. Alone in its process, so that nobody else's memory is counted.
#![cfg(target_os = "linux")]

mod support;

use futures_executor::block_on;
use std::time::Duration;
use support::{PASSWORD, binary::until};
use usher::{
    domain::{Password, PasswordHash},
    hashing::{Cost, HashPool},
};

/// Django's Argon2, of the tests' password: 100 MiB, 8 lanes.
const DJANGO: &str =
    "argon2$argon2id$v=19$m=102400,t=2,p=8$ZDAyM0dFaHgzQ05ZVThuZzFrdzI0aw$4VSh+DqO+A8R1iypzXRS3SAoT/mwANJtrwPShGS4xVE";

/// The most that was in use at any time, in MiB.
fn most_resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    most.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// In MiB.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4 / 1024
}

#[test]
fn memory_is_given_back_when_nobody_signs_in_for_a_while_and_every_time() {
    let pool = HashPool::start_with_idle_timeout(Duration::from_millis(200), Cost::DEFAULT, 1, 1).unwrap();
    let before = resident();
    for round in 0..3 {
        let password = Password::attempt(PASSWORD).unwrap();
        block_on(pool.admit(None).unwrap().hash(password)).unwrap();
        assert!(resident() >= before + 18, "round {round}: 19 MiB are in use just after a hash");
        until("the memory to be given back", || (resident() < before + 4).then_some(()));
    }
    drop(pool);

    // What a slow hash took goes at once, however long the thread keeps its own.
    let pool = HashPool::start_with_idle_timeout(Duration::from_hours(1), Cost::DEFAULT, 1, 1).unwrap();
    let verified =
        pool.admit(None).unwrap().verify(Password::attempt(PASSWORD).unwrap(), PasswordHash::from_text(DJANGO.into()));
    assert_eq!(block_on(verified), Ok(Some(true)));
    assert!(most_resident() >= before + 98, "100 MiB were in use");
    until("100 MiB to be given back", || (resident() < before + 4).then_some(()));
}
