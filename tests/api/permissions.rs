//! Who may do what: role × operation × ownership × field, each cell with the status that it answers.

use crate::support::{Answer, Client, PASSWORD, Server, probes::Probes, spec, unique};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Who asks, and the paths of what is asked about.
struct Cell<'c> {
    client: &'c Client,
    /// The id of the account that is asked about.
    target: String,
    server: &'c Server,
    root: &'c Client,
}

impl Cell<'_> {
    fn user(&self) -> String {
        format!("/users/{}", self.target)
    }

    fn put(&self, body: Value) -> Answer {
        self.client.put(&self.user(), body)
    }

    /// The path of a group that nobody is in.
    fn group(&self) -> String {
        let made = self.root.post("/groups", json!({"name": Self::name()})).json();
        format!("/groups/{}", made["id"])
    }

    /// The path of an app.
    fn app(&self) -> String {
        let url = format!("http://{}.example", Self::name());
        let made = self.root.post("/apps", json!({"name": "x", "url": url, "access": "admins"})).json();
        format!("/apps/{}", made["id"])
    }

    /// The path of the target's membership in such a group.
    fn membership(&self) -> String {
        format!("{}/members/{}", self.group(), self.target)
    }

    /// The id of an app that everyone may enter.
    fn open_app(&self) -> i64 {
        let host = Self::name();
        self.server.add_app(&host, &format!("http://{host}.example"), "everyone")
    }

    /// The path of the target's app tokens.
    fn app_tokens(&self) -> String {
        format!("{}/app-tokens", self.user())
    }

    /// The path of one of them.
    fn app_token(&self) -> String {
        let id = self.server.add_app_token(self.target.parse().unwrap(), self.open_app());
        format!("{}/{id}", self.app_tokens())
    }

    /// A name that nobody has.
    fn name() -> String {
        format!("fresh{}", unique())
    }
}

