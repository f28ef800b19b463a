//! `usher completions` and `usher man`, for packages of this program. Both come from the command line itself.

use super::{
    policy::{Stored, command_line},
    print,
};
use anyhow::Result;
use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use std::io;

/// Print a script that completes commands and flags in a shell
///
/// In bash: source <(usher completions bash)
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell that the script is for
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut whole(), NAME, &mut script);
        print(&String::from_utf8(script)?)
    }
}

const NAME: &str = "usher";

fn whole() -> Command {
    command_line(&Stored::new())
}

/// Prints one page with all commands.
pub(super) fn print_page() -> Result<()> {
    let mut command = whole();
    command.build();
    let mut page = Vec::new();
    write_page(&command, &mut page)?;
    print(&String::from_utf8(page)?)
}

fn write_page(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    let version = format!("usher {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone().subcommand_value_name("command")).title("USHER");
    // With an empty date, the version would be shown in its place.
    let man = man.date(" ").source(version).manual("User Commands");
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_options_section(page)?;
    write_notes(&man, page)?;
    write_commands(command, page)
}

/// Every command that does something, each with a section of its own.
fn write_commands(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        if command.has_subcommands() {
            write_commands(command, page)?;
        } else {
            write_command(command, page)?;
        }
    }
    Ok(())
}

/// Arguments of every command, which are described once.
const SHARED: [&str; 3] = ["database", "help", "version"];

fn write_command(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    let own = command.clone().mut_args(|argument| {
        let is_shared = SHARED.contains(&argument.get_id().as_str());
        argument.hide(is_shared)
    });
    let man = Man::new(own);
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_uppercase();
    page.extend_from_slice(format!(".SH \"{name}\"\n").as_bytes());
    let mut parts = Vec::new();
    man.render_synopsis_section(&mut parts)?;
    man.render_description_section(&mut parts)?;
    man.render_options_section(&mut parts)?;
    if command.get_after_long_help().is_some() {
        write_notes(&man, &mut parts)?;
    }
    page.extend_from_slice(String::from_utf8_lossy(&parts).replace(".SH ", ".SS ").as_bytes());
    Ok(())
}

/// The text at the end of the help. Its lines are formatted already.
fn write_notes(man: &Man, page: &mut Vec<u8>) -> io::Result<()> {
    let mut notes = Vec::new();
    man.render_extra_section(&mut notes)?;
    let notes = String::from_utf8_lossy(&notes).replace(".SH EXTRA\n", ".SH NOTES\n.nf\n");
    page.extend_from_slice(notes.as_bytes());
    page.extend_from_slice(b".fi\n");
    Ok(())
}
