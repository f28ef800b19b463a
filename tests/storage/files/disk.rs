//! Disks that are full or read-only.

use super::{COMMANDS, accounts, answers_without_writing, beside, create_admin_in_new, refused};
use crate::support::{
    PASSWORD,
    binary::{Serving, complaint, create_admin, files, usher},
};
use serde_json::json;
use std::{
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::{TempDir, tempdir};

/// A small file system, gone when dropped. Needs root.
struct Disk(TempDir);

impl Disk {
    fn mount(options: &str) -> Self {
        let folder = tempdir().unwrap();
        run("mount", &["-t", "tmpfs", "-o", options, "tmpfs", folder.path().to_str().unwrap()]);
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room that is left.
    fn fill_up(&self) -> PathBuf {
        let ballast = self.path().join("ballast");
        let zeros = std::fs::File::open("/dev/zero").unwrap();
        let full = std::io::copy(&mut { zeros }, &mut std::fs::File::create(&ballast).unwrap()).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        ballast
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn run(program: &str, arguments: &[&str]) {
    let ended = Command::new(program).args(arguments).output().unwrap();
    assert!(ended.status.success(), "{program} {arguments:?}: {}", complaint(&ended));
}

#[test]
fn a_full_disk_refuses_writes_and_space_that_is_freed_lets_them_through_again() {
    // given
    let disk = Disk::mount("size=4m,mode=700");
    let serving = Serving::start(disk.path(), &[]);
    serving.register("ada").is(201, "");
    let ada = serving.sign_in("ada");

    for round in 0..2 {
        // when
        let ballast = disk.fill_up();
        let mut held = accounts(&serving);
        for n in 0.. {
            let answer = serving.register(&format!("round{round}n{n}"));
            if answer.status != 201 {
                answer.is(503, "storage_unavailable");
                break;
            }
            held += 1;
        }

        // then
        answers_without_writing(&serving, &ada, held);
        std::fs::remove_file(ballast).unwrap();
        serving.register(&format!("after{round}")).is(201, "");
        serving.sign_in("ada");
        serving.client().get("//readyz").is(200, "");
    }
    serving.signal("TERM");
    assert_eq!(serving.wait().0, Some(0));
}

#[test]
fn a_disk_that_is_full_at_the_start_is_said_in_one_line() {
    let disk = Disk::mount("size=1m,mode=700");
    disk.fill_up();
    for arguments in [&["serve"][..], &["migrate"]] {
        refused(&usher(disk.path(), arguments), &["usher.db"]);
    }
}

#[test]
fn a_database_half_made_on_a_full_disk_is_made_whole_once_there_is_room() {
    // given
    let disk = Disk::mount("size=1m,mode=700");
    let ballast = disk.fill_up();
    let first = usher(disk.path(), &["migrate"]);

    // when
    std::fs::remove_file(ballast).unwrap();
    let second = usher(disk.path(), &["migrate"]);

    // then
    assert_eq!((first.status.code(), second.status.code()), (Some(1), Some(0)), "{}", complaint(&second));
    assert!(create_admin(disk.path(), "ada").status.success());
}

const NOBODY: u32 = 65534;

/// The program in a folder where every user can run it.
fn program_for_everyone() -> TempDir {
    let folder = tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_usher"), folder.path().join("usher")).unwrap();
    folder
}

/// Root may write what nobody may, so this is another user's.
#[test]
fn a_file_that_can_only_be_read_at_the_start_can_be_changed_as_soon_as_it_can_be_written() {
    // given: a database that its owner may only read, and the program where they can reach it
    let folder = tempdir().unwrap();
    let path = folder.path().join("usher.db");
    assert!(create_admin_in_new(folder.path(), "ada").status.success());
    let program = program_for_everyone();
    for owned in [folder.path().to_owned(), path.clone(), beside(&path, ".lock")] {
        std::os::unix::fs::chown(owned, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let allow = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    allow(0o400);

    // when
    let mut serve = Command::new(program.path().join("usher"));
    serve.current_dir(folder.path()).env_clear().env("USHER_LISTEN", "127.0.0.1:0").uid(NOBODY).gid(NOBODY);
    let serving = Serving::spawn(folder.path(), serve.args(["serve", "--argon2-memory", "64"]));

    // then
    assert!(serving.log().contains("the database is read-only"), "{}", serving.log());
    serving.client().get("//readyz").is(200, "");
    serving.client().login("ada@example.com", "a wrong password").is(401, "invalid_credentials");
    serving.client().login("ada@example.com", PASSWORD).is(503, "storage_unavailable");
    allow(0o600);
    let ada = serving.sign_in("ada");
    ada.get("/auth/me").is(200, "");
    ada.put(&ada.me(), json!({"username": "lovelace"})).is(200, "");
    for name in ["usher.db-wal", "usher.db-shm"] {
        assert_eq!(folder.path().join(name).metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    serving.signal("TERM");
    assert_eq!(serving.wait().0, Some(0));
    assert_eq!(Serving::start(folder.path(), &[]).sign_in("ada").get("/auth/me").json()["username"], "lovelace");
}

#[test]
fn a_file_of_another_user_is_reported_as_that_and_not_as_read_only() {
    // given
    let (folder, program) = (tempdir().unwrap(), program_for_everyone());
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(usher(folder.path(), &["migrate"]).status.success());
    let as_nobody = |command: &str| {
        let mut usher = Command::new(program.path().join("usher"));
        usher.current_dir(folder.path()).env_clear().uid(NOBODY).gid(NOBODY).arg(command).output().unwrap()
    };
    let found = || String::from_utf8(as_nobody("check").stdout).unwrap();

    // when, then: it can't even be read
    assert!(found().contains("usher.db belongs to another user (uid 0): run the command as that user"), "{}", found());
    assert!(!found().contains("chmod u+w"), "{}", found());

    // when, then: it can be read
    let path = folder.path().join("usher.db");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused(&as_nobody("audit"), &["usher.db can't be written by this user; run the command as its owner"]);

    // when, then: it is read-only for its owner
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
    for owned in [folder.path().to_owned(), path.clone(), beside(&path, ".lock")] {
        std::os::unix::fs::chown(owned, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    assert!(found().contains("usher.db is read-only, so every change is refused: chmod u+w "), "{}", found());
}

/// While the server has its files open the system refuses to make the disk read-only, so this is the start.
#[test]
fn a_read_only_disk_is_said_in_one_line_and_works_again_once_it_can_be_written() {
    // given
    let disk = Disk::mount("size=4m,mode=700");
    assert!(usher(disk.path(), &["migrate"]).status.success());
    let before = files(disk.path());
    let folder = disk.path().to_str().unwrap();

    // when
    run("mount", &["-o", "remount,ro", folder]);
    let tried = COMMANDS.map(|arguments| (arguments, usher(disk.path(), arguments)));
    let after = files(disk.path());
    run("mount", &["-o", "remount,rw", folder]);

    // then
    for (arguments, output) in tried {
        if arguments != ["migrate", "--status"] {
            refused(&output, &["usher.db"]);
        }
    }
    assert!(after == before);
    let serving = Serving::start(disk.path(), &[]);
    serving.register("ada").is(201, "");
}
