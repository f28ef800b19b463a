//! What hashing leaves behind in memory. Alone in its process, so that nobody else's memory is counted.
#![cfg(target_os = "linux")]

mod support;

use futures_executor::block_on;
use std::time::Duration;
use support::{PASSWORD, binary::until};
use usher::{
    domain::Password,
    hashing::{Cost, HashPool},
};

/// In MiB.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4 / 1024
}

#[test]
fn memory_is_given_back_when_nobody_signs_in_for_a_while_and_every_time() {
    let pool = HashPool::start_keeping(Duration::from_millis(200), Cost::DEFAULT, 1, 1).unwrap();
    let before = resident();
    for round in 0..3 {
        let password = Password::attempt(PASSWORD).unwrap();
        block_on(pool.admit(None).unwrap().hash(password)).unwrap();
        assert!(resident() >= before + 18, "round {round}: 19 MiB are in use just after a hash");
        until("the memory to be given back", || (resident() < before + 4).then_some(()));
    }
}
