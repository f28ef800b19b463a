mod support;
use support::{PASSWORD, Server};
#[test]
fn smoke() {
    let server = Server::start();
    let ada = server.user("ada");
    let root = server.admin("root");
    assert_eq!(root.get(&ada.me()).status, 200);
    ada.get(&root.me()).is(404, "user_not_found");
    assert_eq!(ada.get("/auth/me").json()["username"], "ada");
    server.anon().login("nobody@example.com", PASSWORD).is(401, "invalid_credentials");
    assert_eq!(ada.put(&ada.me(), serde_json::json!({"username": "ada2"})).status, 200);
    assert_eq!(ada.post("/auth/logout", serde_json::json!({})).status, 200);
    ada.get("/auth/me").is(401, "invalid_token");
}
