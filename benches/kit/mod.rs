//! What the tools of the load kit share. They meet the service from the outside, as the executable that cargo built.

#![allow(dead_code, reason = "each tool uses its own part")]

pub mod figures;
pub mod gathered;
pub mod hoard;
pub mod http;
pub mod load;
pub mod pages;
pub mod process;
pub mod ranks;
pub mod seeding;
pub mod server;

/// What cargo passes to benchmarks and not to tests: without it (`cargo test --all-targets`) a tool does nothing.
pub fn is_benchmark() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}
