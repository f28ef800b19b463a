//! An account as the API shows it.

use crate::{
    domain::{self, DisplayName, EmailAddress, GroupName, PageSize, Role, Timestamp, UserId, Username},
    http::wire::{
        body::Json,
        schema::{Example, Item, Nullable, answer},
    },
};
use poem_openapi::ApiResponse;
use serde_json::{Value, json};

answer! {
    /// An account. Times are RFC 3339 in UTC.
    User as "User" {
        /// Never given to another account, even after this one is deleted
        id: UserId,
        /// As typed; unique without regard to case
        username: Username,
        /// As typed; unique without regard to case
        email: EmailAddress,
        /// True if an administrator, the command line or an invitation set the e-mail address. False if the owner of the account typed it
        email_verified: bool,
        /// What the person is called, in any script; not unique. Null if none was chosen
        display_name: Nullable<DisplayName>,
        role: Role,
        /// A disabled account can't sign in, and has no sessions
        disabled: bool,
        created_at: Timestamp,
        /// The last change of the account; a sign-in is not a change
        updated_at: Timestamp,
        last_login_at: Nullable<Timestamp>,
        /// The names of its groups, sorted without regard to case. They can change without the revision in the `ETag`
        groups: Vec<GroupName>,
    }
}

impl From<domain::User> for User {
    fn from(user: domain::User) -> Self {
        Self {
            id: user.id,
            username: user.username,
            email: user.email,
            email_verified: user.email_verified,
            display_name: Nullable(user.display_name),
            role: user.role,
            disabled: user.disabled,
            created_at: user.created_at,
            updated_at: user.updated_at,
            last_login_at: Nullable(user.last_login_at),
            groups: user.groups,
        }
    }
}

impl Item for GroupName {
    const MAX: u32 = domain::Group::MAX_PER_USER;
}

impl Item for User {
    const MAX: u32 = PageSize::MAX;
}

impl Example for User {
    fn example() -> Value {
        json!({
            "id": 42, "username": "ada", "email": "ada@example.com", "email_verified": false, "display_name": "Ada Lovelace",
            "role": "user", "disabled": false, "created_at": "2026-11-22T10:00:00Z", "updated_at": "2026-11-22T10:00:00Z", "last_login_at": null,
            "groups": ["family"]
        })
    }
}

#[derive(ApiResponse)]
pub enum Found {
    /// The account
    #[oai(status = 200)]
    User(
        Json<User>,
        /// The account's revision, for `If-Match`
        #[oai(header = "ETag")]
        String,
    ),
}

impl Found {
    pub fn new(user: domain::User) -> Self {
        let tag = entity_tag(&user);
        Self::User(Json(user.into()), tag)
    }
}

/// A strong entity tag (RFC 9110, section 8.8.3): which account, and how often it has changed.
pub fn entity_tag(user: &domain::User) -> String {
    format!("\"{}.{}\"", user.id, user.revision)
}
