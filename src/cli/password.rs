//! Where a command gets a new password from: never from its arguments, which every user of the machine can read.

use super::{print, terminal::ask_twice};
use crate::domain::random_text;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::io::{BufRead, IsTerminal};
use zeroize::Zeroizing;

#[derive(Debug, Clone, Args)]
pub(super) struct PasswordSource {
    /// Read the password from the first line of standard input, instead of asking on the terminal. Not together with
    /// --generate-password
    #[arg(long, conflicts_with = "generate_password")]
    password_stdin: bool,

    /// Generate a password, and print only the password on standard output
    #[arg(long)]
    generate_password: bool,
}

impl PasswordSource {
    /// Whether the password must be typed.
    pub(super) fn asks(&self) -> bool {
        !self.password_stdin && !self.generate_password
    }

    pub(super) fn read(&self) -> Result<Zeroizing<String>> {
        if self.generate_password {
            return Ok(generated());
        }
        if self.password_stdin { from_stdin() } else { from_terminal() }
    }

    /// Prints a generated password. Call it only after the account has this password.
    pub(super) fn reveal(&self, password: &str) -> Result<()> {
        if !self.generate_password {
            return Ok(());
        }
        print(&format!("{password}\n")).context("the password was set, but it can't be shown; set another one")
    }
}

/// Thirty-two characters, 190 bits.
fn generated() -> Zeroizing<String> {
    random_text(32)
}

/// One line, without its line end. Nothing else is removed.
fn from_stdin() -> Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    let read =
        std::io::stdin().lock().read_line(&mut line).context("the password on standard input is not text in UTF-8")?;
    if read == 0 {
        bail!("there is no password on standard input; write one line to it");
    }
    let end = line.strip_suffix('\n').map_or(line.len(), |rest| rest.strip_suffix('\r').unwrap_or(rest).len());
    line.truncate(end);
    Ok(line)
}

fn from_terminal() -> Result<Zeroizing<String>> {
    if !std::io::stdin().is_terminal() {
        bail!("there is no terminal to ask for a password on; use --password-stdin or --generate-password");
    }
    let [first, second] = ask_twice("Password: ", "Password again: ")?;
    if first != second {
        bail!("the passwords differ; nothing was done, try again");
    }
    Ok(first)
}
