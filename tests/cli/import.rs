//! Moving accounts between services: `usher user import` and `usher user export`, against the executable, and with
//! password hashes that other libraries made.

use crate::support::{
    CHEAP, PASSWORD, Server,
    binary::{Serving, command, complaint, create_admin, usher, usher_reading},
    probes::{Account, Probes},
};
use futures_executor::block_on;
use serde_json::{Value, json};
use std::{fs, path::Path, process::Output, time::Duration};
use tempfile::{TempDir, tempdir};
use usher::{
    app::ImportLine,
    clock::Clock,
    domain::{Caller, EmailAddress, Error, Password, PasswordHash, Username},
    hashing::{HashPool, recognize},
};

/// What make_hashes.py printed.
const HASHES: &str = include_str!("import/hashes.jsonl");
/// Of the tests' password, cheap to verify.
const DJANGO: &str = "pbkdf2_sha256$1$NaCl$yVfj5D9lQS7XNpD3IC3ZbXmUB+sn7sjZcCplg2ZbsJM=";
const WERKZEUG: &str = "pbkdf2:sha1:1000$ZyLeQvXu6QI5ALUc$dded8e90012c5e48f21bae6d70494a0e731ea41f";

struct Made {
    by: String,
    password: String,
    hash: String,
}

/// Those that somebody has the password of.
fn made(lines: &str) -> Vec<Made> {
    let read = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let text = |name: &str| line[name].as_str().map(str::to_owned);
        Some(Made { by: text("by").expect("by"), password: text("password")?, hash: text("hash").expect("hash") })
    };
    lines.lines().filter_map(read).collect()
}

/// What Django stores for an account without a password.
fn unusable(lines: &str) -> String {
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let found = lines.iter().find(|line| line["password"].is_null()).expect("there is one");
    found["hash"].as_str().expect("a text").to_owned()
}

fn line(name: &str, hash: &str) -> Value {
    json!({"username": name, "email": format!("{name}@example.com"), "password_hash": hash})
}

fn lines(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect::<Vec<_>>().concat()
}

/// A folder with a database in it.
fn prepared() -> TempDir {
    let folder = tempdir().unwrap();
    assert_eq!(usher(folder.path(), &["migrate"]).status.code(), Some(0));
    folder
}

/// Imports what a text says.
fn import(folder: &Path, text: impl AsRef<[u8]>, more: &[&str]) -> Output {
    usher_reading(folder, &[&["user", "import", "-"], more].concat(), text)
}

