//! The list of apps.

use super::SECTIONS;
use crate::{
    domain::{App, AppAccess, AppId, AppStatus, GroupName, PageSize},
    http::{
        auth::Administrator,
        pages::{
            list::{Ways, place},
            view::{Layout, html, page},
        },
        wire::error::ApiError,
    },
};
use poem::{Request, Response, Result, handler, http::StatusCode};

pub const PATH: &str = "/admin/apps";

page! {
    AppsPage from "apps.html" {
        apps: Vec<AppStatus>,
        ways: Ways,
    }
}

/// Each with who may enter, and when its proxy last asked.
#[handler]
pub async fn show(admin: Administrator, request: &Request) -> Result<Response> {
    let after = place(request, AppId::parse)?;
    let listed = admin.context.app.apps.list_with_last_asked(&admin.caller, after, PageSize::default());
    let listed = listed.await.map_err(ApiError::from)?;
    let page = AppsPage {
        layout: Layout::of(&admin).within(&SECTIONS, PATH),
        ways: Ways::new(PATH, &[], after.is_none(), listed.next.as_ref()),
        apps: listed.items,
    };
    Ok(html(StatusCode::OK, &page)?)
}

/// Who may enter an app, in words.
pub fn access_in_words(app: &App) -> String {
    in_words(app.access, app.groups.iter().map(GroupName::as_str))
}

pub fn in_words<'g>(access: AppAccess, groups: impl Iterator<Item = &'g str>) -> String {
    match access {
        AppAccess::Everyone => "everyone with an account".to_owned(),
        AppAccess::Admins => "administrators".to_owned(),
        AppAccess::Groups => format!("members of {}", groups.collect::<Vec<_>>().join(", ")),
    }
}
