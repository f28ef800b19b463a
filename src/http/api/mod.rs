//! The REST API: one file for each resource, with its operations, requests and answers.
//!
//! An operation takes the session, the path and the body, in this order; calls one method of [`App`]; and wraps the answer.

pub mod answers;
mod app_tokens;
mod apps;
mod audit;
mod auth;
mod groups;
mod history;
mod import;
mod invitations;
pub mod openapi;
mod service;
mod sessions;
mod user;
mod users;
mod verify;

use super::wire::error::ErrorCode;
use crate::app::App;
use poem::{endpoint::BoxEndpoint, http::Method};
use poem_openapi::{
    OpenApi,
    registry::{MetaOperation, MetaParamIn, MetaPath},
};
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

/// Where the API lives.
pub const PREFIX: &str = "/api/v1";
pub const SPEC_PATH: &str = "/api/v1/openapi.json";

/// The heading of a resource in the spec.
#[derive(Debug, Clone, Copy)]
struct Tag {
    name: &'static str,
    description: &'static str,
}

const AUTHENTICATION: Tag =
    Tag { name: "Authentication", description: "Signing in and out, and identifying the caller" };

const USERS: Tag = Tag { name: "Users", description: "Accounts" };
const AUDIT: Tag = Tag { name: "Audit", description: "The audit log" };

/// Generates from the list of resources their operations, failure codes and tags.
macro_rules! resources {
    ($($module:ident::$resource:ident $tag:expr;)*) => {
        /// All operations.
        pub type Resources = ($($module::$resource,)*);

        pub fn resources(app: &Arc<App>) -> Resources {
            ($($module::$resource { app: app.clone() },)*)
        }

        /// In the order of `Resources`.
        const TAGS: [Tag; [$(stringify!($module)),*].len()] = [$($tag),*];

        /// The codes that each operation can answer with, in addition to those that every operation has.
        fn failures() -> impl Iterator<Item = &'static (&'static str, &'static [ErrorCode])> {
            [$($module::FAILURES),*].into_iter().flatten()
        }
    };
}

// The methods of one path must be in one file: the spec would list the path twice.
resources! {
    users::Users USERS;
    import::Import USERS;
    auth::Auth AUTHENTICATION;
    verify::Verify AUTHENTICATION;
    sessions::Sessions Tag { name: "Sessions", description: "Where accounts are signed in" };
    groups::Groups Tag { name: "Groups", description: "Groups of accounts" };
    apps::Apps Tag { name: "Apps", description: "Apps behind a proxy, which people enter with one sign-in" };
    app_tokens::AppTokens Tag { name: "App tokens", description: "What native clients show to apps behind a proxy" };
    invitations::Invitations Tag { name: "Invitations", description: "Invitations to register" };
    service::Service Tag { name: "Service", description: "What a client needs to know about the server" };
    audit::Audit AUDIT;
    history::History AUDIT;
}

type Handlers = HashMap<Method, BoxEndpoint<'static>>;

/// Every path of the API, as the spec spells it, with its handlers, and the methods that take no query parameters.
pub fn routes(app: &Arc<App>) -> impl Iterator<Item = (&'static str, Handlers, &'static [Method])> {
    let mut handlers = HashMap::new();
    resources(app).add_routes(&mut handlers);
    paths().iter().map(move |Path { template, without_query }| {
        let spelling = router_spelling(&template[PREFIX.len()..]);
        (template.as_str(), handlers.remove(&spelling).expect("every path has handlers"), without_query.as_slice())
    })
}

struct Path {
    template: String,
    without_query: Vec<Method>,
}

fn paths() -> &'static [Path] {
    static PATHS: OnceLock<Vec<Path>> = OnceLock::new();
    let takes_query =
        |operation: &MetaOperation| operation.params.iter().any(|given| given.in_type == MetaParamIn::Query);
    let read = |path: MetaPath| {
        let without_query = path.operations.iter().filter(|operation| !takes_query(operation));
        Path {
            template: format!("{PREFIX}{}", path.path),
            without_query: without_query.map(|operation| operation.method.clone()).collect(),
        }
    };
    let all = || Resources::meta().into_iter().flat_map(|resource| resource.paths);
    PATHS.get_or_init(|| all().map(read).collect())
}

/// The generator renames a path's parameters in its table of handlers: the first is `:param0`.
fn router_spelling(template: &str) -> String {
    let mut parameters = (0..).map(|n| format!(":param{n}"));
    let mut segment = |segment: &str| {
        let parameter = segment.starts_with('{').then(|| parameters.next()).flatten();
        parameter.unwrap_or_else(|| segment.to_owned())
    };
    template.split('/').map(&mut segment).collect::<Vec<_>>().join("/")
}
