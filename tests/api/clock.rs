//! A clock that is wrong: what it must not destroy, and what becomes of it once it is set right.

use crate::support::{Client, PASSWORD, START, Server, binary, probes::Probes};
use serde_json::{Value, json};
use std::time::Duration;
use usher::{
    app::{App, Policy},
    clock::Clock,
    domain::{AuditLimits, Caller, Timestamp},
    hashing::HashPool,
    store::Store,
};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const YEAR: Duration = Duration::from_hours(365 * 24);
const RIGHT: Timestamp = Timestamp::from_millis(START);

fn sweep(server: &Server) {
    futures_executor::block_on(server.app.maintenance.sweep()).expect("it can be written");
}

/// A server with something in each table that housekeeping sweeps, and what opens it.
struct Things {
    root: Client,
    ada: Client,
    invitation: Value,
    reset: Value,
}

fn things(server: &Server) -> Things {
    let link = futures_executor::block_on(server.app.setup.issue(&Caller::shell())).expect("it can be written");
    assert!(link.is_some());
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let invitation = root.post("/invitations", json!({})).is(201, "").json()["token"].clone();
    let reset = root.send("POST", &format!("{}/password-reset", ada.me()), &[], None);
    let reset = reset.is(201, "").json()["token"].clone();
    server.add_throttled(RIGHT + HOUR);
    root.send("POST", &format!("{}/unlock", ada.me()), &[], None).is(204, "");
    server.add_app("Notes", "https://notes.example.test", "groups");
    server.let_in(ada.id, "Notes");
    server.add_what_browsers_leave(ada.id);
    for (table, count) in server.row_counts() {
        assert!(count > 0 || table == "policy", "{table}");
    }
    Things { root, ada, invitation, reset }
}

/// Everything opens what it opened before.
#[track_caller]
fn all_work(server: &Server, things: &Things) {
    let here = |client: &Client| Client::new(server.address, client.token.clone(), client.id);
    here(&things.root).get("/auth/me").is(200, "");
    here(&things.ada).get("/auth/me").is(200, "");
    let body =
        json!({"username": "eve", "email": "eve@example.com", "password": PASSWORD, "invitation": things.invitation});
    server.anon().post("/users", body).is(201, "");
    server
        .anon()
        .post("/auth/password-reset", json!({"token": things.reset, "password": "another horse battery"}))
        .is(204, "");
}

#[test]
fn a_clock_that_jumps_a_year_ahead_destroys_nothing_and_once_it_is_right_everything_works() {
    // given
    let server = Server::start();
    let things = things(&server);
    let before = server.row_counts();

    // when
    server.clock.set(RIGHT + YEAR);
    for _ in 0..23 {
        sweep(&server);
        server.clock.advance(HOUR);
    }
    sweep(&server);

    // then
    assert_eq!(server.row_counts(), before);
    server.clock.set(RIGHT + MINUTE);
    sweep(&server);
    assert_eq!(server.row_counts(), before);
    all_work(&server, &things);
}

#[test]
fn a_clock_that_is_wrong_when_the_server_starts_destroys_nothing_either() {
    for noticed in ["while it is down", "before it stops"] {
        // given
        let server = Server::start();
        let things = things(&server);
        let before = server.row_counts();
        let clock = server.clock.clone();
        if noticed == "before it stops" {
            clock.set(RIGHT + YEAR);
        }

        // when
        let server = server.restart(|_| clock.set(RIGHT + YEAR));
        sweep(&server);
        let server = server.restart(|_| clock.advance(23 * HOUR));
        sweep(&server);

        // then
        assert_eq!(server.row_counts(), before, "{noticed}");
        let server = server.restart(|_| clock.set(RIGHT + MINUTE));
        sweep(&server);
        assert_eq!(server.row_counts(), before, "{noticed}");
        all_work(&server, &things);
    }
}

/// Fails to sign in from a site that nobody else comes from, and returns the status.
fn guess(server: &Server, n: u32) -> u16 {
    let body = json!({"email": "ada@example.com", "password": "a wrong password"}).to_string();
    let ip = std::net::Ipv4Addr::from_bits(0x0a00_0001 + (n << 8)).to_string();
    let headers = [("content-type", "application/json"), ("x-forwarded-for", ip.as_str())];
    server.anon().send("POST", "/auth/login", &headers, Some(body.as_bytes())).status
}

