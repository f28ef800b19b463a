//! Pages on which administrators look after the service.

pub mod protect;
mod snippet;

use super::{Handlers, get, post, view::Sections};

/// Their links, on each of them.
const SECTIONS: Sections = Sections { name: "Administration", pages: &[(protect::PATH, "Protect an app")] };

pub fn routes() -> Vec<(&'static str, Handlers)> {
    vec![
        (protect::PATH, vec![get(protect::show), post(protect::protect)]),
        ("/admin/apps/{app_id}", vec![get(protect::show_app)]),
    ]
}