fn export(folder: &Path) -> String {
    let exported = usher(folder, &["user", "export"]);
    assert_eq!((exported.status.code(), complaint(&exported).as_str()), (Some(0), ""));
    stdout(&exported)
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

#[track_caller]
fn succeeded(output: &Output, said: &str) {
    assert_eq!((output.status.code(), complaint(output).as_str()), (Some(0), said));
}

/// Imports hashes beside a running server, signs in with each, and finds that each has become one of ours.
fn everyone_signs_in(hashes: &[Made]) {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    let name = |n: usize| format!("user{n}");
    let file: Vec<Value> = hashes.iter().enumerate().map(|(n, made)| line(&name(n), &made.hash)).collect();

    let imported = import(folder.path(), lines(&file), &[]);

    succeeded(&imported, &format!("{} users imported", hashes.len()));
    for (n, Made { by, password, .. }) in hashes.iter().enumerate() {
        let signed_in = serving.client().login(&format!("{}@example.com", name(n)), password);
        assert_eq!(signed_in.status, 200, "{by}: {signed_in:?}");
    }
    let ours = |account: &Account| {
        account.password_hash.starts_with("$argon2id$v=19$m=64,t=2,p=1$") && account.password_version == 1
    };
    assert_eq!(serving.accounts().iter().filter(|account| ours(account)).count(), hashes.len(), "each is hashed again");
    for (n, Made { by, password, .. }) in hashes.iter().enumerate() {
        let again = serving.client().login(&format!("{}@example.com", name(n)), password);
        assert_eq!(again.status, 200, "{by}: {again:?}");
    }
    assert!(!serving.log().contains("can't be verified"), "{}", serving.log());
}

#[test]
fn a_line_takes_16_kib_with_its_end_and_no_more() {
    let folder = prepared();
    let padded = |name: &str, size: usize| format!("{:<width$}\n", line(name, DJANGO).to_string(), width = size - 1);

    let refused = import(folder.path(), padded("ada", 16 * 1024 + 1), &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(complaint(&refused).contains("line 1: the line is longer than any account's"), "{}", complaint(&refused));

    succeeded(&import(folder.path(), padded("ada", 16 * 1024), &[]), "1 user imported");
}

#[test]
fn users_of_another_service_sign_in_with_their_passwords() {
    everyone_signs_in(&made(HASHES));
}

#[test]
fn a_hash_made_elsewhere_verifies_no_other_password() {
    let pool = HashPool::start(CHEAP, 1, 1).unwrap();
    for Made { by, password, hash } in made(HASHES) {
        let wrong = Password::attempt(&format!("x{password}")).unwrap();
        let verified = pool.admit(None).unwrap().verify(wrong, PasswordHash::from_text(hash));
        assert_eq!(block_on(verified), Ok(Some(false)), "{by}");
    }
}

#[test]
fn every_hash_is_recognized_by_its_maker() {
    for Made { by, hash, .. } in made(HASHES) {
        let scheme = recognize(&PasswordHash::from_text(hash)).unwrap_or_else(|fault| panic!("{by}: {fault}"));
        let maker = by.split(' ').next().unwrap();
        let shared = ["argon2", "bcrypt", "scrypt"].iter().any(|name| scheme.algorithm.starts_with(name));
        assert!(
            scheme.library == Some(maker) || (scheme.library.is_none() && shared && maker != "Django"),
            "{by}: {scheme}"
        );
    }
}

#[test]
fn a_dry_run_says_line_by_line_what_it_would_do_and_changes_nothing() {
    // given
    let folder = prepared();
    let ours = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI";
    let mut boss = line("boss", ours);
    boss["role"] = json!("admin");
    boss["disabled"] = json!(true);
    let other_kind = line("carl", &ours.replace("argon2id", "argon2i"));
    let good = lines(&[line("ada", DJANGO), boss, other_kind]);

    // when
    let told = import(folder.path(), &good, &["--dry-run"]);
    let complained = import(folder.path(), format!("{good}\n{}", lines(&[line("ADA", WERKZEUG)])), &["--dry-run"]);

    // then
    succeeded(&told, "3 users would be imported; nothing was changed");
    let intents = "line 1: would add ada <ada@example.com>, pbkdf2-sha256 (Django), hashed again at the first sign-in\n\
                   line 2: would add boss <boss@example.com>, an administrator, disabled, argon2id\n\
                   line 3: would add carl <carl@example.com>, argon2i, hashed again at the first sign-in\n";
    assert_eq!(stdout(&told), intents);
    assert_eq!(complained.status.code(), Some(1));
    let fault = "line 5: email is that of line 1, too; username is that of line 1, too\n";
    assert_eq!(stdout(&complained), format!("{intents}{fault}"));
    assert_eq!(complaint(&complained), "usher: 1 of 4 lines (empty ones not counted) is invalid; nothing was imported");
    assert_eq!(folder.user_count(), 0);
    assert_eq!(folder.audit_count(), 0);
}

#[test]
fn all_faults_of_all_lines_are_told_and_nothing_is_imported() {
    // given
    let folder = prepared();
    create_admin(folder.path(), "root");
    let expensive = "pbkdf2_sha256$2000001$s3cret$yVfj5D9lQS7XNpD3IC3ZbXmUB+sn7sjZcCplg2ZbsJM=";
    let argon2 = "argon2$argon2id$v=19$m=131073,t=2,p=8$aGE2dlZoU0VpMWN1YUFTZGNQZm1JVw$OaPx9ik5XYuK3ZK7LaR7oqnoewkdEjzI5xuv+guzaQg";
    let file = [
        line("ada", DJANGO).to_string(),
        line("-s3cret", expensive).to_string(),
        "s3cret".to_owned(),
        line("eve", "s3cret").to_string(),
        line("eva", argon2).to_string(),
        line("ROOT", DJANGO).to_string(),
        format!("{{\"username\": \"{}\"}}", "s3cret".repeat(10_000)),
        line("bob", "scrypt:1024:8:1$s3cret$00").to_string(),
        "{\"username\":\"bob\",\"username\":\"bob\",\"is_staff\":true,\"email\":null}".to_owned(),
    ];

    // when
    let refused = import(folder.path(), file.join("\r\n"), &[]);

    // then
    let said = complaint(&refused);
    assert_eq!((refused.status.code(), stdout(&refused)), (Some(1), String::new()));
    let expected = [
        "line 2: email must be an e-mail address such as name@example.com",
        "line 2: password_hash costs more than is allowed: at most 2,000,000 iterations for PBKDF2",
        "line 2: username must consist of",
        "line 3: the line is not one JSON object",
        "line 4: password_hash is not a hash in a known format",
        "line 5: password_hash costs more than is allowed: at most 128 MiB of memory",
        "line 6: email is taken by an account that is already there",
        "line 6: username is taken by an account that is already there",
        "line 7: the line is longer than any account's",
        "line 8: password_hash looks like a known hash",
        "line 9: email must not be null",
        "line 9: is_staff is not a field of an account",
        "line 9: password_hash is required",
        "line 9: username must be given only once",
        "usher: 8 of 9 lines (empty ones not counted) are invalid; nothing was imported",
    ];
    for fault in expected.iter().filter(|fault| !fault.starts_with("line 2: email")) {
        let (number, rest) = fault.split_once(": ").unwrap();
        let told = said.lines().any(|told| told.starts_with(&format!("{number}: ")) && told.contains(rest));
        assert!(told, "{fault}\n{said}");
    }
    assert_eq!(said.lines().count(), 9, "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    assert_eq!(folder.user_count(), 1);
}

#[test]
fn of_very_many_faulty_lines_the_first_ones_are_shown() {
    let folder = prepared();
    let refused = import(folder.path(), "{}\n".repeat(1_000), &[]);
    let said = complaint(&refused);
    assert_eq!((refused.status.code(), said.lines().count()), (Some(1), 52), "{said}");
    assert!(said.contains("line 50: ") && said.contains("and so on: 950 more"), "{said}");
}

#[test]
fn an_account_has_what_its_line_says_and_the_rest_is_as_for_new_ones() {
    // given
    let folder = prepared();
    let full = json!({"username": "Ada", "email": "Ada@Example.com", "email_verified": true, "role": "admin", "disabled": true,
        "created_at": "2019-01-02T03:04:05+01:00", "password_hash": DJANGO, "display_name": "Ada L."});

    // when
    let file = format!("\n{full}\r\n   \n{}", line("bob", WERKZEUG));
    succeeded(&import(folder.path(), file, &[]), "2 users imported");

    // then
    let (accounts, audit) = (folder.accounts(), folder.audit());
    let [ada, bob] = &accounts[..] else { panic!("{accounts:?}") };
    assert_eq!((ada.id, ada.username.as_str(), ada.email.as_str()), (1, "Ada", "Ada@Example.com"));
    assert_eq!((ada.email_verified, ada.role.as_str(), ada.disabled), (true, "admin", true));
    assert_eq!(ada.created_at.as_millis(), 1_546_394_645_000);
    assert_eq!((ada.display_name.as_deref(), &bob.display_name), (Some("Ada L."), &None));
    assert_eq!((bob.id, bob.username.as_str(), bob.email.as_str()), (2, "bob", "bob@example.com"));
    assert_eq!((bob.email_verified, bob.role.as_str(), bob.disabled), (false, "user", false));
    assert!(Clock::System.now().since(bob.created_at) < Duration::from_mins(1) && bob.updated_at == bob.created_at);
    for account in [ada, bob] {
        assert_eq!((account.revision, account.password_version, account.last_login_at), (1, 1, None));
    }
    let recorded: Vec<_> =
        audit.iter().map(|entry| (entry.action.as_str(), entry.count, entry.actor, entry.subject)).collect();
    assert_eq!(recorded, [("user.imported", 2, None, None), ("user.role_changed", 1, None, Some(ada.id))]);
}

#[test]
fn a_file_without_accounts_is_no_fault() {
    let folder = prepared();
    fs::write(folder.path().join("none.jsonl"), "\n").unwrap();
    succeeded(&usher(folder.path(), &["user", "import", "none.jsonl"]), "0 users imported");
    assert_eq!(folder.audit_count(), 0);
    assert_eq!(export(folder.path()), "");
}

#[test]
fn what_cannot_be_read_or_written_is_status_1_and_a_wrong_command_line_2() {
    let folder = prepared();
    for (arguments, status, said) in [
        (&["user", "import", "missing.jsonl"][..], 1, "missing.jsonl can't be read"),
        (&["user", "import", "."], 1, ". can't be read"),
        (&["user", "import"], 2, "FILE"),
        (&["user", "import", "-", "--force"], 2, "--force"),
        (&["user", "export", "users.jsonl"], 2, "users.jsonl"),
        (&["--database", "none.db", "user", "export"], 1, "none.db"),
    ] {
        let refused = usher(folder.path(), arguments);
        let line = complaint(&refused);
        assert_eq!((refused.status.code(), line.lines().count()), (Some(status), 1), "{line}");
        assert!(line.contains(said), "{line}");
    }
    assert_eq!(import(folder.path(), lines(&[line("ada", DJANGO)]), &[]).status.code(), Some(0));
    #[cfg(target_os = "linux")]
    {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let refused = command(folder.path()).args(["user", "export"]).stdout(full).output().unwrap();
        assert_eq!(refused.status.code(), Some(1));
        assert!(complaint(&refused).contains("standard output can't be written"), "{}", complaint(&refused));
    }
}

#[test]
fn what_is_exported_is_imported_elsewhere_as_it_was() {
    // given
    let (here, there) = (tempdir().unwrap(), prepared());
    let serving = Serving::start(here.path(), &[]);
    create_admin(here.path(), "root");
    assert_eq!(serving.register("eve").status, 201);
    let mut others = [line("ada", DJANGO), line("bob", WERKZEUG)];
    others[0]["created_at"] = json!("2001-02-03T04:05:06Z");
    others[1]["disabled"] = json!(true);
    others[1]["display_name"] = json!("Bob");
    succeeded(&import(here.path(), lines(&others), &[]), "2 users imported");

    // when
    let exported = export(here.path());
    fs::write(there.path().join("users.jsonl"), &exported).unwrap();
    succeeded(&usher(there.path(), &["user", "import", "users.jsonl"]), "4 users imported");

    // then
    assert_eq!(exported.lines().count(), 4);
    assert_eq!(export(there.path()), exported);
    for expected in [
        "\"username\":\"root\",\"email\":\"root@example.com\",\"email_verified\":true,\"role\":\"admin\",\"disabled\":false",
        "\"display_name\":\"Bob\"",
        "\"created_at\":\"2001-02-03T04:05:06Z\"",
        "\"password_hash\":\"$argon2id$v=19$m=64,",
        DJANGO,
    ] {
        assert!(exported.contains(expected), "{expected}\n{exported}");
    }
    let elsewhere = Serving::start(there.path(), &[]);
    for name in ["root", "eve", "ada"] {
        elsewhere.sign_in(name);
    }
    elsewhere.client().login("bob@example.com", PASSWORD).is(401, "invalid_credentials");
}

#[test]
fn an_account_without_a_password_is_imported_and_signs_in_once_its_password_is_set() {
    // given
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--throttle", "off"]);
    let django = unusable(HASHES);
    let file = lines(&[line("ada", &django), line("bob", ""), line("eve", "!")]);

    // when
    let told = import(folder.path(), &file, &["--dry-run"]);
    succeeded(&import(folder.path(), &file, &[]), "3 users imported");

    // then
    succeeded(&told, "3 users would be imported; nothing was changed");
    assert_eq!(stdout(&told).matches("without a password: it can sign in once one is set").count(), 3);
    let hashes: Vec<String> = serving.accounts().into_iter().map(|account| account.password_hash).collect();
    let distinct = hashes.iter().collect::<std::collections::BTreeSet<_>>().len();
    // The cost is that of the server beside which it was done.
    assert!(distinct == 3 && hashes.iter().all(|hash| hash.starts_with("$argon2id$v=19$m=64,")), "{hashes:?}");
    for name in ["ada", "bob", "eve"] {
        for typed in ["", "!", &django, PASSWORD] {
            serving.client().login(&format!("{name}@example.com"), typed).is(401, "invalid_credentials");
        }
    }
    let token = stdout(&usher(folder.path(), &["user", "reset-token", "bob", "--token"]));
    let body = json!({"token": token.trim(), "password": "another long password"});
    serving.client().post("/auth/password-reset", body).is(204, "");
    serving.client().login("bob@example.com", "another long password").is(200, "");
    assert!(!serving.log().contains("can't be verified"), "{}", serving.log());
}

#[test]
fn lines_that_are_refused_are_kept_to_be_fixed_and_the_others_are_imported() {
    // given
    let folder = prepared();
    create_admin(folder.path(), "root");
    let too_long = format!("{{\"username\": \"{}\"}}", "x".repeat(20_000));
    let mut nameless = line("ada", DJANGO);
    nameless["username"] = json!("Ada Lovelace");
    let text = [
        line("bob", DJANGO).to_string(),
        nameless.to_string(),
        String::new(),
        line("ROOT", DJANGO).to_string(),
        "{\"username\":\"a\",\"username\":\"b\"}".into(),
        too_long,
        "ada,ada@example.com".into(),
        line("eve", WERKZEUG).to_string(),
    ];

    // when
    let imported = import(folder.path(), text.join("\r\n"), &["--skip-refused", "refused.jsonl"]);

    // then
    succeeded(&imported, "2 users imported\n5 of 7 lines (empty ones not counted) were refused; see refused.jsonl");
    assert_eq!(folder.usernames(), ["root", "bob", "eve"]);
    let path = folder.path().join("refused.jsonl");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let refused = fs::read_to_string(&path).unwrap();
    let lines: Vec<Value> = refused.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let reasons: Vec<&str> = lines.iter().map(|line| line["refused"].as_str().unwrap()).collect();
    for (reason, number) in reasons.iter().zip([2, 4, 5, 6, 7]) {
        assert!(reason.starts_with(&format!("line {number}: ")), "{reasons:?}");
    }
    assert_eq!((&lines[0]["email"], &lines[0]["password_hash"]), (&json!("ada@example.com"), &json!(DJANGO)));
    assert_eq!(lines[2]["line"], text[4]);
    assert_eq!(lines[3].as_object().unwrap().len(), 1, "its text is too long to be kept");
    assert_eq!(lines[4]["line"], text[6]);

    // when it is imported as it is, what is refused is refused again, once
    let again = import(folder.path(), &refused, &["--skip-refused", "again.jsonl"]);
    succeeded(&again, "0 users imported\n5 of 5 lines (empty ones not counted) were refused; see again.jsonl");
    let again = fs::read_to_string(folder.path().join("again.jsonl")).unwrap();
    assert_eq!(again.matches("\"refused\"").count(), 5, "{again}");
    assert_eq!(again.lines().next().unwrap().matches("line ").count(), 1, "{again}");
    let kept: Value = serde_json::from_str(again.lines().nth(2).unwrap()).unwrap();
    let reason = "line 3: the line holds the text of a refused line; replace the object by the corrected one";
    assert_eq!((&kept["refused"], &kept["line"]), (&json!(reason), &lines[2]["line"]));

    // and when it was fixed
    let fixed = refused.lines().next().unwrap().replace("Ada Lovelace", "ada");
    succeeded(
        &import(folder.path(), fixed, &["--skip-refused", "none.jsonl"]),
        "1 user imported\nno line was refused; none.jsonl was not written",
    );
    assert!(!folder.path().join("none.jsonl").exists());
    assert_eq!(folder.usernames(), ["root", "bob", "eve", "ada"]);
}

#[test]
fn refused_lines_are_never_written_over_a_file_nor_lost() {
    // given
    let folder = prepared();
    fs::write(folder.path().join("there.jsonl"), "of last time").unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", folder.path().join("link.jsonl")).unwrap();
    let file = lines(&[line("ada", DJANGO), line("-", DJANGO)]);

    for (name, said) in [
        ("there.jsonl", "usher: there.jsonl already exists; nothing was imported"),
        ("link.jsonl", "usher: link.jsonl already exists; nothing was imported"),
        (
            "no/folder.jsonl",
            "usher: no/folder.jsonl can't be created; nothing was imported: No such file or directory (os error 2)",
        ),
    ] {
        // when
        let refused = import(folder.path(), &file, &["--skip-refused", name]);

        // then
        assert_eq!((refused.status.code(), complaint(&refused).as_str()), (Some(1), said));
    }
    let clean = import(folder.path(), lines(&[line("ada", DJANGO)]), &["--skip-refused", "there.jsonl"]);
    assert!(
        complaint(&clean).contains("already exists"),
        "also where nothing has to be written: {}",
        complaint(&clean)
    );
    assert_eq!(fs::read_to_string(folder.path().join("there.jsonl")).unwrap(), "of last time");
    assert_eq!(folder.user_count(), 0);
    let both = import(folder.path(), &file, &["--skip-refused", "x.jsonl", "--dry-run"]);
    assert_eq!(both.status.code(), Some(2), "{}", complaint(&both));

    // when the import itself fails, the file goes
    let full = folder.without_room("INSERT ON users");
    let blocked = import(folder.path(), &file, &["--skip-refused", "gone.jsonl"]);
    drop(full);
    assert_eq!(blocked.status.code(), Some(1), "{}", complaint(&blocked));
    assert!(!folder.path().join("gone.jsonl").exists());
}

#[test]
fn a_name_that_is_taken_while_the_file_is_reviewed_stops_the_import_as_a_whole() {
    // given
    let server = Server::start();
    let shell = Caller::shell();
    let read = |number: u64, name: &str| ImportLine {
        username: Username::parse(name).ok(),
        email: EmailAddress::parse(&format!("{name}@example.com")).ok(),
        password_hash: Some(PasswordHash::from_text(DJANGO.into())),
        ..ImportLine::new(number)
    };
    let reviewed = block_on(server.app.transfer.review(&shell, vec![read(1, "ada"), read(2, "bob")])).unwrap();
    assert!(reviewed.iter().all(|line| line.faults.is_empty()));

    // when
    server.user("BOB");
    let records = reviewed.into_iter().map(|line| (line.number, line.record().unwrap())).collect();
    let refused = block_on(server.app.transfer.import(&shell, records));

    // then
    let Err(Error::Invalid(faults)) = refused else { panic!("{refused:?}") };
    assert!(faults.contains("line 2:"), "{faults:?}");
    assert_eq!(server.usernames(), ["BOB"]);
    assert_eq!(server.audit_count_of("user.imported"), 0);
}

#[test]
fn strangers_move_no_accounts() {
    let server = Server::start();
    let anonymous = Caller { actor: usher::domain::Actor::Anonymous, ..Caller::shell() };
    assert_eq!(block_on(server.app.transfer.import(&anonymous, vec![])).err(), Some(Error::AuthenticationRequired));
    assert!(block_on(server.app.transfer.review(&anonymous, vec![])).is_err());
    let exported = block_on(server.app.transfer.export(&anonymous, (), |(), _| Ok::<_, ()>(())));
    assert_eq!(exported, Err(Error::Forbidden));
}

#[test]
fn a_stored_hash_beyond_the_bounds_lets_nobody_in() {
    // given
    let server = Server::start();
    server.user("ada");
    let expensive = DJANGO.replace("$1$", "$2000001$");
    server.set_password_hashes(&expensive);
    let hashes = server.app.hashes();

    // when
    let answer = server.anon().login("ada@example.com", PASSWORD);

    // then
    answer.is(401, "invalid_credentials");
    assert_eq!(server.app.hashes(), hashes + 1, "it costs what another one does");
    assert_eq!(server.password_hash(), expensive);
}

#[test]
fn a_password_that_is_set_while_a_foreign_hash_is_verified_stays() {
    // given: a hash that takes a while, and an owner who signs in
    let server = Server::start();
    let owner = server.user("ada");
    let slow = made(HASHES).into_iter().find(|made| made.by == "Django bcrypt").unwrap();
    server.set_password_hashes(&slow.hash);

    // when
    let signing_in = std::thread::spawn({
        let anon = server.anon();
        move || anon.login("ada@example.com", PASSWORD).status
    });
    let changed = owner.put(&owner.me(), json!({"password": "another horse, another battery"}));

    // then
    assert_eq!(changed.status, 200);
    signing_in.join().unwrap();
    assert_eq!(server.anon().login("ada@example.com", "another horse, another battery").status, 200);
    server.anon().login("ada@example.com", PASSWORD).is(401, "invalid_credentials");
}

/// Computes hashes again, with the libraries themselves.
#[cfg(feature = "system-tests")]
#[test]
fn what_django_passlib_and_werkzeug_make_today_is_imported() {
    use std::process::Command;
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/import");
    let folder = tempdir().unwrap();
    let venv = folder.path().join("venv");
    let run = |command: &mut Command| {
        let done = command.output().expect("it runs");
        assert!(done.status.success(), "{}", complaint(&done));
        stdout(&done)
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--requirement"];
    run(Command::new(venv.join("bin/python")).args(pip).arg(here.join("requirements.txt")));

    let printed = run(Command::new(venv.join("bin/python")).arg(here.join("make_hashes.py")));

    assert_eq!(made(&printed).len(), made(HASHES).len());
    assert!(unusable(&printed).starts_with('!'));
    everyone_signs_in(&made(&printed));
}
