//! What anybody may know about the server.

use crate::support::{Server, person::pages};
use serde_json::json;
use usher::domain::Registration;

#[test]
fn anybody_reads_what_a_sign_up_form_needs() {
    let server = Server::start();
    let plain = json!({
        "name": "usher", "registration": "open", "password_min_length": 8, "password_max_length": 256, "public_url": null
    });
    assert_eq!(server.anon().get("/service").json(), plain);

    let server = Server::with(|settings| {
        pages(settings);
        settings.policy.instance_name = "Ada's box".to_owned();
        settings.policy.registration = Registration::Invite;
        settings.policy.passwords.min_length = 15;
    });
    let changed = json!({
        "name": "Ada's box", "registration": "invite", "password_min_length": 15, "password_max_length": 256,
        "public_url": "https://auth.example.test"
    });
    assert_eq!(server.anon().get("/service").json(), changed);
}

#[test]
fn an_invalid_token_is_never_the_same_as_none() {
    let server = Server::start();
    server.anon().with_token("ush_nonsense").get("/service").is(401, "invalid_token");
}
