//! Pages on which people look after their own account.

mod profile;

use super::{Handlers, get, post, view::Sections};

/// Their links, on each of them.
const SECTIONS: Sections = Sections { name: "Your account", pages: &[(profile::PATH, "Profile")] };

pub fn routes() -> Vec<(&'static str, Handlers)> {
    vec![(profile::PATH, vec![get(profile::show), post(profile::save)])]
}
