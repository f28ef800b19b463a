//! Forms: how they look, and how they come back with what is wrong.

use super::view::{Layout, Way, html, page, wait};
use crate::{
    domain::{AppToken, Faults, Group},
    http::{
        auth::Visitor,
        wire::error::{ApiError, ErrorCode},
    },
};
use poem::{
    Response,
    http::{HeaderValue, StatusCode, header},
};
use std::borrow::Cow;

/// A field of a form, with what was typed into it.
pub struct Field<'p> {
    pub name: &'static str,
    pub label: &'static str,
    /// The `type` of the input.
    pub kind: &'static str,
    /// What a browser or a password manager may fill in (WHATWG HTML, "autofill").
    pub autocomplete: &'static str,
    /// What was typed. A password is never shown again.
    pub value: &'p str,
    /// What may be typed.
    pub help: Option<String>,
    /// Whether it can be read only.
    pub is_fixed: bool,
    /// Whether it may stay empty.
    pub is_optional: bool,
    /// What is wrong with what was typed.
    pub fault: Option<String>,
    /// Whether the cursor stands here.
    pub has_focus: bool,
}

impl<'p> Field<'p> {
    pub fn new(
        name: &'static str,
        label: &'static str,
        kind: &'static str,
        autocomplete: &'static str,
        value: &'p str,
    ) -> Self {
        Self {
            name,
            label,
            kind,
            autocomplete,
            value,
            help: None,
            is_fixed: false,
            is_optional: false,
            fault: None,
            has_focus: false,
        }
    }

    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The same for a value that somebody else has chosen.
    #[must_use]
    pub fn fixed(self) -> Self {
        Self { is_fixed: true, ..self }
    }

    /// The same for what may stay empty.
    #[must_use]
    pub fn optional(self) -> Self {
        Self { is_optional: true, ..self }
    }

    /// The ids of what a screen reader reads out with the field.
    pub(super) fn described_by(&self) -> Option<String> {
        described_by(self.name, self.help.is_some(), self.fault.is_some())
    }
}

fn described_by(name: &str, has_help: bool, has_fault: bool) -> Option<String> {
    let parts = [(has_help, "help"), (has_fault, "fault")];
    let ids = parts.into_iter().filter(|(is_there, _)| *is_there).map(|(_, part)| format!("{name}-{part}"));
    Some(ids.collect::<Vec<_>>().join(" ")).filter(|ids| !ids.is_empty())
}

/// A field in which one of several things is chosen.
pub struct Choice {
    pub name: &'static str,
    pub label: &'static str,
    pub options: Vec<Choosable>,
    /// What should be known of it.
    pub help: Option<String>,
    /// What is wrong with what was chosen.
    pub fault: Option<String>,
}

pub struct Choosable {
    pub value: String,
    pub label: String,
    pub is_chosen: bool,
}

impl Choice {
    /// The ids of what a screen reader reads out with the field.
    pub(super) fn described_by(&self) -> Option<String> {
        described_by(self.name, self.help.is_some(), self.fault.is_some())
    }

    /// Of values and their labels.
    pub fn new(
        name: &'static str,
        label: &'static str,
        options: impl IntoIterator<Item = (String, String)>,
        chosen: &str,
    ) -> Self {
        let option = |(value, label)| Choosable { is_chosen: value == chosen, value, label };
        Self { name, label, options: options.into_iter().map(option).collect(), help: None, fault: None }
    }

    /// With what is wrong with it.
    #[must_use]
    pub fn marked(self, refusal: Option<&Refusal>) -> Self {
        let fault = refusal.and_then(|refusal| refusal.faults.of(self.name));
        Self { fault: fault.map(|fault| format!("{} {fault}.", self.label)), ..self }
    }
}

