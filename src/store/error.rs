//! What SQLite reports, as ways in which a use case can fail. The one place where this is decided.

use crate::domain::Error;
use rusqlite::ErrorCode;

/// Maps a database error. Uniqueness is told by the names of columns; everything else by SQLite's primary codes.
pub(super) fn from_sqlite(error: &rusqlite::Error) -> Error {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) if text.contains("users.username_key") => Error::UsernameTaken,
        Some(ErrorCode::ConstraintViolation) if text.contains("users.email_key") => Error::EmailTaken,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Overloaded,
        Some(
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::PermissionDenied,
        ) => Error::Storage(format!("{text}; check the disk and the file's permissions")),
        _ => Error::Internal(text),
    }
}

/// Shortens `result.map_err(|e| from_sqlite(&e))`.
pub(super) trait OrDomain<T> {
    fn or_domain(self) -> Result<T, Error>;
}

impl<T> OrDomain<T> for rusqlite::Result<T> {
    fn or_domain(self) -> Result<T, Error> {
        self.map_err(|error| from_sqlite(&error))
    }
}
