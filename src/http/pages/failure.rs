//! How a failure looks to a person.

use super::view::{Layout, Way, html, page};
use crate::http::{
    auth::Visitor,
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
        title: &'p str,
        text: String,
        way: Way,
        status: u16,
        request_id: &'p str,
    }
}

/// A page that says what went wrong and what to do, with the id under which the log knows more.
pub fn failure(error: &ApiError, context: &Context) -> Response {
    let status = error.code.status();
    let page = FailurePage {
        layout: Layout::new(context.app.policy(), None),
        title: title(status),
        text: text(error),
        way: Way::to("/", "Go to the first page"),
        status: status.as_u16(),
        request_id: &context.request_id,
    };
    let mut response = html(status, &page).unwrap_or_else(|error| envelope::response(&error));
    if let Some(seconds) = error.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A failure of which the page knows more than its code says: how it is called, what to do about it, and where to go.
pub struct Stop {
    pub status: StatusCode,
    pub title: &'static str,
    pub text: String,
    pub way: Way,
}

impl Stop {
    pub fn page(self, visitor: &Visitor) -> Result<Response, ApiError> {
        let Self { status, title, text, way } = self;
        let request_id = &visitor.context.request_id;
        html(
            status,
            &FailurePage { layout: Layout::of(visitor), title, text, way, status: status.as_u16(), request_id },
        )
    }
}

fn title(status: StatusCode) -> &'static str {
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
        ErrorCode::NotFound => "Check the address, or start at the first page.",
        ErrorCode::MalformedRequest | ErrorCode::UnsupportedMediaType | ErrorCode::ValidationFailed => {
            "The form did not arrive as this page sends it. Go back, reload the page, and send it again."
        }
        ErrorCode::MethodNotAllowed => "Go back, and use the form or the link on the page.",
        ErrorCode::PayloadTooLarge => "The form is too large.",
        ErrorCode::RequestTimeout => "The form did not arrive in time. Send it again.",
        ErrorCode::AuthenticationRequired | ErrorCode::InvalidToken => "Sign in, and then try again.",
        ErrorCode::Overloaded => "Wait a few seconds, then try again.",
        ErrorCode::StorageUnavailable => "Nothing was changed. Try again later, or tell the administrator.",
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

/// How long to wait, in words.
pub fn wait(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..=90 => (seconds, "second"),
        91..=5_400 => (seconds.div_ceil(60), "minute"),
        _ => (seconds.div_ceil(3_600), "hour"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
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

    #[test]
    fn waiting_is_told_in_words_and_never_too_short() {
        for (seconds, words) in
            [(1, "1 second"), (90, "90 seconds"), (91, "2 minutes"), (300, "5 minutes"), (5_401, "2 hours")]
        {
            assert_eq!(wait(seconds), words);
        }
    }
}
