//! Commands follow the policy of the server: the settings that `serve` stored are the defaults of their flags.

use super::{Cli, Command, existing, sentence};
use crate::{config::POLICY, store::Store};
use anyhow::{Context, Result, anyhow};
use clap::{
    Arg, ArgAction, ArgMatches, CommandFactory, FromArgMatches, builder::Resettable, parser::ValueSource::DefaultValue,
};
use std::{collections::BTreeMap, fs::File, path::Path};

/// The settings that a server stored, by name.
pub(super) type Stored = BTreeMap<String, String>;

const BLOCKLIST: &str = "password-blocklist";
const WEAK: &str = "allow-weak-passwords";

/// The whole command line. The stored settings are the defaults of the commands' flags, except for those of `serve`.
pub(super) fn command_line(stored: &Stored) -> clap::Command {
    Cli::command()
        .mut_subcommands(|command| if command.get_name() == "serve" { command } else { follow(command, stored) })
}

fn follow(command: clap::Command, stored: &Stored) -> clap::Command {
    command.mut_args(|argument| default(argument, stored)).mut_subcommands(|command| follow(command, stored))
}

/// Gives a setting its default, and adds it to the help.
fn default(argument: Arg, stored: &Stored) -> Arg {
    let Some(name) = name_of(&argument) else { return argument };
    let usual = argument.get_default_values().first().map(|value| format!(", else {}", value.display()));
    let (has_usual, otherwise) = (usual.is_some(), usual.unwrap_or_default());
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let says = format!("{help} (default: the value of the last 'usher serve'{otherwise})");
    let argument = argument.help(says).hide_default_value(has_usual);
    match stored.get(name) {
        Some(value) => argument.default_value(value.clone()),
        None => argument,
    }
}

/// The name under which a setting is stored, if it belongs to the policy.
fn name_of(argument: &Arg) -> Option<&'static str> {
    POLICY.into_iter().find(|name| argument.get_long() == Some(name))
}

/// Reads the command line. A command that follows the policy takes it from the database first.
pub(super) fn read() -> Result<Cli> {
    let mut line = command_line(&Stored::new());
    let matches = line.try_get_matches_from_mut(std::env::args_os())?;
    let cli = Cli::from_arg_matches(&matches)?;
    let (command, given) = innermost(&line, &matches);
    if matches!(cli.command, Command::Serve(_)) || !command.get_arguments().any(|argument| name_of(argument).is_some())
    {
        return Ok(cli);
    }
    let stored = followed(command, given, &existing(&cli.database.database)?)?;
    understand(&stored).map_err(|error| {
        anyhow!("what the server stored can't be used: {}; start it again, or give the flag", sentence(&error))
    })?;
    Ok(Cli::from_arg_matches(&command_line(&stored).try_get_matches()?)?)
}

/// The innermost command that the command line names, whatever else is wrong with it.
pub(super) fn named() -> clap::Command {
    let mut line = command_line(&Stored::new()).ignore_errors(true);
    line.build();
    let matches = line.clone().try_get_matches();
    matches.map_or_else(|_| line.clone(), |matches| innermost(&line, &matches).0.clone())
}

fn innermost<'l>(command: &'l clap::Command, given: &'l ArgMatches) -> (&'l clap::Command, &'l ArgMatches) {
    let inner = given.subcommand().and_then(|(name, given)| Some((command.find_subcommand(name)?, given)));
    inner.map_or((command, given), |(command, given)| innermost(command, given))
}

/// The stored settings that a command follows, except for those that its own flags and variables set.
fn followed(command: &clap::Command, given: &ArgMatches, database: &Path) -> Result<Stored> {
    let is_open = |argument: &&Arg| given.value_source(argument.get_id().as_str()).is_none_or(|by| by == DefaultValue);
    let settings = command.get_arguments().filter(|argument| name_of(argument).is_some());
    let (open, decided): (Vec<_>, Vec<_>) = settings.partition(is_open);
    let (open, decided): (Vec<_>, Vec<_>) =
        (open.into_iter().filter_map(name_of).collect(), decided.into_iter().filter_map(name_of).collect());
    let mut stored = Store::policy(database)?;
    stored.retain(|name, _| open.contains(&name.as_str()));
    // These exclude each other.
    if decided.contains(&BLOCKLIST) {
        stored.remove(WEAK);
    }
    if decided.contains(&WEAK) && given.get_flag("allow_weak_passwords") {
        stored.remove(BLOCKLIST);
    }
    if let Some(list) = stored.get(BLOCKLIST) {
        File::open(list).with_context(|| {
            format!("{list}, the list of passwords that 'usher serve' refuses, can't be read; run this as the server's user, or name a list with --password-blocklist")
        })?;
    }
    Ok(stored)
}

/// Whether the values that are stored can be read.
pub(super) fn understand(stored: &Stored) -> Result<(), clap::Error> {
    let line = Cli::command();
    let serve = line.find_subcommand("serve").into_iter().flat_map(|serve| serve.get_arguments());
    let settings = serve.filter(|argument| name_of(argument).is_some());
    let settings = settings.map(|argument| argument.clone().env(Resettable::Reset).action(ArgAction::Set));
    let known = stored.iter().filter(|(name, _)| POLICY.contains(&name.as_str()));
    let typed = known.map(|(name, value)| format!("--{name}={value}"));
    clap::Command::new("policy").no_binary_name(true).args(settings).try_get_matches_from(typed).map(drop)
}
