//! Tokens that an administrator hands over: as a link, where there is a page that it opens.

use crate::{
    config::PublicUrlSettings,
    domain::Token,
    http::{Linked, link_of},
};
use clap::Args;

/// How a token is printed.
#[derive(Debug, Args)]
pub(super) struct HandedOver {
    /// Print the token alone, as the API takes it, also where a link could be printed
    #[arg(long)]
    token: bool,

    #[command(flatten)]
    settings: PublicUrlSettings,
}

impl HandedOver {
    /// The line to hand over: a link, or the token where it was asked for or no public URL is known.
    pub(super) fn line<K: Linked>(&self, token: &Token<K>) -> String {
        match &self.settings.public_url {
            Some(url) if !self.token => format!("{}\n", link_of(url, token)),
            _ => format!("{}\n", token.reveal()),
        }
    }
}