/// What a field holds now, for somebody who has typed something else into it. `None` where there is nothing to say.
pub fn it_is_now(typed: &str, now: &str) -> Option<String> {
    match now {
        _ if now == typed => None,
        "" => Some("It is empty now.".to_owned()),
        _ => Some(format!("It is now {now}.")),
    }
}

/// The help of a field for a name of this kind.
pub fn name_limits(max_length: usize) -> String {
    format!(
        "1 to {max_length} characters: letters A–Z, digits, dots, underscores and hyphens, beginning with a letter or a digit."
    )
}

/// A box to tick.
pub struct Tick {
    pub name: String,
    pub label: String,
    pub is_ticked: bool,
}

/// A form for a person.
pub struct FormView<'p> {
    pub title: String,
    /// Where it is sent.
    pub action: Cow<'static, str>,
    /// What travels with it unseen.
    pub hidden: Vec<(&'static str, String)>,
    pub fields: Vec<Field<'p>>,
    pub choices: Vec<Choice>,
    pub ticks: Vec<Tick>,
    pub button: &'static str,
    /// What people should know before they send it.
    pub notice: Option<String>,
    /// Where those go who need another page.
    pub otherwise: Option<Way>,
    /// Why it is shown again.
    pub refusal: Option<String>,
    /// Whether the cursor goes to what is to be typed first.
    pub takes_focus: bool,
}

impl Default for FormView<'_> {
    fn default() -> Self {
        Self {
            title: String::new(),
            action: Cow::Borrowed(""),
            hidden: vec![],
            fields: vec![],
            choices: vec![],
            ticks: vec![],
            button: "Save",
            notice: None,
            otherwise: None,
            refusal: None,
            takes_focus: true,
        }
    }
}

page! {
    FormPage from "form.html" {
        form: &'p FormView<'p>,
        /// Whether passwords cross a network unprotected.
        unprotected: bool,
    }
}

/// The box that keeps a browser signed in after it was closed.
pub fn keep(is_ticked: bool) -> Vec<Tick> {
    vec![Tick { name: "keep".to_owned(), label: "Keep me signed in".to_owned(), is_ticked }]
}

impl FormView<'_> {
    /// The form on a page of its own; or the form again, with what is wrong beside each field.
    pub fn show(self, visitor: &Visitor, refusal: Option<&Refusal>) -> Result<Response, ApiError> {
        self.show_in(Layout::of(visitor), visitor, refusal)
    }

    pub fn show_in(
        self,
        layout: Layout<'_>,
        visitor: &Visitor,
        refusal: Option<&Refusal>,
    ) -> Result<Response, ApiError> {
        let has_password = self.fields.iter().any(|field| field.kind == "password");
        let form = self.marked(refusal);
        let unprotected = has_password && visitor.public_url.is_unprotected();
        Ok(again(html(status(refusal), &FormPage { layout, form: &form, unprotected })?, refusal))
    }

    /// The form with what is wrong written beside each field, to be shown on whatever page.
    #[must_use]
    pub fn marked(mut self, refusal: Option<&Refusal>) -> Self {
        if self.takes_focus || refusal.is_some() {
            mark(&mut self.fields, refusal);
        }
        self.choices = self.choices.into_iter().map(|choice| choice.marked(refusal)).collect();
        let has_password = self.fields.iter().any(|field| field.kind == "password");
        self.refusal = refusal.map(|refusal| {
            let again = if has_password && !refusal.faults.is_empty() { " Type the password again." } else { "" };
            format!("{}{again}", refusal.text)
        });
        self
    }
}

/// The status of a page with a form.
pub fn status(refusal: Option<&Refusal>) -> StatusCode {
    refusal.map_or(StatusCode::OK, |refusal| refusal.status)
}

