//! The interface between statements and an engine: values, columns and faults.

use crate::domain::{
    AppId, AppTokenId, DisplayName, EmailAddress, Error, GroupId, GroupName, PasswordHash, SessionId, Timestamp,
    TokenHash, UserId, Username,
};

/// A value for a parameter such as `?1`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'v> {
    Null,
    Flag(bool),
    Number(i64),
    Text(&'v str),
    Bytes(&'v [u8]),
}

/// The values of a statement, in the order of their numbers.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::store::sql::Value::from($value)),*] };
}
pub(super) use values;

macro_rules! values_from {
    ($($type:ty: |$from:ident| $value:expr;)*) => {$(
        impl<'v> From<$type> for Value<'v> {
            fn from($from: $type) -> Self {
                $value
            }
        }
    )*};
}

values_from! {
    bool: |flag| Self::Flag(flag);
    i64: |number| Self::Number(number);
    u32: |number| Self::Number(number.into());
    Timestamp: |at| Self::Number(at.as_millis());
    UserId: |id| Self::Number(id.get());
    AppId: |id| Self::Number(id.get());
    AppTokenId: |id| Self::Number(id.get());
    GroupId: |id| Self::Number(id.get());
    &'v str: |text| Self::Text(text);
    &'v String: |text| Self::Text(text);
    &'v Username: |username| Self::Text(username.as_str());
    &'v DisplayName: |name| Self::Text(name.as_str());
    &'v EmailAddress: |email| Self::Text(email.as_str());
    &'v GroupName: |name| Self::Text(name.as_str());
    &'v PasswordHash: |hash| Self::Text(hash.as_str());
    &'v SessionId: |id| Self::Text(id.as_str());
    &'v [u8]: |bytes| Self::Bytes(bytes);
    &'v TokenHash: |hash| Self::Bytes(hash.as_bytes());
}

impl<'v, T: Into<Value<'v>>> From<Option<T>> for Value<'v> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A row of a result. A column of an unexpected type is a fault.
pub(super) trait Columns {
    fn number(&self, n: usize) -> Result<i64, Fault>;
    fn flag(&self, n: usize) -> Result<bool, Fault>;
    fn text(&self, n: usize) -> Result<&str, Fault>;
    /// Also reads text, whether or not it is UTF-8.
    fn bytes(&self, n: usize) -> Result<&[u8], Fault>;
    fn is_null(&self, n: usize) -> bool;
}

impl dyn Columns + '_ {
    pub(super) fn time(&self, n: usize) -> Result<Timestamp, Fault> {
        self.number(n).map(Timestamp::from_millis)
    }

    pub(super) fn array<const LENGTH: usize>(&self, n: usize) -> Result<[u8; LENGTH], Fault> {
        let bytes = self.bytes(n)?;
        bytes.try_into().map_err(|_| Fault::Other(format!("{} bytes are stored, not {LENGTH}", bytes.len())))
    }

    /// Reads a column that may be NULL.
    pub(super) fn nullable<T>(
        &self,
        n: usize,
        read: impl FnOnce(usize) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        if self.is_null(n) { Ok(None) } else { read(n).map(Some) }
    }
}

/// A connection, perhaps within a transaction.
pub(super) trait Sql {
    /// Passes the rows of a query to `each`, until it returns `false`.
    fn rows(
        &self,
        sql: &str,
        given: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Columns) -> Result<bool, Fault>,
    ) -> Result<(), Fault>;

    /// Runs a statement without results, and returns the number of rows it changed.
    fn change(&self, sql: &str, given: &[Value<'_>]) -> Result<u64, Fault>;

    /// The clause that names the index to use, after a table.
    fn indexed_by(&self, index: &str) -> String;

    /// Prepares for a transaction that writes very many rows.
    fn expect_many_rows(&self) -> Result<(), Fault>;
}

impl dyn Sql + '_ {
    /// The first row, if there is one.
    pub(super) fn first<T>(
        &self,
        sql: &str,
        given: &[Value<'_>],
        read: impl Fn(&dyn Columns) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let mut found = None;
        self.rows(sql, given, &mut |row| {
            found = Some(read(row)?);
            Ok(false)
        })?;
        Ok(found)
    }

    /// The row of a statement that always finds one.
    pub(super) fn only<T>(
        &self,
        sql: &str,
        given: &[Value<'_>],
        read: impl Fn(&dyn Columns) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.first(sql, given, read)?.ok_or_else(|| Fault::Other(format!("nothing was found by {sql}")))
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        given: &[Value<'_>],
        read: impl Fn(&dyn Columns) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let mut found = Vec::new();
        self.rows(sql, given, &mut |row| {
            found.push(read(row)?);
            Ok(true)
        })?;
        Ok(found)
    }
}

/// A value that only one account can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unique {
    Username,
    Email,
    GroupName,
    Host,
}

/// How a statement failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("another one has the same {0:?}")]
    Taken(Unique),
    #[error("another process is writing")]
    Busy,
    /// The disk, or the file on it.
    #[error("{0}")]
    Storage(String),
    #[error("{0}")]
    Other(String),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Taken(Unique::Username) => Self::UsernameTaken,
            Fault::Taken(Unique::Email) => Self::EmailTaken,
            Fault::Taken(Unique::GroupName) => Self::GroupNameTaken,
            Fault::Taken(Unique::Host) => Self::HostTaken,
            Fault::Busy => Self::Overloaded,
            Fault::Storage(text) => Self::Storage(format!("{text}; check the disk and the file's permissions")),
            Fault::Other(text) => Self::Internal(text),
        }
    }
}
