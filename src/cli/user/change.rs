//! `usher user disable`, `enable`, `set-role`, `set-username`, `set-email`, `set-display-name` and `set-password`

use super::Named;
use crate::{
    app::{App, ExpectedRevision, Policy},
    cli::{eprint, explain, open, open_for_passwords, output::show_json, password::PasswordSource},
    config::{CostSettings, PasswordSettings},
    domain::{Caller, DisplayName, EmailAddress, Role, User, UserChanges, UserId, Username},
    http::answers,
};
use anyhow::{Result, anyhow};
use clap::Args;
use futures_executor::block_on;
use std::path::Path;

/// Whose account, and how the result is shown.
#[derive(Debug, Args)]
struct Target {
    #[command(flatten)]
    named: Named,

    /// Print the account as JSON, in the shape of GET /api/v1/users/{user_id}
    #[arg(long)]
    json: bool,
}

impl Target {
    /// Changes the account, and prints the result in one line.
    fn change_in(&self, database: &Path, changes: UserChanges, says: impl FnOnce(&User) -> String) -> Result<()> {
        let app = open(database, Policy::default())?;
        change(&app, self.named.find_to_change(&app)?.id, changes, self.json, says)
    }
}

/// Changes an account that has been looked up.
fn change(app: &App, id: UserId, changes: UserChanges, json: bool, says: impl FnOnce(&User) -> String) -> Result<()> {
    let shell = Caller::shell();
    let changed = app.accounts.update(&shell, Some(id), changes, ExpectedRevision::Any);
    let user = block_on(changed).map_err(explain)?;
    eprint(&says(&user));
    if json { show_json(&answers::User::from(user)) } else { Ok(()) }
}

/// Disable an account: it can't sign in, its sessions end, and its app tokens are revoked
///
/// Invitations and reset tokens that an administrator created stop working when the account is disabled. The last enabled
/// administrator can't be disabled.
#[derive(Debug, Args)]
pub(in crate::cli) struct Disable {
    #[command(flatten)]
    target: Target,
}

impl Disable {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        let changes = UserChanges { disabled: Some(true), ..UserChanges::default() };
        self.target.change_in(database, changes, |user| format!("{} is disabled, and has no sessions", user.username))
    }
}

/// Enable an account again
#[derive(Debug, Args)]
pub(in crate::cli) struct Enable {
    #[command(flatten)]
    target: Target,
}

impl Enable {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        let changes = UserChanges { disabled: Some(false), ..UserChanges::default() };
        self.target.change_in(database, changes, |user| format!("{} is enabled", user.username))
    }
}

/// Change the role of an account: 'admin' may see and change every account, 'user' only their own
///
/// Its sessions continue with the new role. When an administrator is demoted, the invitations and reset tokens that they
/// created stop working.
/// The last enabled administrator can't be demoted.
#[derive(Debug, Args)]
pub(in crate::cli) struct SetRole {
    #[command(flatten)]
    target: Target,

    /// The new role: user or admin
    #[arg(value_parser = |text: &str| Role::parse(text))]
    role: Role,
}

impl SetRole {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        let changes = UserChanges { role: Some(self.role), ..UserChanges::default() };
        self.target.change_in(database, changes, |user| format!("{} has the role {}", user.username, user.role))
    }
}

/// Change an account's username
#[derive(Debug, Args)]
pub(in crate::cli) struct SetUsername {
    #[command(flatten)]
    target: Target,

    /// The new username
    #[arg(value_name = "NAME", value_parser = |text: &str| Username::parse(text))]
    username: Username,
}

impl SetUsername {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        let changes = UserChanges { username: Some(self.username.clone()), ..UserChanges::default() };
        self.target.change_in(database, changes, |user| {
            format!("the username of account {} is now {}", user.id, user.username)
        })
    }
}

/// Change an account's e-mail address; it counts as verified
#[derive(Debug, Args)]
pub(in crate::cli) struct SetEmail {
    #[command(flatten)]
    target: Target,

    /// The new e-mail address
    #[arg(value_name = "ADDRESS", value_parser = |text: &str| EmailAddress::parse(text))]
    email: EmailAddress,
}

impl SetEmail {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        let changes = UserChanges { email: Some(self.email.clone()), ..UserChanges::default() };
        self.target
            .change_in(database, changes, |user| format!("{} has the e-mail address {}", user.username, user.email))
    }
}

/// Change an account's display name, which pages and apps show
///
/// At most 100 characters of any script. An empty name ('') removes it.
#[derive(Debug, Args)]
pub(in crate::cli) struct SetDisplayName {
    #[command(flatten)]
    target: Target,

    /// The new display name, or '' for none
    #[arg(value_name = "NAME", value_parser = display_name)]
    display_name: Shown,
}

/// A display name, or none.
#[derive(Debug, Clone)]
struct Shown(Option<DisplayName>);

fn display_name(text: &str) -> Result<Shown, std::borrow::Cow<'static, str>> {
    Some(text).filter(|text| !text.is_empty()).map(DisplayName::parse).transpose().map(Shown)
}

impl SetDisplayName {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        let changes = UserChanges { display_name: Some(self.display_name.0.clone()), ..UserChanges::default() };
        self.target.change_in(database, changes, |user| match &user.display_name {
            Some(name) => format!("{} has the display name {name}", user.username),
            None => format!("{} has no display name", user.username),
        })
    }
}

/// Set an account's password; its sessions end, and its app tokens and reset tokens stop working
///
/// Asks for the password twice on the terminal, unless a flag gives it.
#[derive(Debug, Args)]
pub(in crate::cli) struct SetPassword {
    #[command(flatten)]
    named: Named,

    #[command(flatten)]
    source: PasswordSource,

    /// Print the account as JSON, in the shape of GET /api/v1/users/{user_id}; not together with --generate-password
    #[arg(long, conflicts_with = "generate_password")]
    json: bool,

    #[command(flatten)]
    passwords: PasswordSettings,

    #[command(flatten)]
    cost: CostSettings,
}

impl SetPassword {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        let app = open_for_passwords(database, &self.passwords, self.cost)?;
        let user = self.named.find_to_change(&app)?;
        let typed = self.source.read()?;
        let names = [user.username.as_str(), user.email.as_str()];
        let accepted = app.accounts.accept_password(&typed, &names);
        let password = accepted.map_err(|fault| anyhow!("password {fault}"))?;
        let changes = UserChanges { password: Some(password), ..UserChanges::default() };
        let says = |user: &User| format!("{} has a new password, and no sessions", user.username);
        change(&app, user.id, changes, self.json, says)?;
        self.source.reveal(&typed)
    }
}
