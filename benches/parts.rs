//! What the parts of a request cost by themselves: `cargo bench --bench parts`.

mod kit;

use criterion::Criterion;
use futures_executor::block_on;
use kit::seeding::{self, Size, seed};
use serde::de::DeserializeSeed;
use std::{hint::black_box, time::Duration};
use usher::{
    app::{App, Policy},
    clock::Clock,
    domain::{Caller, Faults, PageSize, Password, SessionToken, StrictObject, UserFilter, UserSort},
    hashing::{Cost, HashPool},
    store::Store,
};

const BODY: &[u8] =
    br#"{"username": "ada", "email": "ada@example.com", "password": "correct horse battery staple", "invitation": null}"#;

fn main() -> anyhow::Result<()> {
    if !kit::is_benchmark() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("usher.db");
    seed(&database, Size { users: 1_000, sessions: 2_000 }, &[])?;
    let tokens = std::fs::read_to_string(seeding::tokens_beside(&database))?;
    let token = tokens.split_whitespace().find(|word| SessionToken::parse(word).is_some()).expect("a token").to_owned();
    let store = Store::open(&database, 1, Clock::System)?;
    let app = App::new(store, HashPool::start(Cost::DEFAULT, 1, 1)?, Clock::System, Policy::default());
    let hashing = HashPool::start(Cost::DEFAULT, 1, 1)?;

    let mut criterion = Criterion::default().measurement_time(Duration::from_secs(3)).configure_from_args();
    criterion.bench_function("a token parsed and hashed", |bench| {
        bench.iter(|| SessionToken::parse(black_box(&token)).map(|token| token.hash()));
    });
    criterion.bench_function("a session and its user looked up", |bench| {
        let token = SessionToken::parse(&token).expect("a token");
        bench.iter(|| block_on(app.sessions.authenticate(&token)).expect("a session"));
    });
    criterion.bench_function("a body parsed", |bench| {
        bench.iter(|| {
            let (mut faults, mut json) = (Faults::default(), serde_json::Deserializer::from_slice(black_box(BODY)));
            StrictObject(&mut faults).deserialize(&mut json).expect("an object")
        });
    });
    criterion.bench_function("a page of fifty accounts", |bench| {
        let list = || {
            let (caller, filter) = (Caller::shell(), UserFilter::default());
            block_on(app.accounts.list(&caller, filter, UserSort::default(), None, PageSize::default(), false))
        };
        bench.iter(|| list().expect("a page"));
    });
    let mut criterion = criterion.sample_size(20);
    criterion.bench_function("a password hashed", |bench| {
        let password = Password::attempt("correct horse battery staple").expect("a password");
        bench.iter(|| block_on(hashing.admit(None).expect("a place").hash(password.clone())).expect("a hash"));
    });
    criterion.final_summary();
    Ok(())
}
