//! Forms that sign somebody in at their end: how they look, and how they come back with what is wrong.

use super::{
    failure::wait,
    view::{Layout, Way, html, page},
};
use crate::{
    domain::{Error, Faults},
    http::{
        auth::Visitor,
        wire::error::{ApiError, ErrorCode},
    },
};
use poem::{
    Response,
    http::{HeaderValue, StatusCode, header},
};

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
        Self { name, label, kind, autocomplete, value, help: None, is_fixed: false, fault: None, has_focus: false }
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

    /// The ids of what a screen reader reads out with the field.
    pub(super) fn described_by(&self) -> Option<String> {
        let parts = [(self.help.is_some(), "help"), (self.fault.is_some(), "fault")];
        let ids = parts.into_iter().filter(|(is_there, _)| *is_there).map(|(_, part)| format!("{}-{part}", self.name));
        Some(ids.collect::<Vec<_>>().join(" ")).filter(|ids| !ids.is_empty())
    }
}

/// A field in which one of several things is chosen.
pub struct Choice {
    pub name: &'static str,
    pub label: &'static str,
    pub options: Vec<Choosable>,
    /// What is wrong with what was chosen.
    pub fault: Option<String>,
}

pub struct Choosable {
    pub value: String,
    pub label: String,
    pub is_chosen: bool,
}

impl Choice {
    /// Of values and their labels.
    pub fn new(
        name: &'static str,
        label: &'static str,
        options: impl IntoIterator<Item = (String, String)>,
        chosen: &str,
    ) -> Self {
        let option = |(value, label)| Choosable { is_chosen: value == chosen, value, label };
        Self { name, label, options: options.into_iter().map(option).collect(), fault: None }
    }
}

/// A form for a person.
pub struct FormView<'p> {
    pub title: String,
    /// Where it is sent.
    pub action: &'static str,
    /// What travels with it unseen.
    pub hidden: Vec<(&'static str, String)>,
    pub fields: Vec<Field<'p>>,
    /// Whether the box is ticked that keeps the browser signed in.
    pub keep: bool,
    pub button: &'static str,
    /// What people should know before they send it.
    pub notice: Option<String>,
    /// Where those go who need another page.
    pub otherwise: Option<Way>,
}

page! {
    FormPage from "form.html" {
        form: &'p FormView<'p>,
        /// Why the form is shown again.
        refusal: Option<&'p str>,
        /// Whether passwords cross a network unprotected.
        unprotected: bool,
    }
}

impl FormView<'_> {
    /// The form; or the form again, with what is wrong beside each field. The cursor stands where something is to be typed.
    pub fn show(mut self, visitor: &Visitor, refusal: Option<&Refusal>) -> Result<Response, ApiError> {
        mark(&mut self.fields, refusal);
        let has_password = self.fields.iter().any(|field| field.kind == "password");
        let text = refusal.map(|refusal| {
            let again = if has_password && !refusal.faults.is_empty() { " Type the password again." } else { "" };
            format!("{}{again}", refusal.text)
        });
        let page = FormPage {
            layout: Layout::of(visitor),
            form: &self,
            refusal: text.as_deref(),
            unprotected: visitor.public_url.is_unprotected(),
        };
        let mut response = html(refusal.map_or(StatusCode::OK, |refusal| refusal.status), &page)?;
        if let Some(seconds) = refusal.and_then(|refusal| refusal.retry_after) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        Ok(response)
    }
}

/// Writes beside each field what is wrong with it, and places the cursor where something is to be typed.
pub fn mark(fields: &mut [Field<'_>], refusal: Option<&Refusal>) {
    for field in &mut *fields {
        let fault = refusal.and_then(|refusal| refusal.faults.of(field.name));
        field.fault = fault.map(|fault| format!("{} {fault}.", field.label));
    }
    let faulty = fields.iter().position(|field| field.fault.is_some());
    let to_fill_in = || fields.iter().position(|field| field.value.is_empty());
    if let Some(at) = faulty.or_else(to_fill_in) {
        fields[at].has_focus = true;
    }
}

/// Why a form is shown again.
pub struct Refusal {
    pub status: StatusCode,
    pub text: String,
    /// What is wrong with which field.
    pub faults: Faults,
    retry_after: Option<u64>,
}

impl Refusal {
    /// Of the failure of a use case. `Err`: a failure that has a page of its own.
    pub fn of(error: Error) -> Result<Self, ApiError> {
        let error = ApiError::from(error);
        let (status, retry_after) = (error.code.status(), error.retry_after_seconds());
        let text = match (error.code, retry_after) {
            (ErrorCode::InvalidCredentials, _) => {
                "The username, the e-mail address or the password is wrong, or the account is disabled.".to_owned()
            }
            (
                ErrorCode::ValidationFailed | ErrorCode::UsernameTaken | ErrorCode::EmailTaken | ErrorCode::HostTaken,
                _,
            ) => "Nothing was saved. Correct what is marked.".to_owned(),
            (ErrorCode::TooManyAttempts, Some(seconds)) => {
                format!("Too many attempts. Wait {}, then try again.", wait(seconds))
            }
            (ErrorCode::Overloaded, _) => "The service is busy. Wait a few seconds, then try again.".to_owned(),
            _ => return Err(error),
        };
        Ok(Self { status, text, faults: faults(error), retry_after })
    }
}

/// What is wrong with which field: the one place that knows which field a failure is about.
fn faults(error: ApiError) -> Faults {
    let mut faults = error.faults;
    match error.code {
        ErrorCode::UsernameTaken => faults.add("username", "is taken; choose another"),
        ErrorCode::EmailTaken => faults.add("email", "is taken; use another"),
        ErrorCode::HostTaken => faults.add(
            "url",
            "has the host of another app or of this server; apps need hosts of their own, whatever the port",
        ),
        _ => {}
    }
    faults
}
