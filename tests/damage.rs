//! Accounts of which something can't be read, because another program wrote to the file: nobody disappears, everything says
//! whose it is and what is wrong, and the commands repair or delete them.

mod support;

use serde_json::{Value, json};
use std::path::Path;
use support::{
    PASSWORD,
    binary::{Serving, complaint, create_admin, usher, usher_reading},
};
use tempfile::{TempDir, tempdir};

/// A server with an administrator and users of whom one each is damaged, with their ids and the damaged field.
fn damaged() -> (TempDir, Serving, [(i64, &'static str); 4]) {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--throttle", "off"]);
    assert!(create_admin(folder.path(), "root").status.success());
    let damage = [
        ("ada", "role", "role = 'owner'"),
        ("bob", "username", "username = 'two words'"),
        ("cy", "email", "email = 'nowhere'"),
        ("di", "disabled", "disabled = 7"),
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
fn damaged_accounts_are_repaired_or_deleted_by_their_ids() {
    // given
    let (folder, serving, damaged) = damaged();
    let [ada, bob, cy, di] = damaged.map(|(id, _)| id.to_string());

    // when
    works(folder.path(), &["user", "set-role", &ada, "user"]);
    works(folder.path(), &["user", "set-username", &bob, "bob"]);
    works(folder.path(), &["user", "set-email", &cy, "cy@example.com"]);
    works(folder.path(), &["user", "enable", &di]);

    // then
    let root = serving.sign_in("root");
    let list = root.get("/users?count=true").is(200, "").json();
    assert_eq!((list["users"].as_array().unwrap().len(), list["total"].as_i64()), (5, Some(5)), "{list}");
    for name in ["ada", "bob", "cy", "di"] {
        let user = serving.sign_in(name).get("/auth/me").json();
        assert_eq!((user["username"].as_str(), user["role"].as_str()), (Some(name), Some("user")));
    }
    let check = works(folder.path(), &["check"]);
    assert!(check.contains("5 can be read"), "{check}");
    let repaired = works(folder.path(), &["audit", "--json", "--action", "user.updated"]);
    assert!(repaired.matches("user.updated").count() >= 3, "{repaired}");
}

#[test]
fn any_change_repairs_a_damaged_account_and_it_can_be_deleted() {
    let (folder, serving, damaged) = damaged();
    let [ada, bob, cy, di] = damaged.map(|(id, _)| id.to_string());

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

    let list = root.get("/users?count=true").is(200, "").json();
    assert_eq!(list["total"].as_i64(), Some(3), "{list}");
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
