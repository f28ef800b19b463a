//! Deleting what can't be had back: its name is typed first, so that nobody does it by accident.

use super::form::{Field, Refusal};
use crate::{
    domain::{Error, Faults},
    http::wire::error::{ApiError, ErrorCode},
};

/// The field in which the name is typed.
pub const FIELD: &str = "typed_name";

/// The field. `label`: what the name is of.
pub fn field<'p>(label: &'static str, name: &str, typed: &'p str) -> Field<'p> {
    Field::new(FIELD, label, "text", "off", typed).with_help(format!("To confirm, type {name} here."))
}

/// Refuses another name. Keyboards of phones begin with a capital letter, and end with a space.
pub fn confirm(name: &str, typed: &str) -> Result<(), Error> {
    if typed.trim().eq_ignore_ascii_case(name) {
        return Ok(());
    }
    let mut faults = Faults::default();
    faults.add(FIELD, "does not match");
    Err(Error::Invalid(faults))
}

/// Why nothing was deleted.
pub fn refusal(error: impl Into<ApiError>) -> Result<Refusal, ApiError> {
    let mut refusal = Refusal::of(error)?;
    if refusal.code == ErrorCode::ValidationFailed {
        "Nothing was deleted. Type the name to confirm.".clone_into(&mut refusal.text);
    }
    Ok(refusal)
}
