//! Statements of housekeeping: deleting a few rows at a time, and what is known of the clock.

use super::{Reader, Writer, error::OrDomain};
use crate::domain::{ClockWatch, Error, Timestamp};
use rusqlite::{OptionalExtension, params};
use std::time::{Duration, Instant};

/// How long one transaction goes on deleting before others have their turn. Its commit comes on top.
const TURN: Duration = Duration::from_millis(50);
/// How many rows one statement deletes.
const ROWS: u32 = 100;

/// Deletes up to `?2` rows of a table that fulfil a condition on `?1`, chosen by their key.
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

/// A transaction of housekeeping, which ends soon.
pub(super) struct HouseTurn(Instant);

impl HouseTurn {
    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.elapsed() > TURN
    }
}

impl Reader<'_> {
    /// What an earlier run knew of the clock. A database that no run has left a time in was last used when its last event
    /// happened. Where the row is missing nothing is known, and it is there again after the next look.
    pub fn clock_watch(&self) -> Result<ClockWatch, Error> {
        const SQL: &str =
            "SELECT coalesce(seen_at, (SELECT at FROM audit ORDER BY id DESC LIMIT 1)), hold_until FROM clock";
        let time = |at: Option<i64>| at.map(Timestamp::from_millis);
        self.connection
            .query_row(SQL, [], |row| Ok(ClockWatch { seen_at: time(row.get(0)?), hold_until: time(row.get(1)?) }))
            .optional()
            .or_domain()
            .map(Option::unwrap_or_default)
    }
}

impl Writer<'_> {
    pub fn set_clock_watch(&mut self, watch: ClockWatch) -> Result<(), Error> {
        let ClockWatch { seen_at, hold_until } = watch;
        self.connection
            .prepare_cached(
                "INSERT INTO clock (only_row, seen_at, hold_until) VALUES (1, ?1, ?2)
                 ON CONFLICT (only_row) DO UPDATE SET seen_at = excluded.seen_at, hold_until = excluded.hold_until",
            )
            .and_then(|mut it| it.execute([seen_at.map(Timestamp::as_millis), hold_until.map(Timestamp::as_millis)]))
            .or_domain()
            .map(drop)
    }

    /// Deletes invitations that expired before a time, for a turn. This and what follows returns whether some may be left.
    pub fn sweep_invitations(&mut self, expired: Timestamp) -> Result<bool, Error> {
        self.delete_for_a_turn(delete_some!("invitations", "id", "expires_at < ?1"), expired)
    }

    /// Deletes reset tokens that expired before a time.
    pub fn sweep_password_resets(&mut self, expired: Timestamp) -> Result<bool, Error> {
        let sql = delete_some!("password_resets", "token_hash", "expires_at < ?1");
        self.delete_for_a_turn(sql, expired)
    }

    /// Forgets from where somebody last signed in before a time.
    pub fn sweep_sign_in_addresses(&mut self, before: Timestamp) -> Result<bool, Error> {
        let sql = delete_some!("sign_in_addresses", "user_id, address", "last_at < ?1");
        self.delete_for_a_turn(sql, before)
    }

    /// Forgets budgets that are full again.
    pub fn sweep_full_budgets(&mut self, now: Timestamp) -> Result<bool, Error> {
        let sql = delete_some!("throttle_accounts", "slot", "full_again_at <= ?1");
        self.delete_for_a_turn(sql, now)
    }

    /// Repeats a statement until nothing is left for it, or the turn is over.
    fn delete_for_a_turn(&self, sql: &str, before: Timestamp) -> Result<bool, Error> {
        let turn = HouseTurn::begin();
        let mut statement = self.connection.prepare_cached(sql).or_domain()?;
        while statement.execute(params![before.as_millis(), ROWS]).or_domain()? == ROWS as usize {
            if turn.is_over() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
