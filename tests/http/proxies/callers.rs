//! Who calls: without a token the app is not reached, with one it learns who calls, and nobody forges that.

use super::{Headers, Kind, Site, bearer, spellings};
use serde_json::json;

behind_each_proxy! {
    without_a_valid_token_the_app_is_not_reached,
    with_a_token_the_app_learns_who_calls,
    no_spelling_of_a_forged_header_reaches_the_app,
    a_caller_cannot_have_the_headers_taken_away,
    administrators_only_means_every_spelling_of_the_path,
    what_changes_acts_on_the_very_next_request,
}

fn without_a_valid_token_the_app_is_not_reached(site: &Site) {
    let ada = site.user("ada");
    let token = ada.token.as_deref().unwrap();
    let (good, in_query, in_cookie) =
        (bearer(&ada), format!("/notes?access_token={token}"), format!("token={token}; session={token}"));
    let invalid = "Bearer error=\"invalid_token\"";
    let cases: [(&str, Headers<'_>, &str); 9] = [
        ("/", &[], "Bearer"),
        ("/", &[("Authorization", "")], "Bearer"),
        ("/", &[("Authorization", "Basic cm9vdDpyb290")], "Bearer"),
        // What is none of our tokens may be the app's own, and so is nobody.
        ("/", &[("Authorization", "Bearer nonsense")], "Bearer"),
        ("/", &[("Authorization", "Bearer ush_nonsense")], invalid),
        ("/", &[("Authorization", &good[..good.len() - 1])], invalid),
        ("/", &[("Cookie", &in_cookie), ("X-Authorization", &good), ("Proxy-Authorization", &good)], "Bearer"),
        ("/", &[("Remote-User", "root"), ("Remote-User-Id", "1"), ("Remote-Role", "admin")], "Bearer"),
        (&in_query, &[], "Bearer"),
    ];
    for (target, headers, challenge) in cases {
        let answer = site.send("GET", target, headers, b"");
        // Debian's nginx passes on the first challenge only.
        let challenges = answer.all("www-authenticate");
        let bearer = if site.kind == Kind::Nginx { &[] as &[_] } else { &[challenge] };
        assert_eq!(challenges, [&[super::clients::BASIC], bearer].concat(), "{headers:?}: {answer:?}");
        site.refused(&answer, 401);
    }
    for two in [[good.as_str(), "Bearer nonsense"], ["Bearer nonsense", &good], [&good, &good]] {
        let answer = site.send("GET", "/", &two.map(|value| ("Authorization", value)), b"");
        site.refused(&answer, if site.kind == Kind::Nginx { 400 } else { 401 });
    }
    for method in ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        site.refused(&site.send(method, "/notes", &[("Content-Length", "2")], b"hi"), 401);
    }
}

fn with_a_token_the_app_learns_who_calls(site: &Site) {
    let (root, ada) = (site.root(), site.user("Ada"));
    let unverified = format!("{}@unverified.invalid", ada.id);
    let root_id = root.id.to_string();

    let reached = site.reached(&site.send_as(&ada, "GET", "/notes?of=today", &[("Accept", "text/plain")], b""));
    assert_eq!((reached.method.as_str(), reached.target.as_str()), ("GET", "/notes?of=today"));
    assert_eq!(reached.caller(), ["ada", &ada.id.to_string(), &unverified, "user"]);
    assert_eq!((reached.all("host"), reached.all("accept")), (vec!["notes.example.com"], vec!["text/plain"]));
    assert!(reached.all("authorization").is_empty(), "the token is not for the app: {reached:?}");

    let reached = site.reached(&site.get_as(&root, "/"));
    assert_eq!(reached.caller(), ["root", &root_id, "root@example.com", "admin"]);
    assert_eq!(root.post("/groups", json!({"name": "Family"})).status, 201);
    root.send("PUT", &format!("/groups/1/members/{}", ada.id), &[], None).is(204, "");
    assert_eq!(root.put(&ada.me(), json!({"display_name": "Ada Zoë"})).status, 200);
    let reached = site.reached(&site.get_as(&ada, "/"));
    assert_eq!((reached.all("remote-name"), reached.all("remote-groups")), (vec!["Ada Zoë"], vec!["family"]));
    let bare = [("authorization", root.token.as_deref().unwrap())];
    assert_eq!(site.reached(&site.send("GET", "/", &bare, b"")).caller()[1], root_id);
}

