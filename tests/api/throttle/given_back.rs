//! Attempts that are given back because they came to nothing, and those that are not.

use super::{WRONG, from, let_through, server};
use crate::support::{PASSWORD, Server, probes::Probes};
use serde_json::json;
use std::task::{Context, Poll, Waker};
use usher::{
    app::{ExpectedRevision, NewAccount},
    domain::{Actor, Caller, EmailAddress, Error, PasswordPolicy, Role, SessionToken, UserChanges, Username},
};

#[test]
fn a_registration_that_could_not_be_stored_or_had_no_invitation_is_not_counted() {
    let server = server();
    let register = |name: &str, invitation: Option<&str>| {
        let mut body = json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD});
        if let Some(token) = invitation {
            body["invitation"] = token.into();
        }
        from(&server.anon(), "203.0.113.7", "/users", &body)
    };
    let full = server.without_room("INSERT ON users");
    for _ in 0..40 {
        assert!(register("ada", None).status >= 500);
    }
    drop(full);
    for _ in 0..40 {
        register("ada", Some("ushi_wrong")).is(400, "invalid_invitation");
    }
    assert_eq!(let_through(|n| register(&format!("user{n}"), None), 120), 30);
}

#[test]
fn a_reset_with_the_right_token_is_not_counted_whatever_becomes_of_it() {
    let server = server();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let issue = || root.send("POST", &format!("{}/password-reset", ada.me()), &[], None).json()["token"].clone();
    let reset = |token: &serde_json::Value, password: &str| {
        from(&server.anon(), "203.0.113.7", "/auth/password-reset", &json!({"token": token, "password": password}))
    };
    let token = issue();
    let full = server.without_room("UPDATE OF password_hash ON users");
    for _ in 0..40 {
        reset(&token, "ada@example.com").is(400, "validation_failed");
        assert!(reset(&token, PASSWORD).status >= 500);
    }
    drop(full);
    for _ in 0..40 {
        reset(&issue(), PASSWORD).is(204, "");
    }
    assert_eq!(let_through(|_| reset(&json!("ushr_wrong"), PASSWORD), 120), 30);
}

/// Somebody who sent no token, from a certain IP address.
fn caller(ip: &str) -> Caller {
    let client = usher::domain::Client { ip: Some(ip.parse().unwrap()) };
    Caller { actor: Actor::Anonymous, client, request_id: None }
}

fn account(name: &str) -> NewAccount {
    NewAccount {
        username: Username::parse(name).unwrap(),
        email: EmailAddress::parse(&format!("{name}@example.com")).unwrap(),
        password: PasswordPolicy::default().accept(PASSWORD, &[]).unwrap(),
        role: Role::User,
        invitation: None,
    }
}

/// Begins an attempt. `None` where it waits to be hashed.
fn begin<T>(attempt: &mut std::pin::Pin<Box<impl Future<Output = Result<T, Error>>>>) -> Option<Error> {
    match attempt.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => None,
        Poll::Ready(Ok(_)) => panic!("nobody hashes"),
        Poll::Ready(Err(error)) => Some(error),
    }
}

/// How many attempts begin to wait before one is refused; each leaves at once.
fn admitted<T, F: Future<Output = Result<T, Error>>>(attempt: impl Fn() -> F) -> u32 {
    for n in 0..1_000 {
        match begin(&mut Box::pin(attempt())) {
            None => {}
            Some(Error::TooManyAttempts(_)) => return n,
            Some(other) => panic!("{other:?}"),
        }
    }
    panic!("there is no limit");
}

