//! `usher app`

use super::{
    eprint, explain, open,
    output::{Table, all_pages, json, show, show_json},
    print,
};
use crate::{
    app::{self, Policy},
    config::PublicUrlSettings,
    domain::{
        App, AppAccess, AppChanges, AppId, AppSelector, Caller, DisplayName, GroupName, NewApp, Origin, PageSize,
    },
    http::answers,
};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use futures_executor::block_on;
use std::path::Path;

/// List and change the apps behind a proxy that people enter with one sign-in, also while a server runs
#[derive(Debug, Subcommand)]
pub(super) enum AppCommand {
    Add(Add),
    List(List),
    Show(Show),
    Set(Set),
    Delete(Delete),
}

impl AppCommand {
    pub(super) fn run(self, database: &Path) -> Result<()> {
        match self {
            Self::Add(command) => command.run(database),
            Self::List(command) => command.run(database),
            Self::Show(command) => command.run(database),
            Self::Set(command) => command.run(database),
            Self::Delete(command) => command.run(database),
        }
    }
}

/// Opens the database where no host is decided on.
fn opened(database: &Path) -> Result<app::App> {
    open(database, Policy::default())
}

/// Opens the database for a change that the public URL has a say in.
fn open_to_change(database: &Path, settings: &PublicUrlSettings) -> Result<app::App> {
    open(database, Policy { public_url: settings.public_url.clone(), ..Policy::default() })
}

/// Which app.
#[derive(Debug, Clone, Args)]
struct Meant {
    /// The app: digits are an id, anything else is its host, such as notes.example.com
    #[arg(value_name = "APP", value_parser = |text: &str| AppSelector::parse(text))]
    app: AppSelector,
}

impl Meant {
    fn find(&self, app: &app::App) -> Result<Option<AppId>> {
        let found = block_on(app.apps.find(&Caller::shell(), self.app.clone()));
        found.map(Some).map_err(explain).with_context(|| self.app.to_string())
    }
}

fn groups_of(app: &App) -> String {
    let names: Vec<&str> = app.groups.iter().map(GroupName::as_str).collect();
    if names.is_empty() { "-".to_owned() } else { names.join(", ") }
}

/// Register an app
#[derive(Debug, Args)]
pub(super) struct Add {
    /// What people see: at most 100 characters of any script
    #[arg(long, value_parser = |text: &str| DisplayName::parse(text))]
    name: DisplayName,

    /// Where browsers reach it, such as https://notes.example.com: scheme, host, and the port unless it is the scheme's
    /// own; no path. The scheme must be that of --public-url. No other app may have the host, whatever the port
    #[arg(long, value_parser = |text: &str| Origin::parse(text))]
    url: Origin,

    /// Who may enter: everyone, admins or groups
    #[arg(long, default_value = "admins", value_parser = |text: &str| AppAccess::parse(text))]
    access: AppAccess,

    /// A group that may enter, with --access groups; repeatable
    #[arg(long = "group", value_name = "NAME", value_parser = |text: &str| GroupName::parse(text))]
    groups: Vec<GroupName>,

    /// Print the app as JSON, in the shape of POST /apps
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    settings: PublicUrlSettings,
}

impl Add {
    fn run(self, database: &Path) -> Result<()> {
        let app = open_to_change(database, &self.settings)?;
        let Self { name, url, access, groups, json: as_json, .. } = self;
        let made =
            block_on(app.apps.create(&Caller::shell(), NewApp { name, url, access, groups })).map_err(explain)?;
        eprint(&format!("the app {} at {} has the id {}", made.name, made.url, made.id));
        if as_json { print(&json(&answers::App::from(made))?) } else { Ok(()) }
    }
}

/// List apps
#[derive(Debug, Args)]
pub(super) struct List {
    /// Print one JSON document, in the shape of GET /apps
    #[arg(long)]
    json: bool,
}

impl List {
    fn run(&self, database: &Path) -> Result<()> {
        let app = opened(database)?;
        let shell = Caller::shell();
        let all = all_pages(|after| block_on(app.apps.list(&shell, after, PageSize::MAX_SIZE)))?;
        if self.json {
            return show_json(&answers::AppList::from(all));
        }
        let mut table = Table::new(&["ID", "NAME", "URL", "ACCESS", "GROUPS"])?;
        for app in all.items {
            let (id, name, url) = (app.id.to_string(), app.name.to_string(), app.url.to_string());
            table.row(&[id, name, url, app.access.to_string(), groups_of(&app)])?;
        }
        table.flush()
    }
}

/// Show one app
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    meant: Meant,

    /// Print it as JSON, in the shape of GET /apps/{app_id}
    #[arg(long)]
    json: bool,
}

impl Show {
    fn run(&self, database: &Path) -> Result<()> {
        let app = opened(database)?;
        let found = block_on(app.apps.get(&Caller::shell(), self.meant.find(&app)?)).map_err(explain)?;
        if self.json {
            return show_json(&answers::App::from(found));
        }
        let groups = groups_of(&found);
        let App { id, name, url, access, .. } = found;
        show(&format!("id      {id}\nname    {name}\nurl     {url}\naccess  {access}\ngroups  {groups}\n"))
    }
}

/// Change an app; what is not given stays
#[derive(Debug, Args)]
pub(super) struct Set {
    #[command(flatten)]
    meant: Meant,

    /// What people see
    #[arg(long, value_parser = |text: &str| DisplayName::parse(text))]
    name: Option<DisplayName>,

    /// Where browsers reach it
    #[arg(long, value_parser = |text: &str| Origin::parse(text))]
    url: Option<Origin>,

    /// Who may enter: everyone, admins or groups
    #[arg(long, value_parser = |text: &str| AppAccess::parse(text))]
    access: Option<AppAccess>,

    /// A group that may enter, with the access 'groups'; repeatable. Replaces all groups of the app
    #[arg(long = "group", value_name = "NAME", value_parser = |text: &str| GroupName::parse(text))]
    groups: Vec<GroupName>,

    /// Print the app as JSON, in the shape of GET /apps/{app_id}
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    settings: PublicUrlSettings,
}

impl Set {
    fn run(self, database: &Path) -> Result<()> {
        let app = open_to_change(database, &self.settings)?;
        let id = self.meant.find(&app)?;
        let groups = Some(self.groups).filter(|groups| !groups.is_empty());
        let changes = AppChanges { name: self.name, url: self.url, access: self.access, groups };
        let changed = block_on(app.apps.update(&Caller::shell(), id, changes, None)).map_err(explain)?;
        eprint(&format!("the app {} is {} at {}, for {}", changed.id, changed.name, changed.url, changed.access));
        if self.json { show_json(&answers::App::from(changed)) } else { Ok(()) }
    }
}

/// Delete an app: nobody can enter it any more, all sessions in it end, and its app tokens are revoked
#[derive(Debug, Args)]
pub(super) struct Delete {
    #[command(flatten)]
    meant: Meant,
}

impl Delete {
    fn run(&self, database: &Path) -> Result<()> {
        let app = opened(database)?;
        let id = self.meant.find(&app)?;
        block_on(app.apps.delete(&Caller::shell(), id)).map_err(explain)?;
        eprint(&format!("the app {} was deleted", self.meant.app));
        Ok(())
    }
}
