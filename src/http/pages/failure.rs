//! How a failure looks to a person.

use super::{
    confirm,
    link::ENDED,
    view::{Layout, html, page, see_other, wait},
};
use crate::http::{
    context::Context,
    wire::{
        envelope,
        error::{ApiError, ErrorCode},
    },
};
use poem::{
    Response,
    http::{HeaderValue, StatusCode, header},
};

page! {
    FailurePage from "failure.html" {
        title: &'static str,
        text: String,
        status: u16,
        request_id: &'p str,
    }
}

/// A page that says what went wrong and what to do, with the id under which the log knows more.
///
/// Somebody who must sign in first is led there, and somebody whose sign-in is too old is asked for the password.
pub fn failure(error: &ApiError, context: &Context) -> Response {
    if let Some(location) = &error.location {
        return see_other(location);
    }
    if error.code == ErrorCode::ReauthenticationRequired {
        return confirm::ask(context).unwrap_or_else(|error| envelope::response(&error));
    }
    let of_code = || (error.code.status(), title(error.code));
    let (status, title) = error.page.map_or_else(of_code, |page| (page.status, page.title));
    let page = FailurePage {
        layout: Layout::new(context.app.policy(), None),
        title,
        text: text(error),
        status: status.as_u16(),
        request_id: &context.request_id,
    };
    let mut response = html(status, &page).unwrap_or_else(|error| envelope::response(&error));
    if let Some(seconds) = error.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn title(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::RegistrationClosed => "Registration is closed",
        ErrorCode::InvitationRequired => "You need an invitation",
        ErrorCode::InvalidInvitation | ErrorCode::InvalidResetToken => ENDED[0],
        ErrorCode::StorageUnavailable => "The service can’t work now",
        other => title_of(other.status()),
    }
}

fn title_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "There is no such page",
        StatusCode::FORBIDDEN => "You may not do this",
        StatusCode::UNAUTHORIZED => "You are not signed in",
        StatusCode::METHOD_NOT_ALLOWED => "This can’t be done here",
        StatusCode::CONFLICT => "This is taken",
        StatusCode::REQUEST_TIMEOUT => "That took too long",
        StatusCode::TOO_MANY_REQUESTS => "Too many attempts",
        StatusCode::SERVICE_UNAVAILABLE => "The service is busy",
        status if status.is_client_error() => "The request could not be read",
        _ => "Something went wrong",
    }
}

/// What is said in particular, or else what a person can do.
fn text(error: &ApiError) -> String {
    if let Some(seconds) = error.retry_after_seconds().filter(|_| error.code == ErrorCode::TooManyAttempts) {
        return format!("Wait {}, then try again.", wait(seconds));
    }
    if error.message != error.code.message() {
        return sentence(&error.message);
    }
    let text = match error.code {
        ErrorCode::RegistrationClosed => "Accounts are created by the administrators. Ask one of them for yours.",
        ErrorCode::InvitationRequired => {
            "Open the link of your invitation. If you have none, ask an administrator for one."
        }
        ErrorCode::InvalidInvitation | ErrorCode::InvalidResetToken => return sentence(ENDED[1]),
        ErrorCode::NotFound => "Check the address, or start at the first page.",
        ErrorCode::MalformedRequest | ErrorCode::UnsupportedMediaType | ErrorCode::ValidationFailed => {
            "The form did not arrive as this page sends it. Go back, reload the page, and send it again."
        }
        ErrorCode::MethodNotAllowed => "Go back, and use the form or the link on the page.",
        ErrorCode::PayloadTooLarge => "The form is too large.",
        ErrorCode::RequestTimeout => "The form did not arrive in time. Go back, and send it again.",
        ErrorCode::AuthenticationRequired | ErrorCode::InvalidToken => "Sign in, and then try again.",
        ErrorCode::Overloaded => "Wait a few seconds, then try again.",
        ErrorCode::StorageUnavailable => "Nothing was changed. Tell the administrator, and give the request id below.",
        ErrorCode::InternalError => {
            "Nothing that was confirmed is lost. Tell the administrator, and give the request id below."
        }
        code => return sentence(code.message()),
    };
    text.to_owned()
}

/// A message of the API, which begins small and ends without a period.
fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_a_sentence() {
        for code in ErrorCode::ALL {
            let text = text(&ApiError::new(*code));
            assert!(text.starts_with(char::is_uppercase) && text.ends_with('.'), "{code:?}: {text}");
        }
    }
}
