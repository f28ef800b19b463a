//! Statements for the throttle: IP addresses that accounts were signed in from, and budgets that outlive a restart.

use crate::{
    domain::{ClientPrefix, Error, Timestamp, TokenHash, UserId},
    store::{Reader, Writer, sql::values},
};
use std::net::IpAddr;

/// The keys of budgets depend on a secret that only this database has.
const NO_KEY: &str = "the row of its table 'instance' is missing or damaged, because another program wrote to the file; restore a \
                      backup, or, with the server stopped, put a new row there, which forgets what accounts have been guessed at: \
                      sqlite3 FILE 'INSERT OR REPLACE INTO instance VALUES (1, randomblob(32), randomblob(32))'";

impl Reader<'_> {
    /// Whether somebody has signed in to the account from this client since a time. Also runs without an account, so
    /// that the work is the same. For `point`.
    pub fn knows_address(
        &self,
        user: Option<UserId>,
        prefix: Option<ClientPrefix>,
        since: Timestamp,
    ) -> Result<bool, Error> {
        const SQL: &str =
            "SELECT EXISTS (SELECT 1 FROM sign_in_addresses WHERE user_id = ?1 AND address = ?2 AND last_at >= ?3)";
        let (user, address) = (user.map_or(0, UserId::get), prefix.map(|prefix| prefix.to_string()));
        Ok(self.sql.only(SQL, values![user, address.as_ref(), since], |row| row.flag(0))?)
    }

    /// Under what attempts at an account are counted in a browser in which somebody has signed in to it since a moment.
    /// Asked for nobody, too, so that the work is the same. For `point`.
    pub fn browser_lane(
        &self,
        user: Option<UserId>,
        browser: &TokenHash,
        since: Timestamp,
    ) -> Result<Option<[u8; 16]>, Error> {
        const SQL: &str = "SELECT lane FROM known_browsers WHERE token_hash = ?1 AND user_id = ?2 AND last_at >= ?3";
        let user = user.map_or(0, UserId::get);
        Ok(self.sql.first(SQL, values![browser, user, since], |row| row.array(0))?)
    }

    /// How often a group of accounts has been unlocked. For `point`.
    pub fn unlocks(&self, group: u16) -> Result<i64, Error> {
        const SQL: &str = "SELECT unlocks FROM throttle_unlocks WHERE account_group = ?1";
        Ok(self.sql.first(SQL, values![u32::from(group)], |row| row.number(0))?.unwrap_or(0))
    }

    /// The secret of the keyed hashes.
    pub fn throttle_secret(&self) -> Result<[u8; 32], Error> {
        let found = self.sql.first("SELECT throttle_key FROM instance", &[], |row| Ok(row.array(0).ok()))?;
        found.flatten().ok_or_else(|| Error::Storage(NO_KEY.into()))
    }

    /// The budgets of accounts that are stored: place, key, and when they are full again. Scans all; looked up only before
    /// the server serves.
    pub fn throttled_accounts(&self) -> Result<Vec<(u32, [u8; 16], Timestamp)>, Error> {
        const SQL: &str = "SELECT slot, key, full_again_at FROM throttle_accounts";
        let found = self.sql.all(SQL, &[], |row| Ok((row.number(0)?, row.array(1)?, row.time(2)?)))?;
        let place = |slot| u32::try_from(slot).map_err(|_| Error::Internal(format!("a budget has the place {slot}")));
        found.into_iter().map(|(slot, key, at)| Ok((place(slot)?, key, at))).collect()
    }
}