type Ask = fn(&Cell<'_>) -> Answer;

/// Operations on an account: anonymous; a user about their own account, another's, and one that there is not; an
/// administrator about the same.
const ON_ACCOUNTS: &[(&str, &str, Ask, [u16; 7])] = &[
    ("getUser", "", |c| c.client.get(&c.user()), [401, 200, 404, 404, 200, 200, 404]),
    ("updateUser", "nothing", |c| c.put(json!({})), [401, 200, 404, 404, 200, 200, 404]),
    ("updateUser", "username", |c| c.put(json!({"username": Cell::name()})), [401, 200, 404, 404, 200, 200, 404]),
    (
        "updateUser",
        "email",
        |c| c.put(json!({"email": format!("{}@example.com", Cell::name())})),
        [401, 200, 404, 404, 200, 200, 404],
    ),
    ("updateUser", "display_name", |c| c.put(json!({"display_name": "A"})), [401, 200, 404, 404, 200, 200, 404]),
    (
        "updateUser",
        "password",
        |c| c.put(json!({"password": "a new long password"})),
        [401, 200, 404, 404, 200, 200, 404],
    ),
    (
        "updateUser",
        "password, and the right current one",
        |c| c.put(json!({"password": "a new long password", "current_password": PASSWORD})),
        [401, 200, 404, 404, 200, 200, 404],
    ),
    (
        "updateUser",
        "password, and a wrong current one",
        |c| c.put(json!({"password": "a new long password", "current_password": "wrong"})),
        [401, 403, 404, 404, 403, 200, 404],
    ),
    ("updateUser", "role: admin", |c| c.put(json!({"role": "admin"})), [401, 403, 404, 404, 200, 200, 404]),
    ("updateUser", "role: user", |c| c.put(json!({"role": "user"})), [401, 403, 404, 404, 200, 200, 404]),
    ("updateUser", "disabled: true", |c| c.put(json!({"disabled": true})), [401, 403, 404, 404, 200, 200, 404]),
    ("updateUser", "disabled: false", |c| c.put(json!({"disabled": false})), [401, 403, 404, 404, 200, 200, 404]),
    (
        "updateUser",
        "username and role",
        |c| c.put(json!({"username": Cell::name(), "role": "user"})),
        [401, 403, 404, 404, 200, 200, 404],
    ),
    ("updateUser", "id", |c| c.put(json!({"id": 1})), [401, 400, 400, 400, 400, 400, 400]),
    ("updateUser", "email_verified", |c| c.put(json!({"email_verified": true})), [401, 400, 400, 400, 400, 400, 400]),
    (
        "updateUser",
        "with a stale If-Match",
        |c| c.client.put_if(&c.user(), Some("\"1.99\""), json!({})),
        [401, 412, 404, 404, 412, 412, 404],
    ),
    ("deleteUser", "", |c| c.client.delete(&c.user()), [401, 204, 404, 404, 204, 204, 404]),
    ("listSessions", "", |c| c.client.get(&format!("{}/sessions", c.user())), [401, 200, 404, 404, 200, 200, 404]),
    ("deleteSessions", "", |c| c.client.delete(&format!("{}/sessions", c.user())), [401, 204, 404, 404, 204, 204, 404]),
    (
        "createAppToken",
        "",
        |c| c.client.post(&c.app_tokens(), json!({"name": "x", "app_id": c.open_app()})),
        [401, 201, 404, 404, 201, 403, 403],
    ),
    (
        "createAppToken",
        "for an app that only administrators may enter",
        |c| {
            let id = c.app()[6..].parse::<i64>().unwrap();
            c.client.post(&c.app_tokens(), json!({"name": "x", "app_id": id}))
        },
        [401, 404, 404, 404, 201, 403, 403],
    ),
    ("listAppTokens", "", |c| c.client.get(&c.app_tokens()), [401, 200, 404, 404, 200, 200, 404]),
    ("deleteAppToken", "", |c| c.client.delete(&c.app_token()), [401, 204, 404, 404, 204, 204, 404]),
    (
        "deleteAppToken",
        "none",
        |c| c.client.delete(&format!("{}/99999", c.app_tokens())),
        [401, 404, 404, 404, 404, 404, 404],
    ),
    ("listHistory", "", |c| c.client.get(&format!("{}/history", c.user())), [401, 200, 404, 404, 200, 200, 404]),
    ("addGroupMember", "", |c| c.client.send("PUT", &c.membership(), &[], None), [401, 403, 403, 403, 204, 204, 404]),
    ("removeGroupMember", "who is none", |c| c.client.delete(&c.membership()), [401, 403, 403, 403, 404, 404, 404]),
    (
        "removeGroupMember",
        "",
        |c| {
            let membership = c.membership();
            c.root.send("PUT", &membership, &[], None);
            c.client.delete(&membership)
        },
        [401, 403, 403, 403, 204, 204, 404],
    ),
    (
        "createPasswordReset",
        "",
        |c| c.client.send("POST", &format!("{}/password-reset", c.user()), &[], None),
        [401, 403, 403, 403, 201, 201, 404],
    ),
    (
        "unlockUser",
        "",
        |c| c.client.send("POST", &format!("{}/unlock", c.user()), &[], None),
        [401, 403, 403, 403, 204, 204, 404],
    ),
];

/// Operations that are about no account, or only about the caller's: anonymous, a user, an administrator.
const ON_ITSELF: &[(&str, &str, Ask, [u16; 3])] = &[
    ("createUser", "", |c| c.client.post("/users", account(json!({}))), [201, 201, 201]),
    ("createUser", "role", |c| c.client.post("/users", account(json!({"role": "user"}))), [400, 400, 400]),
    ("createUser", "disabled", |c| c.client.post("/users", account(json!({"disabled": false}))), [400, 400, 400]),
    ("createUser", "invitation", |c| c.client.post("/users", account(json!({"invitation": "x"}))), [400, 400, 400]),
    ("listUsers", "", |c| c.client.get("/users"), [401, 403, 200]),
    ("login", "", |c| c.client.login("root@example.com", PASSWORD), [200, 200, 200]),
    ("logout", "", |c| c.client.post("/auth/logout", json!({})), [401, 200, 200]),
    ("getMe", "", |c| c.client.get("/auth/me"), [401, 200, 200]),
    ("verify", "", |c| c.client.get("/auth/verify"), [401, 200, 200]),
    ("verify", "as a user", |c| c.client.get("/auth/verify?role=user"), [401, 200, 200]),
    ("verify", "as an administrator", |c| c.client.get("/auth/verify?role=admin"), [401, 403, 200]),
    ("listOwnSessions", "", |c| c.client.get("/auth/sessions"), [401, 200, 200]),
    ("deleteOtherSessions", "", |c| c.client.delete("/auth/sessions"), [401, 204, 204]),
    ("deleteSession", "one's own", |c| c.client.delete(&own_session(c.client)), [401, 204, 204]),
    ("deleteSession", "another's", |c| c.client.delete(&own_session(c.root)), [401, 404, 404]),
    ("deleteSession", "none", |c| c.client.delete("/auth/sessions/nothing"), [401, 404, 404]),
    (
        "resetPassword",
        "",
        |c| {
            let user = c.server.user(&Cell::name());
            let issued = c.root.send("POST", &format!("{}/password-reset", user.me()), &[], None).json();
            c.client.post("/auth/password-reset", json!({"token": issued["token"], "password": "a new long password"}))
        },
        [204, 204, 204],
    ),
    ("createInvitation", "", |c| c.client.post("/invitations", json!({})), [401, 403, 201]),
    ("createInvitation", "role", |c| c.client.post("/invitations", json!({"role": "admin"})), [401, 403, 201]),
    ("createInvitation", "count", |c| c.client.post("/invitations", json!({"count": 2})), [401, 403, 201]),
    ("listInvitations", "", |c| c.client.get("/invitations"), [401, 403, 200]),
    (
        "deleteInvitation",
        "",
        |c| {
            let made = c.root.post("/invitations", json!({})).json();
            c.client.delete(&format!("/invitations/{}", made["id"]))
        },
        [401, 403, 204],
    ),
    ("deleteInvitation", "none", |c| c.client.delete("/invitations/99999"), [401, 403, 404]),
    ("getService", "", |c| c.client.get("/service"), [200, 200, 200]),
    ("importUsers", "", |c| import(c.client, "", &line()), [401, 403, 200]),
    ("importUsers", "dry run", |c| import(c.client, "?dry_run=true", &line()), [401, 403, 200]),
    (
        "importUsers",
        "an administrator",
        |c| import(c.client, "", &line().replace('}', r#","role":"admin"}"#)),
        [401, 403, 200],
    ),
    ("importUsers", "nothing that can be read", |c| import(c.client, "", "{"), [401, 403, 400]),
    ("createGroup", "", |c| c.client.post("/groups", json!({"name": Cell::name()})), [401, 403, 201]),
    ("listGroups", "", |c| c.client.get("/groups"), [401, 403, 200]),
    ("getGroup", "", |c| c.client.get(&c.group()), [401, 403, 200]),
    ("getGroup", "none", |c| c.client.get("/groups/99999"), [401, 403, 404]),
    ("updateGroup", "", |c| c.client.put(&c.group(), json!({"name": Cell::name()})), [401, 403, 200]),
    ("updateGroup", "none", |c| c.client.put("/groups/99999", json!({})), [401, 403, 404]),
    ("deleteGroup", "", |c| c.client.delete(&c.group()), [401, 403, 204]),
    ("deleteGroup", "none", |c| c.client.delete("/groups/99999"), [401, 403, 404]),
    ("listGroupMembers", "", |c| c.client.get(&format!("{}/members", c.group())), [401, 403, 200]),
    ("listGroupMembers", "none", |c| c.client.get("/groups/99999/members"), [401, 403, 404]),
    ("deleteGroupSessions", "", |c| c.client.delete(&format!("{}/sessions", c.group())), [401, 403, 204]),
    ("deleteGroupSessions", "none", |c| c.client.delete("/groups/99999/sessions"), [401, 403, 404]),
    (
        "createApp",
        "",
        |c| {
            let url = format!("http://{}.example", Cell::name());
            c.client.post("/apps", json!({"name": "x", "url": url, "access": "admins"}))
        },
        [401, 403, 201],
    ),
    ("listApps", "", |c| c.client.get("/apps"), [401, 403, 200]),
    ("getApp", "", |c| c.client.get(&c.app()), [401, 403, 200]),
    ("getApp", "none", |c| c.client.get("/apps/99999"), [401, 403, 404]),
    ("updateApp", "", |c| c.client.put(&c.app(), json!({"access": "everyone"})), [401, 403, 200]),
    ("updateApp", "none", |c| c.client.put("/apps/99999", json!({})), [401, 403, 404]),
    ("deleteApp", "", |c| c.client.delete(&c.app()), [401, 403, 204]),
    ("deleteApp", "none", |c| c.client.delete("/apps/99999"), [401, 403, 404]),
    ("listAuditEvents", "", |c| c.client.get("/audit"), [401, 403, 200]),
    ("countAuditEvents", "", |c| c.client.get("/audit/days"), [401, 403, 200]),
];

/// A body that registers somebody new, with something added.
fn account(more: Value) -> Value {
    let name = Cell::name();
    let mut body = json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// A line of an import.
fn line() -> String {
    let name = Cell::name();
    json!({"username": name, "email": format!("{name}@example.com"), "password_hash": "!"}).to_string()
}

fn import(client: &Client, query: &str, file: &str) -> Answer {
    let headers = [("content-type", "application/x-ndjson")];
    client.send("POST", &format!("/users/import{query}"), &headers, Some(file.as_bytes()))
}

/// The path of a session of this client's, or of none.
fn own_session(client: &Client) -> String {
    let listed = client.get("/auth/sessions");
    let id = if listed.status == 200 { listed.json()["sessions"][0]["id"].clone() } else { Value::Null };
    format!("/auth/sessions/{}", id.as_str().unwrap_or("none"))
}

fn server() -> (Server, Client) {
    let server = Server::with(|settings| settings.policy.throttle = false);
    let root = server.admin("root");
    (server, root)
}

#[test]
fn each_cell_of_role_operation_ownership_and_field_answers_as_it_should() {
    let (server, root) = server();
    for (operation, field, ask, expected) in ON_ACCOUNTS {
        let nobody = || "999999".to_owned();
        for (column, expected) in expected.iter().enumerate() {
            let other = server.user(&Cell::name());
            let (client, target) = match column {
                0 => (server.anon(), other.id.to_string()),
                1 => (other.clone(), other.id.to_string()),
                2 => (server.user(&Cell::name()), other.id.to_string()),
                3 => (other.clone(), nobody()),
                column => {
                    let admin = server.admin(&Cell::name());
                    let target = [admin.id.to_string(), other.id.to_string(), nobody()][column - 4].clone();
                    (admin, target)
                }
            };
            let answer = ask(&Cell { client: &client, target, server: &server, root: &root });
            assert_eq!(answer.status, *expected, "{operation} {field}, column {column}: {answer:?}");
        }
    }
    for (operation, field, ask, expected) in ON_ITSELF {
        for (column, expected) in expected.iter().enumerate() {
            let client = match column {
                0 => server.anon(),
                1 => server.user(&Cell::name()),
                _ => server.admin(&Cell::name()),
            };
            let answer = ask(&Cell { client: &client, target: String::new(), server: &server, root: &root });
            assert_eq!(answer.status, *expected, "{operation} {field}, column {column}: {answer:?}");
        }
    }
}

#[test]
fn every_operation_of_the_spec_stands_in_the_tables() {
    let tabled = ON_ACCOUNTS.iter().map(|row| row.0).chain(ON_ITSELF.iter().map(|row| row.0)).collect::<BTreeSet<_>>();
    let paths = spec()["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|path| path.as_object().unwrap().values());
    let listed = operations.map(|operation| operation["operationId"].as_str().unwrap()).collect::<BTreeSet<_>>();
    assert_eq!(tabled, listed);
}

#[test]
fn the_last_administrator_stays_one() {
    let (server, root) = server();
    for body in [json!({"role": "user"}), json!({"disabled": true})] {
        root.put(&root.me(), body).is(409, "last_admin");
    }
    root.delete(&root.me()).is(409, "last_admin");
    let other = server.admin("other");
    root.put(&other.me(), json!({"disabled": true})).is(200, "");
    root.delete(&root.me()).is(409, "last_admin");
    root.put(&other.me(), json!({"disabled": false})).is(200, "");
    root.delete(&root.me()).is(204, "");
}

#[test]
fn users_who_lost_their_session_or_account_are_nobody() {
    let (server, root) = server();
    let ends: [fn(&Client, &Client) -> Answer; 4] = [
        |user, _| user.post("/auth/logout", json!({})),
        |user, root| root.put(&user.me(), json!({"disabled": true})),
        |user, root| root.delete(&user.me()),
        |user, root| root.delete(&format!("{}/sessions", user.me())),
    ];
    for end in ends {
        let user = server.user(&Cell::name());
        assert!(end(&user, &root).status < 300);
        for (operation, field, ask, _) in ON_ACCOUNTS {
            let cell = Cell { client: &user, target: user.id.to_string(), server: &server, root: &root };
            assert_eq!(ask(&cell).is(401, "invalid_token").status, 401, "{operation} {field}");
        }
        for (operation, field, ask, _) in ON_ITSELF {
            let cell = Cell { client: &user, target: String::new(), server: &server, root: &root };
            assert_eq!(ask(&cell).is(401, "invalid_token").status, 401, "{operation} {field}");
        }
    }
}

#[test]
fn an_administrator_who_is_demoted_is_a_user_from_the_next_request_on() {
    let (server, root) = server();
    let admin = server.admin("admin");
    root.put(&admin.me(), json!({"role": "user"})).is(200, "");
    for (operation, field, ask, expected) in ON_ITSELF.iter().filter(|row| row.3[1] == 403) {
        let cell = Cell { client: &admin, target: String::new(), server: &server, root: &root };
        assert_eq!(ask(&cell).status, expected[1], "{operation} {field}");
    }
    admin.get("/auth/me").is(200, "");
}

#[test]
fn strangers_cannot_tell_an_account_that_exists_from_one_that_does_not() {
    let server = Server::start();
    let (root, ada, eve) = (server.admin("root"), server.user("ada"), server.user("eve"));
    let before = server.rows();
    for body in
        [json!({}), json!({"role": "admin"}), json!({"password": "another long one", "current_password": PASSWORD})]
    {
        let answers: Vec<_> = [ada.me(), root.me(), "/users/99999".into(), "/users/0".into(), "/users/abc".into()]
            .map(|path| {
                let put = eve.put_if(&path, Some("\"1.1\""), body.clone());
                [eve.get(&path), put, eve.delete(&path)].map(|answer| (answer.status, answer.body))
            })
            .into();

        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert_eq!(answers[0][0].0, 404);
    }
    assert_eq!(server.rows(), before);
}
