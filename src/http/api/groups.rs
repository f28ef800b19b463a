//! Groups over HTTP.

use super::user::User;
use crate::{
    app::App,
    domain::{self, GroupId, GroupName, UserId},
    http::{
        auth::SignedInCaller,
        wire::{
            body::{Body, Json, body},
            error::{ApiError, ErrorCode},
            path::Path,
            query::{Part, Query, page_answer},
            schema::{Example, Item, answer},
        },
    },
};
use poem_openapi::{ApiResponse, OpenApi};
use serde_json::{Value, json};
use std::sync::Arc;

pub struct Groups {
    pub app: Arc<App>,
}

const OF_GROUPS: &[ErrorCode] = &[ErrorCode::Forbidden, ErrorCode::GroupNotFound];

/// The codes that each operation here can answer with, in addition to those that every operation has.
pub const FAILURES: &[(&str, &[ErrorCode])] = &[
    ("createGroup", &[ErrorCode::Forbidden, ErrorCode::GroupNameTaken]),
    ("listGroups", &[ErrorCode::Forbidden]),
    ("getGroup", OF_GROUPS),
    ("updateGroup", &[ErrorCode::Forbidden, ErrorCode::GroupNotFound, ErrorCode::GroupNameTaken]),
    ("deleteGroup", &[ErrorCode::Forbidden, ErrorCode::GroupNotFound, ErrorCode::GroupInUse]),
    ("listGroupMembers", OF_GROUPS),
    (
        "addGroupMember",
        &[ErrorCode::Forbidden, ErrorCode::GroupNotFound, ErrorCode::UserNotFound, ErrorCode::TooManyGroups],
    ),
    ("removeGroupMember", &[ErrorCode::Forbidden, ErrorCode::GroupNotFound, ErrorCode::UserNotFound]),
    ("deleteGroupSessions", OF_GROUPS),
];

body! {
    /// The data of a new group.
    NewGroup as "NewGroup" {
        /// 1 to 64 letters, digits, dots, underscores and hyphens, starting with a letter or digit; unique without regard to case
        required name: GroupName,
    }
}

impl Example for NewGroup {
    fn example() -> Value {
        json!({"name": "family"})
    }
}

body! {
    /// The fields to change. Omitted fields keep their values.
    GroupUpdate as "GroupUpdate" {
        /// See NewGroup. Apps that let the group in still do: they refer to it by its id
        optional name: GroupName,
    }
}

impl Example for GroupUpdate {
    fn example() -> Value {
        json!({"name": "relatives"})
    }
}

answer! {
    /// A group of accounts.
    Group as "Group" {
        /// Never given to another group, even after this one is deleted
        id: GroupId,
        /// As typed; unique without regard to case
        name: GroupName,
    }
}

impl From<domain::Group> for Group {
    fn from(group: domain::Group) -> Self {
        let domain::Group { id, name } = group;
        Self { id, name }
    }
}

impl Item for Group {
    const MAX: u32 = domain::PageSize::MAX;
}

impl Example for Group {
    fn example() -> Value {
        json!({"id": 3, "name": "family"})
    }
}

page_answer! {
    /// A page of groups.
    GroupList as "GroupList" { groups: Group, from domain::Group, by GroupId }
}

page_answer! {
    /// A page of the accounts in a group.
    MemberList as "MemberList" { users: User, from domain::User, by UserId }
}

#[derive(ApiResponse)]
pub enum Created {
    /// The group was created
    #[oai(status = 201)]
    Group(
        Json<Group>,
        /// The path of the group
        #[oai(header = "Location")]
        String,
    ),
}

#[derive(ApiResponse)]
pub enum Found {
    /// The group
    #[oai(status = 200)]
    Group(Json<Group>),
}

#[derive(ApiResponse)]
pub enum Listed {
    /// A page of groups
    #[oai(status = 200)]
    Groups(Json<GroupList>),
}

#[derive(ApiResponse)]
pub enum Deleted {
    /// The group was deleted, and nobody is in it any more
    #[oai(status = 204)]
    Gone,
}

#[derive(ApiResponse)]
pub enum Members {
    /// A page of the accounts in the group
    #[oai(status = 200)]
    Users(Json<MemberList>),
}

#[derive(ApiResponse)]
pub enum Added {
    /// The account is in the group
    #[oai(status = 204)]
    Done,
}

#[derive(ApiResponse)]
pub enum Removed {
    /// The account is no longer in the group
    #[oai(status = 204)]
    Done,
}

#[derive(ApiResponse)]
pub enum Ended {
    /// All sessions of all accounts in the group have ended
    #[oai(status = 204)]
    Done,
}

#[OpenApi]
impl Groups {
    /// Create a group
    ///
    /// For administrators. Nobody is in it at first.
    #[oai(path = "/groups", method = "post", operation_id = "createGroup")]
    async fn create(&self, caller: SignedInCaller, body: Body<NewGroup>) -> Result<Created, ApiError> {
        let group = self.app.groups.create(&caller.0, body.0.name).await?;
        let location = format!("/api/v1/groups/{}", group.id);
        Ok(Created::Group(Json(group.into()), location))
    }

