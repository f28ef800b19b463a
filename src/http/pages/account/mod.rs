//! Pages on which people look after their own account.

mod app_tokens;
mod delete;
mod history;
mod password;
mod profile;
mod sessions;

use super::{Handlers, get, post, view::Sections};

/// Their links, on each of them.
const SECTIONS: Sections = Sections {
    name: "Your account",
    pages: &[
        (profile::PATH, "Profile"),
        (password::PATH, "Password"),
        (sessions::PATH, "Sessions"),
        (app_tokens::PATH, "App tokens"),
        (history::PATH, "History"),
        (delete::PATH, "Delete account"),
    ],
};

pub fn routes() -> Vec<(&'static str, Handlers)> {
    vec![
        (profile::PATH, vec![get(profile::show), post(profile::save)]),
        (password::PATH, vec![get(password::show), post(password::save)]),
        (sessions::PATH, vec![get(sessions::show), post(sessions::end)]),
        (app_tokens::PATH, vec![get(app_tokens::show), post(app_tokens::create)]),
        (app_tokens::REVOKE, vec![post(app_tokens::revoke)]),
        (history::PATH, vec![get(history::show)]),
        (delete::PATH, vec![get(delete::show), post(delete::delete)]),
    ]
}
