//! `usher user export`

use crate::{
    app::Policy,
    cli::{explain, open, output::printable},
    domain::{Caller, DisplayName, EmailAddress, Role, Timestamp, UserRecord, Username},
};
use anyhow::{Context, Result};
use clap::Args;
use futures_executor::block_on;
use serde::Serialize;
use std::{
    io::{self, BufWriter, Write},
    path::Path,
};

/// Print every account as a JSON line for 'usher user import', including password hashes
///
/// The output is a consistent snapshot, also while a server runs. The accounts are first copied to an unnamed file in the
/// folder of the database, so a slow reader holds nobody up. Protect the output like the database itself: passwords can be
/// guessed from their hashes. Run 'umask 077' first, so that nobody else can read the file that you redirect it to.
#[derive(Debug, Args)]
pub(in crate::cli) struct Export {}

/// One line. It has no ids, sessions or times of sign-ins, because they mean nothing to another service.
#[derive(Serialize)]
struct Line<'r> {
    username: &'r Username,
    email: &'r EmailAddress,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<&'r DisplayName>,
    email_verified: bool,
    role: Role,
    disabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    password_hash: &'r str,
}

impl<'r> From<&'r UserRecord> for Line<'r> {
    fn from(record: &'r UserRecord) -> Self {
        let UserRecord { username, email, display_name, email_verified, role, disabled, password_hash, created_at } =
            record;
        Self {
            username,
            email,
            display_name: display_name.as_ref(),
            email_verified: *email_verified,
            role: *role,
            disabled: *disabled,
            created_at: *created_at,
            password_hash: password_hash.as_str(),
        }
    }
}

impl Export {
    #[allow(clippy::unused_self, reason = "it has no arguments yet, and is run as every command is")]
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        let (app, caller) = (open(database, Policy::default())?, Caller::shell());
        let exported = app.transfer.export(&caller, BufWriter::new(io::stdout()), write_line);
        let written = block_on(exported).map_err(explain)?.and_then(|mut out| out.flush());
        written.context("standard output can't be written")
    }
}

fn write_line<W: Write>(mut out: W, record: &UserRecord) -> io::Result<W> {
    let line = serde_json::to_string(&Line::from(record))?;
    writeln!(out, "{}", printable(&line)).map(|()| out)
}
