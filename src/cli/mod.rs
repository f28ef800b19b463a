//! The commands: one small file each. They call the same [`App`] as HTTP does, without a server and without a runtime.

mod account;
mod activity;
mod app;
mod app_token;
mod audit;
mod backup;
mod check;
mod create_admin;
mod descriptors;
mod group;
mod handed_over;
mod healthcheck;
mod invitation;
mod log;
mod manual;
mod migrate;
mod output;
mod password;
mod policy;
mod serve;
mod session;
mod setup_link;
mod signals;
mod terminal;
mod user;

use crate::{
    app::{App, Policy},
    clock::Clock,
    config::{self, CostSettings, DatabaseSettings, PasswordSettings, ServeSettings, Unusable},
    domain::Error,
    hashing::{Cost, HashPool},
    store::{OpenError, Store, locate},
};
use anyhow::{Context, Result, anyhow};
use clap::{
    Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind},
};
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

const AFTER_HELP: &str = "\
Each setting is also an environment variable, which the help shows next to it.
The flag overrides the variable. A DURATION is a whole number and s, m, h or d,
such as 90s or 30d. Results go to standard output, everything else to standard
error.

Exit status:
  0    success; 'check' found no errors, but possibly warnings
  1    failure; the last line on standard error gives the reason. Also:
       'check' found errors, 'healthcheck' found a server that is not ready,
       'user import --dry-run' found invalid lines, or a second signal ended
       'serve' at once
  2    the command line or a setting is invalid; nothing was done
  130  interrupted with ^C; for other signals, 128 plus the signal's number.
       'serve' and 'audit --follow' exit with 0 after SIGINT or SIGTERM";

/// Accounts and sessions for self-hosted apps: one executable, one SQLite file, one REST API
#[derive(Debug, Parser)]
#[command(
    name = "usher",
    version,
    propagate_version = true,
    after_help = AFTER_HELP
)]
pub struct Cli {
    #[command(flatten)]
    database: DatabaseSettings,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the REST API, after upgrading the database if necessary
    ///
    /// Creates the database if there is none. An older one is copied to FILE.vN first, where N is its version.
    ///
    /// SIGINT and SIGTERM stop the server after the requests in progress are answered (see --shutdown-timeout); the exit status
    /// is 0. A second signal stops it at once, with status 1. SIGHUP does the same if the server was started at a terminal;
    /// otherwise it reads --password-blocklist again.
    ///
    /// A DURATION is a whole number and s, m, h or d, such as 90s or 30d.
    Serve(Box<ServeSettings>),
    Migrate(migrate::Migrate),
    CreateAdmin(create_admin::CreateAdmin),
    SetupLink(setup_link::SetupLink),
    #[command(subcommand)]
    User(user::UserCommand),
    #[command(subcommand)]
    Session(session::SessionCommand),
    Invite(invitation::Invite),
    #[command(subcommand)]
    Invitation(invitation::InvitationCommand),
    #[command(subcommand)]
    App(app::AppCommand),
    #[command(subcommand)]
    AppToken(app_token::AppTokenCommand),
    #[command(subcommand)]
    Group(group::GroupCommand),
    Audit(audit::Audit),
    Activity(activity::Activity),
    Backup(backup::Backup),
    Check(check::Check),
    Healthcheck(healthcheck::Healthcheck),
    /// Print the API's OpenAPI document
    Openapi,
    Completions(manual::Completions),
    /// Print the manual page, with all commands
    ///
    /// In the roff format. To read it: usher man | man -l -
    Man,
}

impl Cli {
    pub fn run(self) -> Result<()> {
        let database = || existing(&self.database.database);
        match self.command {
            Command::Serve(settings) => serve::run(&locate(&self.database.database)?, *settings),
            Command::Migrate(command) => command.run(&locate(&self.database.database)?),
            Command::CreateAdmin(command) => command.run(&database()?),
            Command::SetupLink(command) => command.run(&database()?),
            Command::User(command) => command.run(&database()?),
            Command::Session(command) => command.run(&database()?),
            Command::Invite(command) => command.run(&database()?),
            Command::Invitation(command) => command.run(&database()?),
            Command::App(command) => command.run(&database()?),
            Command::AppToken(command) => command.run(&database()?),
            Command::Group(command) => command.run(&database()?),
            Command::Audit(command) => command.run(&database()?),
            Command::Activity(command) => command.run(&database()?),
            Command::Backup(command) => command.run(&database()?),
            Command::Check(command) => command.run(&self.database.database),
            Command::Healthcheck(command) => command.run(),
            Command::Openapi => print(&crate::http::spec()),
            Command::Completions(command) => command.run(),
            Command::Man => manual::print_page(),
        }
    }
}

/// The one name of a database for a command that never creates one.
fn existing(database: &Path) -> Result<PathBuf, OpenError> {
    let located = locate(database);
    match (&located, database.try_exists()) {
        (Err(OpenError::Io { path, .. }), Ok(false)) => {
            Err(OpenError::Missing(std::path::absolute(path).unwrap_or_else(|_| path.clone())))
        }
        (Err(OpenError::Io { path, .. }), Err(error)) => {
            Err(OpenError::Io { path: path.clone(), action: "opened", reason: error.to_string() })
        }
        _ => located,
    }
}

