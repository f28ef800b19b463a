//! The load kit measures what it says it measures: its rank test, and the databases that it makes.

#[path = "../benches/kit/mod.rs"]
mod kit;

use kit::{
    ranks::compare,
    seeding::{self, BUSY, PASSWORD, Size, seed, tokens_beside},
    server::Serving,
};
use serde_json::json;

#[test]
fn the_rank_test_gives_the_figures_of_the_textbook() {
    // From scipy.stats.mannwhitneyu(first, second, method="asymptotic"), SciPy 1.17.
    let compared = compare(&[1.0, 2.0, 4.0, 4.0, 7.0, 9.0], &[2.0, 4.0, 5.0, 8.0, 10.0, 11.0, 12.0]);

    assert!((compared.u - 10.5).abs() < 1e-9, "{compared:?}");
    assert!((compared.p - 0.150_296_406_018_735_2).abs() < 1e-9, "{compared:?}");
    assert!((compared.superiority - compared.u / 42.0).abs() < 1e-9 && compared.z < 0.0);
}

#[test]
fn the_rank_test_is_the_same_the_other_way_round_and_finds_nothing_in_what_is_alike() {
    let (one, other) = ([3.0, 1.0, 4.0, 1.0, 5.0], [9.0, 2.0, 6.0, 5.0]);
    let (there, back) = (compare(&one, &other), compare(&other, &one));
    assert!((there.z + back.z).abs() < 1e-12 && (there.p - back.p).abs() < 1e-12);
    assert!((there.u + back.u - 20.0).abs() < 1e-12);

    for alike in [compare(&one, &one), compare(&[1.0; 4], &[1.0; 5])] {
        assert!((alike.p - 1.0).abs() < 1e-12 && (alike.superiority - 0.5).abs() < 1e-12, "{alike:?}");
    }
}

#[test]
fn no_two_accounts_of_a_seeded_database_have_one_name() {
    const USERS: u32 = 50_000;
    let (mut names, mut emails) = (std::collections::HashSet::new(), std::collections::HashSet::new());
    for (name, email) in (1..=USERS).map(|number| seeding::name(number, USERS)) {
        usher::domain::Username::parse(&name).expect("a name");
        usher::domain::EmailAddress::parse(&email).expect("an address");
        assert!(names.insert(name.to_lowercase()) && emails.insert(email));
    }
}

#[test]
fn a_seeded_database_is_served_and_its_tokens_and_password_are_right() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seeded.db");
    let size = Size { users: 1_000, sessions: 1_000 };

    seed(&file, size, &["--argon2-memory", "64"]).unwrap();

    let server = Serving::start(&file, &["--argon2-memory", "64"]).unwrap();
    let mut connection = server.connect().unwrap();
    let login = json!({"email": seeding::ADMIN.1, "password": PASSWORD});
    let admin = connection.post("/auth/login", &login).unwrap().ok().unwrap().json().unwrap();
    let mut get = |path: &str, token: &str| connection.get(path, Some(token)).unwrap().ok().unwrap().json().unwrap();
    let token = admin["token"].as_str().unwrap();
    for (filter, total) in [("", 1_000), ("&role=admin", 1), ("&disabled=true", 10), ("&q=s2026-", 100)] {
        assert_eq!(get(&format!("/users?limit=1&count=true{filter}"), token)["total"], total, "{filter}");
    }
    assert_eq!(get(&format!("/users/{BUSY}/sessions"), token)["sessions"].as_array().unwrap().len(), 100);
    let tokens = std::fs::read_to_string(tokens_beside(&file)).unwrap();
    for line in tokens.lines().step_by(97) {
        let [token, _, user] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert_eq!(get("/auth/me", token)["id"].to_string(), user);
    }
    let (_, email) = seeding::name(3, size.users);
    connection.post("/auth/login", &json!({"email": email, "password": PASSWORD})).unwrap().ok().unwrap();
    assert!(seed(&file, size, &[]).is_err(), "a file that is there is left alone");
}
