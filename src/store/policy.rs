//! Statements about the policy that a server stores for the commands beside it.

use super::{Writer, connection, error::OrDomain, file::OpenError, migrate};
use crate::domain::Error;
use std::{collections::BTreeMap, path::Path};

/// Reads what `set_policy` stored; empty where no server was ever started on the file.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, String>, OpenError> {
    migrate::require_current(path)?;
    let read = || -> rusqlite::Result<_> {
        let connection = connection::open_to_look(path)?;
        let mut statement = connection.prepare("SELECT name, value FROM policy")?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    read().map_err(|error| OpenError::sqlite(path, &error))
}

impl Writer<'_> {
    /// Replaces the whole policy: names of settings, with values as one would type them.
    pub fn set_policy(&mut self, policy: &[(&'static str, String)]) -> Result<(), Error> {
        self.connection.execute("DELETE FROM policy", []).or_domain()?;
        let mut insert = self.connection.prepare("INSERT INTO policy (name, value) VALUES (?1, ?2)").or_domain()?;
        policy.iter().try_for_each(|(name, value)| insert.execute((name, value)).map(drop)).or_domain()
    }
}
