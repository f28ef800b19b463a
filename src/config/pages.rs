//! The pages for people.

use super::values::{instance_name, public_url};
use crate::{app::Policy, domain::Origin};
use clap::Args;

/// The public URL, for commands that register apps or print links.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Pages")]
pub struct PublicUrlSettings {
    /// Where browsers reach the server. Links begin with it, and apps need its scheme and another host
    #[arg(long, env = "USHER_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub public_url: Option<Origin>,
}

/// The pages for people.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Pages")]
pub struct PageSettings {
    /// Where browsers reach this server, such as https://auth.example.com: scheme, host, and the port unless it is the
    /// scheme's own; no path. Links, cookies and redirects are built from it. Without it, a server that listens on a
    /// loopback address takes http:// and that address; any other server serves no pages, only the API
    #[arg(long, env = "USHER_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub public_url: Option<Origin>,

    /// The name of this installation, shown on its pages: 1 to 50 characters
    #[arg(long, env = "USHER_INSTANCE_NAME", value_name = "TEXT", default_value = Policy::DEFAULT_INSTANCE_NAME, value_parser = instance_name)]
    pub instance_name: String,
}
