//! What administrators do at the shell, beside a server that runs: each command acts on its very next request.

use crate::support::{
    PASSWORD,
    binary::{Serving, complaint, create_admin, usher, usher_reading},
    probes::Probes,
};
use serde_json::{Value, json};
use std::{
    path::Path,
    process::{Command, Output},
};
use tempfile::tempdir;

const OTHER: &str = "another long password";

/// A server, and beside it the shell.
pub fn serving(arguments: &[&str]) -> (tempfile::TempDir, Serving) {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), arguments);
    assert!(create_admin(folder.path(), "root").status.success());
    serving.register("ada").is(201, "");
    (folder, serving)
}

#[track_caller]
pub fn done(folder: &Path, arguments: &[&str]) -> String {
    succeeded(&usher(folder, arguments))
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", complaint(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
pub fn fails(folder: &Path, arguments: &[&str], status: i32, says: &str) {
    let output = usher(folder, arguments);
    let complaint = complaint(&output);
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {complaint}");
    assert!(complaint.contains(says) && complaint.lines().count() == 1, "{arguments:?}: {complaint}");
    assert!(output.stdout.is_empty());
}

/// The headings of a table.
fn columns(table: &str) -> Vec<&str> {
    table.lines().next().unwrap().split("  ").map(str::trim).filter(|heading| !heading.is_empty()).collect()
}

pub fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn each_change_acts_on_the_next_request_of_a_server_that_runs() {
    let (folder, serving) = serving(&[]);
    let path = folder.path();
    let ada = serving.sign_in("ada");

    done(path, &["user", "set-role", "ada", "admin"]);
    ada.get("/users").is(200, "");
    done(path, &["user", "set-role", "2", "user"]);
    ada.get("/users").is(403, "forbidden");
    ada.get("/auth/me").is(200, "");

    done(path, &["session", "revoke", "ada@example.com"]);
    ada.get("/auth/me").is(401, "invalid_token");

    let ada = serving.sign_in("ada");
    done(path, &["user", "disable", "ADA"]);
    ada.get("/auth/me").is(401, "invalid_token");
    serving.client().login("ada@example.com", PASSWORD).is(401, "invalid_credentials");
    done(path, &["user", "enable", "ada"]);

    let ada = serving.sign_in("ada");
    let set = ["user", "set-password", "ada", "--argon2-memory", "64", "--password-stdin"];
    succeeded(&usher_reading(path, &set, format!("{OTHER}\n")));
    ada.get("/auth/me").is(401, "invalid_token");
    serving.client().login("ada@example.com", PASSWORD).is(401, "invalid_credentials");
    let ada = serving.client().login("ada@example.com", OTHER);
    let ada = serving.client().with_token(ada.is(200, "").json()["token"].as_str().unwrap());

    done(path, &["user", "set-username", "ada", "countess"]);
    done(path, &["user", "set-email", "countess", "ada@example.org"]);
    let me = ada.get("/auth/me").json();
    assert_eq!((&me["username"], &me["email"]), (&"countess".into(), &"ada@example.org".into()));
    assert_eq!(me["email_verified"], true);
    done(path, &["user", "set-display-name", "countess", "Ada Lovelace"]);
    assert_eq!(ada.get("/auth/me").json()["display_name"], "Ada Lovelace");
    assert!(done(path, &["user", "show", "countess"]).contains("display name    Ada Lovelace\n"));
    done(path, &["user", "set-display-name", "countess", ""]);
    assert_eq!(ada.get("/auth/me").json()["display_name"], Value::Null);
    fails(path, &["user", "set-display-name", "countess", " "], 2, "must begin and end with a visible character");

    done(path, &["user", "delete", "countess", "--yes"]);
    ada.get("/auth/me").is(401, "invalid_token");
    fails(path, &["user", "show", "2"], 1, "2: there is no such user");
}

#[test]
fn accounts_are_shown_as_tables_and_in_the_shape_of_the_api() {
    let (folder, serving) = serving(&[]);
    let root = serving.sign_in("root");

    let table = done(folder.path(), &["user", "list"]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("ID  USERNAME  EMAIL"), "{table}");
    assert!(lines[1].starts_with("1   root      root@example.com  admin  enabled"), "{table}");
    assert!(
        lines[2].starts_with("2   ada       ada@example.com   user   enabled") && lines[2].ends_with("never"),
        "{table}"
    );

    let listed = document(&done(folder.path(), &["user", "list", "--json"]));
    assert_eq!(listed, root.get("/users").json());
    let found = document(&done(folder.path(), &["user", "list", "--json", "--search", "AD", "--role", "user"]));
    assert_eq!(found, root.get("/users?q=ad").json());
    let turned = document(&done(folder.path(), &["user", "list", "--json", "--sort=-username", "--disabled", "false"]));
    assert_eq!(turned, root.get("/users?sort=-username&disabled=false").json());
    let none = document(&done(folder.path(), &["user", "list", "--json", "--search", "nobody"]));
    assert_eq!(none, json!({"users": [], "next_cursor": null}));

    let shown = document(&done(folder.path(), &["user", "show", "ada@EXAMPLE.com", "--json"]));
    assert_eq!(shown, root.get("/users/2").json());
    let lines = done(folder.path(), &["user", "show", "ada"]);
    for line in ["email           ada@example.com", "email verified  no", "created         20", "updated         20"] {
        assert!(lines.contains(line), "{lines}");
    }
    let disabled = document(&done(folder.path(), &["user", "disable", "ada", "--json"]));
    assert_eq!(disabled, root.get("/users/2").json());
}

#[test]
fn a_list_longer_than_a_page_is_whole() {
    let (folder, serving) = serving(&["--throttle", "off"]);
    for n in 0..250 {
        serving.register(&format!("user{n}")).is(201, "");
    }
    assert_eq!(done(folder.path(), &["user", "list"]).lines().count(), 253);
    let listed = document(&done(folder.path(), &["user", "list", "--json"]));
    assert_eq!(listed["users"].as_array().unwrap().len(), 252);
}

#[test]
fn sessions_are_listed_and_ended_one_by_one() {
    let (folder, serving) = serving(&[]);
    let (one, two) = (serving.sign_in("ada"), serving.sign_in("ada"));
    let listed = document(&done(folder.path(), &["session", "list", "ada", "--json"]));
    let mut expected = two.get("/auth/sessions").json();
    for session in expected["sessions"].as_array_mut().unwrap() {
        session["current"] = false.into();
    }
    assert_eq!(listed, expected);
    let table = done(folder.path(), &["session", "list", "ada"]);
    assert_eq!(table.lines().count(), 3);
    let head = ["ID", "KIND", "APP", "SIGNED IN", "LAST USED", "IDLE EXPIRY", "EXPIRES", "IP ADDRESS", "CLIENT"];
    assert_eq!(columns(&table), head);

    let newest = listed["sessions"][0]["id"].as_str().unwrap();
    done(folder.path(), &["session", "revoke", "ada", "--id", newest]);
    two.get("/auth/me").is(401, "invalid_token");
    one.get("/auth/me").is(200, "");
    fails(folder.path(), &["session", "revoke", "ada", "--id", newest], 1, "there is no such session");
    fails(folder.path(), &["session", "revoke", "root", "--id", "x"], 1, "there is no such session");
}

#[test]
fn an_account_is_unlocked_beside_a_server() {
    let (folder, serving) = serving(&["--trusted-proxy", "127.0.0.1"]);
    let guess = |ip: &str, password: &str| {
        let headers = [("content-type", "application/json"), ("x-forwarded-for", ip)];
        let body = json!({"email": "ada@example.com", "password": password}).to_string();
        serving.client().send("POST", "/auth/login", &headers, Some(body.as_bytes()))
    };
    for _ in 0..10 {
        guess("203.0.113.7", "a wrong password").is(401, "invalid_credentials");
    }
    guess("203.0.113.7", PASSWORD).is(429, "too_many_attempts");

    let output = usher(folder.path(), &["user", "unlock", "ada@example.com"]);

    assert_eq!((output.status.code(), complaint(&output).as_str()), (Some(0), "ada: the failed sign-ins were cleared"));
    guess("203.0.113.7", PASSWORD).is(200, "");
    fails(folder.path(), &["user", "unlock", "nobody"], 1, "there is no such user");
}

#[test]
fn an_invitation_lets_somebody_register_while_registration_asks_for_one() {
    let (folder, serving) = {
        let folder = tempdir().unwrap();
        let serving = Serving::start(folder.path(), &["--registration", "invite"]);
        (folder, serving)
    };
    serving.register("eve").is(403, "invitation_required");

    let printed = done(folder.path(), &["invite", "--email", "ada@example.com", "--role", "admin", "--token"]);
    let token = printed.strip_suffix('\n').unwrap();
    let body = json!({"username": "ada", "email": "ada@example.com", "password": PASSWORD, "invitation": token});
    let made = serving.client().post("/users", body);
    assert_eq!((&made.is(201, "").json()["role"], &made.json()["email_verified"]), (&"admin".into(), &true.into()));

    let ada = serving.sign_in("ada");
    let invited = document(&done(folder.path(), &["invite", "--json", "--invitation-lifetime", "1h"]));
    let listed = document(&done(folder.path(), &["invitation", "list", "--json"]));
    assert_eq!(listed, ada.get("/invitations").json());
    assert_eq!(
        (&listed["invitations"][0]["id"], &listed["invitations"][0]["created_by"]),
        (&invited["id"], &Value::Null)
    );
    let table = done(folder.path(), &["invitation", "list"]);
    assert_eq!(table.lines().count(), 2);
    assert_eq!(columns(&table), ["ID", "EMAIL", "ROLE", "CREATED BY", "CREATED", "EXPIRES"]);
    assert_eq!(columns(&done(folder.path(), &["audit"]))[6..], ["IP ADDRESS", "REQUEST"]);
    done(folder.path(), &["invitation", "delete", &invited["id"].to_string()]);
    fails(folder.path(), &["invitation", "delete", &invited["id"].to_string()], 1, "there is no such invitation");
    fails(folder.path(), &["invitation", "delete", "x"], 2, "an id is 1, 2, 3");
}

#[test]
fn a_reset_token_is_printed_alone() {
    let (folder, serving) = serving(&[]);
    let printed = done(folder.path(), &["user", "reset-token", "ada", "--token"]);
    let token = printed.strip_suffix('\n').unwrap();
    serving.client().post("/auth/password-reset", json!({"token": token, "password": OTHER})).is(204, "");
    serving.client().login("ada@example.com", OTHER).is(200, "");
    let issued = document(&done(folder.path(), &["user", "reset-token", "ada", "--json"]));
    assert!(issued["token"].as_str().unwrap().starts_with("ushr_") && issued["expires_at"].is_string());
}

#[test]
fn a_reset_token_for_a_disabled_account_comes_with_a_warning() {
    let (folder, _serving) = serving(&[]);
    let enabled = usher(folder.path(), &["user", "reset-token", "ada"]);
    done(folder.path(), &["user", "disable", "ada"]);

    let disabled = usher(folder.path(), &["user", "reset-token", "ada"]);

    assert!(succeeded(&enabled).contains("ushr_") && succeeded(&disabled).contains("ushr_"));
    assert!(!complaint(&enabled).contains("warning"), "{}", complaint(&enabled));
    let warning = complaint(&disabled).lines().nth(1).map(str::to_owned);
    let expected = "warning: ada is disabled and can't sign in; enable it with 'usher user enable ada'";
    assert_eq!(warning.as_deref(), Some(expected));
}

#[test]
fn an_invitation_for_an_address_that_has_an_account_is_created_with_a_warning() {
    let (folder, _serving) = serving(&[]);

    let invited = usher(folder.path(), &["invite", "--email", "ADA@example.com"]);
    let other = usher(folder.path(), &["invite", "--email", "bob@example.com"]);

    assert!(succeeded(&invited).contains("ushi_") && succeeded(&other).contains("ushi_"));
    let warning = complaint(&invited).lines().nth(1).map(str::to_owned);
    assert_eq!(
        warning.as_deref(),
        Some(
            "warning: ADA@example.com is the e-mail address of an account already (ada, id 2); while that is so, nobody can \
             register with this invitation"
        )
    );
    assert_eq!(complaint(&other).lines().count(), 1, "{}", complaint(&other));
}

#[test]
fn accounts_are_made_at_the_shell_in_every_mode() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--registration", "closed"]);
    let create = |name: &str, more: &[&str]| {
        let email = format!("{name}@example.com");
        let mut arguments = vec!["user", "create", "--username", name, "--email", &email, "--argon2-memory", "64"];
        arguments.extend(more);
        usher_reading(folder.path(), &arguments, format!("{PASSWORD}\n"))
    };
    let made = document(&succeeded(&create("ada", &["--password-stdin", "--json"])));
    assert_eq!((&made["role"], &made["email_verified"]), (&"user".into(), &true.into()));
    let password = succeeded(&create("bob", &["--generate-password", "--role", "admin"]));
    serving.client().login("bob@example.com", password.trim_end()).is(200, "");
    serving.sign_in("ada");

    let taken = create("ada", &["--password-stdin"]);
    assert_eq!(
        (taken.status.code(), complaint(&taken).as_str()),
        (Some(1), "usher: this username is taken; choose another")
    );
    let wrong = create(".", &["--password-stdin"]);
    assert!(complaint(&wrong).contains("username must consist of"), "{}", complaint(&wrong));
    assert_eq!(create("x", &["--generate-password", "--json"]).status.code(), Some(2));
    assert_eq!(create("x", &["--role", "root"]).status.code(), Some(2));
}

