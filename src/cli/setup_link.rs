//! `usher setup-link`

use super::{eprint, explain, open, print};
use crate::{app::Policy, config::PublicUrlSettings, domain::Caller, http::link_of};
use anyhow::{Result, bail};
use clap::Args;
use futures_executor::block_on;
use std::path::Path;

/// Print a link with which somebody creates the first administrator in a browser
///
/// It works once, for an hour, while there is no enabled administrator. Earlier links no longer work, among them the one
/// that 'usher serve' wrote to its log. Also works while a server runs.
#[derive(Debug, Args)]
pub(super) struct SetupLink {
    #[command(flatten)]
    pages: PublicUrlSettings,
}

impl SetupLink {
    pub(super) fn run(self, database: &Path) -> Result<()> {
        let Some(public_url) = self.pages.public_url else {
            bail!(
                "the link would lead nowhere: no server with pages has run on this database; give --public-url, or use \
                 'usher create-admin'"
            )
        };
        let app = open(database, Policy { public_url: Some(public_url.clone()), ..Policy::default() })?;
        let Some(link) = block_on(app.setup.issue(&Caller::shell())).map_err(explain)? else {
            bail!("there is an administrator already; 'usher create-admin' creates another")
        };
        eprint(&format!("open this link until {}", link.expires_at));
        print(&format!("{}\n", link_of(&public_url, &link.token)))
    }
}
