//! `usher check`

mod pages;

use super::{
    Cli, Command, existing, log,
    output::printable,
    policy::{Stored, understand},
    print, sentence,
};
use crate::{
    app,
    clock::Clock,
    config::{DatabaseSettings, ServeSettings, variable},
    domain::ChainPoint,
    store::{Finding, Store, Verdict},
};
use anyhow::{Result, bail};
use clap::{Args, Parser};
use serde::Serialize;
use std::{collections::BTreeSet, path::Path};

/// Find problems, and explain how to fix them
///
/// Checks the file, its schema and integrity, the accounts and their stored passwords, the chain of the audit log, file modes,
/// the clock, the disk, the version, the policy that commands follow, the public URL, the apps behind it and whether their
/// proxies ask, and the settings in the environment of this command. It changes nothing, and also works while a server runs.
/// The exit status is 0 with warnings, and 1 with errors.
///
/// Prints the head of the audit log: the id and hash of its last entry. 'usher serve' logs it hourly. Keep a head elsewhere:
/// with it, --audit-head proves that the log still contains this entry and everything before it. Without a head, the chain
/// shows accidents and simple edits. It does not show that the owner of the file rebuilt the chain, or cut off its end.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// A head of the audit log that was kept elsewhere. If retention has deleted this entry, nothing can be proven, which is
    /// an error
    #[arg(long, value_name = "ID:HASH", value_parser = ChainPoint::parse)]
    audit_head: Option<ChainPoint>,

    /// Print one JSON document: `findings`, each with `subject`, `verdict` (ok, warning or error) and `text`, and `audit_head`
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    findings: Vec<Line>,
    audit_head: Option<String>,
}

#[derive(Serialize)]
struct Line {
    subject: &'static str,
    verdict: &'static str,
    text: String,
}

impl From<Finding> for Line {
    fn from(finding: Finding) -> Self {
        let verdict = match finding.verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Error => "error",
        };
        Self { subject: finding.subject, verdict, text: finding.text }
    }
}

impl Check {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        let (mut findings, mut printed) = (Vec::new(), Ok(()));
        let mut report = |finding: Finding| {
            let line = Line::from(finding);
            if !self.json && printed.is_ok() {
                printed = print(&format!("{:<8} {:<11} {}\n", line.verdict, line.subject, printable(&line.text)));
            }
            findings.push(line);
        };
        let head = match existing(database) {
            Ok(path) => Store::examine(&path, Clock::System.now(), self.audit_head, app::hash_fault, &mut report),
            Err(error) => {
                report(Finding::error("file", error.to_string()));
                None
            }
        };
        if let Some(stored) = existing(database).ok().and_then(|path| Store::policy(&path).ok()) {
            report(policy(&stored));
            pages::look(database, &stored).into_iter().for_each(&mut report);
        }
        report(settings());
        printed?;
        let errors = findings.iter().filter(|line| line.verdict == "error").count();
        if self.json {
            let report = Report { findings, audit_head: head.map(|head| head.to_string()) };
            print(&(serde_json::to_string(&report)? + "\n"))?;
        }
        match errors {
            0 => Ok(()),
            1 => bail!("one thing is wrong: see the line that begins with 'error'"),
            _ => bail!("{errors} things are wrong: see the lines that begin with 'error'"),
        }
    }
}

/// The stored policy, and where the environment of this command overrides it.
fn policy(stored: &Stored) -> Finding {
    if stored.is_empty() {
        return Finding::ok(
            "policy",
            "no server has been started on this database; commands follow the default policy",
        );
    }
    let mut wrong = Vec::new();
    if let Err(error) = understand(stored) {
        wrong.push((Verdict::Error, format!("{}: start the server again", sentence(&error))));
    }
    if let Ok(Cli { command: Command::Serve(settings), .. }) = Cli::try_parse_from(["usher", "serve"]) {
        let here = settings.stored().unwrap_or_default().into_iter();
        let differing =
            here.filter(|(name, value)| std::env::var_os(variable(name)).is_some() && stored.get(*name) != Some(value));
        wrong.extend(differing.map(|(name, value)| {
            let (variable, there) = (variable(name), stored.get(name).map_or("nothing", String::as_str));
            (Verdict::Warning, format!("{variable} is {value} here, and 'usher serve' was last started with {there}: commands in this environment follow {value}"))
        }));
    }
    let settings: Vec<String> = stored.iter().map(|(name, value)| format!("{name} {value}")).collect();
    Finding::of("policy", wrong, || format!("as 'usher serve' was last started: {}", settings.join(", ")))
}

/// Reads the environment as `usher serve` would. A server that runs may have been started with other settings.
fn settings() -> Finding {
    let mut wrong = Vec::new();
    match Cli::try_parse_from(["usher", "serve"]) {
        Ok(Cli { command: Command::Serve(settings), .. }) => wrong.extend(unusable(&settings)),
        Ok(_) => {}
        Err(error) => wrong.push(format!("{} (see 'usher serve --help')", sentence(&error))),
    }
    wrong.extend(log::filter().err().map(|error| error.to_string()));
    let mut wrong: Vec<_> = wrong.into_iter().map(|text| (Verdict::Error, text)).collect();
    wrong.extend(misspelled().into_iter().map(|text| (Verdict::Warning, text)));
    Finding::of("settings", wrong, || "what this environment sets can be used".to_owned())
}

/// Variables that look like settings but are not, and what to do about them.
pub(super) fn misspelled() -> Vec<String> {
    let settings = settings_of_the_server();
    let known: BTreeSet<&str> = settings.get_arguments().filter_map(|argument| argument.get_env()?.to_str()).collect();
    let given = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let unknown = given.filter(|name| name.starts_with("USHER_") && !known.contains(name.as_str()));
    unknown.map(|name| format!("{name} is not a setting: see 'usher serve --help'")).collect()
}

/// The settings of `serve`, which are all settings. The other commands are left out, because describing them takes a while.
fn settings_of_the_server() -> clap::Command {
    ServeSettings::augment_args(DatabaseSettings::augment_args(clap::Command::new("serve")))
}

/// Settings that are well-formed but can't be used.
fn unusable(settings: &ServeSettings) -> Vec<String> {
    let limits = settings.sessions.limits().err().map(|error| error.to_string());
    let cost = settings.hashing.cost.cost().err().map(|error| error.to_string());
    let passwords = settings.passwords.policy().err().map(|error| error.to_string());
    let ports = settings.server.check_ports().err().map(|error| error.to_string());
    [limits, cost, passwords, ports].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn variables(command: &clap::Command) -> Vec<&str> {
        let own = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str());
        own.chain(command.get_subcommands().flat_map(variables)).collect()
    }

    #[test]
    fn what_any_command_takes_from_the_environment_is_a_setting_of_the_server() {
        let (all, known) = (Cli::command(), settings_of_the_server());
        let known = variables(&known);
        assert_eq!(variables(&all).into_iter().find(|variable| !known.contains(variable)), None);
    }
}