fn no_spelling_of_a_forged_header_reaches_the_app(site: &Site) {
    let ada = site.user("ada");
    let (id, unverified) = (ada.id.to_string(), format!("{}@unverified.invalid", ada.id));
    let expected = ["ada", &id, &unverified, "user"];
    let names: Vec<String> =
        ["Remote-User", "Remote-User-Id", "Remote-Email", "Remote-Role", "Remote-Name", "Remote-Groups"]
            .iter()
            .flat_map(|name| spellings(name))
            .collect();
    assert!(names.len() > 700 && names.iter().any(|name| name == "remote_user-id"));

    for names in names.chunks(90) {
        // Before the token and after it, and twice each.
        let forged: Vec<_> = names.iter().chain(names).map(|name| (name.as_str(), "forged")).collect();
        let bearer = bearer(&ada);
        for headers in
            [[&forged[..], &[("Authorization", &bearer)]], [&[("Authorization", bearer.as_str())], &forged[..]]]
        {
            let reached = site.reached(&site.send("GET", "/", &headers.concat(), b""));
            assert_eq!(reached.caller(), expected);
            assert!(!format!("{:?}", reached.headers).contains("forged"), "{reached:?}");
        }
    }
}

fn a_caller_cannot_have_the_headers_taken_away(site: &Site) {
    let ada = site.user("ada");
    let listed = "close, Remote-User, Remote-User-Id, Remote-Email, Remote-Role, X-Forwarded-For, X-Request-Id";
    // Traefik knows no ids of requests, and refuses an upgrade to h2c.
    let ids = usize::from(site.kind != Kind::Traefik);
    let upgrade = if site.kind == Kind::Traefik { "" } else { "websocket, h2c" };
    for headers in [vec![("Connection", listed)], vec![("Connection", listed), ("Upgrade", upgrade)]] {
        let reached = site.reached(&site.send_as(&ada, "GET", "/", &headers, b""));
        assert_eq!(reached.caller()[..2], ["ada", ada.id.to_string().as_str()]);
        assert_eq!((reached.all("x-forwarded-for").len(), reached.all("x-request-id").len()), (1, ids), "{reached:?}");
    }
    let listed = [("Connection", "close, Authorization")];
    let answer = site.send_as(&ada, "GET", "/", &listed, b"");
    assert!(answer.status == 401 || site.reached(&answer).caller()[0] == "ada", "{answer:?}");
}

fn administrators_only_means_every_spelling_of_the_path(site: &Site) {
    let (root, ada) = (site.root(), site.user("ada"));
    let spellings = [
        "/admin",
        "/admin/",
        "/admin/users?x=1",
        "/ADMIN/users",
        "//admin/",
        "/./admin/",
        "/notes/../admin/",
        "/%61dmin/",
        "/%2fadmin/",
        "/notes/..%2fadmin/",
        "/admin%2fusers",
        "/admin;x=1/",
        "/admin.php",
        "/admin/../admin/",
        "http://notes.example.com/admin",
    ];
    for target in spellings {
        let answer = site.get_as(&ada, target);
        assert_eq!(answer.status, 403, "{target}");
        site.refused(&answer, 403);
        site.refused(&site.send("GET", target, &[], b""), 401);
        assert_eq!(site.reached(&site.get_as(&root, target)).caller()[3], "admin", "{target}");
    }
    site.reached(&site.get_as(&ada, "/notes/admin"));
}

fn what_changes_acts_on_the_very_next_request(site: &Site) {
    let root = site.root();
    let names = ["ada", "bob", "cy", "dee"].map(|name| site.user(name));
    let [ada, bob, cy, dee] = &names;
    for who in &names {
        for _ in 0..3 {
            site.reached(&site.get_as(who, "/"));
        }
    }

    ada.send("POST", "/auth/logout", &[], None);
    site.refused(&site.get_as(ada, "/"), 401);
    root.put(&bob.me(), json!({"disabled": true}));
    site.refused(&site.get_as(bob, "/"), 401);
    root.delete(&cy.me());
    site.refused(&site.get_as(cy, "/"), 401);

    site.refused(&site.get_as(dee, "/admin"), 403);
    root.put(&dee.me(), json!({"username": "Ada2", "email": "dee@example.org", "role": "admin"}));
    let id = dee.id.to_string();
    assert_eq!(site.reached(&site.get_as(dee, "/admin")).caller(), ["ada2", &id, "dee@example.org", "admin"]);
    root.put(&dee.me(), json!({"role": "user"}));
    site.refused(&site.get_as(dee, "/admin"), 403);
}