    /// List groups
    ///
    /// For administrators. Lists the oldest first. Unknown and repeated parameters are refused.
    #[oai(path = "/groups", method = "get", operation_id = "listGroups")]
    async fn list(&self, caller: SignedInCaller, query: Query<Part>) -> Result<Listed, ApiError> {
        let (after, limit) = query.0.read(GroupId::parse)?;
        let page = self.app.groups.list(&caller.0, after, limit).await?;
        Ok(Listed::Groups(Json(page.into())))
    }

    /// Read a group
    ///
    /// For administrators.
    #[oai(path = "/groups/:group_id", method = "get", operation_id = "getGroup")]
    async fn read(
        &self,
        caller: SignedInCaller,
        /// The group's id
        group_id: Path<Option<GroupId>>,
    ) -> Result<Found, ApiError> {
        Ok(Found::Group(Json(self.app.groups.get(&caller.0, group_id.0).await?.into())))
    }

    /// Rename a group
    ///
    /// For administrators. Its accounts stay in it, and apps that let it in still do. `{}` changes nothing.
    #[oai(path = "/groups/:group_id", method = "put", operation_id = "updateGroup")]
    async fn update(
        &self,
        caller: SignedInCaller,
        /// The group's id
        group_id: Path<Option<GroupId>>,
        body: Body<GroupUpdate>,
    ) -> Result<Found, ApiError> {
        Ok(Found::Group(Json(self.app.groups.rename(&caller.0, group_id.0, body.0.name).await?.into())))
    }

    /// Delete a group
    ///
    /// For administrators. The accounts in it stay. A group that an app lets in can't be deleted: the answer is
    /// `409 group_in_use`. A group that is created later under the same name regains nothing.
    #[oai(path = "/groups/:group_id", method = "delete", operation_id = "deleteGroup")]
    async fn delete(
        &self,
        caller: SignedInCaller,
        /// The group's id
        group_id: Path<Option<GroupId>>,
    ) -> Result<Deleted, ApiError> {
        self.app.groups.delete(&caller.0, group_id.0).await?;
        Ok(Deleted::Gone)
    }

    /// List the accounts in a group
    ///
    /// For administrators. Lists them by their ids. Unknown and repeated parameters are refused.
    #[oai(path = "/groups/:group_id/members", method = "get", operation_id = "listGroupMembers")]
    async fn members(
        &self,
        caller: SignedInCaller,
        /// The group's id
        group_id: Path<Option<GroupId>>,
        query: Query<Part>,
    ) -> Result<Members, ApiError> {
        let (after, limit) = query.0.read(UserId::parse)?;
        let page = self.app.groups.members(&caller.0, group_id.0, after, limit).await?;
        Ok(Members::Users(Json(page.into())))
    }

    /// Add an account to a group
    ///
    /// For administrators. Acts on the account's next request. An account that is in the group already stays in it. An
    /// account can be in 32 groups; beyond that the answer is `409 too_many_groups`. Takes no body. The revision of the
    /// account stays the same.
    #[oai(path = "/groups/:group_id/members/:user_id", method = "put", operation_id = "addGroupMember")]
    async fn add(
        &self,
        caller: SignedInCaller,
        /// The group's id
        group_id: Path<Option<GroupId>>,
        /// The account's id
        user_id: Path<Option<UserId>>,
    ) -> Result<Added, ApiError> {
        self.app.groups.add_member(&caller.0, group_id.0, user_id.0).await?;
        Ok(Added::Done)
    }

    /// Remove an account from a group
    ///
    /// For administrators. Acts on the account's next request. If the account is not in the group, the answer is
    /// `404 user_not_found`. The revision of the account stays the same.
    #[oai(path = "/groups/:group_id/members/:user_id", method = "delete", operation_id = "removeGroupMember")]
    async fn remove(
        &self,
        caller: SignedInCaller,
        /// The group's id
        group_id: Path<Option<GroupId>>,
        /// The account's id
        user_id: Path<Option<UserId>>,
    ) -> Result<Removed, ApiError> {
        self.app.groups.remove_member(&caller.0, group_id.0, user_id.0).await?;
        Ok(Removed::Done)
    }

    /// End the sessions of a group
    ///
    /// For administrators. Ends all sessions of all accounts in the group, from the next request on; also the caller's
    /// own, if the caller is in it. The app tokens of these accounts are revoked, too.
    #[oai(path = "/groups/:group_id/sessions", method = "delete", operation_id = "deleteGroupSessions")]
    async fn end_sessions(
        &self,
        caller: SignedInCaller,
        /// The group's id
        group_id: Path<Option<GroupId>>,
    ) -> Result<Ended, ApiError> {
        self.app.groups.end_sessions(&caller.0, group_id.0).await?;
        Ok(Ended::Done)
    }
}
