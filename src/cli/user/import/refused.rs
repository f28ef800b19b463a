//! The file of refused lines, which can be fixed there and imported.

use crate::app::ImportLine;
use anyhow::{Context, Error, Result, anyhow};
use serde_json::{Map, Value};
use std::{
    fs::{self, File, OpenOptions},
    io::{BufWriter, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// A refused line with the reason as its first member. A line that is not a JSON object, or that repeats a member, is kept
/// as text in `line`, so that nothing is lost. A line that was too long to be read is left out.
pub(super) fn line(fault: &str, text: &[u8]) -> String {
    let mut members = Map::from_iter([(ImportLine::REFUSED.to_owned(), Value::from(fault))]);
    match ImportLine::members(text) {
        Some(given) => members.extend(given.into_iter().filter(|(name, _)| name != ImportLine::REFUSED)),
        None if text.is_empty() => {}
        None => {
            members.insert(ImportLine::LINE.to_owned(), String::from_utf8_lossy(text.trim_ascii()).into());
        }
    }
    Value::Object(members).to_string()
}

/// Refuses an existing file: it may be the only copy of other accounts.
pub(super) fn check(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_ok() { Err(is_there(path)) } else { Ok(()) }
}

fn is_there(path: &Path) -> Error {
    anyhow!("{} already exists; nothing was imported", path.display())
}

/// Writes the file to disk, readable by its owner only, because it contains password hashes.
pub(super) fn write(path: &Path, lines: &[String]) -> Result<()> {
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let file = match created {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(is_there(path)),
        created => created.with_context(|| format!("{} can't be created; nothing was imported", path.display()))?,
    };
    let written = write_to(&file, lines);
    if written.is_err() {
        remove(path);
    }
    written.with_context(|| format!("{} can't be written; nothing was imported", path.display()))
}

fn write_to(file: &File, lines: &[String]) -> std::io::Result<()> {
    let mut out = BufWriter::new(file);
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    out.flush()?;
    file.sync_all()
}

/// Deletes the file if the other lines could not be imported.
pub(super) fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}
