//! `usher user import`

mod refused;

use crate::{
    app::{App, ImportLine, Policy},
    cli::{eprint, explain, open_hashing, print},
    config::CostSettings,
    domain::{Caller, Role},
    hashing::{is_unusable, recognize},
};
use anyhow::{Context, Result, bail};
use clap::Args;
use futures_executor::block_on;
use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
};

/// Faulty lines that are shown. The first ones show what is wrong with the others, too.
const MAX_SHOWN: usize = 50;

/// Import the accounts of another service from a file of JSON lines
///
/// Imports all accounts or none, unless --skip-refused is given. It also works while a server runs. Each account gets a new
/// id, and its owner can sign in at once. Run it with --dry-run first.
#[derive(Debug, Args)]
#[command(after_long_help = FORMAT)]
pub(in crate::cli) struct Import {
    /// The file to read; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Change nothing. Print for each line what would be imported or what is wrong, and exit with 1 if a line is invalid
    #[arg(long)]
    dry_run: bool,

    /// Import the valid lines, and write the others to this new file. Fix them there, and then import that file. Each line is
    /// the refused JSON object with the reason as its first member, "refused". A line that was not an object, or that
    /// had a member twice, is kept as text in a member "line". Lines longer than 16 KiB are left out. The exit status is 0,
    /// even if lines were refused. Not together with --dry-run
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    skip_refused: Option<PathBuf>,

    /// The cost of the hash that an account without a password gets.
    #[command(flatten)]
    cost: CostSettings,
}

const FORMAT: &str = "\
Each line is one JSON object. Empty lines are skipped; line numbers count them.
  username        required; letters, digits, dots, underscores, hyphens
  email           required
  display_name    at most 100 characters of any script (none)
  password_hash   required; as the other service stored it, see below
  email_verified  true or false (default: false). True only if the other
                  service verified it
  role            \"user\" or \"admin\" (default: user)
  disabled        true or false (default: false)
  created_at      such as 2026-11-22T10:00:00Z (default: the time of the import)
  refused         ignored; the reason that --skip-refused wrote
  line            not a field: --skip-refused wrote the text of a refused line
                  here. Replace the whole object by the corrected one

A password hash may be one of these; ones that cost more are refused:
  Argon2   a PHC string, also behind Django's argon2;
           128 MiB, 10 passes and 8 lanes at most
  bcrypt   $2a$, $2b$, $2y$, also behind Django's bcrypt, bcrypt_sha256;
           a cost of 14 at most
  PBKDF2   of Django, passlib, Werkzeug, or a PHC string, with SHA-1,
           SHA-256 or SHA-512; 2,000,000 iterations at most
  scrypt   of Django, passlib, Werkzeug, or a PHC string;
           64 MiB of memory at most for one lane, 128 MiB for all p lanes
  none     empty, or ! and anything, as Django writes it: the account can
           sign in once its password is set ('usher user reset-token')

A hash becomes Argon2id at its owner's first sign-in. Until then, checking it
takes as long as in the other service. Hashes that take much longer than those
of usher are checked one at a time.
Other writes wait while the rows are inserted: about three quarters of a
second for 100,000 accounts. Split larger files: at most 400,000 lines each.";

impl Import {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        let app = open_hashing(database, Policy::default(), self.cost.cost()?, 0)?;
        self.skip_refused.as_deref().map_or(Ok(()), refused::check)?;
        let (lines, texts) = self.read()?;
        let lines = block_on(app.transfer.review(&Caller::shell(), lines)).map_err(explain)?;
        if self.dry_run {
            return report_what_would_be(lines);
        }
        if let Some(file) = &self.skip_refused {
            return add_but(&app, lines, &texts, file);
        }
        let faults: Vec<String> = lines.iter().filter_map(fault_of).collect();
        faults.iter().take(MAX_SHOWN).for_each(|fault| eprint(fault));
        if let Some(more @ 1..) = faults.len().checked_sub(MAX_SHOWN) {
            eprint(&format!("and so on: {more} more"));
        }
        refuse_faulty(faults.len(), lines.len())?;
        add(&app, lines)
    }

    /// Reads all lines before anything is asked of the database, and counts all that are faulty. Their texts are kept only for --skip-refused.
    fn read(&self) -> Result<(Vec<ImportLine>, Vec<Vec<u8>>)> {
        let (name, keep) = (self.file.display(), self.skip_refused.is_some());
        if self.file.as_os_str() == "-" {
            return ImportLine::read_all(io::stdin().lock(), keep, usize::MAX).context("standard input can't be read");
        }
        let file = File::open(&self.file).map(BufReader::new);
        file.and_then(|file| ImportLine::read_all(file, keep, usize::MAX))
            .with_context(|| format!("{name} can't be read"))
    }
}

