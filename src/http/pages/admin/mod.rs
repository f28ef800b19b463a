//! Pages on which administrators look after the service.

pub mod protect;
mod snippet;
mod user;
mod users;

use super::{Handlers, get, post, view::Sections};

/// Their links, on each of them.
const SECTIONS: Sections =
    Sections { name: "Administration", pages: &[(users::PATH, "Accounts"), (protect::PATH, "Protect an app")] };

pub fn routes() -> Vec<(&'static str, Handlers)> {
    vec![
        (protect::PATH, vec![get(protect::show), post(protect::protect)]),
        ("/admin/apps/{app_id}", vec![get(protect::show_app)]),
        (users::PATH, vec![get(users::list)]),
        (users::NEW, vec![get(users::show_new), post(users::create)]),
        ("/admin/users/{user_id}", vec![get(user::show), post(user::save)]),
        ("/admin/users/{user_id}/groups", vec![post(user::set_groups)]),
        ("/admin/users/{user_id}/sessions", vec![post(user::end_sessions)]),
        ("/admin/users/{user_id}/disable", vec![post(user::disable)]),
        ("/admin/users/{user_id}/enable", vec![post(user::enable)]),
        ("/admin/users/{user_id}/unlock", vec![post(user::unlock)]),
        ("/admin/users/{user_id}/reset", vec![post(user::issue_reset)]),
        ("/admin/users/{user_id}/delete", vec![post(user::delete)]),
    ]
}
