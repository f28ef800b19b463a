//! Statements about sessions.

use super::{
    Reader, Writer,
    error::OrDomain,
    users::{user_columns, user_from},
};
use crate::domain::{
    Error, NewSession, Session, SessionDetails, SessionId, SessionLimits, SignedIn, Timestamp, TokenHash, UserId,
};
use rusqlite::{OptionalExtension, Row, ToSql, params};

/// Sessions of disabled accounts don't count, although disabling ends them.
macro_rules! select_signed_in {
    ($by:literal) => {
        concat!(
            "SELECT ",
            user_columns!(),
            ", s.id, s.created_at, s.last_used_at, s.expires_at
             FROM sessions s JOIN users u ON u.id = s.user_id WHERE u.disabled = 0 AND ",
            $by
        )
    };
}

fn signed_in_from(row: &Row<'_>) -> rusqlite::Result<SignedIn> {
    let user = user_from(row)?;
    let session = Session {
        id: SessionId::from_stored(row.get(10)?),
        user_id: user.id,
        created_at: Timestamp::from_millis(row.get(11)?),
        last_used_at: Timestamp::from_millis(row.get(12)?),
        expires_at: Timestamp::from_millis(row.get(13)?),
    };
    Ok(SignedIn { user, session })
}

impl Reader<'_> {
    /// A session and whose it is, in one statement, whether or not it has expired. For the point door.
    pub fn signed_in_by_token(&self, token: &TokenHash) -> Result<Option<SignedIn>, Error> {
        self.signed_in(select_signed_in!("s.token_hash = ?1"), token.as_bytes())
    }

    /// The same by the session's public name, to see within a transaction whether it still stands.
    pub fn signed_in_by_session(&self, id: &SessionId) -> Result<Option<SignedIn>, Error> {
        self.signed_in(select_signed_in!("s.id = ?1"), &id.as_str())
    }

    fn signed_in(&self, sql: &str, key: &dyn ToSql) -> Result<Option<SignedIn>, Error> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row([key], signed_in_from).optional())
            .or_domain()
    }

    /// The sessions of an account, the newest first, whether or not they have ended. Scans.
    pub fn sessions_of(&self, user: UserId) -> Result<Vec<SessionDetails>, Error> {
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT id, created_at, last_used_at, expires_at, ip, user_agent FROM sessions
                 WHERE user_id = ?1 ORDER BY created_at DESC, rowid DESC",
            )
            .or_domain()?;
        let details = |row: &Row<'_>| {
            let session = Session {
                id: SessionId::from_stored(row.get(0)?),
                user_id: user,
                created_at: Timestamp::from_millis(row.get(1)?),
                last_used_at: Timestamp::from_millis(row.get(2)?),
                expires_at: Timestamp::from_millis(row.get(3)?),
            };
            let ip: Option<String> = row.get(4)?;
            Ok(SessionDetails { session, ip: ip.and_then(|ip| ip.parse().ok()), user_agent: row.get(5)? })
        };
        statement.query_map([user.get()], details).and_then(Iterator::collect).or_domain()
    }

    /// Of the next `count` sessions in the order of their rows, after `place`, those that ended before the given times (the
    /// absolute end, or the last use), and the place of the last one. `None` where there are no more. Scans.
    pub fn ended_sessions(
        &self,
        expired: Timestamp,
        unused: Timestamp,
        place: i64,
        count: u32,
    ) -> Result<Option<(Vec<SessionId>, i64)>, Error> {
        let look = || -> rusqlite::Result<_> {
            let mut statement = self.connection.prepare_cached(
                "SELECT rowid, expires_at < ?1 OR last_used_at < ?2, id FROM sessions WHERE rowid > ?3
                 ORDER BY rowid LIMIT ?4",
            )?;
            let mut rows = statement.query(params![expired.as_millis(), unused.as_millis(), place, count])?;
            let (mut ended, mut last) = (Vec::new(), None);
            while let Some(row) = rows.next()? {
                last = Some(row.get(0)?);
                if row.get(1)? {
                    ended.push(SessionId::from_stored(row.get(2)?));
                }
            }
            Ok(last.map(|last| (ended, last)))
        };
        look().or_domain()
    }
}

