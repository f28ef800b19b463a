//! What is pasted into the configuration of a proxy: the examples, with the names of the app.

use crate::domain::Origin;
use std::{borrow::Cow, fmt};

/// A proxy that there is an example for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxy {
    Nginx,
    Caddy,
    Traefik,
}

impl Proxy {
    pub const ALL: [Self; 3] = [Self::Nginx, Self::Caddy, Self::Traefik];

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|proxy| proxy.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
            Self::Traefik => "traefik",
        }
    }

    /// What makes this proxy ask about the requests to an app: the file of the examples, with the names of the app, and
    /// without the comment at its top, which says what to change.
    pub fn snippet(self, app: &Origin, upstream: &Upstream) -> String {
        let example = match self {
            Self::Nginx => include_str!("../../../../examples/proxies/nginx/notes.conf"),
            Self::Caddy => include_str!("../../../../examples/proxies/caddy/notes.caddy"),
            Self::Traefik => include_str!("../../../../examples/proxies/traefik/notes.yml"),
        };
        let lines = example.lines().skip_while(|line| line.starts_with('#') || line.is_empty());
        let example: String = lines.flat_map(|line| [line, "\n"]).collect();
        example.replace("notes.example.com", app.host()).replace("127.0.0.1:3000", &upstream.0)
    }

    /// Where it belongs.
    pub fn file(self, app: &Origin) -> String {
        let host = app.host();
        match self {
            Self::Nginx => format!("/etc/nginx/conf.d/{host}.conf"),
            Self::Caddy => format!("/etc/caddy/apps/{host}.caddy"),
            Self::Traefik => format!("/etc/traefik/apps/{host}.yml"),
        }
    }

    /// As its makers write it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "Caddy",
            Self::Traefik => "Traefik",
        }
    }
}

/// Where a proxy reaches an app: a host and a port. Its characters mean nothing else in the configuration of a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream(String);

impl Default for Upstream {
    fn default() -> Self {
        Self("127.0.0.1:3000".to_owned())
    }
}

impl Upstream {
    /// Takes nothing but a host and a port, in characters that mean nothing else to a proxy.
    pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        let text = text.trim().trim_start_matches("http://").trim_end_matches('/');
        let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b));
        let has_port = text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0));
        let has_host = Origin::normalized(&format!("http://{text}")).is_ok();
        if is_plain && has_port && has_host {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be a host and a port, such as 127.0.0.1:3000".into())
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
