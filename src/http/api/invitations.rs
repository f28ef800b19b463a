//! Invitations over HTTP.

use crate::{
    app::{App, Invite, Invited},
    domain::{self, EmailAddress, InvitationId, InvitationToken, PageSize, Role, Timestamp, UserId},
    http::{
        auth::SignedInCaller,
        wire::{
            body::{Body, Json, body},
            error::{ApiError, ErrorCode},
            path::{IdPath, Path},
            query::{self, Cursor, Query, query},
            schema::{Example, Item, Nullable, Seconds, answer},
        },
    },
};
use poem_openapi::{ApiResponse, OpenApi};
use serde_json::{Value, json};
use std::sync::Arc;

pub struct Invitations {
    pub app: Arc<App>,
}

/// Which codes each operation here can answer with, beside those that every operation has.
pub const FAILURES: &[(&str, &[ErrorCode])] = &[
    ("createInvitation", &[ErrorCode::Forbidden]),
    ("listInvitations", &[ErrorCode::Forbidden]),
    ("deleteInvitation", &[ErrorCode::Forbidden, ErrorCode::InvitationNotFound]),
];

body! {
    /// What an invitation is for. `{}` is one for anybody, with the role `user`.
    NewInvitation as "NewInvitation" {
        /// The only address that may register with it; it counts as verified then
        optional email: EmailAddress,
        /// The role of the account that is made with it; `user` unless given
        optional role: Role,
        /// How long it can be used, in seconds; as long as the server says (`--invitation-lifetime`) unless given
        optional expires_in: Seconds,
    }
}

impl Example for NewInvitation {
    fn example() -> Value {
        json!({"email": "ada@example.com", "expires_in": 86400})
    }
}

answer! {
    /// An invitation that can still be used.
    Invitation as "Invitation" {
        id: InvitationId,
        /// The only address that may register with it; null for any
        email: Nullable<EmailAddress>,
        /// The role of the account that is made with it
        role: Role,
        /// The administrator who made it; null for the command line
        created_by: Nullable<UserId>,
        created_at: Timestamp,
        expires_at: Timestamp,
    }
}

impl From<domain::Invitation> for Invitation {
    fn from(invitation: domain::Invitation) -> Self {
        let domain::Invitation { id, email, role, created_by, created_at, expires_at } = invitation;
        Self { id, email: Nullable(email), role, created_by: Nullable(created_by), created_at, expires_at }
    }
}

impl Item for Invitation {
    const MAX: u32 = PageSize::MAX;
}

impl Example for Invitation {
    fn example() -> Value {
        json!({
            "id": 7, "email": "ada@example.com", "role": "user", "created_by": 1, "created_at": "2026-11-22T10:00:00Z",
            "expires_at": "2026-11-29T10:00:00Z"
        })
    }
}

answer! {
    /// A new invitation, with its token.
    CreatedInvitation as "CreatedInvitation" {
        id: InvitationId,
        /// To be handed to who is invited; it is shown only here
        token: InvitationToken,
        /// The only address that may register with it; null for any
        email: Nullable<EmailAddress>,
        /// The role of the account that is made with it
        role: Role,
        /// The administrator who made it; null for the command line
        created_by: Nullable<UserId>,
        created_at: Timestamp,
        expires_at: Timestamp,
    }
}

impl From<Invited> for CreatedInvitation {
    fn from(invited: Invited) -> Self {
        let Invited { token, invitation } = invited;
        let Invitation { id, email, role, created_by, created_at, expires_at } = invitation.into();
        Self { id, token, email, role, created_by, created_at, expires_at }
    }
}

impl Example for CreatedInvitation {
    fn example() -> Value {
        let mut example = Invitation::example();
        example["token"] = "ushi_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg2Ylc5n".into();
        example
    }
}

query! {
    /// Which part of the list.
    ListInvitations as "ListInvitationsQuery" {
        /// How many invitations a page has at most
        limit: PageSize,
        /// The `next_cursor` of the page before
        cursor: Cursor,
    }
}

answer! {
    /// A page of the invitations that can still be used.
    InvitationList as "InvitationList" {
        invitations: Vec<Invitation>,
        /// Where the next page begins; null on the last one
        next_cursor: Nullable<String>,
    }
}

impl From<domain::Page<domain::Invitation, InvitationId>> for InvitationList {
    fn from(page: domain::Page<domain::Invitation, InvitationId>) -> Self {
        let next_cursor = Nullable(page.next.map(|id| Cursor::text_of(&id.to_string())));
        Self { invitations: page.items.into_iter().map(Invitation::from).collect(), next_cursor }
    }
}

impl Example for InvitationList {
    fn example() -> Value {
        json!({"invitations": [Invitation::example()], "next_cursor": null})
    }
}

#[derive(ApiResponse)]
pub enum Created {
    /// The invitation was made
    #[oai(status = 201)]
    Invitation(Json<CreatedInvitation>),
}

#[derive(ApiResponse)]
pub enum Listed {
    /// A page of invitations
    #[oai(status = 200)]
    Invitations(Json<InvitationList>),
}

#[derive(ApiResponse)]
pub enum Deleted {
    /// The invitation can't be used any more
    #[oai(status = 204)]
    Gone,
}

#[OpenApi]
impl Invitations {
    /// Invite somebody
    ///
    /// For administrators. Whoever has the token can register once, also while registration needs invitations.
    #[oai(path = "/invitations", method = "post", operation_id = "createInvitation")]
    async fn create(&self, caller: SignedInCaller, body: Body<NewInvitation>) -> Result<Created, ApiError> {
        let NewInvitation { email, role, expires_in } = body.0;
        let expires_in = expires_in.map(|Seconds(span)| span);
        let invite = Invite { email, role: role.unwrap_or(Role::User), expires_in };
        Ok(Created::Invitation(Json(self.app.invitations.create(&caller.0, invite).await?.into())))
    }

    /// List invitations
    ///
    /// For administrators: those that can still be used, in the order in which they were made. Unknown and repeated
    /// parameters are refused.
    #[oai(path = "/invitations", method = "get", operation_id = "listInvitations")]
    async fn list(&self, caller: SignedInCaller, query: Query<ListInvitations>) -> Result<Listed, ApiError> {
        let ListInvitations { limit, cursor } = query.0;
        let after = cursor.map(|cursor| InvitationId::parse(cursor.place()));
        let after = after.map(|read| read.ok_or_else(|| query::fault("cursor", Cursor::fault()))).transpose()?;
        let page = self.app.invitations.list(&caller.0, after, limit.unwrap_or_default()).await?;
        Ok(Listed::Invitations(Json(page.into())))
    }

    /// Take an invitation back
    ///
    /// For administrators. An account that was made with it stays.
    #[oai(path = "/invitations/:invitation_id", method = "delete", operation_id = "deleteInvitation")]
    async fn delete(
        &self,
        caller: SignedInCaller,
        /// The invitation's id
        invitation_id: Path<IdPath<InvitationId>>,
    ) -> Result<Deleted, ApiError> {
        self.app.invitations.delete(&caller.0, invitation_id.0.0).await?;
        Ok(Deleted::Gone)
    }
}
