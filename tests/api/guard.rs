//! What was decided when a request came is decided again with its write: a caller who has been signed out, disabled,
//! deleted or demoted meanwhile changes nothing, whichever use case they were about to enter.

use crate::support::{Client, PASSWORD, Server, probes::Probes};
use futures_executor::block_on;
use serde_json::json;
use std::sync::Arc;
use usher::{
    app::{App, ExpectedRevision, Invite, NewAccount, SessionScope},
    domain::{
        Actor, AuditFilter, Caller, EmailAddress, Error, InvitationId, Password, PasswordPolicy, Role, SessionToken,
        UserChanges, UserId, Username,
    },
};

/// Who acts, and on whom.
struct Scene {
    server: Server,
    /// Keeps the service administered, whatever happens to the caller.
    root: Client,
    /// The caller as the request found them.
    caller: Caller,
    own: Client,
    other: Client,
    invitation: i64,
}

impl Scene {
    /// The caller is an administrator or a user; everything that a use case needs is there.
    fn new(role: Role) -> Self {
        let server = Server::with(|settings| settings.policy.throttle = false);
        let (root, other) = (server.admin("root"), server.user("other"));
        let own = if role == Role::Admin { server.admin("actor") } else { server.user("actor") };
        server.sign_in("actor");
        let invitation = root.post("/invitations", json!({})).json()["id"].as_i64().expect("an id");
        let caller = Self::caller(&server, &own);
        Self { server, root, caller, own, other, invitation }
    }

    fn caller(server: &Server, client: &Client) -> Caller {
        let token = client.token.as_deref().and_then(SessionToken::parse).expect("a token");
        let signed_in = block_on(server.app.sessions.authenticate(&token)).expect("a session");
        Caller { actor: Actor::SignedIn(Arc::new(signed_in)), ..Caller::shell() }
    }

    fn id(client: &Client) -> Option<UserId> {
        UserId::new(client.id)
    }

    /// Everything that a use case could have changed, as text.
    fn state(&self) -> String {
        self.server.state()
    }
}

/// What happens to the caller between the decision and the write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    SignedOut,
    Disabled,
    Deleted,
    Demoted,
}

impl Meanwhile {
    fn happens(self, scene: &Scene) {
        let answer = match self {
            Self::SignedOut => scene.own.post("/auth/logout", json!({})),
            Self::Disabled => scene.root.put(&scene.own.me(), json!({"disabled": true})),
            Self::Deleted => scene.root.delete(&scene.own.me()),
            Self::Demoted => scene.root.put(&scene.own.me(), json!({"role": "user"})),
        };
        assert!(answer.status < 300, "{answer:?}");
    }
}

type UseCase = fn(&App, &Scene) -> Result<(), Error>;

fn changes() -> UserChanges {
    UserChanges { username: Username::parse("renamed").ok(), ..UserChanges::default() }
}

fn password() -> Password {
    PasswordPolicy::default().accept(PASSWORD, &[]).expect("a password")
}

fn update(app: &App, scene: &Scene, target: &Client, changes: UserChanges) -> Result<(), Error> {
    block_on(app.accounts.update(&scene.caller, Scene::id(target), changes, ExpectedRevision::Any)).map(drop)
}

fn end(app: &App, scene: &Scene, target: &Client, which: SessionScope) -> Result<(), Error> {
    block_on(app.sessions.end(&scene.caller, Scene::id(target), which))
}

/// Use cases on the caller's own account.
const OWN: &[(&str, UseCase)] = &[
    ("change the username", |app, scene| update(app, scene, &scene.own, changes())),
    ("change the password", |app, scene| {
        let changes = UserChanges { password: Some(password()), ..UserChanges::default() };
        update(app, scene, &scene.own, changes)
    }),
    ("delete the account", |app, scene| {
        block_on(app.accounts.delete(&scene.caller, Scene::id(&scene.own), ExpectedRevision::Any))
    }),
    ("end all sessions", |app, scene| end(app, scene, &scene.own, SessionScope::All)),
    ("end the other sessions", |app, scene| end(app, scene, &scene.own, SessionScope::Others)),
    ("end one session", |app, scene| {
        let id = scene.server.session_id_of(scene.own.id).unwrap_or_else(|| "none".to_owned());
        end(app, scene, &scene.own, SessionScope::One(usher::domain::SessionId::from_stored(id)))
    }),
    ("sign out", |app, scene| block_on(app.sessions.sign_out(&scene.caller))),
];

