use super::*;

fn throttle() -> (Throttle, Clock) {
    let clock = Clock::set_to(Timestamp::from_millis(1_800_000_000_000));
    (Throttle::new(true, clock.clone()), clock)
}

#[allow(clippy::unnecessary_wraps, reason = "it is asked for as it is in a request")]
fn prefix(ip: &str) -> Option<ClientPrefix> {
    Some(ClientPrefix::of(ip.parse().unwrap()))
}

/// An IP address of a network of its own.
fn elsewhere(n: u32) -> Option<ClientPrefix> {
    prefix(&format!("10.{}.{}.1", n >> 8 & 255, n & 255))
}

type Attempting<'t> = Box<dyn FnMut(u32) -> Result<Attempt, Error> + 't>;

/// What nobody knows the secret of needs none that is drawn.
fn target(email: &str) -> Target {
    Target { account: AccountKey::of(b"secret", email), unlocks: 0, is_known_client: false, browser_lane: None }
}

/// How many attempts are let through at once, and how long the next one has to wait.
fn exhaust(mut attempt: impl FnMut(u32) -> Result<Attempt, Error>) -> (u32, Duration) {
    for n in 0..10_000 {
        match attempt(n) {
            Ok(_) => {}
            Err(Error::TooManyAttempts(wait)) => return (n, wait),
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("there is no limit")
}

#[test]
fn every_limit_has_its_burst_and_its_slope() {
    let name = |n: u32| format!("user{n}@example.com");
    let in_network = |n: u32| prefix(&format!("198.51.100.{}", n / 5 % 256));
    let one = prefix("203.0.113.7");
    let (throttle, clock) = throttle();
    let table: Vec<(&str, u32, Duration, Attempting<'_>)> = vec![
        ("address", 50, Duration::from_secs(20), Box::new(|n| throttle.reserve_sign_in(one, target(&name(n))))),
        (
            "pair",
            10,
            Duration::from_mins(5),
            Box::new(|_| throttle.reserve_sign_in(prefix("203.0.113.8"), target("a@b"))),
        ),
        (
            "network and account",
            25,
            Duration::from_hours(4),
            Box::new(|n| throttle.reserve_sign_in(in_network(n), target("network@example.com"))),
        ),
        (
            "account",
            100,
            Duration::from_hours(1),
            Box::new(|n| throttle.reserve_sign_in(elsewhere(n), target("owner@example.com"))),
        ),
        (
            "registration",
            30,
            Duration::from_mins(2),
            Box::new(|_| throttle.reserve_by_address(Limit::Registration, one)),
        ),
        ("reset", 30, Duration::from_mins(2), Box::new(|_| throttle.reserve_by_address(Limit::Reset, one))),
        (
            "change",
            30,
            Duration::from_mins(2),
            Box::new(|_| throttle.reserve_change(UserId::new(7).unwrap(), false, false, one)),
        ),
    ];
    for (name, burst, interval, mut attempt) in table {
        assert_eq!(exhaust(&mut attempt), (burst, interval), "{name}");
        clock.advance(interval - Duration::from_millis(1));
        assert!(attempt(20_000).is_err(), "{name}: a moment too early");
        clock.advance(Duration::from_millis(1));
        assert!(attempt(20_001).is_ok(), "{name}: after what it said");
        assert!(attempt(20_002).is_err(), "{name}: one, and no more");
    }
}

#[test]
fn a_network_has_four_times_the_budget_of_a_client() {
    let (throttle, _) = throttle();
    let name = |n: u32| format!("user{n}@example.com");
    let in_network = |n: u32| prefix(&format!("2001:db8:1:{n:x}::1"));
    assert_eq!(exhaust(|n| throttle.reserve_sign_in(in_network(1), target(&name(n)))).0, 50, "one /64");
    let (rest, wait) = exhaust(|n| throttle.reserve_sign_in(in_network(n + 2), target(&name(n))));
    assert_eq!((rest, wait), (150, Duration::from_secs(5)), "the whole /48");
    assert!(throttle.reserve_sign_in(prefix("2001:db8:2:1::1"), target("x@y")).is_ok(), "another network");
    let neighbour = |n: u32| prefix(&format!("203.0.113.{}", n % 256));
    let mut attempts = (1000..2000).map(|n| throttle.reserve_sign_in(neighbour(n), target(&name(n))));
    assert!(attempts.all(|attempt| attempt.is_ok()), "neighbours in IPv4 share nothing");
}

#[test]
fn one_network_alone_does_not_use_up_the_budget_of_an_account() {
    for ip in [|n: u32| format!("2001:db8:1:{n:x}::1"), |n: u32| format!("203.0.113.{}", n % 256)] {
        let (throttle, clock) = throttle();
        let guess = |n: u32| throttle.reserve_sign_in(prefix(&ip(n)), target("owner@example.com"));
        for _ in 0..40 {
            exhaust(guess);
            clock.advance(Duration::from_hours(4));
        }
        let others = exhaust(|n| throttle.reserve_sign_in(elsewhere(n), target("owner@example.com"))).0;
        assert!(others >= 75, "{others}");
    }
}

#[test]
fn a_known_address_is_limited_by_its_own_counters_only() {
    let (throttle, _) = throttle();
    let network = |n: u32| prefix(&format!("2001:db8:1:{n:x}::1"));
    exhaust(|n| throttle.reserve_sign_in(elsewhere(n), target("owner@example.com")));
    exhaust(|n| throttle.reserve_sign_in(network(n / 10), target(&format!("user{n}@example.com"))));

    let known = Target { is_known_client: true, ..target("owner@example.com") };
    let first = throttle.reserve_sign_in(network(0xffff), known).unwrap();
    throttle.succeeded(&first);

    assert_eq!(exhaust(|_| throttle.reserve_sign_in(network(0xffff), known)).0, 10);
    assert!(throttle.reserve_sign_in(network(0xfffe), target("x@y")).is_err(), "neighbours who are unknown");
    let stranger = throttle.reserve_sign_in(elsewhere(500), target("owner@example.com"));
    assert!(stranger.is_err(), "strangers notice nothing of the owner's sign-in");
}

#[test]
fn a_success_gives_back_what_it_was_charged_and_clears_the_pair_alone() {
    let (throttle, _) = throttle();
    let one = prefix("203.0.113.7");
    for _ in 0..9 {
        throttle.reserve_sign_in(one, target("a@b")).unwrap();
    }
    let tenth = throttle.reserve_sign_in(one, target("A@B")).unwrap();
    assert!(throttle.reserve_sign_in(one, target("a@B")).is_err(), "the same account in any case");
    throttle.succeeded(&tenth);
    assert_eq!(exhaust(|_| throttle.reserve_sign_in(one, target("a@b"))).0, 10, "the pair");
    let neighbour = |n: u32| prefix(&format!("203.0.113.{}", 100 + n));
    assert_eq!(exhaust(|n| throttle.reserve_sign_in(neighbour(n), target("a@b"))).0, 25 - 19, "the network");
    assert_eq!(exhaust(|n| throttle.reserve_sign_in(elsewhere(n), target("a@b"))).0, 100 - 25, "the account");
    let name = |n: u32| format!("user{n}@example.com");
    assert_eq!(exhaust(|n| throttle.reserve_sign_in(one, target(&name(n)))).0, 50 - 19, "the address");
}

#[test]
fn what_was_not_evaluated_is_given_back() {
    let (throttle, _) = throttle();
    let (one, own) = (prefix("2001:db8::1"), UserId::new(7).unwrap());
    for _ in 0..1_000 {
        for attempt in [
            throttle.reserve_sign_in(one, target("a@b")),
            throttle.reserve_by_address(Limit::Reset, None),
            throttle.reserve_change(own, true, false, one),
        ] {
            throttle.refund(&attempt.unwrap());
        }
    }
    assert_eq!(exhaust(|_| throttle.reserve_sign_in(one, target("a@b"))).0, 10);
}

#[test]
fn a_budget_that_refuses_leaves_the_others_as_they_are() {
    let (throttle, clock) = throttle();
    let (one, own) = (prefix("203.0.113.7"), UserId::new(7).unwrap());
    exhaust(|_| throttle.reserve_by_address(Limit::Registration, one));
    for _ in 0..100 {
        let Err(Error::TooManyAttempts(wait)) = throttle.reserve_change(own, true, false, one) else { panic!() };
        assert_eq!(wait, Duration::from_mins(2));
    }
    assert_eq!(exhaust(|_| throttle.reserve_change(own, false, false, one)).0, 30);
    clock.advance(Duration::from_mins(2));
    let both = throttle.reserve_change(own, true, false, one).unwrap();
    throttle.refund_where(&both, |limit| limit == Limit::Registration);
    assert!(throttle.reserve_change(own, false, false, one).is_err());
    assert!(throttle.reserve_by_address(Limit::Registration, one).is_ok());
}

#[test]
fn keys_depend_on_the_installations_secret() {
    let [one, other] = [[1; 32], [2; 32]].map(|secret| {
        let (throttle, _) = throttle();
        throttle.resume(secret, vec![], Timestamp::from_millis(0));
        throttle
    });
    let charge = |throttle: &Throttle| throttle.charge(Limit::Account, Limit::Account.rate(), &[b"a@b"]).key;
    assert_ne!(one.account("a@b"), other.account("a@b"));
    assert_ne!(charge(&one), charge(&other));
    assert_eq!(one.account("A@b"), AccountKey::of(&[1; 32], "a@B"));
}

#[test]
fn accounts_are_spread_over_the_groups_that_are_unlocked_together() {
    let (throttle, _) = throttle();
    let groups = (0..200).map(|n| throttle.account(&format!("user{n}@example.com")).unlock_group());
    let distinct = groups.collect::<std::collections::HashSet<_>>();
    assert!(distinct.len() > 190 && distinct.iter().any(|group| *group > 255), "{distinct:?}");
}

#[test]
fn unlocking_begins_the_accounts_budgets_again_and_no_others() {
    let (throttle, _) = throttle();
    let one = prefix("203.0.113.7");
    exhaust(|_| throttle.reserve_sign_in(one, target("a@b")));
    exhaust(|n| throttle.reserve_sign_in(elsewhere(n), target("a@b")));
    let unlocked = Target { unlocks: 1, ..target("a@b") };
    assert_eq!(exhaust(|_| throttle.reserve_sign_in(one, unlocked)).0, 10);
    assert_eq!(exhaust(|n| throttle.reserve_sign_in(elsewhere(1_000 + n), unlocked)).0, 90);
    let name = |n: u32| format!("user{n}@example.com");
    assert_eq!(exhaust(|n| throttle.reserve_sign_in(one, target(&name(n)))).0, 50 - 20, "the address");
}

#[test]
fn callers_whose_ip_address_is_unknown_share_ten_times_what_one_has() {
    let (throttle, clock) = throttle();
    assert_eq!(exhaust(|_| throttle.reserve_sign_in(None, target("a@b"))).0, 100, "the account's");
    let name = |n: u32| format!("user{n}@example.com");
    let sign_in = exhaust(|n| throttle.reserve_sign_in(None, target(&name(n))));
    assert_eq!(sign_in, (500 - 100, Duration::from_secs(2)));
    for limit in [Limit::Registration, Limit::Reset] {
        let found = exhaust(|_| throttle.reserve_by_address(limit, None));
        assert_eq!(found, (300, Duration::from_secs(12)), "{limit:?}");
    }
    assert!(throttle.reserve_sign_in(prefix("203.0.113.7"), target("c@d")).is_ok(), "one that is known");
    clock.advance(Duration::from_secs(2));
    let attempt = throttle.reserve_sign_in(None, target("c@d")).unwrap();
    throttle.succeeded(&attempt);
    assert!(throttle.reserve_sign_in(None, target("c@d")).is_ok());
}

#[test]
fn it_can_be_turned_off() {
    let throttle = Throttle::new(false, Clock::System);
    assert!((0..1_000).all(|_| throttle.reserve_sign_in(prefix("203.0.113.7"), target("a@b")).is_ok()));
}

#[test]
fn accounts_outlive_a_restart_and_nothing_else_does() {
    let (throttle, clock) = throttle();
    let one = prefix("203.0.113.7");
    throttle.resume([7; 32], vec![], clock.now());
    exhaust(|n| throttle.reserve_sign_in(elsewhere(n), target("owner@example.com")));
    exhaust(|_| throttle.reserve_by_address(Limit::Reset, one));
    let changed = throttle.changed_accounts();
    let rows = changed.rows.iter();
    let stored: Vec<Stored> = rows.filter_map(|(slot, row)| row.map(|(key, at)| (*slot, key, at))).collect();
    assert_eq!(stored.len(), 1);
    assert!(throttle.changed_accounts().rows.is_empty());
    throttle.put_back(&changed);
    assert_eq!(throttle.changed_accounts(), changed, "what could not be stored is stored the next time");

    clock.advance(Duration::from_mins(30));
    let again = Throttle::new(true, clock.clone());
    again.resume([7; 32], stored.clone(), clock.now());
    let (more, wait) = exhaust(|_| again.reserve_sign_in(one, target("owner@example.com")));
    assert_eq!((more, wait), (0, Duration::from_mins(30)));
    assert!(again.reserve_by_address(Limit::Reset, one).is_ok());

    clock.set(Timestamp::from_millis(0));
    let jumped = Throttle::new(true, clock.clone());
    jumped.resume([7; 32], stored, clock.now());
    let (_, wait) = exhaust(|_| jumped.reserve_sign_in(one, target("owner@example.com")));
    assert_eq!(wait, Duration::from_hours(1), "a clock that was set back locks nobody out for longer");
}
