//! Groups, apps and app tokens on the command line, beside a server that runs.

use crate::shell::{document, done, fails, serving};
use serde_json::{Value, json};

#[test]
fn groups_and_their_members_change_beside_a_server() {
    let (folder, serving) = serving(&[]);
    let (path, root, ada) = (folder.path(), serving.sign_in("root"), serving.sign_in("ada"));
    let groups = || ada.get("/auth/me").json()["groups"].clone();

    let made = document(&done(path, &["group", "add", "Family", "--json"]));
    assert_eq!(made, json!({"id": 1, "name": "Family"}));
    done(path, &["group", "add", "friends"]);
    fails(path, &["group", "add", "FAMILY"], 1, "this name belongs to another group");
    fails(path, &["group", "add", "two words"], 2, "must consist of");
    assert_eq!(document(&done(path, &["group", "list", "--json"])), root.get("/groups").json());
    let table = done(path, &["group", "list"]);
    assert_eq!(table.lines().collect::<Vec<_>>(), ["ID  NAME", "1   Family", "2   friends"]);

    done(path, &["group", "join", "family", "ada"]);
    done(path, &["group", "join", "2", "ada@example.com"]);
    assert_eq!(groups(), json!(["Family", "friends"]));
    assert!(done(path, &["user", "show", "ada"]).contains("groups          Family, friends\n"));
    assert_eq!(document(&done(path, &["group", "show", "family", "--json"])), root.get("/groups/1/members").json());
    assert!(done(path, &["group", "show", "1"]).lines().nth(1).is_some_and(|line| line.contains("ada@example.com")));
    done(path, &["group", "rename", "family", "kin"]);
    assert_eq!(groups(), json!(["friends", "kin"]));
    done(path, &["group", "leave", "kin", "ada"]);
    fails(path, &["group", "leave", "kin", "ada"], 1, "ada is not in the group kin");
    done(path, &["group", "delete", "friends"]);
    assert_eq!(groups(), json!([]));

    fails(path, &["group", "show", "friends"], 1, "friends: there is no such group");
    fails(path, &["group", "join", "kin", "nobody"], 1, "nobody: there is no such user");
    fails(path, &["group", "show", "042"], 2, "is not an id");
}

#[test]
fn the_sessions_of_a_group_end_and_no_others() {
    let (folder, serving) = serving(&[]);
    let (path, root, ada) = (folder.path(), serving.sign_in("root"), serving.sign_in("ada"));
    done(path, &["group", "add", "family"]);
    done(path, &["group", "join", "family", "ada"]);

    done(path, &["group", "revoke-sessions", "FAMILY"]);

    ada.get("/auth/me").is(401, "invalid_token");
    root.get("/auth/me").is(200, "");
    serving.sign_in("ada").get("/auth/me").is(200, "");
    fails(path, &["group", "revoke-sessions", "friends"], 1, "friends: there is no such group");
}

#[test]
fn apps_are_registered_beside_a_server_and_by_its_public_url() {
    let (folder, serving) = serving(&["--public-url", "https://auth.example.com"]);
    let (path, root) = (folder.path(), serving.sign_in("root"));
    done(path, &["group", "add", "family"]);

    let add = ["app", "add", "--name", "Notes", "--url", "https://notes.example.com"];
    let made = document(&done(path, &[&add[..], &["--access", "groups", "--group", "family", "--json"]].concat()));

    assert_eq!(made, root.get("/apps/1").json());
    assert_eq!(document(&done(path, &["app", "list", "--json"])), root.get("/apps").json());
    assert_eq!(document(&done(path, &["app", "show", "NOTES.example.com", "--json"])), made);
    assert!(done(path, &["app", "show", "1"]).contains("groups  family\n"));
    assert!(done(path, &["app", "list"]).lines().nth(1).is_some_and(|line| line.ends_with("groups  family")));
    fails(path, &add, 1, "belongs to another app");
    let add = |url| ["app", "add", "--name", "x", "--url", url];
    fails(path, &add("https://auth.example.com:8443"), 1, "belongs to another app or to the public URL");
    fails(path, &add("http://wiki.example.com"), 1, "url must begin with https://");
    fails(path, &add("https://wiki.example.com/"), 2, "write it as browsers send it: https://wiki.example.com");
    fails(path, &[&add("https://w.example.com")[..], &["--access", "groups"]].concat(), 1, "must name a group");
    fails(path, &[&add("https://w.example.com")[..], &["--access", "all"]].concat(), 2, "must be \"everyone\"");
    fails(path, &["group", "delete", "family"], 1, "an app lets this group in");

    done(path, &["app", "set", "notes.example.com", "--access", "everyone", "--name", "Notizen"]);
    let changed = root.get("/apps/1").json();
    assert_eq!(
        (&changed["access"], &changed["name"], &changed["groups"]),
        (&"everyone".into(), &"Notizen".into(), &json!([]))
    );
    done(path, &["app", "add", "--name", "Wiki", "--url", "https://wiki.example.com"]);
    assert_eq!(root.get("/apps/2").json()["access"], "admins", "where nothing is said");
    done(path, &["app", "delete", "1"]);
    fails(path, &["app", "show", "notes.example.com"], 1, "notes.example.com: there is no such app");
    assert_eq!(root.get("/apps").json()["apps"].as_array().map(Vec::len), Some(1));
    let recorded = done(path, &["audit", "--json", "--action", "app.created"]);
    assert!(recorded.contains("app.created") && !recorded.contains("Notes"), "{recorded}");
    assert_eq!(document(&done(path, &["app", "show", "2", "--json"]))["groups"], Value::Array(vec![]));
}

