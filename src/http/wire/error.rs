//! Failures: all codes, and the mapping of errors to them.

use super::schema::string_enum;
use crate::{domain, http::context::NoContext};
use poem::{error::ResponseError, http::StatusCode};
use std::{borrow::Cow, fmt, time::Duration};

macro_rules! error_codes {
    ($($name:ident $text:literal $status:ident $message:literal,)*) => {
        /// What went wrong, for programs. The texts are a contract: they never change, but later versions may add some.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ErrorCode { $($name,)* }

        impl ErrorCode {
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$name,)*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// What went wrong, for people, unless a more specific message is known.
            pub fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }
        }
    };
}

error_codes! {
    MalformedRequest "malformed_request" BAD_REQUEST "the request is malformed; a body must be one JSON object in UTF-8",
    ValidationFailed "validation_failed" BAD_REQUEST "a field is invalid",
    InvalidResetToken "invalid_reset_token" BAD_REQUEST "the reset token is invalid, expired or already used",
    InvalidInvitation "invalid_invitation" BAD_REQUEST "the invitation is invalid, expired or already used",
    AuthenticationRequired "authentication_required" UNAUTHORIZED "a session token is required: Authorization: Bearer <token>",
    InvalidToken "invalid_token" UNAUTHORIZED "the session token is malformed, expired or revoked",
    InvalidCredentials "invalid_credentials" UNAUTHORIZED "the e-mail address or the password is wrong, or the account is disabled",
    Forbidden "forbidden" FORBIDDEN "only administrators may do this",
    ReauthenticationRequired "reauthentication_required" FORBIDDEN "send the right current_password, or sign in again first",
    RegistrationClosed "registration_closed" FORBIDDEN "registration is closed",
    InvitationRequired "invitation_required" FORBIDDEN "registration requires an invitation; send its token in the field invitation",
    NotFound "not_found" NOT_FOUND "there is nothing at this path",
    UserNotFound "user_not_found" NOT_FOUND "there is no such user",
    SessionNotFound "session_not_found" NOT_FOUND "there is no such session",
    InvitationNotFound "invitation_not_found" NOT_FOUND "there is no such invitation",
    GroupNotFound "group_not_found" NOT_FOUND "there is no such group",
    AppNotFound "app_not_found" NOT_FOUND "there is no such app",
    AppTokenNotFound "app_token_not_found" NOT_FOUND "there is no such app token",
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "this path does not support the method; see the Allow header",
    RequestTimeout "request_timeout" REQUEST_TIMEOUT "the body did not arrive in time",
    UsernameTaken "username_taken" CONFLICT "this username is taken",
    EmailTaken "email_taken" CONFLICT "this e-mail address is taken",
    GroupNameTaken "group_name_taken" CONFLICT "this name belongs to another group",
    GroupInUse "group_in_use" CONFLICT "an app lets this group in; change or delete the app first",
    TooManyGroups "too_many_groups" CONFLICT "an account can be in 32 groups at most",
    TooManyAppTokens "too_many_app_tokens" CONFLICT "an account can have 100 app tokens at most; revoke one that is no longer needed",
    HostTaken "host_taken" CONFLICT "this host, whatever the port, belongs to another app or to the public URL",
    LastAdmin "last_admin" CONFLICT "the last enabled administrator can't be deleted, disabled or demoted",
    PreconditionFailed "precondition_failed" PRECONDITION_FAILED "If-Match is not the account's current ETag; read the account again, and send its ETag unchanged, with its quotes",
    PayloadTooLarge "payload_too_large" PAYLOAD_TOO_LARGE "the body is larger than 64 KiB",
    UnsupportedMediaType "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE "the body must be application/json in UTF-8, without Content-Encoding",
    TooManyAttempts "too_many_attempts" TOO_MANY_REQUESTS "too many attempts; wait before the next one",
    InternalError "internal_error" INTERNAL_SERVER_ERROR "something went wrong in the server; its log has the details under this X-Request-Id",
    Overloaded "overloaded" SERVICE_UNAVAILABLE "the server is overloaded; try again",
    StorageUnavailable "storage_unavailable" SERVICE_UNAVAILABLE "the database is unavailable",
}
string_enum!(ErrorCode);

/// How long clients should wait after `overloaded`: a full queue of hashes takes a second or two.
const OVERLOADED_RETRY_AFTER: Duration = Duration::from_secs(1);

/// A failure that only pages have, beside its text.
#[derive(Debug)]
pub struct OfPage {
    pub status: StatusCode,
    pub title: &'static str,
}

/// A failure, as the caller sees it.
#[derive(Debug)]
pub struct ApiError {
    pub code: ErrorCode,
    pub message: Cow<'static, str>,
    /// How a page shows it, if only pages have it.
    pub page: Option<&'static OfPage>,
    pub faults: domain::Faults,
    retry_after: Option<Duration>,
    /// Where a person who meets this failure is to go, for a proxy that leads them there.
    pub location: Option<Box<str>>,
    /// Whether a native client may be asking, which can show an app token by the scheme `Basic`.
    pub offers_basic: bool,
    /// Whether a person sees this failure, though its path is for programs.
    pub is_for_person: bool,
    /// For the log only.
    pub internal: Option<String>,
}

impl ApiError {
    /// A failure with the message of its code.
    pub fn new(code: ErrorCode) -> Self {
        let retry_after = (code == ErrorCode::Overloaded).then_some(OVERLOADED_RETRY_AFTER);
        let faults = domain::Faults::default();
        Self {
            code,
            message: code.message().into(),
            page: None,
            faults,
            retry_after,
            location: None,
            offers_basic: false,
            is_for_person: false,
            internal: None,
        }
    }

