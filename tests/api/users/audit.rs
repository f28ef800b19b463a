//! What the audit log says of accounts.

use crate::support::{
    Server,
    probes::{Entry, Probes},
};
use serde_json::json;
use usher::domain::{Action, AuditEvent, ChainHash, UserId};

#[test]
fn changes_are_recorded_by_id() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    root.put(&ada.me(), json!({"username": "ada2", "role": "admin", "disabled": true}));
    root.put(&ada.me(), json!({"role": "user", "disabled": false, "password": "another horse battery"}));
    root.delete(&ada.me());
    ada.put(&ada.me(), json!({}));

    let log = server.audit();
    let entries: Vec<_> = log.iter().map(|entry| (entry.action.as_str(), entry.actor, entry.subject)).collect();

    let (r, a) = (Some(root.id), Some(ada.id));
    let expected = [
        ("user.registered", None, r),
        ("session.signed_in", r, r),
        ("user.registered", None, a),
        ("session.signed_in", a, a),
        ("user.updated", r, a),
        ("user.role_changed", r, a),
        ("user.disabled", r, a),
        ("user.password_changed", r, a),
        ("user.role_changed", r, a),
        ("user.enabled", r, a),
        ("user.deleted", r, a),
    ];
    assert_eq!(entries, expected);
}

#[test]
fn refusals_are_recorded() {
    let server = Server::start();
    let ada = server.user("ada");
    ada.put(&ada.me(), json!({"role": "admin"})).is(403, "forbidden");
    server.flush();
    let denied = |entry: &&Entry| {
        entry.action == "access.denied" && entry.actor == Some(ada.id) && entry.subject == Some(ada.id)
    };
    assert_eq!(server.audit().iter().filter(denied).count(), 1);
}

#[test]
fn every_entry_contains_the_hash_of_the_one_before() {
    let server = Server::start();
    let ada = server.user("ada");
    server.anon().login("ada@example.com", "wrong horse battery");
    server.flush();
    ada.put(&ada.me(), json!({"username": "ada2"}));

    let (mut last, mut hash) = (0, ChainHash::START);
    for entry in server.audit() {
        let event = AuditEvent {
            at: entry.at,
            action: *Action::ALL.iter().find(|known| known.as_str() == entry.action).unwrap(),
            actor: entry.actor.and_then(UserId::new),
            subject: entry.subject.and_then(UserId::new),
            ip: entry.ip.map(|ip| ip.parse().unwrap()),
            request_id: entry.request_id.map(Into::into),
            count: entry.count,
        };
        assert_eq!(entry.id, last + 1);
        last += 1;
        hash = event.chain(last, &hash);
        assert_eq!(entry.hash, hash, "entry {last}");
    }
    assert_eq!(last, 4);
    assert_eq!(server.audit_head(), (last, hash));
}
