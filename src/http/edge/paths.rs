//! The paths of the service, as logs, metrics and `Allow` name them.

use poem::http::HeaderValue;
use std::collections::HashMap;

/// One path and its methods.
#[derive(Debug)]
pub struct Path {
    /// As the spec spells it: `/users/{user_id}`.
    pub template: String,
    pub allow: HeaderValue,
}

/// All paths, by the router's spelling (`/users/:param0`).
#[derive(Debug)]
pub struct Paths(HashMap<String, Path>);

impl Paths {
    /// From templates and their methods.
    pub fn new(paths: impl Iterator<Item = (String, Vec<String>)>) -> Self {
        Self(paths.map(|(template, methods)| (router_spelling(&template), path(template, methods))).collect())
    }

    pub fn get(&self, router_spelling: &str) -> Option<&Path> {
        self.0.get(router_spelling)
    }
}

/// The generator renames parameters for the router: the first is `:param0`.
fn router_spelling(template: &str) -> String {
    let mut parameters = (0..).map(|n| format!(":param{n}"));
    let mut segment = |segment: &str| {
        let parameter = segment.starts_with('{').then(|| parameters.next()).flatten();
        parameter.unwrap_or_else(|| segment.to_owned())
    };
    template.split('/').map(&mut segment).collect::<Vec<_>>().join("/")
}

fn path(template: String, mut methods: Vec<String>) -> Path {
    if methods.iter().any(|method| method == "GET") {
        methods.push("HEAD".into());
    }
    methods.sort();
    let allow = HeaderValue::from_str(&methods.join(", ")).expect("methods are plain text");
    Path { template, allow }
}