#[test]
fn what_an_account_has_been_guessed_at_outlives_a_start_by_a_wrong_clock_and_being_set_right() {
    for (jumps_in_run, set_right_in_run) in [(false, false), (false, true), (true, false), (true, true)] {
        // given: sixty of a hundred attempts are used up
        let behind_proxy = |settings: &mut crate::support::Settings| {
            settings.http.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        };
        let server = Server::with(behind_proxy);
        let clock = server.clock.clone();
        assert!((0..60).all(|n| guess(&server, n) == 401));
        server.flush();

        // when: the clock is a year ahead, and somebody goes on guessing
        if jumps_in_run {
            clock.set(RIGHT + YEAR);
            server.flush();
        }
        let server = server.restart(|settings| {
            behind_proxy(settings);
            clock.set(RIGHT + YEAR);
        });
        assert_eq!(guess(&server, 100), 401);
        sweep(&server);
        server.flush();
        assert_eq!(server.throttled_count(), 1);
        let server = server.restart(|settings| {
            behind_proxy(settings);
            clock.advance(HOUR);
        });
        assert_eq!(guess(&server, 101), 401);
        server.flush();
        assert_eq!(server.throttled_count(), 1);
        if set_right_in_run {
            clock.set(RIGHT + MINUTE);
            server.flush();
        }
        let server = server.restart(|settings| {
            behind_proxy(settings);
            clock.set(RIGHT + MINUTE);
        });

        // then: two more are used up, and the hour gave one back
        let left = (0..100).take_while(|n| guess(&server, 200 + n) == 401).count();
        assert_eq!(left, 100 - 60 - 2 + 1, "jumps in a run: {jumps_in_run}, set right in a run: {set_right_in_run}");
    }
}

#[test]
fn a_row_is_not_lost_because_little_is_left_in_it_when_the_clock_is_set() {
    let server = Server::start();
    things(&server);
    let server = server.restart(|_| ()); // so that it takes up the row that is there
    server.clock.set(RIGHT + YEAR);
    server.flush();
    let at = server.throttled_until();
    assert_eq!(at, RIGHT + YEAR + HOUR, "it lasts as long as before, by the clock as it is now");
    assert_eq!(server.clock_seen_at(), RIGHT + YEAR, "which goes with it");
}

#[test]
fn before_a_server_that_starts_by_a_wrong_clock_is_asked_anything_what_it_took_up_is_stored_by_that_clock() {
    // given
    let server = Server::start();
    things(&server);
    let server = server.restart(|_| ()); // so that it has noted the time
    let database = server.database();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("usher.db");
    let backup = binary::usher(database.parent().unwrap(), &["backup", copy.to_str().unwrap()]);
    assert!(backup.status.success(), "{}", binary::complaint(&backup));
    assert!(binary::usher(folder.path(), &["migrate"]).status.success());

    // when
    let (clock, hashing) = (Clock::set_to(RIGHT + YEAR), HashPool::start(crate::support::CHEAP, 0, 1).unwrap());
    let app = App::new(Store::open(&copy, 1, clock.clone()).unwrap(), hashing, clock, Policy::default());
    futures_executor::block_on(app.maintenance.resume()).unwrap();

    // then
    assert_eq!(copy.throttled_until(), RIGHT + YEAR + HOUR);
    assert_eq!(copy.clock_seen_at(), RIGHT + YEAR);
}

#[test]
fn a_day_after_a_jump_or_a_long_downtime_what_is_old_goes() {
    for restart in [false, true] {
        // given
        let mut server = Server::start();
        things(&server);
        let before = server.row_counts();
        let clock = server.clock.clone();
        if restart {
            server = server.restart(|_| clock.advance(YEAR));
        } else {
            clock.set(RIGHT + YEAR);
        }
        sweep(&server);

        // when
        clock.advance(DAY - MINUTE);
        sweep(&server);
        let within_the_day = server.row_counts();
        clock.advance(MINUTE);
        sweep(&server);

        // then
        assert_eq!(within_the_day, before);
        let left = server.row_counts();
        for table in ["sessions", "invitations", "password_resets", "throttle_accounts", "sign_in_addresses", "audit"] {
            assert_eq!(left[table], 0, "{table}");
        }
        assert_eq!(left["users"], 2);

        // and there is no reason left to wait, also when the clock is set back
        clock.set(clock.now() - 2 * HOUR);
        server.add_throttled(Timestamp::from_millis(1));
        sweep(&server);
        assert_eq!(server.row_counts()["throttle_accounts"], 0);
    }
}

