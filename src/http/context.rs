//! The context of a request, known before anything reads it.

use super::server::Connection;
use crate::{
    app::App,
    domain::{Actor, Caller, Client, SignedIn, UserId},
};
use poem::{Request, http::Uri};
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};
use zeroize::Zeroizing;

/// The fields of a form, by name. They may be secrets.
pub type FormFields = Arc<BTreeMap<String, Zeroizing<String>>>;

/// Attached to the request as data.
pub struct Context {
    pub app: Arc<App>,
    pub client: Client,
    /// The other end of the connection.
    pub peer: IpAddr,
    /// Whether that is a proxy whose headers are believed.
    pub is_from_trusted_proxy: bool,
    pub request_id: Arc<str>,
    pub connection: Arc<Connection>,
    pub draining: Arc<Draining>,
    /// What was asked for.
    pub uri: Uri,
    /// The fields of the form that was sent, once they have been read.
    pub form: OnceLock<FormFields>,
    /// The values of the path parameters, in order, decoded.
    pub path_parameters: Vec<String>,
    /// Who sent it, if they are signed in, once that is known.
    pub signed_in: OnceLock<Arc<SignedIn>>,
    /// The account on whose behalf it was sent, once that is known.
    pub user: OnceLock<UserId>,
}

/// A request that did not pass the edge, which is a bug.
#[derive(Debug)]
pub struct NoContext;

impl Context {
    /// The caller of this request, once it is known who acts; it is noted for the log.
    pub fn caller(&self, actor: Actor) -> Caller {
        let caller = Caller { actor, client: self.client, request_id: Some(self.request_id.clone()) };
        if let Actor::SignedIn(signed_in) = &caller.actor {
            self.signed_in.set(signed_in.clone()).ok();
        }
        if let Some(user) = caller.user_id() {
            self.user.set(user).ok();
        }
        caller
    }

    pub fn of(request: &Request) -> Result<&Context, NoContext> {
        Self::shared(request).map(Arc::as_ref)
    }

    /// The same for what keeps it beyond the request.
    pub fn shared(request: &Request) -> Result<&Arc<Context>, NoContext> {
        request.data::<Arc<Context>>().ok_or(NoContext)
    }
}

/// Whether the server has been told to stop.
#[derive(Debug, Default)]
pub struct Draining(AtomicBool);

impl Draining {
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
