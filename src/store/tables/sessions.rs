//! Statements for sessions.

use super::{
    maintenance::TimeSlice,
    users::{USER_WIDTH, user_columns, user_from},
};
use crate::{
    domain::{
        Action, AppId, Error, NewSession, Session, SessionDetails, SessionId, SessionKind, SessionLimits, SignedIn,
        Timestamp, TokenHash, UserId, WithApp,
    },
    store::{
        Reader, Rows, SessionCounts, Writer,
        sql::{Columns, Fault, values},
    },
};
use std::time::Duration;

/// Ignores sessions of disabled accounts, although disabling ends them.
macro_rules! select_signed_in {
    ($by:literal) => {
        concat!(
            "SELECT ",
            user_columns!(),
            ", s.id, s.kind, s.created_at, s.authenticated_at, s.last_used_at, s.expires_at
             FROM sessions s JOIN users u ON u.id = s.user_id WHERE u.disabled = FALSE AND ",
            $by
        )
    };
}

/// Reads a session from six columns of a row: id, kind, created, password shown, last used, absolute end.
pub(super) fn session_from(row: &dyn Columns, first: usize, user_id: UserId) -> Result<Session, Fault> {
    Ok(Session {
        id: SessionId::from_stored(row.text(first)?.to_owned()),
        user_id,
        kind: SessionKind::parse(row.text(first + 1)?)
            .map_err(|fault| Fault::Other(format!("a session's kind {fault}")))?,
        created_at: row.time(first + 2)?,
        authenticated_at: row.time(first + 3)?,
        last_used_at: row.time(first + 4)?,
        expires_at: row.time(first + 5)?,
    })
}

fn signed_in_from(row: &dyn Columns) -> Result<SignedIn, Fault> {
    let user = user_from(row)?;
    Ok(SignedIn { session: session_from(row, USER_WIDTH, user.id)?, user })
}

impl Reader<'_> {
    /// A session and its account in one statement, even if it has expired. For `point`.
    pub fn signed_in_by_token(&self, token: &TokenHash) -> Result<Option<SignedIn>, Error> {
        Ok(self.sql.first(select_signed_in!("s.token_hash = ?1"), values![token], signed_in_from)?)
    }

    /// The same by the session's id, to check inside a transaction whether it still exists.
    pub fn signed_in_by_session(&self, id: &SessionId) -> Result<Option<SignedIn>, Error> {
        Ok(self.sql.first(select_signed_in!("s.id = ?1"), values![id], signed_in_from)?)
    }

    /// The sessions of an account, newest first, including expired ones. Scans.
    pub fn sessions_of(&self, user: UserId) -> Result<Vec<SessionDetails>, Error> {
        const SQL: &str =
            "SELECT s.id, s.kind, s.created_at, s.authenticated_at, s.last_used_at, s.expires_at, s.ip, s.user_agent,
                    s.parent_id, s.app_id, a.name
             FROM sessions s LEFT JOIN apps a ON a.id = s.app_id WHERE s.user_id = ?1
             ORDER BY s.created_at DESC, s.place DESC";
        let details = |row: &dyn Columns| {
            let ip = row.nullable(6, |n| row.text(n))?;
            let parent = row.nullable(8, |n| row.text(n).map(|id| SessionId::from_stored(id.to_owned())))?;
            let app = row.nullable(9, |n| row.number(n))?.and_then(AppId::new);
            let app_name = row.nullable(10, |n| row.text(n).map(str::to_owned))?;
            let with_app = parent.zip(app).zip(app_name);
            Ok(SessionDetails {
                with_app: with_app.map(|((parent, app), app_name)| WithApp { parent, app, app_name }),
                session: session_from(row, 0, user)?,
                ip: ip.and_then(|ip| ip.parse().ok()),
                user_agent: row.nullable(7, |n| row.text(n).map(str::to_owned))?,
            })
        };
        Ok(self.sql.all(SQL, values![user], details)?)
    }

    /// Examines the next `count` sessions after `place`. Returns those that expired or were last used before the given
    /// times, and the place of the last one examined. `None` if there are no more. Scans.
    pub fn ended_sessions(
        &self,
        expired: Timestamp,
        unused: Timestamp,
        place: i64,
        count: u32,
    ) -> Result<Option<(Vec<SessionId>, i64)>, Error> {
        const SQL: &str = "SELECT place, expires_at < ?1 OR last_used_at < ?2, id FROM sessions WHERE place > ?3
             ORDER BY place LIMIT ?4";
        let (mut ended, mut last) = (Vec::new(), None);
        self.sql.rows(SQL, values![expired, unused, place, count], &mut |row| {
            last = Some(row.number(0)?);
            if row.flag(1)? {
                ended.push(SessionId::from_stored(row.text(2)?.to_owned()));
            }
            Ok(true)
        })?;
        Ok(last.map(|last| (ended, last)))
    }

    /// Counts accounts, and sessions that have not ended at `now`. Scans both.
    pub fn count_rows(&self, now: Timestamp, idle_timeout: Duration) -> Result<Rows, Error> {
        const USERS: &str = "SELECT count(*) FROM users";
        const SESSIONS: &str =
            "SELECT count(CASE kind WHEN 'api' THEN 1 END), count(CASE kind WHEN 'browser' THEN 1 END),
                count(CASE kind WHEN 'app' THEN 1 END) FROM sessions WHERE expires_at > ?1 AND last_used_at > ?2";
        let counts =
            |row: &dyn Columns| Ok(SessionCounts { api: row.number(0)?, browser: row.number(1)?, app: row.number(2)? });
        Ok(Rows {
            users: self.sql.only(USERS, &[], |row| row.number(0))?,
            sessions: self.sql.only(SESSIONS, values![now, now - idle_timeout], counts)?,
        })
    }
}