#[test]
fn deleting_asks_on_a_terminal_and_nowhere_else() {
    let (folder, _serving) = serving(&[]);
    fails(folder.path(), &["user", "delete", "ada"], 1, "use --yes");
    for (answer, says) in
        [("n", "nothing was deleted"), ("", "nothing was deleted"), ("yes", "ada (ada@example.com) was deleted")]
    {
        let mut asked = Command::new(env!("CARGO_BIN_EXE_usher"));
        asked.current_dir(folder.path()).env_clear().args(["user", "delete", "ada"]);
        let mut terminal = rexpect::session::spawn_command(asked, Some(10_000)).unwrap();
        terminal.exp_string("Delete ada (ada@example.com, id 2)? [y/N]").unwrap();
        terminal.send_line(answer).unwrap();
        terminal.exp_string(says).unwrap();
        terminal.exp_eof().unwrap();
    }
    fails(folder.path(), &["user", "show", "ada"], 1, "ada: there is no such user");
}

#[test]
fn a_name_that_changes_hands_while_a_password_is_typed_does_not_lead_it_to_another_account() {
    // given: an administrator who has been asked for ada's new password
    let (folder, serving) = serving(&[]);
    let mut asked = Command::new(env!("CARGO_BIN_EXE_usher"));
    asked.current_dir(folder.path()).env_clear().args(["user", "set-password", "ada", "--argon2-memory", "64"]);
    let mut terminal = rexpect::session::spawn_command(asked, Some(10_000)).unwrap();
    terminal.exp_string("Password: ").unwrap();

    // when
    done(folder.path(), &["user", "set-username", "ada", "countess"]);
    let heir = json!({"username": "ada", "email": "heir@example.com", "password": PASSWORD});
    serving.client().post("/users", heir).is(201, "");
    terminal.send_line(OTHER).unwrap();
    terminal.exp_string("Password again: ").unwrap();
    terminal.send_line(OTHER).unwrap();
    terminal.exp_string("countess has a new password").unwrap();
    terminal.exp_eof().unwrap();

    // then
    serving.client().login("heir@example.com", PASSWORD).is(200, "");
    serving.client().login("ada@example.com", OTHER).is(200, "");
}