#[test]
fn app_tokens_are_created_listed_and_revoked_beside_a_server() {
    let (folder, serving) = serving(&[]);
    let (path, root, ada) = (folder.path(), serving.sign_in("root"), serving.sign_in("ada"));
    done(path, &["app", "add", "--name", "Notes", "--url", "http://notes.example", "--access", "everyone"]);
    done(path, &["app", "add", "--name", "Vault", "--url", "http://vault.example"]);
    let add = |more: &[&'static str]| {
        [&["app-token", "add", "ada", "--app", "notes.example", "--name", "Music player"], more].concat()
    };
    let listed = || ada.get(&format!("{}/app-tokens", ada.me())).json();

    let secret = done(path, &add(&["--expires-in", "90d"]));
    let made = document(&done(path, &add(&["--json"])));

    assert!(secret.starts_with("ushp_") && secret.len() == 55 && secret.ends_with('\n'), "{secret:?}");
    assert_eq!((&made["id"], &made["app_id"], &made["expires_at"]), (&json!(2), &json!(1), &Value::Null));
    assert!(made["token"].as_str().is_some_and(|token| token.starts_with("ushp_")), "{made}");
    assert_eq!(document(&done(path, &["app-token", "list", "ada", "--json"])), listed());
    let table = done(path, &["app-token", "list", "ada"]);
    assert!(table.starts_with("ID  NAME") && table.contains("Music player") && table.contains("Notes"), "{table}");
    assert!(!table.contains("ushp_"), "{table}");
    done(path, &["app-token", "revoke", "ada", "1"]);
    assert_eq!(listed()["app_tokens"].as_array().map(Vec::len), Some(1));
    fails(path, &["app-token", "revoke", "ada", "1"], 1, "there is no such app token");
    fails(path, &["app-token", "revoke", "root", "2"], 1, "there is no such app token");
    fails(path, &["app-token", "revoke", "ada", "01"], 2, "an id is 1, 2, 3 and so on");
    fails(
        path,
        &["app-token", "add", "ada", "--app", "vault.example", "--name", "x"],
        1,
        "ada may not enter the app vault.example",
    );
    fails(
        path,
        &["app-token", "add", "ada", "--app", "wiki.example", "--name", "x"],
        1,
        "wiki.example: there is no such app",
    );
    fails(path, &["app-token", "add", "eve", "--app", "1", "--name", "x"], 1, "eve: there is no such user");
    fails(path, &["app-token", "add", "ada", "--app", "1", "--name", " x"], 2, "must begin and end");
    fails(path, &add(&["--expires-in", "0s"]), 2, "expected a whole number");
    let recorded = root.get("/audit?action=app_token.created").json()["events"].clone();
    assert_eq!((&recorded[0]["actor"], &recorded[0]["subject"]), (&Value::Null, &json!(ada.id)));

    done(path, &["user", "disable", "ada"]);
    fails(path, &["app-token", "add", "ada", "--app", "1", "--name", "x"], 1, "whether the account is disabled");
    assert_eq!(document(&done(path, &["app-token", "list", "ada", "--json"])), json!({"app_tokens": []}));
}
