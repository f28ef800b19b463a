//! What people do at the same moment. No matter who comes first, the rules hold.

use crate::support::{Answer, Client, PASSWORD, Server, probes::Probes, unique};
use futures_executor::block_on;
use serde_json::json;
use std::{
    sync::Barrier,
    task::{Context, Waker},
    thread,
    time::Duration,
};
use usher::{
    app::ExpectedRevision,
    domain::{Actor, Caller, EmailAddress, Error, SessionToken, UserChanges},
    hashing::Cost,
};

const NEW_PASSWORD: &str = "another horse, another battery";
/// How often two meet: a race that is lost once in ten times is seen.
const ROUNDS: usize = 20;

/// Two at the same moment.
fn both<A: Send, B: Send>(one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B + Send) -> (A, B) {
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        let one = scope.spawn(|| {
            barrier.wait();
            one()
        });
        barrier.wait();
        let other = other();
        (one.join().expect("no thread panics"), other)
    })
}

/// The same so many times at the same moment.
fn same(times: usize, work: impl Fn() -> Answer + Sync) -> Vec<Answer> {
    let barrier = Barrier::new(times);
    thread::scope(|scope| {
        let start = || {
            barrier.wait();
            work()
        };
        let threads: Vec<_> = (0..times).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    })
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

/// All answers with another status than the one that went through.
#[track_caller]
fn the_others_are(answers: &[Answer], through: u16, status: u16, code: &str) {
    for answer in answers.iter().filter(|answer| answer.status != through) {
        answer.is(status, code);
    }
}

/// A sign-in that came too late, or too early.
#[track_caller]
fn opened_nothing_that_lasts(user: &Client, login: &Answer) {
    if login.status == 200 {
        let token = login.json()["token"].as_str().expect("a token").to_owned();
        user.with_token(&token).get("/auth/me").is(401, "invalid_token");
    } else {
        login.is(401, "invalid_credentials");
    }
}

/// A name that nobody has yet.
fn name() -> String {
    format!("user{}", unique())
}

fn sessions_of(server: &Server, user: &Client) -> i64 {
    server.session_count_of(user.id)
}

fn enabled_admins(server: &Server) -> i64 {
    server.enabled_admin_count()
}

/// One address asks for more than the throttle would let through.
fn unthrottled() -> Server {
    Server::with(|settings| settings.policy.throttle = false)
}

#[test]
fn of_fifty_registrations_of_one_address_one_goes_through() {
    let server = unthrottled();

    let answers = same(50, || {
        let body = json!({"username": name(), "email": "ada@example.com", "password": PASSWORD});
        server.anon().post("/users", body)
    });

    assert_eq!(count(&answers, 201), 1);
    the_others_are(&answers, 201, 409, "email_taken");
    assert_eq!(server.user_count(), 1);
    assert_eq!(server.audit_count_of("user.registered"), 1);
}

#[test]
fn of_fifty_registrations_of_one_name_in_any_case_one_goes_through() {
    let server = unthrottled();

    let answers = same(50, || {
        let number = unique();
        let username = if number.is_multiple_of(2) { "ada" } else { "ADA" };
        let email = format!("{number}@example.com");
        server.anon().post("/users", json!({"username": username, "email": email, "password": PASSWORD}))
    });

    assert_eq!(count(&answers, 201), 1);
    the_others_are(&answers, 201, 409, "username_taken");
    assert_eq!(server.user_count(), 1);
}

#[test]
fn a_sign_in_does_not_outlive_the_disabling_that_it_met() {
    let server = Server::start();
    let root = server.admin("root");
    for _ in 0..ROUNDS {
        let name = name();
        let user = server.user(&name);

        let (login, disabled) = both(
            || server.anon().login(&format!("{name}@example.com"), PASSWORD),
            || root.put(&user.me(), json!({"disabled": true})),
        );

        assert_eq!(disabled.status, 200, "{disabled:?}");
        assert_eq!(sessions_of(&server, &user), 0);
        opened_nothing_that_lasts(&user, &login);
    }
}

#[test]
fn a_sign_in_with_the_old_password_does_not_outlive_its_change() {
    let server = Server::start();
    for _ in 0..ROUNDS {
        let name = name();
        let user = server.user(&name);

        let (login, changed) = both(
            || server.anon().login(&format!("{name}@example.com"), PASSWORD),
            || user.put(&user.me(), json!({"password": NEW_PASSWORD, "current_password": PASSWORD})),
        );

        assert_eq!(changed.status, 200, "{changed:?}");
        assert_eq!(sessions_of(&server, &user), 1, "the changer's own");
        opened_nothing_that_lasts(&user, &login);
        assert_eq!(user.get("/auth/me").status, 200);
    }
}

#[test]
fn of_two_password_changes_that_show_the_same_password_one_goes_through() {
    let server = Server::start();
    for _ in 0..ROUNDS {
        let name = name();
        let one = server.user(&name);
        let other = server.sign_in(&name);
        let change = |client: &Client, password: &str| {
            client.put(&client.me(), json!({"password": password, "current_password": PASSWORD}))
        };

        let (first, second) = both(|| change(&one, NEW_PASSWORD), || change(&other, "a third horse, a third battery"));

        let answers = [first, second];
        assert_eq!(count(&answers, 200), 1, "{answers:?}");
        assert_eq!(count(&answers, 401) + count(&answers, 403), 1, "{answers:?}");
        assert_eq!(sessions_of(&server, &one), 1);
    }
}

#[test]
fn a_session_is_used_before_its_logout_or_not_at_all() {
    let server = Server::start();
    for _ in 0..ROUNDS {
        let user = server.user(&name());

        let (used, out) =
            both(|| user.put(&user.me(), json!({"username": name()})), || user.post("/auth/logout", json!({})));

        assert_eq!(out.status, 200, "{out:?}");
        assert!(used.status == 200 || used.code() == "invalid_token", "{used:?}");
        let revision = server.revision_of(user.id);
        assert_eq!(revision, if used.status == 200 { 2 } else { 1 });
        user.get("/auth/me").is(401, "invalid_token");
    }
}

#[test]
fn of_many_logouts_of_one_session_one_goes_through() {
    let server = Server::start();
    let ada = server.user("ada");

    let answers = same(10, || ada.post("/auth/logout", json!({})));

    assert_eq!(count(&answers, 200), 1, "{answers:?}");
    the_others_are(&answers, 200, 401, "invalid_token");
    server.flush();
    assert_eq!(server.audit_count_of("session.signed_out"), 1);
}

#[test]
fn of_two_changes_with_one_etag_one_goes_through() {
    let server = Server::start();
    let ada = server.user("ada");
    for _ in 0..ROUNDS {
        let tag = ada.get("/auth/me").header("etag").to_owned();
        let change = || ada.put_if(&ada.me(), Some(&tag), json!({"username": name()}));

        let (one, other) = both(change, change);

        let answers = [one, other];
        assert_eq!((count(&answers, 200), count(&answers, 412)), (1, 1), "{answers:?}");
    }
}

#[test]
fn the_last_two_admins_cannot_demote_each_other() {
    for change in [json!({"role": "user"}), json!({"disabled": true})] {
        for _ in 0..ROUNDS / 4 {
            let server = Server::start();
            let (ada, eve) = (server.admin("ada"), server.admin("eve"));

            let (one, other) = both(|| ada.put(&eve.me(), change.clone()), || eve.put(&ada.me(), change.clone()));

            let answers = [one, other];
            assert_eq!(count(&answers, 200), 1, "{answers:?}");
            assert!(answers.iter().all(|answer| [200, 401, 403, 404, 409].contains(&answer.status)), "{answers:?}");
            assert_eq!(enabled_admins(&server), 1);
        }
    }
}

#[test]
fn of_the_last_two_admins_who_step_down_at_once_one_stays() {
    for _ in 0..ROUNDS / 4 {
        let server = Server::start();
        let (ada, eve) = (server.admin("ada"), server.admin("eve"));
        let step_down = |admin: &Client| admin.put(&admin.me(), json!({"role": "user"}));

        let (one, other) = both(|| step_down(&ada), || step_down(&eve));

        let answers = [one, other];
        assert_eq!(count(&answers, 200), 1, "{answers:?}");
        the_others_are(&answers, 200, 409, "last_admin");
        assert_eq!(enabled_admins(&server), 1);
    }
}

#[test]
fn of_the_last_two_admins_who_delete_themselves_at_once_one_stays() {
    for _ in 0..ROUNDS / 4 {
        let server = Server::start();
        let (ada, eve) = (server.admin("ada"), server.admin("eve"));

        let (one, other) = both(|| ada.delete(&ada.me()), || eve.delete(&eve.me()));

        let answers = [one, other];
        assert_eq!(count(&answers, 204), 1, "{answers:?}");
        the_others_are(&answers, 204, 409, "last_admin");
        assert_eq!(enabled_admins(&server), 1);
    }
}

#[test]
fn an_account_is_deleted_once() {
    let server = Server::start();
    let root = server.admin("root");
    let ada = server.user("ada");

    let answers = same(10, || root.delete(&ada.me()));

    assert_eq!(count(&answers, 204), 1);
    the_others_are(&answers, 204, 404, "user_not_found");
}

#[test]
fn a_demoted_admin_changes_nothing_that_was_begun_as_an_admin() {
    let server = Server::start();
    let root = server.admin("root");
    for _ in 0..ROUNDS {
        let (eve, ada) = (server.admin(&name()), server.user(&name()));

        let (changed, demoted) = both(
            || eve.put(&ada.me(), json!({"password": NEW_PASSWORD})),
            || root.put(&eve.me(), json!({"role": "user"})),
        );

        assert_eq!(demoted.status, 200, "{demoted:?}");
        assert!(changed.status == 200 || changed.code() == "user_not_found", "{changed:?}");
        let revision = server.revision_of(ada.id);
        assert_eq!(revision, if changed.status == 200 { 2 } else { 1 });
    }
}

#[test]
fn two_hundred_sign_ins_at_once_hash_no_more_than_they_are_answered() {
    let server = Server::with(|settings| {
        settings.cost = Cost { memory: 4096, iterations: 1, parallelism: 1 };
        settings.hash_queue = 16;
        settings.policy.sessions.max_per_user = 1000;
    });
    let ada = server.user("ada");
    let (hashes, sessions) = (server.app.hashes(), sessions_of(&server, &ada));

    let answers = same(200, || {
        let wrong = unique().is_multiple_of(2);
        server.anon().login("ada@example.com", if wrong { "a wrong password" } else { PASSWORD })
    });

    let (right, wrong, full) = (count(&answers, 200), count(&answers, 401), count(&answers, 503));
    assert_eq!(right + wrong + full + count(&answers, 429), 200);
    answers.iter().filter(|answer| answer.status == 503).for_each(|answer| {
        answer.is(503, "overloaded");
        assert_eq!(answer.header("retry-after"), "1");
    });
    assert_eq!(server.app.hashes() - hashes, (right + wrong) as u64, "who is turned away costs no hash");
    assert_eq!(sessions_of(&server, &ada) - sessions, i64::try_from(right).expect("few"));
    assert_eq!(ada.get("/auth/me").status, 200);
}

#[test]
fn sign_ins_at_once_leave_no_more_sessions_than_an_account_may_have() {
    let server = Server::with(|settings| {
        settings.policy.sessions.max_per_user = 5;
        settings.policy.throttle = false;
    });
    let ada = server.user("ada");

    let answers = same(30, || server.anon().login("ada@example.com", PASSWORD));

    assert_eq!(count(&answers, 200), 30);
    assert_eq!(sessions_of(&server, &ada), 5);
    let alive = |answer: &&Answer| {
        ada.with_token(answer.json()["token"].as_str().expect("a token")).get("/auth/me").status == 200
    };
    assert_eq!(answers.iter().filter(alive).count(), 5);
    ada.get("/auth/me").is(401, "invalid_token");
}

#[test]
fn a_right_password_signs_in_also_while_its_hash_is_renewed() {
    let mut server = Server::start();
    for round in 0..5 {
        let name = format!("user{round}");
        server.user(&name);
        let memory = 4096 + round * 8;
        server = server.restart(|settings| settings.cost = Cost { memory, iterations: 1, parallelism: 1 });

        let answers = same(8, || server.anon().login(&format!("{name}@example.com"), PASSWORD));

        assert_eq!(count(&answers, 200), 8, "the password was right each time: {answers:?}");
    }
}

#[test]
fn the_audit_chain_has_no_gaps_after_much_at_once() {
    let server = unthrottled();
    let root = server.admin("root");

    same(40, || {
        let user = server.user(&name());
        server.anon().login("nobody@example.com", PASSWORD);
        root.put(&user.me(), json!({"disabled": true}))
    });
    server.flush();

    let (rows, last, (head, _)) = (server.audit_count(), server.newest_audit_id(), server.audit_head());
    assert_eq!((last, head), (rows, rows));
    let checked = crate::support::binary::usher(server.database().parent().expect("a folder"), &["check"]);
    let report = String::from_utf8(checked.stdout).expect("text");
    assert!(report.contains(&format!("{rows} entries, 1 to {rows}, each in its place in the chain")), "{report}");
    let failed = server.occurrences("session.sign_in_failed");
    assert_eq!(failed, 40);
}

/// A server on which hashing takes long enough to do something meanwhile.
fn slow(registration: usher::domain::Registration) -> (Server, Client) {
    let server = Server::with(|settings| {
        settings.cost = Cost { memory: 65_536, iterations: 4, parallelism: 1 };
        settings.policy.registration = registration;
    });
    let root = server.admin("root");
    (server, root)
}

#[test]
fn an_account_that_an_administrator_began_to_create_is_not_created_after_a_demotion() {
    let (server, root) = slow(usher::domain::Registration::Closed);
    let eve = server.admin("eve");
    let body = json!({"username": "x", "email": "x@example.com", "password": PASSWORD});
    let hashing = || futures_executor::block_on(server.app.stats()).hashing.places_taken;
    let (made, demoted) = both(
        || eve.post("/users", body.clone()),
        || {
            crate::support::binary::until("it is being hashed", || (hashing() > 0).then_some(()));
            root.put(&eve.me(), json!({"role": "user"}))
        },
    );
    demoted.is(200, "");
    made.is(403, "registration_closed");
    server.flush();
    assert_eq!(server.audit_count_of("access.denied"), 1);
}

#[test]
fn a_current_password_that_is_changed_meanwhile_proves_nothing() {
    let server = Server::start();
    let ada = server.user("ada");
    let (hashes, held) = (server.app.hashes(), server.hold_writes());
    let body = json!({"email": "countess@example.com", "current_password": PASSWORD});
    let answer = thread::scope(|scope| {
        let change = scope.spawn(|| ada.put(&ada.me(), body));
        crate::support::binary::until("the password is looked at", || (server.app.hashes() > hashes).then_some(()));
        held.change_passwords();
        held.release();
        change.join().expect("no thread panics")
    });
    answer.is(403, "reauthentication_required");
    assert_eq!(server.email(), "ada@example.com");
}

#[test]
fn an_address_that_was_the_accounts_own_and_is_changed_meanwhile_needs_proof_again() {
    // given: a sign-in that is not fresh, and a change to the e-mail address that the account has
    let server = Server::start();
    let ada = server.user("ada");
    server.clock.advance(Duration::from_hours(1));
    let token = SessionToken::parse(&ada.token.clone().unwrap()).unwrap();
    let signed_in = block_on(server.app.sessions.authenticate(&token)).unwrap();
    let target = Some(signed_in.user.id);
    let caller = Caller { actor: Actor::SignedIn(signed_in.into()), ..Caller::shell() };
    let changes = UserChanges { email: EmailAddress::parse("ada@example.com").ok(), ..UserChanges::default() };
    let held = server.hold_writes();
    let mut change = Box::pin(server.app.accounts.update(&caller, target, changes, ExpectedRevision::Any));
    assert!(change.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "it waits for the lock");

    // when
    held.set_email("countess@example.com");
    held.release();

    // then
    assert_eq!(block_on(change).err(), Some(Error::ReauthenticationRequired));
    assert_eq!(server.email(), "countess@example.com");
}

#[test]
fn of_two_groups_or_apps_created_at_once_under_one_name_there_is_one() {
    let server = Server::start();
    let root = server.admin("root");
    for n in 0..ROUNDS {
        let made = same(4, || root.post("/groups", json!({"name": format!("group{n}")})));
        assert_eq!(count(&made, 201), 1);
        the_others_are(&made, 201, 409, "group_name_taken");
        let app = json!({"name": "x", "url": format!("http://app{n}.example"), "access": "admins"});
        let made = same(4, || root.post("/apps", app.clone()));
        assert_eq!(count(&made, 201), 1);
        the_others_are(&made, 201, 409, "host_taken");
    }
}

#[test]
fn a_group_that_is_deleted_while_an_app_takes_it_up_is_either_gone_or_in_use() {
    let server = Server::start();
    let root = server.admin("root");
    for n in 0..ROUNDS {
        let name = format!("group{n}");
        let group = root.post("/groups", json!({"name": name})).is(201, "").header("location").to_owned();
        let app = json!({"name": "x", "url": format!("http://app{n}.example"), "access": "groups", "groups": [name]});

        let (deleted, made) =
            both(|| root.delete(group.strip_prefix("/api/v1").unwrap()), || root.post("/apps", app.clone()));

        match (deleted.status, made.status) {
            (204, 400) => assert_eq!(made.faulty(), ["groups"]),
            (409, 201) => assert_eq!(deleted.code(), "group_in_use"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(server.broken_reference_count(), 0);
}

#[test]
fn an_account_joins_no_more_groups_than_it_may_also_at_once() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let groups: Vec<i64> = (0..33)
        .map(|n| root.post("/groups", json!({"name": format!("group{n}")})).json()["id"].as_i64().unwrap())
        .collect();
    let path = |group: i64| format!("/groups/{group}/members/{}", ada.id);
    for group in &groups[..31] {
        root.send("PUT", &path(*group), &[], None).is(204, "");
    }
    for _ in 0..ROUNDS {
        let join = |group: i64| root.send("PUT", &path(group), &[], None);
        let (one, other) = both(|| join(groups[31]), || join(groups[32]));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 409]);
        root.delete(&path(groups[31]));
        root.delete(&path(groups[32]));
    }
}

#[test]
fn an_account_has_no_more_app_tokens_than_it_may_also_at_once() {
    let server = unthrottled();
    let (app, ada) = (server.add_app("Notes", "http://notes.example", "everyone"), server.user("ada"));
    let path = format!("{}/app-tokens", ada.me());
    let create = || ada.post(&path, json!({"name": "x", "app_id": app}));
    (0..99).for_each(|_| drop(create()));
    for n in 0..ROUNDS {
        let made = same(4, create);
        assert_eq!(count(&made, 201), 1);
        the_others_are(&made, 201, 409, "too_many_app_tokens");
        ada.delete(&format!("{path}/{}", 100 + n)).is(204, "");
    }
}

#[test]
fn no_app_token_outlives_the_end_of_all_sessions_or_of_its_app() {
    let server = unthrottled();
    let root = server.admin("root");
    for n in 0..ROUNDS {
        let app = server.add_app("Notes", &format!("http://notes{n}.example"), "everyone");
        let (ada, bob) = (server.user(&name()), server.user(&name()));
        let create =
            |user: &Client| user.post(&format!("{}/app-tokens", user.me()), json!({"name": "x", "app_id": app}));

        let (made, ended) = both(|| create(&ada), || root.delete(&format!("{}/sessions", ada.me())));
        let (of_bob, deleted) = both(|| create(&bob), || root.delete(&format!("/apps/{app}")));

        assert_eq!((ended.status, deleted.status), (204, 204));
        the_others_are(&[made], 201, 401, "invalid_token");
        the_others_are(&[of_bob], 201, 404, "app_not_found");
        assert_eq!(server.app_token_count(), 0);
    }
}
