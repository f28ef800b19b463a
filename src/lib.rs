//! The account service `usher`: users, sessions, and who may do what.
//!
//! A map of the house. Imports point down only; `tests/house.rs` keeps it so.
//!
//! | floor | room | holds |
//! |---|---|---|
//! | 5 | [`cli`] | the commands |
//! | 4 | [`config`] | settings, which become the policy of `app` and the settings of `http` |
//! | 3 | [`http`] | the REST API (`api`), how its requests are read (`auth`, `wire`), what each passes (`edge`), and the connections (`server`) |
//! | 2 | [`app`] | the use cases, and every rule about who may do what |
//! | 1 | [`store`] | the SQLite file |
//! | 1 | [`hashing`] | Argon2id on a bounded pool, and the hashes that other services leave behind |
//! | 1 | [`clock`] | the time |
//! | 0 | [`heap`] | gives freed memory back: the one file with unsafe code |
//! | 0 | [`domain`] | what the words mean |

// Not `forbid`, which would hold for `heap`, too; tests/house.rs keeps all other files free of it.
#![deny(unsafe_code)]

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
compile_error!("usher runs on Linux, and on macOS as far as that goes; other systems have never been tried");

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod hashing;
pub mod heap;
pub mod http;
pub mod store;
