//! Deleting an account.

use crate::support::{Server, probes::Probes};
use std::time::Duration;

#[test]
fn sessions_go_too_and_the_id_is_never_used_again() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));

    let gone = ada.delete(&ada.me());

    assert_eq!((gone.status, gone.body.len()), (204, 0));
    ada.get("/auth/me").is(401, "invalid_token");
    root.get(&ada.me()).is(404, "user_not_found");
    root.delete(&ada.me()).is(404, "user_not_found");
    assert_eq!(server.session_count_of(ada.id), 0);
    assert!(server.user("ada").id > ada.id);
}

#[test]
fn old_sign_in_cannot_delete_its_own_account() {
    let server = Server::start();
    let (root, ada) = (server.admin("root"), server.user("ada"));
    let bob = server.user("bob");
    server.clock.advance(Duration::from_mins(15) + Duration::from_millis(1));

    ada.delete(&ada.me()).is(403, "reauthentication_required");
    root.delete(&root.me()).is(403, "reauthentication_required");
    ada.send("DELETE", &ada.me(), &[("if-match", "\"1.99\"")], None).is(403, "reauthentication_required");
    assert_eq!(root.delete(&bob.me()).status, 204, "somebody else's is not the administrator's own");
    server.flush();
    assert_eq!(server.audit_count_about("access.denied", ada.id), 2);

    assert_eq!(server.sign_in("ada").delete(&ada.me()).status, 204);
}

#[test]
fn without_a_limit_any_session_deletes_its_account() {
    let server = Server::with(|settings| settings.policy.reauthenticate_after = Duration::ZERO);
    let ada = server.user("ada");
    server.clock.advance(Duration::from_hours(24));
    assert_eq!(ada.delete(&ada.me()).status, 204);
}

#[test]
fn administrator_deletes_others() {
    let server = Server::start();
    let (root, ada, bob) = (server.admin("root"), server.user("ada"), server.user("bob"));
    ada.delete(&bob.me()).is(404, "user_not_found");
    assert_eq!(root.delete(&bob.me()).status, 204);
    bob.get("/auth/me").is(401, "invalid_token");
}
