//! Who asks: a value that goes with every use case and every write.

use super::{SignedIn, UserId};
use std::{net::IpAddr, sync::Arc};

/// On whose behalf something is done.
#[derive(Debug, Clone)]
pub enum Actor {
    /// Someone who sent no token.
    Anonymous,
    /// Someone with a valid session. What it says was true when the request came; a write reads it again.
    SignedIn(Arc<SignedIn>),
    /// Whoever can run the program on the database file, or the service itself.
    Shell,
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Client {
    /// `None` where it can't be known: behind a proxy that nobody declared, or at the shell.
    pub ip: Option<IpAddr>,
}

/// Who asks, from where, and in which request.
#[derive(Debug, Clone)]
pub struct Caller {
    pub actor: Actor,
    pub client: Client,
    pub request_id: Option<Arc<str>>,
}

impl Caller {
    /// The shell, and the service's own housekeeping.
    pub fn shell() -> Self {
        Self { actor: Actor::Shell, client: Client::default(), request_id: None }
    }

    pub fn user_id(&self) -> Option<UserId> {
        self.signed_in().map(|signed_in| signed_in.user.id)
    }

    pub fn signed_in(&self) -> Option<&SignedIn> {
        match &self.actor {
            Actor::SignedIn(signed_in) => Some(signed_in),
            Actor::Anonymous | Actor::Shell => None,
        }
    }
}