impl Writer<'_> {
    /// Stores a session, if the account is enabled and still has the password that was verified. Then deletes sessions
    /// beyond the limit of the account: ended ones first, then the oldest. Returns `false` if the account changed
    /// meanwhile and nothing was stored.
    pub fn insert_session(
        &mut self,
        session: &NewSession,
        password_version: i64,
        limits: &SessionLimits,
    ) -> Result<bool, Error> {
        const INSERT: &str =
            "INSERT INTO sessions (id, token_hash, user_id, kind, created_at, authenticated_at, last_used_at, expires_at, ip,
                                   user_agent)
             SELECT ?1, ?2, id, ?9, ?3, ?3, ?3, ?4, ?5, ?6 FROM users
             WHERE id = ?7 AND disabled = FALSE AND password_version = ?8";
        const TRIM: &str = "DELETE FROM sessions WHERE user_id = ?1 AND id IN
            (SELECT id FROM sessions WHERE user_id = ?1 AND kind <> 'app'
             ORDER BY id = ?3 DESC, expires_at > ?4 AND last_used_at > ?5 DESC, created_at DESC, place DESC
             LIMIT 9223372036854775807 OFFSET ?2)";
        let (id, user) = (&session.id, session.user_id);
        let ip = self.caller.client.ip.map(|ip| ip.to_string());
        let inserted = self.sql.change(
            INSERT,
            values![
                id,
                &session.token_hash,
                self.now,
                session.expires_at,
                ip.as_ref(),
                session.user_agent.as_ref(),
                user,
                password_version,
                session.kind.as_str(),
            ],
        )?;
        let unused = self.now - limits.idle_timeout;
        self.sql.change(TRIM, values![user, limits.max_per_user, id, self.now, unused])?;
        Ok(inserted == 1)
    }

    /// Gives a browser's session a new token after its owner has shown the password again. `false` where the session has
    /// ended, or where the account changed meanwhile, and nothing was stored.
    pub fn renew_session(
        &mut self,
        id: &SessionId,
        session: &NewSession,
        password_version: i64,
    ) -> Result<bool, Error> {
        const SQL: &str = "UPDATE sessions
             SET token_hash = ?2, authenticated_at = ?3, last_used_at = ?3, expires_at = ?4, ip = ?5, user_agent = ?6
             WHERE id = ?1 AND kind = 'browser' AND user_id =
                (SELECT id FROM users WHERE id = ?7 AND disabled = FALSE AND password_version = ?8)";
        let ip = self.caller.client.ip.map(|ip| ip.to_string());
        let given = values![
            id,
            &session.token_hash,
            self.now,
            session.expires_at,
            ip.as_ref(),
            session.user_agent.as_ref(),
            session.user_id,
            password_version,
        ];
        Ok(self.sql.change(SQL, given)? == 1)
    }

    /// Ends one session. `false` if it had ended before.
    pub fn delete_session(&mut self, id: &SessionId) -> Result<bool, Error> {
        Ok(self.sql.change("DELETE FROM sessions WHERE id = ?1", values![id])? == 1)
    }

    /// Ends one session of an account. `false` if the account has no such session.
    pub fn delete_session_of(&mut self, user: UserId, id: &SessionId) -> Result<bool, Error> {
        Ok(self.sql.change("DELETE FROM sessions WHERE id = ?1 AND user_id = ?2", values![id, user])? == 1)
    }

    /// Ends every session of an account but the one named and those that depend on it, and returns how many that were.
    /// Where none is named, the account's app tokens are revoked, too, which is recorded: those who end all sessions want
    /// nobody to go on with what was handed out before.
    pub fn delete_sessions(&mut self, user: UserId, but: Option<&SessionId>) -> Result<u32, Error> {
        const SQL: &str = "DELETE FROM sessions
             WHERE user_id = ?1 AND id IS DISTINCT FROM ?2 AND (?2 IS NULL OR parent_id IS DISTINCT FROM ?2)";
        const REVOKE: &str = "DELETE FROM app_tokens WHERE user_id = ?1";
        if but.is_none() {
            let revoked = self.sql.change(REVOKE, values![user])?;
            self.record_times(Action::AppTokenRevoked, Some(user), u32::try_from(revoked).unwrap_or(u32::MAX));
        }
        Ok(u32::try_from(self.sql.change(SQL, values![user, but])?).unwrap_or(u32::MAX))
    }

    /// Records a use of a session that has not ended. The time never moves backwards, except from a time in the future,
    /// which was stored while the clock was wrong.
    pub fn set_last_used(&mut self, id: &SessionId, at: Timestamp) -> Result<(), Error> {
        const SQL: &str = "UPDATE sessions SET last_used_at = ?2
             WHERE id = ?1 AND (last_used_at < ?2 OR last_used_at > ?3) AND expires_at > ?2";
        self.sql.change(SQL, values![id, at, self.now])?;
        Ok(())
    }

    /// Deletes rows that `ended_sessions` returned, unless the session was used since, until the time is over. Returns
    /// the rest.
    pub fn sweep_sessions(
        &mut self,
        ended: Vec<SessionId>,
        expired: Timestamp,
        unused: Timestamp,
    ) -> Result<Vec<SessionId>, Error> {
        const SQL: &str = "DELETE FROM sessions WHERE id = ?1 AND (expires_at < ?2 OR last_used_at < ?3)";
        let (turn, mut left) = (TimeSlice::begin(), ended.into_iter());
        for id in left.by_ref() {
            self.sql.change(SQL, values![&id, expired, unused])?;
            if turn.is_over() {
                break;
            }
        }
        Ok(left.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use rusqlite::{Connection, params};

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// A database with an account and its sessions: id, last use and absolute end.
    fn database(sessions: &[(&str, i64, i64)]) -> Connection {
        let connection = fixture::empty();
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
                    "INSERT INTO sessions VALUES (NULL, ?1, randomblob(32), 1, 'api', NULL, NULL, 0, 0, ?2, ?3, NULL, NULL)",
                    params![id, last_used_at, expires_at],
                )
                .unwrap();
        }
        connection
    }

    fn writer(connection: &Connection, now: i64) -> Writer<'_> {
        fixture::writer(connection, at(now))
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
        let found = fixture::reader(&connection).ended_sessions(at(20), at(20), 0, 10).unwrap();
        let (ended, _) = found.unwrap();
        assert_eq!(ended, [id("expired"), id("unused"), id("used")]);
        writer(&connection, 100).set_last_used(&id("used"), at(95)).unwrap();

        let left_over = writer(&connection, 100).sweep_sessions(ended, at(20), at(20)).unwrap();

        assert_eq!((left_over, left(&connection)), (vec![], vec!["used".to_owned(), "young".to_owned()]));
    }

    /// A password may change while another one is hashed for the sign-in.
    #[test]
    fn only_a_browsers_session_of_the_account_as_it_was_is_renewed() {
        let connection = database(&[("a", 90, 900), ("b", 90, 900)]);
        connection.execute_batch("UPDATE sessions SET kind = 'browser' WHERE id = 'b'").unwrap();
        let new = |user| NewSession {
            id: id("n"),
            token_hash: crate::domain::SessionToken::generate().hash(),
            user_id: UserId::new(user).unwrap(),
            kind: SessionKind::Browser,
            expires_at: at(2_000),
            user_agent: None,
        };
        let renew =
            |session, user, version| writer(&connection, 100).renew_session(&id(session), &new(user), version).unwrap();
        assert_eq!([renew("a", 1, 1), renew("b", 2, 1), renew("b", 1, 2), renew("c", 1, 1)], [false; 4]);
        assert!(renew("b", 1, 1));
        connection.execute_batch("UPDATE users SET disabled = 1").unwrap();
        assert!(!renew("b", 1, 1));
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
                kind: SessionKind::Api,
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
