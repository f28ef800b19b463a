//! Apps behind a proxy, over HTTP.

use crate::{
    app,
    domain::{self, AppAccess, AppChanges, AppId, DisplayName, Origin},
    http::{
        auth::SignedInCaller,
        wire::{
            body::{Body, Json, body},
            error::{ApiError, ErrorCode},
            path::Path,
            query::{Part, Query, page_answer},
            schema::{AppGroups, Example, Item, answer},
        },
    },
};
use poem_openapi::{ApiResponse, OpenApi};
use serde_json::{Value, json};
use std::sync::Arc;

pub struct Apps {
    pub app: Arc<app::App>,
}

/// The codes that each operation here can answer with, in addition to those that every operation has.
pub const FAILURES: &[(&str, &[ErrorCode])] = &[
    ("createApp", &[ErrorCode::Forbidden, ErrorCode::HostTaken]),
    ("listApps", &[ErrorCode::Forbidden]),
    ("getApp", &[ErrorCode::Forbidden, ErrorCode::AppNotFound]),
    ("updateApp", &[ErrorCode::Forbidden, ErrorCode::AppNotFound, ErrorCode::HostTaken]),
    ("deleteApp", &[ErrorCode::Forbidden, ErrorCode::AppNotFound]),
];

body! {
    /// The data of a new app.
    NewApp as "NewApp" {
        /// What people see: at most 100 characters, as a display name
        required name: DisplayName,
        /// Where browsers reach it: scheme, host, and the port unless it is the scheme's own; no path. If the server has a `--public-url`, the scheme must be the same. The host, whatever the port, must be neither that of the public URL nor that of another app
        required url: Origin,
        /// Who may enter. Administrators may only where this says so
        required access: AppAccess,
        /// The names of the groups that may enter. Required if `access` is `groups`, and refused otherwise
        optional groups: AppGroups,
    }
}

impl Example for NewApp {
    fn example() -> Value {
        json!({"name": "Notes", "url": "https://notes.example.com", "access": "groups", "groups": ["family"]})
    }
}

impl From<NewApp> for domain::NewApp {
    fn from(new: NewApp) -> Self {
        let NewApp { name, url, access, groups } = new;
        Self { name, url, access, groups: groups.map_or_else(Vec::new, |AppGroups(groups)| groups) }
    }
}

body! {
    /// The fields to change. Omitted fields keep their values.
    AppUpdate as "AppUpdate" {
        /// See NewApp
        optional name: DisplayName,
        /// See NewApp
        optional url: Origin,
        /// See NewApp. If it was `groups` and is changed, the groups are forgotten
        optional access: AppAccess,
        /// See NewApp. Replaces all groups of the app
        optional groups: AppGroups,
    }
}

impl Example for AppUpdate {
    fn example() -> Value {
        json!({"access": "admins"})
    }
}

impl From<AppUpdate> for AppChanges {
    fn from(update: AppUpdate) -> Self {
        let AppUpdate { name, url, access, groups } = update;
        Self { name, url, access, groups: groups.map(|AppGroups(groups)| groups) }
    }
}

answer! {
    /// An app that people enter with one sign-in.
    App as "App" {
        /// Never given to another app, even after this one is deleted
        id: AppId,
        name: DisplayName,
        url: Origin,
        /// Who may enter
        access: AppAccess,
        /// The names of the groups that may enter, sorted. Empty unless `access` is `groups`
        groups: AppGroups,
    }
}

impl From<domain::App> for App {
    fn from(app: domain::App) -> Self {
        let domain::App { id, name, url, access, groups } = app;
        Self { id, name, url, access, groups: AppGroups(groups) }
    }
}

impl Item for App {
    const MAX: u32 = domain::PageSize::MAX;
}

impl Example for App {
    fn example() -> Value {
        let mut example = NewApp::example();
        example["id"] = 5.into();
        example
    }
}

page_answer! {
    /// A page of apps.
    AppList as "AppList" { apps: App, from domain::App, by AppId }
}

#[derive(ApiResponse)]
pub enum Created {
    /// The app was registered
    #[oai(status = 201)]
    App(
        Json<App>,
        /// The path of the app
        #[oai(header = "Location")]
        String,
    ),
}

#[derive(ApiResponse)]
pub enum Found {
    /// The app
    #[oai(status = 200)]
    App(Json<App>),
}

#[derive(ApiResponse)]
pub enum Listed {
    /// A page of apps
    #[oai(status = 200)]
    Apps(Json<AppList>),
}

#[derive(ApiResponse)]
pub enum Deleted {
    /// The app was deleted, and all sessions in it have ended
    #[oai(status = 204)]
    Gone,
}

#[OpenApi]
impl Apps {
    /// Register an app
    ///
    /// For administrators. Only registered apps can be entered. If another app, or the server itself, has the host, the
    /// answer is `409 host_taken`.
    #[oai(path = "/apps", method = "post", operation_id = "createApp")]
    async fn create(&self, caller: SignedInCaller, body: Body<NewApp>) -> Result<Created, ApiError> {
        let app = self.app.apps.create(&caller.0, body.0.into()).await?;
        let location = format!("/api/v1/apps/{}", app.id);
        Ok(Created::App(Json(app.into()), location))
    }

    /// List apps
    ///
    /// For administrators. Lists the oldest first. Unknown and repeated parameters are refused.
    #[oai(path = "/apps", method = "get", operation_id = "listApps")]
    async fn list(&self, caller: SignedInCaller, query: Query<Part>) -> Result<Listed, ApiError> {
        let (after, limit) = query.0.read(AppId::parse)?;
        let page = self.app.apps.list(&caller.0, after, limit).await?;
        Ok(Listed::Apps(Json(page.into())))
    }

    /// Read an app
    ///
    /// For administrators.
    #[oai(path = "/apps/:app_id", method = "get", operation_id = "getApp")]
    async fn read(
        &self,
        caller: SignedInCaller,
        /// The app's id
        app_id: Path<Option<AppId>>,
    ) -> Result<Found, ApiError> {
        Ok(Found::App(Json(self.app.apps.get(&caller.0, app_id.0).await?.into())))
    }

    /// Change an app
    ///
    /// For administrators. Omitted fields keep their values; `{}` changes nothing. Acts on the next request to the app.
    ///
    /// Another `url` ends all sessions in the app and revokes its app tokens, because they were given for the old one. It
    /// also forgets when a proxy last asked about the app.
    #[oai(path = "/apps/:app_id", method = "put", operation_id = "updateApp")]
    async fn update(
        &self,
        caller: SignedInCaller,
        /// The app's id
        app_id: Path<Option<AppId>>,
        body: Body<AppUpdate>,
    ) -> Result<Found, ApiError> {
        Ok(Found::App(Json(self.app.apps.update(&caller.0, app_id.0, body.0.into(), None).await?.into())))
    }

    /// Delete an app
    ///
    /// For administrators. Nobody can enter it any more, all sessions in it end, and its app tokens are revoked.
    #[oai(path = "/apps/:app_id", method = "delete", operation_id = "deleteApp")]
    async fn delete(
        &self,
        caller: SignedInCaller,
        /// The app's id
        app_id: Path<Option<AppId>>,
    ) -> Result<Deleted, ApiError> {
        self.app.apps.delete(&caller.0, app_id.0).await?;
        Ok(Deleted::Gone)
    }
}
