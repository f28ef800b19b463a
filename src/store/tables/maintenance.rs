//! Statements for maintenance: deleting a few rows at a time, and the state of the clock.

use crate::{
    domain::{ClockWatch, Error, Timestamp},
    store::{
        Reader, Writer,
        sql::{Columns, values},
    },
};
use std::time::{Duration, Instant};

/// How long one transaction deletes before other writers get a turn. Its commit comes on top.
const TIME_SLICE: Duration = Duration::from_millis(50);
/// How many rows one statement deletes.
const ROWS_PER_STATEMENT: u32 = 100;

/// Deletes up to `?2` rows of a table that meet a condition on `?1`, by their key.
macro_rules! delete_some {
    ($table:literal, $key:literal, $condition:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE (",
            $key,
            ") IN (SELECT ",
            $key,
            " FROM ",
            $table,
            " WHERE ",
            $condition,
            " LIMIT ?2)"
        )
    };
}

/// The time limit of one maintenance transaction.
pub(super) struct TimeSlice(Instant);

impl TimeSlice {
    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.elapsed() > TIME_SLICE
    }
}

impl Reader<'_> {
    /// The state of the clock that an earlier run stored. Without a stored time, the time of the last audit entry
    /// counts. If the row is missing, nothing is known; the next observation stores it again.
    pub fn clock_watch(&self) -> Result<ClockWatch, Error> {
        const SQL: &str =
            "SELECT coalesce(seen_at, (SELECT at FROM audit ORDER BY id DESC LIMIT 1)), hold_until FROM clock";
        let watch = |row: &dyn Columns| {
            let time = |n| row.nullable(n, |n| row.time(n));
            Ok(ClockWatch { seen_at: time(0)?, hold_until: time(1)? })
        };
        Ok(self.sql.first(SQL, &[], watch)?.unwrap_or_default())
    }

    /// The latest stored time.
    pub(in crate::store) fn newest_time(&self) -> Result<Option<Timestamp>, Error> {
        const SQL: &str =
            "SELECT max(at) FROM (SELECT at FROM (SELECT at FROM audit ORDER BY id DESC LIMIT 1) AS newest
            UNION ALL SELECT max(last_used_at) FROM sessions UNION ALL SELECT max(created_at) FROM users) AS times";
        Ok(self.sql.only(SQL, &[], |row| row.nullable(0, |n| row.time(n)))?)
    }
}

impl Writer<'_> {
    pub fn set_clock_watch(&mut self, watch: ClockWatch) -> Result<(), Error> {
        const SQL: &str = "INSERT INTO clock (only_row, seen_at, hold_until) VALUES (1, ?1, ?2)
            ON CONFLICT (only_row) DO UPDATE SET seen_at = excluded.seen_at, hold_until = excluded.hold_until";
        self.sql.change(SQL, values![watch.seen_at, watch.hold_until])?;
        Ok(())
    }

    /// Deletes invitations that expired before a time. This and the following methods return whether some may be left.
    pub fn sweep_invitations(&mut self, expired: Timestamp) -> Result<bool, Error> {
        self.delete_for_a_time_slice(delete_some!("invitations", "id", "expires_at < ?1"), expired)
    }

    /// Deletes app tokens that expired before a time.
    pub fn sweep_app_tokens(&mut self, expired: Timestamp) -> Result<bool, Error> {
        self.delete_for_a_time_slice(delete_some!("app_tokens", "id", "expires_at < ?1"), expired)
    }

    /// Deletes reset tokens that expired before a time.
    pub fn sweep_password_resets(&mut self, expired: Timestamp) -> Result<bool, Error> {
        let sql = delete_some!("password_resets", "token_hash", "expires_at < ?1");
        self.delete_for_a_time_slice(sql, expired)
    }

    /// Deletes IP addresses that were last signed in from before a time.
    pub fn sweep_sign_in_addresses(&mut self, before: Timestamp) -> Result<bool, Error> {
        let sql = delete_some!("sign_in_addresses", "user_id, address", "last_at < ?1");
        self.delete_for_a_time_slice(sql, before)
    }

    /// Forgets in which browsers somebody last signed in before a time.
    pub fn sweep_known_browsers(&mut self, before: Timestamp) -> Result<bool, Error> {
        let sql = delete_some!("known_browsers", "token_hash, user_id", "last_at < ?1");
        self.delete_for_a_time_slice(sql, before)
    }

    /// Deletes codes for entering apps that expired before a time.
    pub fn sweep_entry_codes(&mut self, expired: Timestamp) -> Result<bool, Error> {
        let sql = delete_some!("entry_codes", "code_hash", "expires_at < ?1");
        self.delete_for_a_time_slice(sql, expired)
    }

    /// Deletes budgets that are full again.
    pub fn sweep_full_budgets(&mut self, now: Timestamp) -> Result<bool, Error> {
        let sql = delete_some!("throttle_accounts", "slot", "full_again_at <= ?1");
        self.delete_for_a_time_slice(sql, now)
    }

    /// Repeats a statement until nothing is left for it, or the time is over.
    fn delete_for_a_time_slice(&self, sql: &str, before: Timestamp) -> Result<bool, Error> {
        let turn = TimeSlice::begin();
        while self.sql.change(sql, values![before, ROWS_PER_STATEMENT])? == u64::from(ROWS_PER_STATEMENT) {
            if turn.is_over() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
