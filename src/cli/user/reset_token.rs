//! `usher user reset-token`

use super::Named;
use crate::{
    app::Policy,
    cli::{eprint, explain, handed_over::HandedOver, open, output::json, print},
    config::ResetSettings,
    domain::Caller,
    http::answers,
};
use anyhow::Result;
use clap::Args;
use futures_executor::block_on;
use std::path::Path;

/// Create and print a one-time link for a new password
///
/// Give it to the owner of the account, who opens it in a browser. If --public-url is not known, a token is printed instead,
/// for POST /api/v1/auth/password-reset. A new password ends all sessions of the account. Opening the link does not use it
/// up. Earlier reset tokens of the account stop working.
#[derive(Debug, Args)]
pub(in crate::cli) struct ResetToken {
    #[command(flatten)]
    named: Named,

    /// Print it as JSON, in the shape of POST /api/v1/users/{user_id}/password-reset
    #[arg(long, conflicts_with = "token")]
    json: bool,

    #[command(flatten)]
    handed_over: HandedOver,

    #[command(flatten)]
    settings: ResetSettings,
}

impl ResetToken {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        let policy = Policy { reset_lifetime: self.settings.reset_lifetime, ..Policy::default() };
        let app = open(database, policy)?;
        let user = self.named.find(&app)?;
        let issued = block_on(app.resets.issue(&Caller::shell(), Some(user.id))).map_err(explain)?;
        eprint(&format!("for {} ({}), until {}", user.username, user.email, issued.expires_at));
        if user.disabled {
            let name = &user.username;
            eprint(&format!(
                "warning: {name} is disabled and can't sign in; enable it with 'usher user enable {name}'"
            ));
        }
        if self.json {
            return print(&json(&answers::PasswordResetIssued::from(issued))?);
        }
        print(&self.handed_over.line(&issued.token))
    }
}
