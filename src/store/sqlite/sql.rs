//! Implements the interface of statements for SQLite.

use crate::store::sql::{Columns, Fault, Sql, Value};
use rusqlite::{
    Connection, Row, ToSql, params_from_iter,
    types::{FromSqlError, ToSqlOutput, ValueRef},
};

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Null => ValueRef::Null,
            Self::Flag(flag) => ValueRef::Integer(flag.into()),
            Self::Number(number) => ValueRef::Integer(number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// The fault of a column of an unexpected type.
fn unreadable(n: usize) -> impl Fn(FromSqlError) -> Fault {
    move |error| Fault::Other(format!("column {n} of a row can't be read: {error}"))
}

impl Columns for Row<'_> {
    fn number(&self, n: usize) -> Result<i64, Fault> {
        self.get_ref(n)?.as_i64().map_err(unreadable(n))
    }

    fn flag(&self, n: usize) -> Result<bool, Fault> {
        match self.number(n)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Fault::Other(format!("column {n} of a row is {other}, not 0 or 1"))),
        }
    }

    fn text(&self, n: usize) -> Result<&str, Fault> {
        self.get_ref(n)?.as_str().map_err(unreadable(n))
    }

    fn bytes(&self, n: usize) -> Result<&[u8], Fault> {
        self.get_ref(n)?.as_bytes().map_err(unreadable(n))
    }

    fn is_null(&self, n: usize) -> bool {
        matches!(self.get_ref(n), Ok(ValueRef::Null))
    }
}

impl Sql for Connection {
    fn rows(
        &self,
        sql: &str,
        given: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Columns) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        let mut statement = self.prepare_cached(sql)?;
        let mut rows = statement.query(params_from_iter(given))?;
        while let Some(row) = rows.next()? {
            if !each(row)? {
                break;
            }
        }
        Ok(())
    }

    fn change(&self, sql: &str, given: &[Value<'_>]) -> Result<u64, Fault> {
        Ok(self.prepare_cached(sql)?.execute(params_from_iter(given))? as u64)
    }

    fn indexed_by(&self, index: &str) -> String {
        format!("INDEXED BY {index}")
    }

    /// Lets this connection cache 256 MiB of pages from now on, so that each page is written once.
    fn expect_many_rows(&self) -> Result<(), Fault> {
        Ok(self.pragma_update(None, "cache_size", -256 * 1024)?)
    }
}
