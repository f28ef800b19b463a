//! What strangers see of an account while they guess at it: nothing.

use super::{WRONG, from, login, of_one_site, put_from, server, stranger};
use crate::support::{Client, PASSWORD, Server};
use serde_json::json;
use std::time::Duration;

/// What strangers are answered while they guess at an e-mail address for some days: status and `Retry-After`, attempt by
/// attempt. Something happens before they have used up the account's budget, and again afterwards.
fn stream(server: &Server, email: &str, happens: impl Fn(usize)) -> Vec<(u16, String)> {
    let mut seen = Vec::new();
    let mut guess = |ip: &str| {
        let answer = login(server, ip, email, WRONG);
        seen.push((answer.status, answer.header("retry-after").to_owned()));
    };
    for n in 0..60 {
        guess(&stranger(n));
        guess(if n < 15 { "203.0.113.7" } else { "203.0.113.8" });
    }
    happens(0);
    for n in 0..60 {
        guess(&stranger(100 + n));
        guess(&of_one_site(n));
        server.clock.advance(Duration::from_secs(7));
    }
    happens(1);
    for hour in 0..30 {
        for n in 0..3 {
            guess(&stranger(1_000 + 10 * hour + n));
            guess("203.0.113.7");
            guess(&of_one_site(1_000 + hour));
        }
        server.clock.advance(Duration::from_mins(50));
    }
    seen
}

fn unlock(root: &Client, user: &Client) {
    root.send("POST", &format!("{}/unlock", user.me()), &[], None).is(204, "");
}

#[test]
fn strangers_see_nothing_of_what_an_owner_or_an_administrator_does() {
    type Deed = fn(&Server, &Client, &Client, usize);
    let deeds: [(&str, Deed); 12] = [
        ("nothing", |_, _, _, _| ()),
        ("a sign-in from a known place", |server, _, _, _| {
            login(server, "127.0.0.1", "ada@example.com", PASSWORD).is(200, "");
        }),
        ("a sign-in from a new place", |server, _, _, time| {
            let new = ["192.0.2.1", "198.51.100.1"][time];
            assert_eq!(login(server, new, "ada@example.com", PASSWORD).status, [200, 429][time]);
        }),
        ("sign-ins from the site that guesses", |server, _, _, time| {
            let one = ["203.0.113.9", "2001:db8:1:ffff::1"][time];
            assert_eq!(login(server, one, "ada@example.com", PASSWORD).status, [200, 429][time]);
        }),
        ("a new password and a sign-in", |server, _, ada, time| {
            let [old, new] = [[PASSWORD, "another long password"], ["another long password", PASSWORD]][time];
            ada.put(&ada.me(), json!({"password": new, "current_password": old})).is(200, "");
            login(server, "127.0.0.1", "ada@example.com", new).is(200, "");
        }),
        ("wrong current passwords from a new place", |_, _, ada, _| {
            for n in 0..12 {
                put_from(ada, &stranger(5_000 + n), &json!({"current_password": WRONG}))
                    .is(403, "reauthentication_required");
            }
        }),
        ("wrong current passwords from the site that guesses", |_, _, ada, time| {
            for n in 0..12 {
                let ip = [format!("203.0.113.{}", 50 + n), of_one_site(5_000 + n)][time].clone();
                put_from(ada, &ip, &json!({"current_password": WRONG})).is(403, "reauthentication_required");
            }
        }),
        ("another e-mail address", |_, root, ada, time| {
            let email = ["countess@example.com", "ada@example.com"][time];
            root.put(&ada.me(), json!({"email": email})).is(200, "");
        }),
        ("disabling and enabling", |_, root, ada, time| {
            root.put(&ada.me(), json!({"disabled": time == 0})).is(200, "");
        }),
        ("deleting, and registering", |server, root, ada, time| {
            if time == 0 {
                root.delete(&ada.me()).is(204, "");
            } else {
                server.user("ada");
            }
        }),
        ("a reset", |server, root, ada, time| {
            let token = root.send("POST", &format!("{}/password-reset", ada.me()), &[], None).json()["token"].clone();
            let reset = json!({"token": token, "password": PASSWORD});
            from(&server.anon(), &format!("198.51.100.{time}"), "/auth/password-reset", &reset).is(204, "");
        }),
        ("ended sessions", |_, root, ada, _| {
            root.delete(&format!("{}/sessions", ada.me())).is(204, "");
        }),
    ];
    let expected = stream(&server(), "ada@example.com", |_| ());
    assert!(expected.iter().any(|(status, _)| *status == 401) && expected.iter().any(|(status, _)| *status == 429));
    for (name, deed) in deeds {
        let server = server();
        let (root, ada) = (server.admin("root"), server.user("ada"));
        let seen = stream(&server, "ada@example.com", |time| deed(&server, &root, &ada, time));
        assert!(seen == expected, "{name}: {seen:?}");
    }
}

#[test]
fn strangers_see_nothing_of_what_becomes_of_an_account_that_was_once_unlocked() {
    let before = || {
        let server = server();
        let (root, ada) = (server.admin("root"), server.user("ada"));
        unlock(&root, &ada);
        (server, root, ada)
    };
    let (server, ..) = before();
    let expected = stream(&server, "ada@example.com", |_| ());
    let (server, root, ada) = before();
    let seen = stream(&server, "ada@example.com", |time| {
        if time == 1 {
            root.delete(&ada.me()).is(204, "");
        }
    });
    assert!(seen == expected, "{seen:?}");
}
