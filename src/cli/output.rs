//! How results are shown: as tables and lines for people, or as JSON in the API's shape.

use crate::domain::{Error, Page, Timestamp, User};
use anyhow::{Context, Result};
use regex::{Captures, Regex};
use serde::Serialize;
use std::{
    borrow::Cow,
    fmt::Display,
    io::{self, ErrorKind, StdoutLock, Write},
    sync::LazyLock,
};
use tabwriter::TabWriter;

/// Nobody reads standard output any more, as with `| head`. This is not a failure.
#[derive(Debug, thiserror::Error)]
#[error("standard output is closed")]
pub(super) struct Unread;

/// Writes lines or JSON to standard output for people to read. `print` is for results that must not be lost.
pub(super) fn show(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let lines = text.split('\n').map(printable).collect::<Vec<_>>().join("\n");
    shown(out.write_all(lines.as_bytes()).and_then(|()| out.flush()))
}

fn shown(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Unread.into()),
        written => written.context("standard output can't be written"),
    }
}

/// Reads a list to its end, page by page, as the one page that a command shows.
pub(super) fn all_pages<T, P>(mut page: impl FnMut(Option<P>) -> Result<Page<T, P>, Error>) -> Result<Page<T, P>> {
    let (mut items, mut after) = (Vec::new(), None);
    loop {
        let next = page(after).map_err(super::explain)?;
        items.extend(next.items);
        after = next.next;
        if after.is_none() {
            return Ok(Page { items, next: None });
        }
    }
}

/// One JSON document, indented.
pub(super) fn json(document: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string_pretty(document)? + "\n")
}

pub(super) fn show_json(document: &impl Serialize) -> Result<()> {
    show(&json(document)?)
}

/// Escapes, as JSON does, characters that would act on a terminal or hide in it: control characters, and those that change
/// the direction of text, separate lines or are invisible (Unicode's general categories Cc, Cf, Zl and Zp). Everything
/// from the file is shown through this function, such as the names of clients. The meaning of JSON does not change.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    static ACTS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]").expect("a character class"));
    ACTS.replace_all(text, |found: &Captures<'_>| {
        found[0].encode_utf16().fold(String::new(), |escaped, unit| escaped + &format!("\\u{unit:04x}"))
    })
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
        let cells: Vec<Cow<'_, str>> = cells.iter().map(|cell| printable(cell)).collect();
        shown(writeln!(self.0, "{}", cells.join("\t")))
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        shown(self.0.flush())
    }
}

/// The value, or a hyphen if there is none.
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