/// Use cases of administrators, and what one who was demoted is told.
const ADMINISTRATIVE: &[(&str, UseCase, Error)] = &[
    ("change another account", |app, scene| update(app, scene, &scene.other, changes()), Error::UserNotFound),
    (
        "set a role",
        |app, scene| {
            let changes = UserChanges { role: Some(Role::User), ..UserChanges::default() };
            update(app, scene, &scene.own, changes)
        },
        Error::Forbidden,
    ),
    (
        "delete another account",
        |app, scene| block_on(app.accounts.delete(&scene.caller, Scene::id(&scene.other), ExpectedRevision::Any)),
        Error::UserNotFound,
    ),
    ("end another's sessions", |app, scene| end(app, scene, &scene.other, SessionScope::All), Error::UserNotFound),
    (
        "issue a reset",
        |app, scene| block_on(app.resets.issue(&scene.caller, Scene::id(&scene.other))).map(drop),
        Error::Forbidden,
    ),
    (
        "invite",
        |app, scene| {
            let invite = Invite { email: None, role: Role::User, expires_in: None };
            block_on(app.invitations.create(&scene.caller, invite)).map(drop)
        },
        Error::Forbidden,
    ),
    (
        "unlock an account",
        |app, scene| block_on(app.accounts.unlock(&scene.caller, Scene::id(&scene.other))),
        Error::Forbidden,
    ),
    (
        "delete an invitation",
        |app, scene| block_on(app.invitations.delete(&scene.caller, InvitationId::new(scene.invitation))),
        Error::Forbidden,
    ),
];

/// Runs a use case for a caller to whom something has happened since, and returns what they were told.
fn told(role: Role, meanwhile: Meanwhile, name: &str, use_case: UseCase) -> Error {
    let scene = Scene::new(role);
    meanwhile.happens(&scene);
    let before = scene.state();
    let result = use_case(&scene.server.app, &scene);
    assert_eq!(scene.state(), before, "{name}, {meanwhile:?}: nothing has changed");
    result.expect_err(name)
}

#[test]
fn who_has_no_session_any_more_changes_nothing() {
    for meanwhile in [Meanwhile::SignedOut, Meanwhile::Disabled, Meanwhile::Deleted] {
        for (name, use_case) in OWN {
            assert_eq!(told(Role::User, meanwhile, name, *use_case), Error::InvalidToken, "{name}, {meanwhile:?}");
        }
        for (name, use_case, _) in ADMINISTRATIVE {
            assert_eq!(told(Role::Admin, meanwhile, name, *use_case), Error::InvalidToken, "{name}, {meanwhile:?}");
        }
    }
}

#[test]
fn who_is_no_administrator_any_more_changes_nothing_as_one() {
    for (name, use_case, expected) in ADMINISTRATIVE {
        assert_eq!(told(Role::Admin, Meanwhile::Demoted, name, *use_case), *expected, "{name}");
    }
}

#[test]
fn an_export_of_the_log_ends_with_the_session_and_the_role_that_began_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    for (meanwhile, expected) in [
        (None, None),
        (Some(Meanwhile::SignedOut), Some(Error::InvalidToken)),
        (Some(Meanwhile::Disabled), Some(Error::InvalidToken)),
        (Some(Meanwhile::Deleted), Some(Error::InvalidToken)),
        (Some(Meanwhile::Demoted), Some(Error::Forbidden)),
    ] {
        let scene = Scene::new(Role::Admin);
        let audit = &scene.server.app.audit;
        let export = runtime.block_on(audit.export(&scene.caller, AuditFilter::default())).expect("an export");
        if let Some(meanwhile) = meanwhile {
            meanwhile.happens(&scene);
        }
        let part = runtime.block_on(audit.next_part(&scene.caller, export));
        assert_eq!(part.err(), expected, "{meanwhile:?}");
    }
}

#[test]
fn the_same_callers_to_whom_nothing_has_happened_change_something() {
    for (name, use_case) in OWN {
        let scene = Scene::new(Role::User);
        let before = scene.state();
        assert_eq!(use_case(&scene.server.app, &scene), Ok(()), "{name}");
        assert_ne!(scene.state(), before, "{name}");
    }
    for (name, use_case, _) in ADMINISTRATIVE {
        let scene = Scene::new(Role::Admin);
        let before = scene.state();
        assert_eq!(use_case(&scene.server.app, &scene), Ok(()), "{name}");
        assert_ne!(scene.state(), before, "{name}");
    }
}

#[test]
fn a_registration_on_behalf_of_a_former_administrator_makes_no_account() {
    let account = || NewAccount {
        username: Username::parse("new").expect("a name"),
        email: EmailAddress::parse("new@example.com").expect("an address"),
        password: password(),
        role: Role::User,
        invitation: None,
    };
    let closed = |meanwhile: Meanwhile| {
        let scene = Scene::new(Role::Admin);
        let Scene { server, root, caller, own, other, invitation } = scene;
        let server = server.restart(|settings| settings.policy.registration = usher::domain::Registration::Closed);
        let moved = |client: &Client| Client::new(server.address, client.token.clone(), client.id);
        let (root, own, other) = (moved(&root), moved(&own), moved(&other));
        let scene = Scene { server, root, caller, own, other, invitation };
        meanwhile.happens(&scene);
        let before = scene.state();
        let result = block_on(scene.server.app.accounts.register(&scene.caller, account())).map(drop);
        assert_eq!(scene.state(), before, "{meanwhile:?}");
        result
    };
    for meanwhile in [Meanwhile::SignedOut, Meanwhile::Disabled, Meanwhile::Deleted] {
        assert_eq!(closed(meanwhile), Err(Error::InvalidToken), "{meanwhile:?}");
    }
    assert_eq!(closed(Meanwhile::Demoted), Err(Error::RegistrationClosed));
}
