//! `usher group`

use super::{
    eprint, explain, open,
    output::{Table, USER_COLUMNS, all_pages, json, show_json, user_row},
    print,
    user::Named,
};
use crate::{
    app::{App, Policy},
    domain::{Caller, Error, GroupId, GroupName, GroupSelector, PageSize},
    http::answers,
};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use futures_executor::block_on;
use std::path::Path;

/// List and change groups and who is in them, also while a server runs
#[derive(Debug, Subcommand)]
pub(super) enum GroupCommand {
    Add(Add),
    List(List),
    Show(Show),
    Rename(Rename),
    Delete(Delete),
    Join(Join),
    Leave(Leave),
    RevokeSessions(RevokeSessions),
}

impl GroupCommand {
    pub(super) fn run(self, database: &Path) -> Result<()> {
        let app = open(database, Policy::default())?;
        match self {
            Self::Add(command) => command.run(&app),
            Self::List(command) => command.run(&app),
            Self::Show(command) => command.run(&app),
            Self::Rename(command) => command.run(&app),
            Self::Delete(command) => command.run(&app),
            Self::Join(command) => command.run(&app),
            Self::Leave(command) => command.run(&app),
            Self::RevokeSessions(command) => command.run(&app),
        }
    }
}

/// Which group.
#[derive(Debug, Clone, Args)]
struct Meant {
    /// The group: digits are an id, anything else is a name
    #[arg(value_name = "GROUP", value_parser = |text: &str| GroupSelector::parse(text))]
    group: GroupSelector,
}

impl Meant {
    fn find(&self, app: &App) -> Result<Option<GroupId>> {
        let found = block_on(app.groups.find(&Caller::shell(), self.group.clone()));
        found.map(Some).map_err(explain).with_context(|| self.group.to_string())
    }
}

/// Create a group
#[derive(Debug, Args)]
pub(super) struct Add {
    /// 1 to 64 letters, digits, dots, underscores and hyphens, starting with a letter or digit
    #[arg(value_parser = |text: &str| GroupName::parse(text))]
    name: GroupName,

    /// Print the group as JSON, in the shape of POST /groups
    #[arg(long)]
    json: bool,
}

impl Add {
    fn run(&self, app: &App) -> Result<()> {
        let group = block_on(app.groups.create(&Caller::shell(), self.name.clone())).map_err(explain)?;
        eprint(&format!("the group {} has the id {}", group.name, group.id));
        if self.json { print(&json(&answers::Group::from(group))?) } else { Ok(()) }
    }
}

/// List groups
#[derive(Debug, Args)]
pub(super) struct List {
    /// Print one JSON document, in the shape of GET /groups
    #[arg(long)]
    json: bool,
}

impl List {
    fn run(&self, app: &App) -> Result<()> {
        let shell = Caller::shell();
        let all = all_pages(|after| block_on(app.groups.list(&shell, after, PageSize::MAX_SIZE)))?;
        if self.json {
            return show_json(&answers::GroupList::from(all));
        }
        let mut table = Table::new(&["ID", "NAME"])?;
        for group in all.items {
            table.row(&[group.id.to_string(), group.name.to_string()])?;
        }
        table.flush()
    }
}

/// Show the accounts in a group
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    meant: Meant,

    /// Print one JSON document, in the shape of GET /groups/{group_id}/members
    #[arg(long)]
    json: bool,
}

impl Show {
    fn run(&self, app: &App) -> Result<()> {
        let (id, shell) = (self.meant.find(app)?, Caller::shell());
        let all = all_pages(|after| block_on(app.groups.members(&shell, id, after, PageSize::MAX_SIZE)))?;
        if self.json {
            return show_json(&answers::MemberList::from(all));
        }
        let mut table = Table::new(&USER_COLUMNS)?;
        all.items.iter().try_for_each(|user| table.row(&user_row(user)))?;
        table.flush()
    }
}

/// Rename a group: its accounts stay in it, and apps that let it in still do
#[derive(Debug, Args)]
pub(super) struct Rename {
    #[command(flatten)]
    meant: Meant,

    /// The new name
    #[arg(value_parser = |text: &str| GroupName::parse(text))]
    name: GroupName,
}

impl Rename {
    fn run(&self, app: &App) -> Result<()> {
        let id = self.meant.find(app)?;
        let group = block_on(app.groups.rename(&Caller::shell(), id, Some(self.name.clone()))).map_err(explain)?;
        eprint(&format!("the group {} is now called {}", group.id, group.name));
        Ok(())
    }
}

/// Delete a group; the accounts in it stay
///
/// A group that an app lets in can't be deleted.
#[derive(Debug, Args)]
pub(super) struct Delete {
    #[command(flatten)]
    meant: Meant,
}

impl Delete {
    fn run(&self, app: &App) -> Result<()> {
        let id = self.meant.find(app)?;
        block_on(app.groups.delete(&Caller::shell(), id)).map_err(explain)?;
        eprint(&format!("the group {} was deleted", self.meant.group));
        Ok(())
    }
}

/// Add an account to a group; it can be in 32
#[derive(Debug, Args)]
pub(super) struct Join {
    #[command(flatten)]
    meant: Meant,

    #[command(flatten)]
    named: Named,
}

impl Join {
    fn run(&self, app: &App) -> Result<()> {
        let (id, user) = (self.meant.find(app)?, self.named.find_to_change(app)?);
        block_on(app.groups.add_member(&Caller::shell(), id, Some(user.id))).map_err(explain)?;
        eprint(&format!("{} is in the group {}", user.username, self.meant.group));
        Ok(())
    }
}

/// Remove an account from a group
#[derive(Debug, Args)]
pub(super) struct Leave {
    #[command(flatten)]
    meant: Meant,

    #[command(flatten)]
    named: Named,
}

impl Leave {
    fn run(&self, app: &App) -> Result<()> {
        let (id, user) = (self.meant.find(app)?, self.named.find_to_change(app)?);
        let removed = block_on(app.groups.remove_member(&Caller::shell(), id, Some(user.id)));
        match removed {
            Err(Error::UserNotFound) => bail!("{} is not in the group {}", user.username, self.meant.group),
            removed => removed.map_err(explain)?,
        }
        eprint(&format!("{} is not in the group {} any more", user.username, self.meant.group));
        Ok(())
    }
}

/// End all sessions of all accounts in a group
///
/// Acts on their next requests. The accounts stay in the group, and can sign in again.
#[derive(Debug, Args)]
pub(super) struct RevokeSessions {
    #[command(flatten)]
    meant: Meant,
}

impl RevokeSessions {
    fn run(&self, app: &App) -> Result<()> {
        let id = self.meant.find(app)?;
        block_on(app.groups.end_sessions(&Caller::shell(), id)).map_err(explain)?;
        eprint(&format!("all sessions of the group {} have ended", self.meant.group));
        Ok(())
    }
}
