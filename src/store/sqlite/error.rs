//! Maps SQLite's errors to faults.

use crate::{
    domain::Error,
    store::sql::{Fault, Unique},
};
use rusqlite::ErrorCode;

/// Violated uniqueness is recognized by column names, everything else by SQLite's primary error codes.
impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) if text.contains("users.username_key") => {
                Self::Taken(Unique::Username)
            }
            Some(ErrorCode::ConstraintViolation) if text.contains("users.email_key") => Self::Taken(Unique::Email),
            Some(ErrorCode::ConstraintViolation) if text.contains("groups.name_key") => Self::Taken(Unique::GroupName),
            Some(ErrorCode::ConstraintViolation) if text.contains("apps.host") => Self::Taken(Unique::Host),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(
                ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::PermissionDenied,
            ) => Self::Storage(text),
            _ => Self::Other(text),
        }
    }
}

/// Shortens `result.map_err(|error| Fault::from(error).into())`.
pub(super) trait OrDomain<T> {
    fn or_domain(self) -> Result<T, Error>;
}

impl<T> OrDomain<T> for rusqlite::Result<T> {
    fn or_domain(self) -> Result<T, Error> {
        self.map_err(|error| Fault::from(error).into())
    }
}
