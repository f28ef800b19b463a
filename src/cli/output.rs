//! How results are shown: as tables and lines for people, or as JSON in the API's shape.

use super::print;
use crate::domain::{Timestamp, User};
use anyhow::{Context, Result};
use serde::Serialize;
use std::{
    fmt::Display,
    io::{StdoutLock, Write},
};
use tabwriter::TabWriter;

/// One JSON document, indented.
pub(super) fn print_json(document: &impl Serialize) -> Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(document)?))
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
        writeln!(self.0, "{}", cells.join("\t")).context(CLOSED)
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        self.0.flush().context(CLOSED)
    }
}

const CLOSED: &str = "standard output can't be written";

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