    /// The same with a more specific message.
    pub fn with_message(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), ..Self::new(code) }
    }

    /// A failure that only pages have. For programs, it would be a malformed request.
    pub fn of_page(page: &'static OfPage, message: impl Into<Cow<'static, str>>) -> Self {
        Self { page: Some(page), ..Self::with_message(ErrorCode::MalformedRequest, message) }
    }

    pub fn invalid(faults: domain::Faults) -> Self {
        let message = match faults.len() {
            1 => "1 field is invalid".into(),
            count => format!("{count} fields are invalid").into(),
        };
        Self { message, faults, ..Self::new(ErrorCode::ValidationFailed) }
    }

    /// The same for a proxy that leads people there.
    #[must_use]
    pub fn leading_to(self, location: String) -> Self {
        Self { location: Some(location.into()), ..self }
    }

    /// The same for a native client that waits to be asked for an app token.
    #[must_use]
    pub fn offering_basic(self, offers_basic: bool) -> Self {
        Self { offers_basic, ..self }
    }

    /// The same for a person, though the path is for programs.
    #[must_use]
    pub fn for_person(self) -> Self {
        Self { is_for_person: true, ..self }
    }

    pub fn internal(text: impl Into<String>) -> Self {
        Self { internal: Some(text.into()), ..Self::new(ErrorCode::InternalError) }
    }

    /// The whole seconds to wait, rounded up, so that callers who wait that long don't come too early.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after.map(|wait| (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1))
    }
}

impl From<domain::Error> for ApiError {
    fn from(error: domain::Error) -> Self {
        use domain::Error;
        let code = match &error {
            Error::Invalid(_) => ErrorCode::ValidationFailed,
            Error::AuthenticationRequired => ErrorCode::AuthenticationRequired,
            Error::InvalidToken => ErrorCode::InvalidToken,
            Error::InvalidCredentials => ErrorCode::InvalidCredentials,
            Error::Forbidden => ErrorCode::Forbidden,
            Error::ReauthenticationRequired => ErrorCode::ReauthenticationRequired,
            Error::RegistrationClosed => ErrorCode::RegistrationClosed,
            Error::InvitationRequired => ErrorCode::InvitationRequired,
            Error::InvalidInvitation => ErrorCode::InvalidInvitation,
            Error::InvalidResetToken => ErrorCode::InvalidResetToken,
            Error::TooManyAttempts(_) => ErrorCode::TooManyAttempts,
            Error::UserNotFound => ErrorCode::UserNotFound,
            Error::SessionNotFound => ErrorCode::SessionNotFound,
            Error::InvitationNotFound => ErrorCode::InvitationNotFound,
            Error::GroupNotFound => ErrorCode::GroupNotFound,
            Error::GroupNameTaken => ErrorCode::GroupNameTaken,
            Error::GroupInUse => ErrorCode::GroupInUse,
            Error::AppTokenNotFound => ErrorCode::AppTokenNotFound,
            Error::TooManyAppTokens => ErrorCode::TooManyAppTokens,
            Error::TooManyGroups => ErrorCode::TooManyGroups,
            Error::AppNotFound => ErrorCode::AppNotFound,
            Error::HostTaken => ErrorCode::HostTaken,
            Error::PreconditionFailed => ErrorCode::PreconditionFailed,
            Error::UsernameTaken => ErrorCode::UsernameTaken,
            Error::EmailTaken => ErrorCode::EmailTaken,
            Error::LastAdmin => ErrorCode::LastAdmin,
            Error::Overloaded => ErrorCode::Overloaded,
            Error::Storage(_) => ErrorCode::StorageUnavailable,
            Error::Internal(_) => ErrorCode::InternalError,
        };
        match error {
            Error::Invalid(faults) => Self::invalid(faults),
            Error::TooManyAttempts(wait) => Self { retry_after: Some(wait), ..Self::new(code) },
            Error::Storage(text) | Error::Internal(text) => Self { internal: Some(text), ..Self::new(code) },
            _ => Self::new(code),
        }
    }
}

impl From<NoContext> for ApiError {
    fn from(NoContext: NoContext) -> Self {
        Self::internal("a request came past the edge")
    }
}

/// Maps the errors of the framework. Their texts repeat what the caller sent, so they are neither shown nor logged.
impl From<poem::Error> for ApiError {
    fn from(error: poem::Error) -> Self {
        let error = match error.downcast::<ApiError>() {
            Ok(own) => return own,
            Err(error) => error,
        };
        Self::new(match error.status() {
            StatusCode::NOT_FOUND => ErrorCode::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => ErrorCode::MethodNotAllowed,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorCode::UnsupportedMediaType,
            StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::PayloadTooLarge,
            status if status.is_client_error() => ErrorCode::MalformedRequest,
            _ => return Self::internal(format!("the framework failed with {}", error.status())),
        })
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.as_str())
    }
}

impl std::error::Error for ApiError {}

/// Required by the framework. The edge decides how failures look.
impl ResponseError for ApiError {
    fn status(&self) -> StatusCode {
        self.code.status()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        let texts: std::collections::HashSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), ErrorCode::ALL.len());
    }

    #[test]
    fn waiting_times_are_rounded_up() {
        let wait = |millis| ApiError {
            retry_after: Some(Duration::from_millis(millis)),
            ..ApiError::new(ErrorCode::TooManyAttempts)
        };
        assert_eq!(
            [0, 1, 1000, 1001].map(|millis| wait(millis).retry_after_seconds()),
            [Some(1), Some(1), Some(1), Some(2)]
        );
    }
}