#[test]
fn what_cannot_be_done_is_said_in_one_line() {
    let (folder, _serving) = serving(&[]);
    let path = folder.path();
    fails(path, &["user", "show", "nobody"], 1, "nobody: there is no such user");
    fails(path, &["user", "show", "042"], 2, "this is not an id");
    fails(path, &["user", "show", "a b"], 2, "must consist of");
    fails(path, &["user", "disable", "root"], 1, "the last enabled administrator");
    fails(path, &["user", "set-role", "root", "user"], 1, "the last enabled administrator");
    fails(path, &["user", "delete", "root", "--yes"], 1, "the last enabled administrator");
    fails(path, &["user", "set-role", "ada", "king"], 2, "must be \"user\" or \"admin\"");
    fails(path, &["user", "set-username", "ada", "root"], 1, "this username is taken");
    fails(path, &["user", "set-email", "ada", "ROOT@example.com"], 1, "this e-mail address is taken");
    fails(path, &["user", "list", "--sort", "email"], 2, "must be id, username");
    fails(path, &["user"], 2, "");
    for text in ["short", "ada@example.com", "password123"] {
        let set = ["user", "set-password", "ada", "--argon2-memory", "64", "--password-stdin"];
        let output = usher_reading(path, &set, format!("{text}\n"));
        assert_eq!(output.status.code(), Some(1));
        assert!(complaint(&output).starts_with("usher: password "), "{}", complaint(&output));
    }
}

