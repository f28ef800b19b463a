//! Accounts, invitations and the rows of the service itself of which something can't be read, because another program wrote
//! to the file: nobody disappears, everything says whose it is and what is wrong, and the commands repair or delete them.

use crate::support::{
    PASSWORD,
    binary::{Serving, complaint, create_admin, usher, usher_reading},
};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::{TempDir, tempdir};

/// A server with an administrator and users of whom one each is damaged, with their ids and the damaged field.
fn damaged() -> (TempDir, Serving, [(i64, &'static str); 5]) {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--throttle", "off"]);
    assert!(create_admin(folder.path(), "root").status.success());
    let damage = [
        ("ada", "role", "role = 'owner'"),
        ("bob", "username", "username = 'two words'"),
        ("cy", "email", "email = 'nowhere'"),
        ("di", "disabled", "disabled = 7"),
        ("ed", "display_name", "display_name = 'two' || char(10) || 'lines'"),
    ];
    let damaged = damage.map(|(name, field, change)| {
        let id = serving.register(name).is(201, "").json()["id"].as_i64().unwrap();
        let change = format!("PRAGMA ignore_check_constraints = ON; UPDATE users SET {change} WHERE id = {id}");
        serving.sql().execute_batch(&change).unwrap();
        (id, field)
    });
    (folder, serving, damaged)
}

#[track_caller]
fn works(folder: &Path, arguments: &[&str]) -> String {
    let ended = usher(folder, arguments);
    assert!(ended.status.success(), "{arguments:?}: {}", complaint(&ended));
    format!("{}{}", String::from_utf8_lossy(&ended.stdout), complaint(&ended))
}

#[test]
fn a_list_shows_or_names_every_account_that_is_damaged() {
    let (folder, serving, damaged) = damaged();
    let root = serving.sign_in("root");

    // Over HTTP, where an account has no form for damage, the list fails and the log says why.
    root.get("/users?count=true").is(500, "internal_error");
    serving.until_logged(&format!("the account {} is damaged: role must be", damaged[0].0));

    // At the shell they come last.
    let table = works(folder.path(), &["user", "list"]);
    let listed: Value = serde_json::from_slice(&usher(folder.path(), &["user", "list", "--json"]).stdout).unwrap();
    assert_eq!(listed["users"].as_array().unwrap().len(), 1, "{listed}");
    let found: Vec<(i64, bool)> = (listed["damaged"].as_array().unwrap().iter().zip(damaged))
        .map(|(found, (_, field))| (found["id"].as_i64().unwrap(), found["faults"][field].is_string()))
        .collect();
    assert_eq!(found, damaged.map(|(id, _)| (id, true)));
    for (id, field) in damaged {
        assert!(table.contains(&format!("the account {id} is damaged: {field} must")), "{table}");
        assert!(
            table
                .lines()
                .any(|line| line.starts_with(&format!("{id} ")) && line.contains(&format!("DAMAGED: {field}")))
        );
    }
}

#[test]
fn a_check_names_every_account_that_is_damaged_and_what_of_it() {
    let (folder, _serving, damaged) = damaged();
    let check = usher(folder.path(), &["check"]);
    let told = String::from_utf8(check.stdout).unwrap();
    assert_eq!(check.status.code(), Some(1));
    for (id, field) in damaged {
        assert!(told.contains(&format!("the account {id} is damaged: {field} must")), "{told}");
        assert!(told.contains(&format!("usher user delete {id}")), "{told}");
    }
}

#[test]
fn a_hash_that_cannot_be_verified_is_named_by_its_account_in_the_log_and_by_a_check() {
    // given
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--throttle", "off"]);
    let [ada, bob, _cy] = ["ada", "bob", "cy"].map(|name| serving.register(name).is(201, "").json()["id"].to_string());
    let expensive = "$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
    assert!(works(folder.path(), &["check"]).contains("3 can be read"));
    for (id, hash) in [(&ada, "nothing known"), (&bob, expensive)] {
        serving.sql().execute("UPDATE users SET password_hash = ?1 WHERE id = ?2", [hash, id]).unwrap();
    }

    // when
    let login = serving.client().login("ada@example.com", PASSWORD);
    let check = usher(folder.path(), &["check"]);

    // then
    login.is(401, "invalid_credentials");
    serving.until_logged(&format!("'usher user set-password {ada}' user={ada} request_id="));
    let told = String::from_utf8(check.stdout).unwrap();
    assert_eq!(check.status.code(), Some(1));
    let named = told.lines().find(|line| line.starts_with("error    passwords ")).unwrap_or_else(|| panic!("{told}"));
    for (id, fault) in [(&ada, "is not a hash in a known format"), (&bob, "costs more than is allowed")] {
        assert!(named.contains(&format!("account {id} {fault}")), "{told}");
        assert!(named.contains(&format!("'usher user set-password {id}'")), "{told}");
    }
    assert_eq!(named.matches("account ").count(), 2, "{told}");

    // and the advice is right
    for id in [&ada, &bob] {
        let set = ["user", "set-password", id, "--argon2-memory", "64", "--password-stdin"];
        assert!(usher_reading(folder.path(), &set, format!("another {PASSWORD}\n")).status.success());
    }
    works(folder.path(), &["check"]);
}

#[test]
fn damaged_accounts_are_repaired_or_deleted_by_their_ids() {
    // given
    let (folder, serving, damaged) = damaged();
    let [ada, bob, cy, di, ed] = damaged.map(|(id, _)| id.to_string());

    // when
    works(folder.path(), &["user", "set-role", &ada, "user"]);
    works(folder.path(), &["user", "set-username", &bob, "bob"]);
    works(folder.path(), &["user", "set-email", &cy, "cy@example.com"]);
    works(folder.path(), &["user", "enable", &di]);
    works(folder.path(), &["user", "set-display-name", &ed, "Ed"]);

    // then
    let root = serving.sign_in("root");
    let list = root.get("/users?count=true").is(200, "").json();
    assert_eq!((list["users"].as_array().unwrap().len(), list["total"].as_i64()), (6, Some(6)), "{list}");
    for name in ["ada", "bob", "cy", "di", "ed"] {
        let user = serving.sign_in(name).get("/auth/me").json();
        assert_eq!((user["username"].as_str(), user["role"].as_str()), (Some(name), Some("user")));
    }
    let check = works(folder.path(), &["check"]);
    assert!(check.contains("6 can be read"), "{check}");
    let repaired = works(folder.path(), &["audit", "--json", "--action", "user.updated"]);
    assert!(repaired.matches("user.updated").count() >= 4, "{repaired}");
}

#[test]
fn any_change_repairs_a_damaged_account_and_it_can_be_deleted() {
    let (folder, serving, damaged) = damaged();
    let [ada, bob, cy, di, ed] = damaged.map(|(id, _)| id.to_string());

    works(folder.path(), &["user", "disable", &ada]);
    let new = usher_reading(
        folder.path(),
        &["user", "set-password", &bob, "--argon2-memory", "64", "--password-stdin"],
        format!("another {PASSWORD}\n"),
    );
    assert!(new.status.success(), "{}", complaint(&new));
    let root = serving.sign_in("root");
    assert_eq!(root.delete(&format!("/users/{cy}")).status, 204);
    works(folder.path(), &["user", "delete", &di, "--yes"]);
    works(folder.path(), &["user", "set-display-name", &ed, ""]);

    let list = root.get("/users?count=true").is(200, "").json();
    assert_eq!(list["total"].as_i64(), Some(4), "{list}");
    assert_eq!(list["users"][1]["role"], "user", "what could not be read is the least");
    assert_eq!(list["users"][2]["username"], format!("damaged-{bob}"));
    assert!(serving.client().login("bob@example.com", &format!("another {PASSWORD}")).json()["token"].is_string());
    root.put(&format!("/users/{ada}"), json!({"disabled": false})).is(200, "");
}

#[test]
fn the_last_administrator_is_kept_also_when_somebody_else_is_damaged() {
    let (folder, serving, damaged) = damaged();
    let root = serving.sign_in("root");
    root.put(&root.me(), json!({"role": "user"})).is(409, "last_admin");
    works(folder.path(), &["user", "set-role", &damaged[0].0.to_string(), "admin"]);
    root.put(&root.me(), json!({"role": "user"})).is(200, "");
}

/// What the check says of a subject that is wrong.
#[track_caller]
fn complained(folder: &Path, subject: &str) -> String {
    let check = usher(folder, &["check"]);
    let told = String::from_utf8(check.stdout).unwrap();
    assert_eq!(check.status.code(), Some(1), "{told}");
    let begins = format!("error    {subject} ");
    told.lines().find(|line| line.starts_with(&begins)).unwrap_or_else(|| panic!("{told}")).to_owned()
}

#[test]
fn a_revision_that_can_not_be_counted_up_is_named_and_any_change_repairs_it() {
    // given
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--throttle", "off"]);
    let id = serving.register("ada").is(201, "").json()["id"].to_string();
    let password: &[&str] = &["user", "set-password", &id, "--argon2-memory", "64", "--password-stdin"];
    for number in ["9223372036854775807", "0", "-1"] {
        for change in [
            &["user", "set-role", &id, "user"][..],
            &["user", "set-username", &id, "ada"],
            &["user", "set-email", &id, "ada@example.com"],
            &["user", "enable", &id],
            password,
        ] {
            // when
            let damage =
                "PRAGMA ignore_check_constraints = ON; UPDATE users SET revision = NUMBER, password_version = NUMBER";
            serving.sql().execute_batch(&damage.replace("NUMBER", number)).unwrap();

            // then
            let told = complained(folder.path(), "accounts");
            assert!(told.contains(&format!("the account {id} is damaged: revision must be between 1 and")), "{told}");
            let repaired = usher_reading(folder.path(), change, format!("{PASSWORD}\n"));
            assert!(repaired.status.success(), "{change:?}: {}", complaint(&repaired));
            works(folder.path(), &["check"]);
            let ada = serving.sign_in("ada");
            assert_eq!(ada.get(&ada.me()).header("etag"), format!("\"{id}.2\""));
            ada.put(&ada.me(), json!({"username": "ada2"})).is(200, "");
            ada.put(&ada.me(), json!({"username": "ada"})).is(200, "");
        }
    }
    serving
        .sql()
        .execute_batch("PRAGMA ignore_check_constraints = ON; UPDATE users SET revision = 9223372036854775807")
        .unwrap();
    works(folder.path(), &["user", "delete", &id, "--yes"]);
    works(folder.path(), &["check"]);
}

#[test]
fn a_damaged_invitation_is_named_and_can_be_deleted() {
    for (field, damage) in [("role", "role = 'owner'"), ("email", "email = 'nowhere'"), ("email", "email = x'ff'")] {
        // given
        let folder = tempdir().unwrap();
        let serving = Serving::start(folder.path(), &["--throttle", "off"]);
        assert!(create_admin(folder.path(), "root").status.success());
        let root = serving.sign_in("root");
        let token = root.post("/invitations", json!({})).is(201, "").json()["token"].clone();
        root.post("/invitations", json!({})).is(201, "");

        // when
        let damage = if damage.contains("x'") { "email = CAST(x'ff6162' AS TEXT)" } else { damage };
        let damage = format!("PRAGMA ignore_check_constraints = ON; UPDATE invitations SET {damage} WHERE id = 1");
        serving.sql().execute_batch(&damage).unwrap();

        // then: it is used by nobody, and everything says which it is
        let named = format!("the invitation 1 is damaged: {field} must");
        let eve = json!({"username": "eve", "email": "eve@example.com", "password": PASSWORD, "invitation": token});
        assert_eq!(serving.client().post("/users", eve.clone()).status, 500);
        root.get("/invitations").is(500, "internal_error");
        serving.until_logged(&named);
        let list = usher(folder.path(), &["invitation", "list"]);
        assert!(!list.status.success() && complaint(&list).contains(&named), "{}", complaint(&list));
        let told = complained(folder.path(), "invitations");
        assert!(told.contains(&named) && told.contains("usher invitation delete 1"), "{told}");

        works(folder.path(), &["invitation", "delete", "1"]);

        works(folder.path(), &["check"]);
        let left = root.get("/invitations").is(200, "").json();
        assert_eq!(left["invitations"].as_array().unwrap().len(), 1);
        serving.client().post("/users", eve).is(400, "invalid_invitation");
    }
}

#[test]
fn a_database_without_its_key_says_what_to_do_and_that_helps() {
    for damage in ["DELETE FROM instance", "UPDATE instance SET throttle_key = x'00'"] {
        // given
        let folder = tempdir().unwrap();
        assert!(usher(folder.path(), &["migrate"]).status.success());
        let sql = |statement: &str| {
            let database = rusqlite::Connection::open(folder.path().join("usher.db")).unwrap();
            database.execute_batch(&format!("PRAGMA ignore_check_constraints = ON; {statement}")).unwrap();
        };

        // when
        sql(damage);

        // then
        let advice = "INSERT OR REPLACE INTO instance VALUES (1, randomblob(32), randomblob(32))";
        let start = usher(folder.path(), &["serve"]);
        let told = complaint(&start);
        let own: Vec<&str> = told.lines().filter(|line| line.starts_with("usher: ")).collect();
        assert!(!start.status.success() && own.len() == 1, "{told}");
        for told in [own[0].to_owned(), complained(folder.path(), "throttle")] {
            assert!(told.contains("table 'instance' is missing or damaged") && told.contains(advice), "{told}");
        }
        sql(advice);
        works(folder.path(), &["check"]);
        Serving::start(folder.path(), &[]).register("ada").is(201, "");
    }
}

#[test]
fn what_is_known_of_the_clock_is_there_again_after_a_start() {
    let folder = tempdir().unwrap();
    assert!(usher(folder.path(), &["migrate"]).status.success());
    rusqlite::Connection::open(folder.path().join("usher.db")).unwrap().execute_batch("DELETE FROM clock").unwrap();
    let serving = Serving::start(folder.path(), &[]);
    serving.signal("TERM");
    serving.wait();
    let database = rusqlite::Connection::open(folder.path().join("usher.db")).unwrap();
    let seen = database.query_row("SELECT seen_at FROM clock", [], |row| row.get::<_, i64>(0));
    assert!(seen.is_ok_and(|at| at > 0));
}

#[test]
fn the_file_refuses_a_name_and_a_key_that_do_not_belong_together() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    serving.register("ada").is(201, "");

    for change in
        ["username = 'eve'", "username_key = 'eve'", "email = 'eve@example.com'", "email_key = 'eve@example.com'"]
    {
        let refused = serving.sql().execute_batch(&format!("UPDATE users SET {change}")).unwrap_err().to_string();
        assert!(refused.contains("CHECK constraint failed"), "{change}: {refused}");
    }
}