impl Writer<'_> {
    /// Stores a session, if the account is enabled and still has the password that was verified. Then the oldest ones
    /// beyond what an account may have go. `false` means that the account changed meanwhile and nothing was stored.
    pub fn insert_session(
        &mut self,
        session: &NewSession,
        password_version: i64,
        limits: &SessionLimits,
    ) -> Result<bool, Error> {
        let inserted = self
            .connection
            .prepare_cached(
                "INSERT INTO sessions (id, token_hash, user_id, created_at, last_used_at, expires_at, ip, user_agent)
                 SELECT ?1, ?2, id, ?3, ?3, ?4, ?5, ?6 FROM users WHERE id = ?7 AND disabled = 0 AND password_version = ?8",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    session.id.as_str(),
                    session.token_hash.as_bytes(),
                    self.now.as_millis(),
                    session.expires_at.as_millis(),
                    self.caller.client.ip.map(|ip| ip.to_string()),
                    session.user_agent,
                    session.user_id.get(),
                    password_version,
                ])
            })
            .or_domain()?;
        self.connection
            .prepare_cached(
                "DELETE FROM sessions WHERE user_id = ?1 AND id IN
                    (SELECT id FROM sessions WHERE user_id = ?1
                     ORDER BY id = ?3 DESC, created_at DESC, rowid DESC LIMIT -1 OFFSET ?2)",
            )
            .and_then(|mut statement| {
                statement.execute(params![session.user_id.get(), limits.max_per_user, session.id.as_str()])
            })
            .or_domain()?;
        Ok(inserted == 1)
    }

    /// Ends one session. `false` where it had ended already.
    pub fn delete_session(&mut self, id: &SessionId) -> Result<bool, Error> {
        self.connection
            .prepare_cached("DELETE FROM sessions WHERE id = ?1")
            .and_then(|mut statement| statement.execute([id.as_str()]))
            .or_domain()
            .map(|deleted| deleted == 1)
    }

    /// Ends one session of an account. `false` where the account has no such session.
    pub fn delete_session_of(&mut self, user: UserId, id: &SessionId) -> Result<bool, Error> {
        self.connection
            .prepare_cached("DELETE FROM sessions WHERE id = ?1 AND user_id = ?2")
            .and_then(|mut statement| statement.execute(params![id.as_str(), user.get()]))
            .or_domain()
            .map(|deleted| deleted == 1)
    }

    /// Ends every session of an account but the one named, and tells how many that were.
    pub fn delete_sessions(&mut self, user: UserId, but: Option<&SessionId>) -> Result<u32, Error> {
        self.connection
            .prepare_cached("DELETE FROM sessions WHERE user_id = ?1 AND id IS NOT ?2")
            .and_then(|mut statement| statement.execute(params![user.get(), but.map(SessionId::as_str)]))
            .or_domain()
            .map(|deleted| u32::try_from(deleted).unwrap_or(u32::MAX))
    }

    /// Records a use of a session that still stands; one that has ended stays ended, and time does not run backwards.
    pub fn set_last_used(&mut self, id: &SessionId, at: Timestamp) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE sessions SET last_used_at = ?2 WHERE id = ?1 AND last_used_at < ?2 AND expires_at > ?2",
            )
            .and_then(|mut statement| statement.execute(params![id.as_str(), at.as_millis()]))
            .or_domain()
            .map(drop)
    }

    /// Deletes a row that `ended_sessions` found, unless the session was used since.
    pub fn sweep_session(&mut self, id: &SessionId, expired: Timestamp, unused: Timestamp) -> Result<(), Error> {
        self.connection
            .prepare_cached("DELETE FROM sessions WHERE id = ?1 AND (expires_at < ?2 OR last_used_at < ?3)")
            .and_then(|mut statement| statement.execute(params![id.as_str(), expired.as_millis(), unused.as_millis()]))
            .or_domain()
            .map(drop)
    }
}
