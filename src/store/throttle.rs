//! Statements for the throttle: which addresses an account knows, and what outlives a restart.

use super::{
    Reader, Writer,
    error::{OrDomain, from_sqlite},
};
use crate::domain::{Error, Subscriber, Timestamp, UserId};
use rusqlite::params;
use std::net::IpAddr;

/// What accounts were guessed at is kept under a key that only this database has.
const NO_KEY: &str = "the row of its table 'instance' is missing or damaged, because another program wrote to the file; restore a \
                      backup, or, with the server stopped, put a new row there, which forgets what accounts have been guessed at: \
                      sqlite3 FILE 'INSERT OR REPLACE INTO instance VALUES (1, randomblob(32))'";

impl Reader<'_> {
    /// Whether somebody has signed in to the account from there since a moment. Asked for nobody, too, so that the work
    /// is the same. For the point door.
    pub fn knows_address(
        &self,
        user: Option<UserId>,
        subscriber: Option<Subscriber>,
        since: Timestamp,
    ) -> Result<bool, Error> {
        const SQL: &str =
            "SELECT EXISTS (SELECT 1 FROM sign_in_addresses WHERE user_id = ?1 AND address = ?2 AND last_at >= ?3)";
        let (user, address) = (user.map_or(0, UserId::get), subscriber.map(|subscriber| subscriber.to_string()));
        self.connection
            .prepare_cached(SQL)
            .and_then(|mut statement| statement.query_row(params![user, address, since.as_millis()], |row| row.get(0)))
            .or_domain()
    }

    /// How often a group of accounts has been unlocked. For the point door.
    pub fn unlocks(&self, group: u16) -> Result<i64, Error> {
        self.connection
            .prepare_cached("SELECT coalesce((SELECT unlocks FROM throttle_unlocks WHERE account_group = ?1), 0)")
            .and_then(|mut statement| statement.query_row([group], |row| row.get(0)))
            .or_domain()
    }

    /// The key under which the throttle hashes.
    pub fn throttle_secret(&self) -> Result<[u8; 32], Error> {
        use rusqlite::Error::{FromSqlConversionFailure, InvalidColumnType, QueryReturnedNoRows};
        let found = self.connection.query_row("SELECT throttle_key FROM instance", [], |row| row.get(0));
        found.map_err(|error| match error {
            QueryReturnedNoRows | FromSqlConversionFailure(..) | InvalidColumnType(..) => Error::Storage(NO_KEY.into()),
            other => from_sqlite(&other),
        })
    }

    /// The budgets of accounts that are stored: place, key, and when they are full again. Scans.
    pub fn throttled_accounts(&self) -> Result<Vec<(u32, [u8; 16], Timestamp)>, Error> {
        let mut statement =
            self.connection.prepare("SELECT slot, key, full_again_at FROM throttle_accounts").or_domain()?;
        let account = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, Timestamp::from_millis(row.get(2)?)));
        statement.query_map([], account).and_then(Iterator::collect).or_domain()
    }
}

impl Writer<'_> {
    /// Notes from where somebody signed in. An account keeps its latest `most` addresses.
    pub fn note_sign_in_address(&mut self, user: UserId, subscriber: Subscriber, most: u32) -> Result<(), Error> {
        let address = subscriber.to_string();
        self.connection
            .prepare_cached(
                "INSERT INTO sign_in_addresses (user_id, address, last_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (user_id, address) DO UPDATE SET last_at = excluded.last_at",
            )
            .and_then(|mut statement| statement.execute(params![user.get(), address, self.now.as_millis()]))
            .or_domain()?;
        self.connection
            .prepare_cached(
                "DELETE FROM sign_in_addresses WHERE user_id = ?1 AND address IN
                    (SELECT address FROM sign_in_addresses WHERE user_id = ?1
                     ORDER BY address = ?2 DESC, last_at DESC LIMIT 9223372036854775807 OFFSET ?3)",
            )
            .and_then(|mut statement| statement.execute(params![user.get(), address, most]))
            .or_domain()
            .map(drop)
    }

    /// Counts one more unlocking of a group of accounts: what they have been guessed at is forgotten.
    pub fn unlock(&mut self, group: u16) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO throttle_unlocks (account_group, unlocks) VALUES (?1, 1)
                 ON CONFLICT (account_group) DO UPDATE SET unlocks = throttle_unlocks.unlocks + 1",
            )
            .and_then(|mut statement| statement.execute([group]))
            .or_domain()
            .map(drop)
    }

    /// Stores whose budget stands in a place, and when it is full again. `None`: nobody's.
    pub fn set_throttled_account(&mut self, slot: u32, budget: Option<([u8; 16], Timestamp)>) -> Result<(), Error> {
        const SET: &str = "INSERT INTO throttle_accounts (slot, key, full_again_at) VALUES (?1, ?2, ?3)
            ON CONFLICT (slot) DO UPDATE SET key = excluded.key, full_again_at = excluded.full_again_at";
        let changed = match budget {
            Some((key, at)) => self
                .connection
                .prepare_cached(SET)
                .and_then(|mut statement| statement.execute(params![slot, key, at.as_millis()])),
            None => self
                .connection
                .prepare_cached("DELETE FROM throttle_accounts WHERE slot = ?1")
                .and_then(|mut statement| statement.execute([slot])),
        };
        changed.or_domain().map(drop)
    }

    /// Notes for `usher check` a proxy on this machine that nobody declared.
    pub fn note_undeclared_proxy(&mut self, ip: IpAddr) -> Result<(), Error> {
        self.connection
            .execute(
                "INSERT INTO undeclared_proxy (only_row, ip, seen_at) VALUES (1, ?1, ?2)
                 ON CONFLICT (only_row) DO UPDATE SET ip = excluded.ip, seen_at = excluded.seen_at",
                params![ip.to_string(), self.now.as_millis()],
            )
            .or_domain()
            .map(drop)
    }

    /// Forgets it: the server was started again, perhaps with other settings.
    pub fn forget_undeclared_proxy(&mut self) -> Result<(), Error> {
        self.connection.execute("DELETE FROM undeclared_proxy", []).or_domain().map(drop)
    }
}