impl Writer<'_> {
    /// Stores the client of a sign-in. An account keeps its latest `most` clients.
    pub fn remember_sign_in_address(&mut self, user: UserId, prefix: ClientPrefix, most: u32) -> Result<(), Error> {
        const UPSERT: &str = "INSERT INTO sign_in_addresses (user_id, address, last_at) VALUES (?1, ?2, ?3)
            ON CONFLICT (user_id, address) DO UPDATE SET last_at = excluded.last_at";
        const FORGET: &str = "DELETE FROM sign_in_addresses WHERE user_id = ?1 AND address IN
            (SELECT address FROM sign_in_addresses WHERE user_id = ?1
             ORDER BY address = ?2 DESC, last_at DESC LIMIT 9223372036854775807 OFFSET ?3)";
        let address = prefix.to_string();
        self.sql.change(UPSERT, values![user, &address, self.now])?;
        self.sql.change(FORGET, values![user, &address, most])?;
        Ok(())
    }

    /// Remembers in which browser somebody signed in. What was known of it under its earlier token is known under the new
    /// one, and counted in the same lane: a sign-in to one account gives nobody more guesses at another. `lane` is for an
    /// account that is new in this browser. A browser keeps its latest `max_users` accounts, and an account its latest `max_browsers` browsers.
    pub fn remember_browser(
        &mut self,
        user: UserId,
        earlier: Option<&TokenHash>,
        browser: &TokenHash,
        lane: [u8; 16],
        [max_users, max_browsers]: [u32; 2],
    ) -> Result<(), Error> {
        const RENAME: &str = "UPDATE known_browsers SET token_hash = ?2 WHERE token_hash = ?1";
        const REMEMBER: &str = "INSERT INTO known_browsers (token_hash, user_id, lane, last_at) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (token_hash, user_id) DO UPDATE SET last_at = excluded.last_at";
        const FORGET_USERS: &str = "DELETE FROM known_browsers WHERE token_hash = ?1 AND user_id IN
            (SELECT user_id FROM known_browsers WHERE token_hash = ?1
             ORDER BY user_id = ?2 DESC, last_at DESC LIMIT 9223372036854775807 OFFSET ?3)";
        const FORGET_BROWSERS: &str = "DELETE FROM known_browsers WHERE user_id = ?2 AND token_hash IN
            (SELECT token_hash FROM known_browsers WHERE user_id = ?2
             ORDER BY token_hash = ?1 DESC, last_at DESC LIMIT 9223372036854775807 OFFSET ?3)";
        if let Some(earlier) = earlier {
            self.sql.change(RENAME, values![earlier, browser])?;
        }
        self.sql.change(REMEMBER, values![browser, user, &lane[..], self.now])?;
        self.sql.change(FORGET_USERS, values![browser, user, max_users])?;
        self.sql.change(FORGET_BROWSERS, values![browser, user, max_browsers])?;
        Ok(())
    }

    /// Forgets every browser in which somebody signed in to the account.
    pub fn forget_browsers(&mut self, user: UserId) -> Result<(), Error> {
        self.sql.change("DELETE FROM known_browsers WHERE user_id = ?1", values![user])?;
        Ok(())
    }

    /// Unlocks a group of accounts: their failed sign-ins no longer count.
    pub fn unlock(&mut self, group: u16) -> Result<(), Error> {
        const SQL: &str = "INSERT INTO throttle_unlocks (account_group, unlocks) VALUES (?1, 1)
            ON CONFLICT (account_group) DO UPDATE SET unlocks = throttle_unlocks.unlocks + 1";
        self.sql.change(SQL, values![u32::from(group)])?;
        Ok(())
    }

    /// Stores the budget of a slot: its key, and when it is full again. `None` deletes it.
    pub fn set_throttled_account(&mut self, slot: u32, budget: Option<([u8; 16], Timestamp)>) -> Result<(), Error> {
        const SET: &str = "INSERT INTO throttle_accounts (slot, key, full_again_at) VALUES (?1, ?2, ?3)
            ON CONFLICT (slot) DO UPDATE SET key = excluded.key, full_again_at = excluded.full_again_at";
        match budget {
            Some((key, at)) => self.sql.change(SET, values![slot, &key[..], at])?,
            None => self.sql.change("DELETE FROM throttle_accounts WHERE slot = ?1", values![slot])?,
        };
        Ok(())
    }

    /// Records an undeclared proxy on this machine, for `usher check`.
    pub fn remember_undeclared_proxy(&mut self, ip: IpAddr) -> Result<(), Error> {
        const SQL: &str = "INSERT INTO undeclared_proxy (only_row, ip, seen_at) VALUES (1, ?1, ?2)
            ON CONFLICT (only_row) DO UPDATE SET ip = excluded.ip, seen_at = excluded.seen_at";
        self.sql.change(SQL, values![&ip.to_string(), self.now])?;
        Ok(())
    }

    /// Forgets the proxy: the server was started again, perhaps with other settings.
    pub fn forget_undeclared_proxy(&mut self) -> Result<(), Error> {
        self.sql.change("DELETE FROM undeclared_proxy", &[])?;
        Ok(())
    }
}

impl Reader<'_> {
    /// The recorded proxy, and when it was seen.
    pub(in crate::store) fn undeclared_proxy(&self) -> Result<Option<(String, Timestamp)>, Error> {
        let read = "SELECT ip, seen_at FROM undeclared_proxy";
        Ok(self.sql.first(read, &[], |row| Ok((row.text(0)?.to_owned(), row.time(1)?)))?)
    }
}
