//! `usher app-token`

use super::{
    eprint, explain, open,
    output::{Table, json, or_hyphen, show_json},
    print,
    user::Named,
};
use crate::{
    app::{Policy, WantedAppToken},
    config::duration,
    domain::{AppSelector, AppTokenId, Caller, DisplayName, Error},
    http::answers,
};
use anyhow::{Context, Result, anyhow};
use clap::{Args, Subcommand};
use futures_executor::block_on;
use std::{path::Path, time::Duration};

/// List, create and revoke the app tokens of an account, also while a server runs
#[derive(Debug, Subcommand)]
pub(super) enum AppTokenCommand {
    Add(Add),
    List(List),
    Revoke(Revoke),
}

impl AppTokenCommand {
    pub(super) fn run(self, database: &Path) -> Result<()> {
        match self {
            Self::Add(command) => command.run(database),
            Self::List(command) => command.run(database),
            Self::Revoke(command) => command.run(database),
        }
    }
}

/// Create an app token, and print it alone
///
/// A native client, such as a music player or git, sends it to one app behind a proxy in place of a sign-in: as the password
/// of the HTTP scheme Basic, with any username, or as Bearer. The account must be allowed to enter the app. What ends all
/// sessions of the account revokes it.
#[derive(Debug, Args)]
pub(super) struct Add {
    #[command(flatten)]
    named: Named,

    /// The app that it opens: digits are an id, anything else is its host, such as notes.example.com
    #[arg(long, value_name = "APP", value_parser = |text: &str| AppSelector::parse(text))]
    app: AppSelector,

    /// What it is for, such as the client or the device: at most 100 characters of any script
    #[arg(long, value_parser = |text: &str| DisplayName::parse(text))]
    name: DisplayName,

    /// How long it can be used; without it, until it is revoked. Such as 90d
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    expires_in: Option<Duration>,

    /// Print it as JSON, in the shape of POST /api/v1/users/{user_id}/app-tokens
    #[arg(long)]
    json: bool,
}

impl Add {
    fn run(self, database: &Path) -> Result<()> {
        let (app, shell) = (open(database, Policy::default())?, Caller::shell());
        let user = self.named.find(&app)?;
        let entered = block_on(app.apps.find(&shell, self.app.clone()));
        let entered = entered.map_err(explain).with_context(|| self.app.to_string())?;
        let wanted = WantedAppToken { name: self.name, app: Some(entered), expires_in: self.expires_in };
        let issued = block_on(app.app_tokens.create(&shell, Some(user.id), wanted)).map_err(|error| match error {
            Error::AppNotFound => anyhow!(
                "{} may not enter the app {}: see 'usher app show', and whether the account is disabled",
                user.username,
                self.app
            ),
            error => explain(error),
        })?;
        let (token, end) = (&issued.token, issued.token.expires_at);
        let end = end.map_or_else(|| "it is revoked".to_owned(), |end| end.to_string());
        eprint(&format!("app token {} of {} for {}, until {end}", token.id, user.username, token.app_name));
        if self.json {
            return print(&json(&answers::CreatedAppToken::from(issued))?);
        }
        print(&format!("{}\n", issued.secret.reveal()))
    }
}

/// List the app tokens of an account, the newest first
///
/// App tokens that have expired are not shown.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    named: Named,

    /// Print one JSON document, in the shape of GET /api/v1/users/{user_id}/app-tokens
    #[arg(long)]
    json: bool,
}

impl List {
    fn run(&self, database: &Path) -> Result<()> {
        let app = open(database, Policy::default())?;
        let user = self.named.find(&app)?;
        let listed = block_on(app.app_tokens.list(&Caller::shell(), Some(user.id))).map_err(explain)?;
        if self.json {
            return show_json(&answers::AppTokenList::from(listed));
        }
        let mut table = Table::new(&["ID", "NAME", "APP", "CREATED", "EXPIRES", "LAST USED"])?;
        for token in listed {
            table.row(&[
                token.id.to_string(),
                token.name.to_string(),
                token.app_name,
                token.created_at.to_string(),
                or_hyphen(token.expires_at),
                or_hyphen(token.last_used_at),
            ])?;
        }
        table.flush()
    }
}

/// Revoke an app token of an account, from the next request on
#[derive(Debug, Args)]
pub(super) struct Revoke {
    #[command(flatten)]
    named: Named,

    /// The app token's id; see 'usher app-token list'
    #[arg(value_parser = app_token_id)]
    id: AppTokenId,
}

fn app_token_id(text: &str) -> Result<AppTokenId, String> {
    AppTokenId::parse(text).ok_or_else(|| "an id is 1, 2, 3 and so on; see 'usher app-token list'".to_owned())
}

impl Revoke {
    fn run(&self, database: &Path) -> Result<()> {
        let app = open(database, Policy::default())?;
        let user = self.named.find(&app)?;
        block_on(app.app_tokens.revoke(&Caller::shell(), Some(user.id), Some(self.id))).map_err(explain)?;
        eprint(&format!("app token {} of {} was revoked", self.id, user.username));
        Ok(())
    }
}
