//! What a form has done, for the page that it leads to: a word in its URL, so that a reload repeats nothing.

use crate::http::auth::Visitor;
use poem::{
    Response,
    http::{StatusCode, header},
};

macro_rules! done {
    ($($name:ident $word:literal $text:literal,)*) => {
        /// What a form has done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Done { $($name,)* }

        impl Done {
            const ALL: &[Done] = &[$(Done::$name,)*];

            fn word(self) -> &'static str {
                match self { $(Done::$name => $word,)* }
            }

            fn text(self) -> &'static str {
                match self { $(Done::$name => $text,)* }
            }
        }
    };
}

done! {
    Saved "saved" "Saved.",
    OtherSessionsEnded "other-sessions-ended" "All your other sessions have ended.",
    AllSessionsEnded "all-sessions-ended" "All your sessions have ended. Sign in again.",
    PasswordSet "password-set" "Your password is set. All your other sessions have ended.",
    UserCreated "user-created" "The account was created.",
    AccountDeleted "account-deleted" "The account was deleted.",
    Disabled "disabled" "The account is disabled, and its sessions have ended.",
    Enabled "enabled" "The account is enabled.",
    Unlocked "unlocked" "The account is unlocked.",
    GroupCreated "group-created" "The group was created.",
    GroupDeleted "group-deleted" "The group was deleted.",
    MemberAdded "member-added" "The account is in the group.",
    MemberRemoved "member-removed" "The account is no longer in the group.",
    InvitationDeleted "invitation-deleted" "The invitation was deleted. Its link no longer works.",
    AppTokenRevoked "app-token-revoked" "The app token was revoked.",
    SessionEnded "session-ended" "The session has ended.",
    SessionsEnded "sessions-ended" "All sessions have ended.",
    AppDeleted "app-deleted" "The app was deleted.",
}

/// Where a form ends: the browser opens another page (RFC 9110, section 15.4.4).
pub fn see_other(path: &str) -> Response {
    Response::builder().status(StatusCode::SEE_OTHER).header(header::LOCATION, path).finish()
}

/// The parameter.
const PARAMETER: &str = "done";

impl Done {
    /// Leads to a page that says so.
    pub fn at(self, path: &str) -> Response {
        let joint = if path.contains('?') { '&' } else { '?' };
        see_other(&format!("{path}{joint}{PARAMETER}={}", self.word()))
    }

    /// What has been done on the way to the page that somebody opens. A link of another site says nothing.
    pub fn of(visitor: &Visitor) -> Option<&'static str> {
        if visitor.comes_from_elsewhere {
            return None;
        }
        let query = visitor.context.uri.query()?;
        let (_, word) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == PARAMETER)?;
        Self::ALL.iter().find(|done| done.word() == word).map(|done| done.text())
    }
}
