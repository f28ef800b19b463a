//! What is printed, also where nobody reads it.

use super::{ada, prepared, stdout, succeeded};
use crate::support::{
    binary::{command, complaint, ended, files, usher},
    probes::Probes,
};
use std::{
    path::Path,
    process::{Command, Output, Stdio},
};
use tempfile::tempdir;

#[test]
fn openapi_prints_the_committed_spec_and_touches_no_file() {
    let folder = tempdir().unwrap();
    let printed = usher(folder.path(), &["openapi"]);
    assert!(
        succeeded(&printed) == include_str!("../../../openapi/openapi.json"),
        "openapi/openapi.json is not what it prints"
    );
    assert_eq!(complaint(&printed), "");
    assert!(files(folder.path()).is_empty());
}

/// Runs a command with a standard output, or error, at whose other end nobody reads.
fn unread(folder: &Path, arguments: &[&str], put: impl FnOnce(&mut Command, Stdio)) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = command(folder);
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    put(&mut command, writer.into());
    ended(command.spawn().unwrap())
}

#[test]
fn a_closed_standard_output_makes_nothing_panic() {
    let folder = prepared();
    let generate = ada(&["--generate-password"]);
    for arguments in [
        &["openapi"][..],
        &["--help"],
        &["--version"],
        &["serve", "--help"],
        &["migrate"],
        &["migrate", "--status"],
        &generate,
    ] {
        let ended = unread(folder.path(), arguments, |command, closed| {
            command.stdout(closed);
        });
        let line = complaint(&ended);
        assert!(matches!(ended.status.code(), Some(0 | 1)), "{arguments:?}: {line}");
        assert!(!line.contains("panic"), "{arguments:?}: {line}");
    }
}

#[test]
fn a_spec_or_password_that_could_not_be_printed_is_status_1() {
    let folder = prepared();
    for arguments in [&["openapi"][..], &ada(&["--generate-password"])] {
        let ended = unread(folder.path(), arguments, |command, closed| {
            command.stdout(closed);
        });
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}");
        let line = complaint(&ended);
        assert!(line.lines().last().is_some_and(|line| line.starts_with("usher: ")), "{line}");
    }
}

#[test]
fn a_closed_standard_error_does_not_cost_the_generated_password() {
    // given
    let folder = prepared();

    // when
    let generate = ada(&["--generate-password"]);
    let ended = unread(folder.path(), &generate, |command, closed| {
        command.stderr(closed);
    });

    // then
    assert_eq!((ended.status.code(), stdout(&ended).lines().count()), (Some(0), 1));
    assert_eq!(folder.user_count(), 1);
}
