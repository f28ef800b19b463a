//! Pages on which administrators look after the service.

mod access;
mod app;
mod apps;
mod audit;
mod export;
mod group;
mod groups;
mod health;
mod import;
mod invitations;
mod overview;
pub mod protect;
mod snippet;
mod user;
mod users;

use super::{Handlers, get, post, view::Sections};

/// Their links, on each of them.
const SECTIONS: Sections = Sections {
    name: "Administration",
    pages: &[
        (overview::PATH, "Overview"),
        (users::PATH, "Accounts"),
        (groups::PATH, "Groups"),
        (apps::PATH, "Apps"),
        (invitations::PATH, "Invitations"),
        (audit::PATH, "Audit log"),
        (health::PATH, "Health"),
    ],
};

pub fn routes() -> Vec<(&'static str, Handlers)> {
    vec![
        (overview::PATH, vec![get(overview::show)]),
        (audit::PATH, vec![get(audit::show)]),
        (export::PATH, vec![get(export::download)]),
        (health::PATH, vec![get(health::show)]),
        (apps::PATH, vec![get(apps::show)]),
        (protect::PATH, vec![get(protect::show), post(protect::protect)]),
        (users::PATH, vec![get(users::list)]),
        (users::NEW, vec![get(users::show_new), post(users::create)]),
        (users::IMPORT, vec![get(import::show), post(import::import)]),
        ("/admin/users/{user_id}", vec![get(user::show), post(user::save)]),
        ("/admin/users/{user_id}/groups", vec![post(user::set_groups)]),
        ("/admin/users/{user_id}/sessions", vec![post(user::end_sessions)]),
        ("/admin/users/{user_id}/app-tokens", vec![post(user::revoke_app_token)]),
        ("/admin/users/{user_id}/disable", vec![post(user::disable)]),
        ("/admin/users/{user_id}/enable", vec![post(user::enable)]),
        ("/admin/users/{user_id}/unlock", vec![post(user::unlock)]),
        ("/admin/users/{user_id}/reset", vec![post(user::issue_reset)]),
        ("/admin/users/{user_id}/delete", vec![post(user::delete)]),
        (groups::PATH, vec![get(groups::list), post(groups::create)]),
        ("/admin/groups/{group_id}", vec![get(group::show), post(group::rename)]),
        ("/admin/groups/{group_id}/join", vec![post(group::join)]),
        ("/admin/groups/{group_id}/leave", vec![post(group::leave)]),
        ("/admin/groups/{group_id}/sessions", vec![post(group::end_sessions)]),
        ("/admin/groups/{group_id}/delete", vec![post(group::delete)]),
        (invitations::PATH, vec![get(invitations::list), post(invitations::create)]),
        ("/admin/invitations/{invitation_id}/delete", vec![post(invitations::delete)]),
        ("/admin/apps/{app_id}", vec![get(app::show), post(app::save)]),
        ("/admin/apps/{app_id}/delete", vec![post(app::delete)]),
    ]
}
