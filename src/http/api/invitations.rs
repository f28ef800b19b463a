//! Invitations over HTTP.

use crate::{
    app::{App, Invite, IssuedInvitation},
    domain::{self, EmailAddress, InvitationCount, InvitationId, InvitationToken, Role, Timestamp, UserId},
    http::{
        auth::SignedInCaller,
        wire::{
            body::{Body, Json, body},
            error::{ApiError, ErrorCode},
            path::Path,
            query::{Part, Query, page_answer},
            schema::{ApiSchema, Example, Item, Nullable, Seconds, answer},
        },
    },
};
use poem_openapi::{
    ApiResponse, OpenApi,
    registry::{MetaSchema, MetaSchemaRef, Registry},
};
use serde_json::{Value, json};
use std::sync::Arc;

pub struct Invitations {
    pub app: Arc<App>,
}

/// The codes that each operation here can answer with, in addition to those that every operation has.
pub const FAILURES: &[(&str, &[ErrorCode])] = &[
    ("createInvitation", &[ErrorCode::Forbidden]),
    ("listInvitations", &[ErrorCode::Forbidden]),
    ("deleteInvitation", &[ErrorCode::Forbidden, ErrorCode::InvitationNotFound]),
];

body! {
    /// The data of a new invitation. `{}` is for any e-mail address and the role `user`.
    NewInvitation as "NewInvitation" {
        /// The only e-mail address that may register with it. The e-mail address then counts as verified
        optional email: EmailAddress,
        /// The role of the account that registers with it; `user` by default
        optional role: Role,
        /// How long it can be used, in seconds; by default the server's `--invitation-lifetime`
        optional expires_in: Seconds,
        /// How many to create alike, all or none. The answer is then a list, also of one. Only 1 together with `email`
        optional count: InvitationCount,
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
        /// The only e-mail address that may register with it; null for any
        email: Nullable<EmailAddress>,
        /// The role of the account that registers with it
        role: Role,
        /// The administrator who created it; null for the command line
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
    const MAX: u32 = domain::PageSize::MAX;
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
        /// Give it to the invited person. It is shown only here
        token: InvitationToken,
        /// The only e-mail address that may register with it; null for any
        email: Nullable<EmailAddress>,
        /// The role of the account that registers with it
        role: Role,
        /// The administrator who created it; null for the command line
        created_by: Nullable<UserId>,
        created_at: Timestamp,
        expires_at: Timestamp,
    }
}

impl From<IssuedInvitation> for CreatedInvitation {
    fn from(invited: IssuedInvitation) -> Self {
        let IssuedInvitation { token, invitation } = invited;
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

impl Item for CreatedInvitation {
    const MAX: u32 = InvitationCount::MAX;
}

answer! {
    /// New invitations, with their tokens.
    CreatedInvitations as "CreatedInvitations" {
        invitations: Vec<CreatedInvitation>,
    }
}

impl From<Vec<IssuedInvitation>> for CreatedInvitations {
    fn from(invited: Vec<IssuedInvitation>) -> Self {
        Self { invitations: invited.into_iter().map(CreatedInvitation::from).collect() }
    }
}

impl Example for CreatedInvitations {
    fn example() -> Value {
        json!({"invitations": [CreatedInvitation::example()]})
    }
}

/// What a request gets: a list if it names a number.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
pub enum OneOrMany {
    One(CreatedInvitation),
    Many(CreatedInvitations),
}

impl ApiSchema for OneOrMany {
    fn schema() -> MetaSchemaRef {
        MetaSchemaRef::Reference("CreatedInvitationOrInvitations".into())
    }

    fn register(registry: &mut Registry) {
        CreatedInvitation::register(registry);
        CreatedInvitations::register(registry);
        registry.create_schema::<Self, _>("CreatedInvitationOrInvitations".into(), |_| MetaSchema {
            description: Some("The invitation, or the list of them if the request had a `count`"),
            one_of: vec![CreatedInvitation::schema(), CreatedInvitations::schema()],
            example: Some(CreatedInvitation::example()),
            ..MetaSchema::ANY
        });
    }
}

page_answer! {
    /// A page of the invitations that can still be used.
    InvitationList as "InvitationList" { invitations: Invitation, from domain::Invitation, by InvitationId }
}

#[derive(ApiResponse)]
pub enum Created {
    /// The invitation was created, or all of them
    #[oai(status = 201)]
    Invitation(Json<OneOrMany>),
}

#[derive(ApiResponse)]
pub enum Listed {
    /// A page of invitations
    #[oai(status = 200)]
    Invitations(Json<InvitationList>),
}

#[derive(ApiResponse)]
pub enum Deleted {
    /// The invitation was deleted and no longer works
    #[oai(status = 204)]
    Gone,
}

#[OpenApi]
impl Invitations {
    /// Create an invitation
    ///
    /// For administrators. The holder of the token can register once, also while `--registration` is `invite`. If the
    /// server has a public URL (see `GET /service`), people can open the link `{public_url}/invited?token={token}` instead.
    /// With `count`, that many are created alike, for any e-mail address, and the answer is a list.
    #[oai(path = "/invitations", method = "post", operation_id = "createInvitation")]
    async fn create(&self, caller: SignedInCaller, body: Body<NewInvitation>) -> Result<Created, ApiError> {
        let NewInvitation { email, role, expires_in, count } = body.0;
        let expires_in = expires_in.map(|Seconds(span)| span);
        let invite = Invite { email, role: role.unwrap_or(Role::User), expires_in };
        let created = match count {
            None => OneOrMany::One(self.app.invitations.create(&caller.0, invite).await?.into()),
            Some(count) => OneOrMany::Many(self.app.invitations.create_many(&caller.0, invite, count).await?.into()),
        };
        Ok(Created::Invitation(Json(created)))
    }

    /// List invitations
    ///
    /// For administrators. Lists the invitations that can still be used, the oldest first. Unknown and repeated
    /// parameters are refused.
    #[oai(path = "/invitations", method = "get", operation_id = "listInvitations")]
    async fn list(&self, caller: SignedInCaller, query: Query<Part>) -> Result<Listed, ApiError> {
        let (after, limit) = query.0.read(InvitationId::parse)?;
        let page = self.app.invitations.list(&caller.0, after, limit).await?;
        Ok(Listed::Invitations(Json(page.into())))
    }

    /// Delete an invitation
    ///
    /// For administrators. An account that was registered with it stays.
    #[oai(path = "/invitations/:invitation_id", method = "delete", operation_id = "deleteInvitation")]
    async fn delete(
        &self,
        caller: SignedInCaller,
        /// The invitation's id
        invitation_id: Path<Option<InvitationId>>,
    ) -> Result<Deleted, ApiError> {
        self.app.invitations.delete(&caller.0, invitation_id.0).await?;
        Ok(Deleted::Gone)
    }
}
