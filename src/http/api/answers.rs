//! What the API answers with, for others that show the same.

pub use super::{
    app_tokens::{AppTokenList, CreatedAppToken},
    apps::{App, AppList},
    audit::{AuditDays, AuditEvent},
    groups::{Group, GroupList, MemberList},
    invitations::{CreatedInvitation, CreatedInvitations, Invitation, InvitationList},
    sessions::SessionList,
    user::User,
    users::PasswordResetIssued,
};