/// Reads the command line, runs the command, and reports an error in one line.
pub fn main() -> ExitCode {
    policy::read().and_then(Cli::run).map_or_else(|error| end(&error), |()| ExitCode::SUCCESS)
}

fn end(error: &anyhow::Error) -> ExitCode {
    if let Some(error) = error.downcast_ref::<clap::Error>() {
        if error.use_stderr() {
            return fail(&usage(error), USAGE);
        }
        let _ = error.print(); // help or version; standard output may be closed
        return ExitCode::SUCCESS;
    }
    if error.is::<output::Unread>() {
        return ExitCode::SUCCESS;
    }
    let status = match error.downcast_ref::<terminal::Interrupted>() {
        Some(interrupted) => interrupted.status(),
        None if error.is::<Unusable>() => USAGE,
        None => FAILURE,
    };
    match error.downcast_ref::<OpenError>() {
        Some(OpenError::Missing(path)) => fail(&missing(path), status),
        _ => fail(&format!("{error:#}"), status),
    }
}

/// The text of the store, with the name of the environment variable.
fn missing(database: &Path) -> String {
    format!(
        "there is no database at {}; name another with --database or USHER_DATABASE, or create one with 'usher migrate' or \
         'usher serve'",
        database.display()
    )
}

const FAILURE: u8 = 1;
const USAGE: u8 = 2;

fn fail(line: &str, status: u8) -> ExitCode {
    eprint(&format!("usher: {line}"));
    ExitCode::from(status)
}

/// Writes a line for people to standard error. A failure to write it is ignored.
fn eprint(line: &str) {
    if log::is_stalled() {
        return;
    }
    let _ = writeln!(std::io::stderr(), "{}", output::printable(line));
}

/// Writes a result to standard output, and fails if it is closed.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("standard output can't be written")
}

/// clap's message in one line, and the help to read: that of the innermost command that was named.
fn usage(error: &clap::Error) -> String {
    let command = policy::named();
    let name = command.get_bin_name().unwrap_or("usher");
    let fault = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            let commands: Vec<&str> = command.get_subcommands().map(|command| command.get_name()).collect();
            format!("'{name}' needs a command: {}", commands.join(", "))
        }
        ErrorKind::InvalidUtf8 => no_text(),
        _ => sentence(error),
    };
    format!("{fault} (see '{name} --help')")
}

/// Names the argument or variable that is not text. clap does not.
fn no_text() -> String {
    if std::env::args_os().any(|argument| argument.to_str().is_none()) {
        return "an argument is not text in UTF-8".into();
    }
    let names = std::env::vars_os().filter(|(_, value)| value.to_str().is_none()).map(|(name, _)| name);
    let names: Vec<_> =
        names.filter_map(|name| name.into_string().ok()).filter(|name| name.starts_with("USHER_")).collect();
    format!("{} is not text in UTF-8", names.join(", "))
}

/// The first paragraph of clap's message in one line, and its suggestion.
fn sentence(error: &clap::Error) -> String {
    let text = error.to_string();
    let mut paragraphs = text.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    let fault = paragraphs.next().unwrap_or_default();
    let meant =
        paragraphs.find_map(|tip| tip.strip_prefix("tip: ").filter(|tip| tip.contains("similar")).map(str::to_owned));
    let fault = naming_variable(fault.trim_start_matches("error: "), error);
    meant.map_or_else(|| fault.clone(), |meant| format!("{fault}; {meant}"))
}

/// Adds to clap's text which environment variable a value came from: clap names the flag alone.
fn naming_variable(fault: &str, error: &clap::Error) -> String {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else { return fault.to_owned() };
    let Some(flag) = argument.split_whitespace().next().filter(|flag| flag.starts_with("--")) else {
        return fault.to_owned();
    };
    let variable = config::variable(flag.trim_start_matches("--"));
    let is_typed = std::env::args_os().any(|typed| typed.to_string_lossy().split('=').next() == Some(flag));
    if is_typed || std::env::var_os(&variable).is_none() {
        return fault.to_owned();
    }
    fault.replacen(&format!("'{argument}'"), &format!("'{argument}' (from {variable})"), 1)
}

/// Opens a database for a command that works with or without a running server.
fn open(database: &Path, policy: Policy) -> Result<App> {
    open_hashing(database, policy, Cost::DEFAULT, 0)
}

/// The same for a command that sets a password.
fn open_for_passwords(database: &Path, passwords: &PasswordSettings, cost: CostSettings) -> Result<App> {
    let policy = Policy { passwords: passwords.policy()?, ..Policy::default() };
    open_hashing(database, policy, cost.cost()?, 1)
}

fn open_hashing(database: &Path, policy: Policy, cost: Cost, threads: usize) -> Result<App> {
    let hashing = HashPool::start(cost, threads, 1).context("no thread could be started")?;
    let store = Store::open(database, 1, Clock::System)?;
    Ok(App::new(store, hashing, Clock::System, policy))
}

/// The failure of a use case, as one line for people.
fn explain(error: Error) -> anyhow::Error {
    match error {
        Error::Invalid(faults) => {
            let faults: Vec<String> = faults.iter().map(|(field, fault)| format!("{field} {fault}")).collect();
            anyhow!(faults.join("; "))
        }
        Error::Overloaded => anyhow!("the database is busy; try again"),
        other => anyhow!(other),
    }
}
