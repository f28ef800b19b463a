//! `usher user show`

use super::Named;
use crate::{
    app::Policy,
    cli::{
        open,
        output::{USER_COLUMNS, or_hyphen, show, show_json, user_row},
    },
    domain::{GroupName, User},
    http::answers,
};
use anyhow::Result;
use clap::Args;
use std::path::Path;

/// Show one account
#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    #[command(flatten)]
    named: Named,

    /// Print it as JSON, in the shape of GET /api/v1/users/{user_id}
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        let app = open(database, Policy::default())?;
        let user = self.named.find(&app)?;
        if self.json { show_json(&answers::User::from(user)) } else { show(&lines(&user)) }
    }
}

/// One line for each property.
fn lines(user: &User) -> String {
    let verified = if user.email_verified { "yes" } else { "no" };
    let display_name = or_hyphen(user.display_name.as_ref());
    let names: Vec<&str> = user.groups.iter().map(GroupName::as_str).collect();
    let groups = if names.is_empty() { "-".to_owned() } else { names.join(", ") };
    let more = [
        ("EMAIL VERIFIED", verified.to_owned()),
        ("DISPLAY NAME", display_name),
        ("GROUPS", groups),
        ("UPDATED", user.updated_at.to_string()),
    ];
    let properties = USER_COLUMNS.into_iter().zip(user_row(user)).chain(more);
    let lines: Vec<String> = properties.map(|(name, value)| format!("{:<15} {value}\n", name.to_lowercase())).collect();
    lines.concat()
}
