//! Statements for the policy that a server stores for commands.

use crate::{
    domain::Error,
    store::{
        Reader, Writer,
        sql::{Fault, values},
    },
};
use std::collections::BTreeMap;

impl Reader<'_> {
    /// Returns what `set_policy` stored; empty if no server was ever started on the database.
    pub(in crate::store) fn policy(&self) -> Result<BTreeMap<String, String>, Fault> {
        let read = self
            .sql
            .all("SELECT name, value FROM policy", &[], |row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned())));
        Ok(read?.into_iter().collect())
    }
}

impl Writer<'_> {
    /// Replaces the whole policy: names of settings, with values as a user types them.
    pub fn set_policy(&mut self, policy: &[(&'static str, String)]) -> Result<(), Error> {
        self.sql.change("DELETE FROM policy", &[])?;
        for (name, value) in policy {
            self.sql.change("INSERT INTO policy (name, value) VALUES (?1, ?2)", values![*name, value])?;
        }
        Ok(())
    }
}
