//! Which passwords are accepted.

use super::{
    Unusable, unusable,
    values::{boolean, number},
};
use crate::domain::{Blocklist, Password, PasswordPolicy};
use clap::Args;
use std::path::{Path, PathBuf};

/// Which passwords are accepted.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Passwords")]
pub struct PasswordSettings {
    /// The minimum length of a new password, from 8 (OWASP ASVS 5.0) to 256 characters; NIST recommends 15
    #[arg(long, env = "USHER_PASSWORD_MIN_LENGTH", value_name = "CHARACTERS", default_value_t = Password::MIN_LENGTH, value_parser = number(Password::MIN_LENGTH..=Password::MAX_LENGTH))]
    pub password_min_length: usize,

    /// A file of passwords to refuse, instead of the bundled list: UTF-8, one password per line, compared without regard to
    /// case. 'usher serve' reads it again on SIGHUP, unless it was started at a terminal, where SIGHUP ends it
    #[arg(long, env = "USHER_PASSWORD_BLOCKLIST", value_name = "FILE")]
    pub password_blocklist: Option<PathBuf>,

    /// Accept common passwords, and passwords that are the account's own username or e-mail address. Not together with
    /// --password-blocklist
    #[arg(long, env = "USHER_ALLOW_WEAK_PASSWORDS", value_parser = boolean)]
    pub allow_weak_passwords: bool,
}

impl PasswordSettings {
    /// Reads the list, where there is one.
    pub fn policy(&self) -> Result<PasswordPolicy, Unusable> {
        let blocklist = match &self.password_blocklist {
            Some(_) if self.allow_weak_passwords => {
                return Err(unusable("--password-blocklist and --allow-weak-passwords exclude each other"));
            }
            None if self.allow_weak_passwords => None,
            None => Some(Blocklist::Bundled),
            Some(file) => Some(read_blocklist(file)?),
        };
        Ok(PasswordPolicy { min_length: self.password_min_length, blocklist })
    }
}

pub fn read_blocklist(file: &Path) -> Result<Blocklist, Unusable> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| unusable(format!("--password-blocklist {}: {error}", file.display())))?;
    Ok(Blocklist::parse(&text))
}
