//! How results are shown: as tables and lines for people, or as JSON in the API's shape.

use crate::domain::{Timestamp, User};
use anyhow::{Context, Result};
use serde::Serialize;
use std::{
    fmt::Display,
    io::{self, ErrorKind, StdoutLock, Write},
};
use tabwriter::TabWriter;

/// Nobody reads standard output any more, as with `| head`: what was wanted has been shown.
#[derive(Debug, thiserror::Error)]
#[error("standard output is closed")]
pub(super) struct Unread;

/// Writes something to look at to standard output; `print` is for what must not be lost.
pub(super) fn show(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    shown(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

fn shown(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Unread.into()),
        written => written.context("standard output can't be written"),
    }
}

/// One JSON document, indented.
pub(super) fn json(document: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string_pretty(document)? + "\n")
}

pub(super) fn show_json(document: &impl Serialize) -> Result<()> {
    show(&json(document)?)
}

/// Whoever wrote to the file, or named a client, shall not write to the terminal: neither commands nor what turns the
/// direction of a line.
pub(super) fn printable(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}' | '\u{feff}');
    text.chars().map(|c| if c.is_control() || turns(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Rows in columns on standard output. Each call of `flush` aligns the rows since the last one.
pub(super) struct Table(TabWriter<StdoutLock<'static>>);

impl Table {
    pub(super) fn new(head: &[&str]) -> Result<Self> {
        let mut table = Self(TabWriter::new(std::io::stdout().lock()));
        table.row(&head.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        Ok(table)
    }

    pub(super) fn row(&mut self, cells: &[String]) -> Result<()> {
        let cells: Vec<String> = cells.iter().map(|cell| printable(cell)).collect();
        shown(writeln!(self.0, "{}", cells.join("\t")))
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        shown(self.0.flush())
    }
}

/// What is there, or a hyphen.
pub(super) fn or_hyphen(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// The columns of a table of accounts.
pub(super) const USER_COLUMNS: [&str; 7] = ["ID", "USERNAME", "EMAIL", "ROLE", "STATUS", "CREATED", "LAST SIGN-IN"];

pub(super) fn user_row(user: &User) -> Vec<String> {
    let status = if user.disabled { "disabled" } else { "enabled" };
    let signed_in = user.last_login_at.map_or_else(|| "never".to_owned(), |at: Timestamp| at.to_string());
    vec![
        user.id.to_string(),
        user.username.to_string(),
        user.email.to_string(),
        user.role.to_string(),
        status.to_owned(),
        user.created_at.to_string(),
        signed_in,
    ]
}