#[test]
fn what_there_was_no_room_to_hash_is_given_back() {
    // given: nobody hashes, and somebody of the same site waits in its only place
    let server = server();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let issued = root.send("POST", &format!("{}/password-reset", ada.me()), &[], None).json()["token"].clone();
    let (token, own) = (issued.as_str().unwrap().to_owned(), SessionToken::parse(&ada.token.unwrap()).unwrap());
    let server = server.restart(|settings| (settings.hash_threads, settings.hash_queue) = (0, 4));
    let app = &server.app;
    let one = caller("203.0.113.7");
    let signed_in = futures_executor::block_on(app.sessions.authenticate(&own)).unwrap();
    let target = Some(signed_in.user.id);
    let owner = Caller { actor: Actor::SignedIn(signed_in.into()), ..one.clone() };
    let password = || account("x").password;
    let changes = || UserChanges { password: Some(password()), ..UserChanges::default() };
    let register = || app.accounts.register(&one, account("bob"));
    let reset = || app.resets.reset_password(&one, &token, password());
    let change = || app.accounts.update(&owner, target, changes(), ExpectedRevision::Any);
    let neighbour = caller("203.0.113.8");
    let mut waiting = Box::pin(app.accounts.register(&neighbour, account("eve")));
    assert_eq!(begin(&mut waiting), None);

    // when
    for _ in 0..40 {
        assert_eq!(begin(&mut Box::pin(register())), Some(Error::Overloaded));
        assert_eq!(begin(&mut Box::pin(reset())), Some(Error::Overloaded));
        assert_eq!(begin(&mut Box::pin(change())), Some(Error::Overloaded));
        let sign_in = app.sign_in.with_password(&one, "ada@example.com", PASSWORD, None);
        assert_eq!(begin(&mut Box::pin(sign_in)), Some(Error::Overloaded));
    }
    drop(waiting);

    // then
    assert_eq!([admitted(register), admitted(reset), admitted(change)], [30, 30, 30]);
    assert_eq!(admitted(|| app.sign_in.with_password(&one, "ada@example.com", PASSWORD, None)), 10);
}

#[test]
fn a_sign_in_that_slow_hashes_left_no_room_for_is_given_back() {
    // given: nobody hashes, and as many slow hashes wait as may
    let server = server();
    server.user("ada");
    let bcrypt = "$2b$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS";
    server.set_password_hashes(bcrypt);
    let server = server.restart(|settings| (settings.hash_threads, settings.hash_queue) = (0, 4));
    let sign_in = |caller| server.app.sign_in.with_password(caller, "ada@example.com", PASSWORD, None);
    let (first, second, one) = (caller("192.0.2.1"), caller("198.51.100.1"), caller("203.0.113.7"));
    let mut waiting = [Box::pin(sign_in(&first)), Box::pin(sign_in(&second))];
    assert!(waiting.iter_mut().all(|one| begin(one).is_none()));

    // when
    for _ in 0..40 {
        assert_eq!(begin(&mut Box::pin(sign_in(&one))), Some(Error::Overloaded));
    }
    drop(waiting);

    // then
    assert_eq!(admitted(|| sign_in(&one)), 10);
}

#[test]
fn callers_who_leave_before_the_answer_are_charged_and_on_record() {
    // given: nobody hashes, so nobody is answered
    let server = Server::with(|settings| (settings.hash_threads, settings.hash_queue) = (0, 50));
    let body = json!({"email": "nobody@example.com", "password": WRONG}).to_string();
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nhost: usher\r\ncontent-type: application/json\r\ncontent-length";
    let queued = || futures_executor::block_on(server.app.stats()).hashing.queued;

    // when
    for _ in 0..10 {
        let mut stream = std::net::TcpStream::connect(server.address).unwrap();
        std::io::Write::write_all(&mut stream, format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
        crate::support::binary::until("it waits", || (queued() == 1).then_some(()));
        crate::support::hang_up(stream);
        crate::support::binary::until("it left", || (queued() == 0).then_some(()));
    }

    // then
    server.anon().login("nobody@example.com", WRONG).is(429, "too_many_attempts");
    crate::support::binary::until("all are noted", || {
        server.flush();
        (server.occurrences("session.sign_in_failed") == 10).then_some(())
    });
}