#[test]
fn a_database_that_is_not_there_is_said_whether_its_folder_is_there_or_not() {
    let folder = tempdir().unwrap();
    let here = folder.path().canonicalize().unwrap();
    for name in ["none.db", "no/such/folder/none.db"] {
        for arguments in [
            &["user", "list"][..],
            &["create-admin", "--username", "ada", "--email", "ada@example.com", "--generate-password"],
            &["user", "reset-token", "ada"],
            &["session", "list", "ada"],
            &["invite"],
            &["audit"],
            &["backup", "copy.db"],
        ] {
            let line = format!(
                "usher: there is no database at {}; name another with --database or USHER_DATABASE, or create one with \
                 'usher migrate' or 'usher serve'",
                here.join(name).display()
            );
            let by_name = [arguments, &["--database", name]].concat();
            fails(folder.path(), &by_name, 1, &line);
        }
        let checked = usher(folder.path(), &["check", "--database", name]);
        let text = String::from_utf8(checked.stdout).unwrap();
        let found = format!("file        there is no database at {};", here.join(name).display());
        assert!(checked.status.code() == Some(1) && text.contains(&found), "{text}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_that_cannot_be_entered_is_not_taken_for_one_without_a_database() {
    let folder = tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let name = "file/folder/usher.db";
    fails(folder.path(), &["user", "list", "--database", name], 1, "usher.db can't be opened: Not a directory");
}

#[test]
fn every_command_works_without_a_server_and_is_on_record() {
    let (folder, serving) = serving(&[]);
    serving.signal("TERM");
    assert_eq!(serving.wait().0, Some(0));
    let path = folder.path();
    for arguments in [
        vec!["user", "list"],
        vec!["user", "set-role", "ada", "admin"],
        vec!["user", "disable", "ada"],
        vec!["user", "enable", "ada"],
        vec!["user", "set-display-name", "ada", "Ada"],
        vec!["user", "reset-token", "ada"],
        vec!["user", "unlock", "ada"],
        vec!["session", "list", "ada"],
        vec!["invite"],
        vec!["invitation", "delete", "1"],
        vec!["user", "delete", "ada", "--yes"],
    ] {
        done(path, &arguments);
    }
    let of_shell = folder.audit().into_iter().filter(|entry| entry.id > 3 && entry.actor.is_none());
    assert_eq!(
        of_shell.map(|entry| entry.action).collect::<Vec<_>>().join(" "),
        "user.role_changed user.disabled user.enabled user.updated user.reset_issued user.unlocked invitation.created invitation.deleted user.deleted"
    );
}

#[test]
fn nobody_writes_to_the_administrators_terminal() {
    let (folder, serving) = serving(&[]);
    serving.sign_in("ada");
    // Controls, what turns the direction of text, what is invisible, and a line separator.
    let hostile = "\u{1b}[2J\n\u{85}\u{202e}\u{200b}\u{2066}\u{ad}\u{feff}\u{e0041}\u{2028}é";
    let escaped = r"\u001b[2J\u000a\u0085\u202e\u200b\u2066\u00ad\ufeff\udb40\udc41\u2028é";
    folder.set_user_agents(hostile);

    let listed = done(folder.path(), &["session", "list", "ada"]);
    let json = done(folder.path(), &["session", "list", "ada", "--json"]);

    assert_eq!(listed.lines().count(), 2, "{listed:?}");
    assert!(listed.ends_with(&format!("{escaped}\n")), "{listed:?}");
    assert!(json.contains(&escaped.replace("000a", "n").replace(r"\un", r"\n")), "{json:?}");
    assert_eq!(document(&json)["sessions"][0]["user_agent"], hostile);
    fails(folder.path(), &["user", "import", "/nothing/\u{1b}[31m"], 1, r"/nothing/\u001b[31m");
}

#[test]
fn what_is_exported_holds_nothing_that_acts_on_a_terminal() {
    let (folder, _serving) = serving(&[]);
    folder.set_password_hashes("x\u{202e}\u{9b}");
    let exported = done(folder.path(), &["user", "export"]);
    assert!(exported.contains(r#""password_hash":"x\u202e\u009b""#), "{exported:?}");
}

#[test]
fn what_nobody_reads_any_more_was_shown_and_a_token_that_is_lost_is_told() {
    let (folder, _serving) = serving(&[]);
    let mut lost = Command::new("/bin/sh");
    lost.current_dir(folder.path()).env_clear();
    lost.args(["-c", "\"$0\" user reset-token ada >/dev/full", env!("CARGO_BIN_EXE_usher")]);
    assert_eq!(lost.output().unwrap().status.code(), Some(1));
    let mut list = Command::new(env!("CARGO_BIN_EXE_usher"));
    list.current_dir(folder.path()).env_clear().args(["user", "list"]);
    let mut list = list.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop(list.stdout.take());
    let ended = list.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), complaint(&ended).as_str()), (Some(0), ""));
}