fn add(app: &App, lines: Vec<ImportLine>) -> Result<()> {
    let records = ImportLine::records(lines);
    let count = users(records.len());
    block_on(app.transfer.import(&Caller::shell(), records)).map_err(explain)?;
    eprint(&format!("{count} imported"));
    Ok(())
}

/// Adds the valid lines, and writes the others to a file. The file is written first, so that no line is lost.
fn add_but(app: &App, lines: Vec<ImportLine>, texts: &[Vec<u8>], file: &Path) -> Result<()> {
    let (count, name) = (lines.len(), file.display());
    let with_texts = lines.iter().zip(texts);
    let refused: Vec<String> =
        with_texts.filter_map(|(line, text)| Some(refused::line(&fault_of(line)?, text))).collect();
    if refused.is_empty() {
        add(app, lines)?;
        eprint(&format!("no line was refused; {name} was not written"));
        return Ok(());
    }
    refused::write(file, &refused)?;
    add(app, lines).inspect_err(|_| refused::remove(file))?;
    let (refused, were) = (refused.len(), if refused.len() == 1 { "was" } else { "were" });
    eprint(&format!("{refused} of {count} lines (empty ones not counted) {were} refused; see {name}"));
    Ok(())
}

/// Reports one line after the other.
fn report_what_would_be(lines: Vec<ImportLine>) -> Result<()> {
    let count = lines.len();
    let faulty = lines.iter().filter(|line| !line.faults.is_empty()).count();
    let listed: String =
        lines.into_iter().map(|line| fault_of(&line).unwrap_or_else(|| intent_of(line)) + "\n").collect();
    print(&listed)?;
    refuse_faulty(faulty, count)?;
    eprint(&format!("{} would be imported; nothing was changed", users(count)));
    Ok(())
}

/// Line numbers count empty lines, but these totals don't.
fn refuse_faulty(faulty: usize, of: usize) -> Result<()> {
    match faulty {
        0 => Ok(()),
        1 => bail!("1 of {of} lines (empty ones not counted) is invalid; nothing was imported"),
        _ => bail!("{faulty} of {of} lines (empty ones not counted) are invalid; nothing was imported"),
    }
}

fn fault_of(line: &ImportLine) -> Option<String> {
    line.fault().map(|fault| format!("line {}: {fault}", line.number))
}

fn intent_of(line: ImportLine) -> String {
    let number = line.number;
    let Some(user) = line.record() else { return format!("line {number}: says nothing") };
    let mut text = format!("line {number}: would add {} <{}>", user.username, user.email);
    let remarks = [(user.role == Role::Admin, "an administrator"), (user.disabled, "disabled")];
    for (_, remark) in remarks.into_iter().filter(|(applies, _)| *applies) {
        text += &format!(", {remark}");
    }
    if is_unusable(&user.password_hash) {
        text += ", without a password: it can sign in once one is set";
    } else if let Ok(scheme) = recognize(&user.password_hash) {
        let stays = scheme.algorithm == "argon2id" && scheme.library.is_none();
        text += &format!(", {scheme}{}", if stays { "" } else { ", hashed again at the first sign-in" });
    }
    text
}

fn users(count: usize) -> String {
    format!("{count} user{}", if count == 1 { "" } else { "s" })
}
