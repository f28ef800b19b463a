//! Statements and their row mappers, one file per subject. The same SQL serves every engine.

mod app_tokens;
mod apps;
mod audit;
mod audit_days;
mod audit_list;
mod entry;
mod groups;
mod invitations;
mod maintenance;
mod policy;
mod records;
mod resets;
mod sessions;
mod setup;
mod throttle;
mod user_list;
mod users;

pub(super) use audit::Ends;
pub use audit::Pruned;
pub(super) use records::{record_columns, record_from};
pub(super) use users::{columns_without_groups, own_columns};

#[cfg(test)]
mod fixture {
    //! A database in memory for the tests of statements.

    use super::super::{Reader, Writer};
    use crate::domain::{Caller, Timestamp};
    use rusqlite::Connection;

    pub fn empty() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("../../../schema.sql")).unwrap();
        connection
    }

    pub fn reader(connection: &Connection) -> Reader<'_> {
        Reader { sql: connection }
    }

    pub fn writer(connection: &Connection, now: Timestamp) -> Writer<'_> {
        Writer { reader: reader(connection), caller: Caller::shell(), now, events: vec![] }
    }
}