#[test]
fn a_machine_that_never_runs_for_long_is_swept_in_the_end() {
    // given: sweeps go by real time, so that there is one at each start and none within a run
    let mut server = Server::start();
    server.user("ada");
    let clock = server.clock.clone();

    // when
    let mut runs = 0;
    while server.session_count() > 0 {
        clock.advance(12 * HOUR);
        let earlier = std::mem::replace(&mut server, Server::start());
        server = earlier.restart(|_| clock.advance(6 * DAY));
        sweep(&server);
        runs += 1;

        // then: a hold is over once the machine has run for a day, however it was interrupted
        assert!(runs < 10, "it never is");
    }
}

#[test]
fn each_table_is_swept_of_what_is_too_old_and_of_nothing_else() {
    // given: of each kind one that is as old as may be, and one a millisecond older
    let server = Server::start();
    server.user("ada");
    let now = RIGHT + 100 * DAY;
    server.age_one_of_each(now);

    // when
    server.clock.advance(100 * DAY);
    sweep(&server);

    // then
    let [addresses, browsers, accounts, invitations, resets, app_tokens, sessions] = server.left_of_each();
    assert_eq!(addresses, "stays");
    assert_eq!(browsers, "1");
    assert_eq!(accounts, "1");
    assert_eq!(invitations, "1");
    assert_eq!(resets, "0");
    assert_eq!(app_tokens, "2,3");
    assert_eq!(sessions, "1");
}

#[test]
fn a_session_that_was_used_in_the_future_is_neither_dead_nor_immortal() {
    // given
    let server = Server::start();
    let ada = server.user("ada");
    server.clock.set(RIGHT + 5 * DAY);
    ada.get("/auth/me").is(200, "");
    server.flush();

    // when
    server.clock.set(RIGHT + MINUTE);
    ada.get("/auth/me").is(200, "");
    server.flush();

    // then
    assert_eq!(server.last_used_at(), RIGHT + MINUTE);
    server.clock.advance(7 * DAY);
    ada.get("/auth/me").is(401, "invalid_token");
}

#[test]
fn an_entry_that_is_dated_in_the_future_does_not_stop_retention() {
    // given: somebody signed in while the clock was ten years ahead
    let server = Server::with(|settings| settings.policy.audit = AuditLimits { retention: DAY, max_rows: 1_000_000 });
    server.user("ada");
    server.clock.set(RIGHT + 10 * YEAR);
    server.sign_in("ada");
    server.clock.set(RIGHT + MINUTE);
    server.sign_in("ada");

    // when
    let future = server.newest_audit_id() - 1;
    server.clock.advance(3 * DAY);
    server.sign_in("ada");
    sweep(&server);

    // then
    assert_eq!(server.oldest_audit_id(), future + 2);
    let checked = binary::usher(server.database().parent().unwrap(), &["check"]);
    assert!(checked.status.success(), "{}", binary::complaint(&checked));
}

#[test]
fn the_check_reports_entries_that_are_dated_in_the_future() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::set_to(Timestamp::parse("9990-01-01T00:00:00Z").unwrap());
    let server = Server::on(folder, clock, |_| {});
    server.user("ada");

    let checked = binary::usher(server.database().parent().unwrap(), &["check"]);

    let told = String::from_utf8(checked.stdout).unwrap();
    let line = told.lines().find(|line| line.contains("audit time")).unwrap_or_else(|| panic!("{told}"));
    assert!(line.starts_with("warning") && line.contains("2 entries") && line.contains("9990-01-01"), "{line}");
    assert!(checked.status.success(), "{told}");
}

#[test]
fn the_check_reports_that_the_clock_jumped() {
    // given: by the time of this machine, by which the command goes
    let server = Server::on(tempfile::tempdir().unwrap(), Clock::set_to(Clock::System.now() - YEAR), |_| {});
    server.user("ada");
    let clock = |server: &Server| {
        let checked = binary::usher(server.database().parent().unwrap(), &["check"]);
        let told = String::from_utf8(checked.stdout).unwrap();
        told.lines().find(|line| line.contains("clock  ")).unwrap_or_else(|| panic!("{told}")).to_owned()
    };
    let before = clock(&server);

    // when
    server.clock.set(Clock::System.now());
    sweep(&server);

    // then
    let after = clock(&server);
    assert!(before.starts_with("ok") && after.starts_with("warning") && after.contains("jump"), "{before}; {after}");
}