/// The same page with what programs want to know of a refusal.
pub fn again(mut response: Response, refusal: Option<&Refusal>) -> Response {
    if let Some(seconds) = refusal.and_then(|refusal| refusal.retry_after) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Writes beside each field what is wrong with it, and places the cursor where something is to be typed.
pub fn mark(fields: &mut [Field<'_>], refusal: Option<&Refusal>) {
    for field in &mut *fields {
        let fault = refusal.and_then(|refusal| refusal.faults.of(field.name));
        field.fault = fault.map(|fault| format!("{} {fault}.", field.label));
    }
    let faulty = fields.iter().position(|field| field.fault.is_some());
    let to_fill_in = || fields.iter().position(|field| field.value.is_empty() && !field.is_optional);
    if let Some(at) = faulty.or_else(to_fill_in) {
        fields[at].has_focus = true;
    }
}

/// Why a form is shown again.
pub struct Refusal {
    pub status: StatusCode,
    pub text: String,
    pub code: ErrorCode,
    /// What is wrong with which field.
    pub faults: Faults,
    retry_after: Option<u64>,
}

impl Refusal {
    /// Of what can't be read.
    pub fn of_faults(faults: Faults) -> Self {
        let text = "Correct what is marked.".to_owned();
        Self { status: StatusCode::BAD_REQUEST, text, code: ErrorCode::ValidationFailed, faults, retry_after: None }
    }

    /// Of the failure of a use case. `Err`: a failure that has a page of its own.
    pub fn of(error: impl Into<ApiError>) -> Result<Self, ApiError> {
        let error = error.into();
        let (status, retry_after) = (error.code.status(), error.retry_after_seconds());
        let text = match (error.code, retry_after) {
            (ErrorCode::InvalidCredentials, _) => {
                "The username, the e-mail address or the password is wrong, or the account is disabled.".to_owned()
            }
            (
                ErrorCode::ValidationFailed
                | ErrorCode::UsernameTaken
                | ErrorCode::EmailTaken
                | ErrorCode::HostTaken
                | ErrorCode::GroupNameTaken,
                _,
            ) => "Nothing was saved. Correct what is marked.".to_owned(),
            (ErrorCode::TooManyAttempts, Some(seconds)) => {
                format!("Too many attempts. Wait {}, then try again.", wait(seconds))
            }
            (ErrorCode::PreconditionFailed, _) => {
                "Nothing was saved: this was changed meanwhile. What it is now stands beside each field. Save again to \
                 replace it."
                    .to_owned()
            }
            (ErrorCode::LastAdmin, _) => {
                "Nothing was changed: this is the last administrator who can sign in. Make somebody else one first."
                    .to_owned()
            }
            (ErrorCode::TooManyGroups, _) => {
                format!("Nothing was saved: an account can be in {} groups at most.", Group::MAX_PER_USER)
            }
            (ErrorCode::GroupInUse, _) => {
                "Nothing was deleted: an app lets this group in. Change or delete the app first.".to_owned()
            }
            (ErrorCode::TooManyAppTokens, _) => {
                format!(
                    "Nothing was created: an account can have {} app tokens. Revoke one first.",
                    AppToken::MAX_PER_USER
                )
            }
            (ErrorCode::PayloadTooLarge, _) => "Nothing was saved: what was sent is too large.".to_owned(),
            (ErrorCode::Overloaded, _) => "The service is busy. Wait a few seconds, then try again.".to_owned(),
            _ => return Err(error),
        };
        Ok(Self { status, text, code: error.code, faults: faults(error), retry_after })
    }
}

/// What is wrong with which field: the one place that knows which field a failure is about.
fn faults(error: ApiError) -> Faults {
    let mut faults = error.faults;
    match error.code {
        ErrorCode::UsernameTaken => faults.add("username", "is taken; choose another"),
        ErrorCode::EmailTaken => faults.add("email", "is taken; use another"),
        ErrorCode::GroupNameTaken => faults.add("name", "is that of another group; choose another"),
        ErrorCode::HostTaken => faults.add(
            "url",
            "has the host of another app or of this server; apps need hosts of their own, whatever the port",
        ),
        _ => {}
    }
    faults
}
