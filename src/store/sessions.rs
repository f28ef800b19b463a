//! Statements about sessions.

use super::{
    Reader, Writer,
    error::OrDomain,
    maintenance::HouseTurn,
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
             FROM sessions s JOIN users u ON u.id = s.user_id WHERE u.disabled = FALSE AND ",
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
                 WHERE user_id = ?1 ORDER BY created_at DESC, place DESC",
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
                "SELECT place, expires_at < ?1 OR last_used_at < ?2, id FROM sessions WHERE place > ?3
                 ORDER BY place LIMIT ?4",
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
    /// Stores a session, if the account is enabled and still has the password that was verified. Then those beyond what an
    /// account may have go: first those that have ended, then the oldest ones. `false` means that the account changed meanwhile and nothing was stored.
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
                 SELECT ?1, ?2, id, ?3, ?3, ?4, ?5, ?6 FROM users WHERE id = ?7 AND disabled = FALSE AND password_version = ?8",
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
                     ORDER BY id = ?3 DESC, expires_at > ?4 AND last_used_at > ?5 DESC, created_at DESC, place DESC
                     LIMIT 9223372036854775807 OFFSET ?2)",
            )
            .and_then(|mut statement| {
                let unused = self.now - limits.idle_timeout;
                let (user, new) = (session.user_id.get(), session.id.as_str());
                statement.execute(params![user, limits.max_per_user, new, self.now.as_millis(), unused.as_millis()])
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
            .prepare_cached("DELETE FROM sessions WHERE user_id = ?1 AND id IS DISTINCT FROM ?2")
            .and_then(|mut statement| statement.execute(params![user.get(), but.map(SessionId::as_str)]))
            .or_domain()
            .map(|deleted| u32::try_from(deleted).unwrap_or(u32::MAX))
    }

    /// Records a use of a session that still stands; one that has ended stays ended, and time does not run backwards,
    /// except from a time that is yet to come: that was stored while the clock was wrong.
    pub fn set_last_used(&mut self, id: &SessionId, at: Timestamp) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE sessions SET last_used_at = ?2
                 WHERE id = ?1 AND (last_used_at < ?2 OR last_used_at > ?3) AND expires_at > ?2",
            )
            .and_then(|mut statement| statement.execute(params![id.as_str(), at.as_millis(), self.now.as_millis()]))
            .or_domain()
            .map(drop)
    }

    /// Deletes rows that `ended_sessions` found, unless the session was used since, until the turn is over. Returns those
    /// that it did not come to.
    pub fn sweep_sessions(
        &mut self,
        ended: Vec<SessionId>,
        expired: Timestamp,
        unused: Timestamp,
    ) -> Result<Vec<SessionId>, Error> {
        const SQL: &str = "DELETE FROM sessions WHERE id = ?1 AND (expires_at < ?2 OR last_used_at < ?3)";
        let (turn, mut left) = (HouseTurn::begin(), ended.into_iter());
        let mut statement = self.connection.prepare_cached(SQL).or_domain()?;
        for id in left.by_ref() {
            statement.execute(params![id.as_str(), expired.as_millis(), unused.as_millis()]).or_domain()?;
            if turn.is_over() {
                break;
            }
        }
        Ok(left.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Caller;
    use rusqlite::Connection;
    use std::time::Duration;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// A database with an account and its sessions: id, last use and absolute end.
    fn database(sessions: &[(&str, i64, i64)]) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("../../schema.sql")).unwrap();
        connection
            .execute_batch(
                "INSERT INTO users (id, username, username_key, email, email_key, email_verified, password_hash, password_version, role, disabled,
                                    revision, created_at, updated_at)
                 VALUES (1, 'ada', 'ada', 'ada@example.com', 'ada@example.com', 1, '', 1, 'user', 0, 1, 0, 0)",
            )
            .unwrap();
        for (id, last_used_at, expires_at) in sessions {
            connection
                .execute(
                    "INSERT INTO sessions VALUES (NULL, ?1, randomblob(32), 1, 0, ?2, ?3, NULL, NULL)",
                    params![id, last_used_at, expires_at],
                )
                .unwrap();
        }
        connection
    }

    fn writer(connection: &Connection, now: i64) -> Writer<'_> {
        Writer { reader: Reader { connection }, caller: Caller::shell(), now: at(now), events: vec![] }
    }

    fn id(text: &str) -> SessionId {
        SessionId::from_stored(text.to_owned())
    }

    fn last_used(connection: &Connection) -> i64 {
        connection.query_row("SELECT last_used_at FROM sessions", [], |row| row.get(0)).unwrap()
    }

    fn left(connection: &Connection) -> Vec<String> {
        let mut ids = connection.prepare("SELECT id FROM sessions ORDER BY id").unwrap();
        ids.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn the_time_of_the_last_use_runs_on_and_back_only_from_what_is_yet_to_come() {
        let connection = database(&[("a", 50, 1_000)]);
        for (now, used_at, stored) in [(100, 60, 60), (100, 55, 60), (100, 100, 100), (90, 80, 80), (2_000, 1_000, 80)]
        {
            writer(&connection, now).set_last_used(&id("a"), at(used_at)).unwrap();
            assert_eq!(last_used(&connection), stored, "used at {used_at}, written at {now}");
        }
    }

    #[test]
    fn a_session_that_was_used_since_it_was_looked_at_is_not_swept() {
        let connection = database(&[("expired", 90, 10), ("unused", 10, 900), ("used", 10, 900), ("young", 90, 900)]);
        let found = Reader { connection: &connection }.ended_sessions(at(20), at(20), 0, 10).unwrap();
        let (ended, _) = found.unwrap();
        assert_eq!(ended, [id("expired"), id("unused"), id("used")]);
        writer(&connection, 100).set_last_used(&id("used"), at(95)).unwrap();

        let left_over = writer(&connection, 100).sweep_sessions(ended, at(20), at(20)).unwrap();

        assert_eq!((left_over, left(&connection)), (vec![], vec!["used".to_owned(), "young".to_owned()]));
    }

    #[test]
    fn sessions_that_have_ended_go_before_one_that_is_alive() {
        // The newest is unused, the one before it has expired; the oldest two are alive.
        let sessions = [("1", 95, 900), ("2", 95, 900), ("3", 95, 50), ("4", 10, 900)];
        for (most, expected) in [(5, "1234n"), (4, "124n"), (3, "12n"), (2, "2n"), (1, "n")] {
            let connection = database(&sessions);
            connection.execute_batch("UPDATE sessions SET created_at = place").unwrap();
            let new = NewSession {
                id: id("n"),
                token_hash: crate::domain::SessionToken::generate().hash(),
                user_id: UserId::new(1).unwrap(),
                expires_at: at(900),
                user_agent: None,
            };
            let idle_timeout = Duration::from_millis(50);
            let limits = SessionLimits { max_per_user: most, idle_timeout, ..SessionLimits::default() };
            assert!(writer(&connection, 100).insert_session(&new, 1, &limits).unwrap());
            assert_eq!(left(&connection).concat(), expected, "{most}");
        }
    }
}
