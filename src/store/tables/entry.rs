//! Statements about entering apps: their doors, codes that work once, and the sessions that come of them.

use super::{
    sessions::session_from,
    users::{USER_WIDTH, user_columns, user_from},
};
use crate::{
    domain::{
        AppId, AppPath, AppSession, Door, EnteredApp, EntryCodeState, Error, NewEntryCode, NonceHash, Origin,
        SessionId, SessionLimits, SignedIn, Timestamp, TokenHash, User,
    },
    store::{
        Reader, Writer,
        sql::{Columns, Fault, values},
    },
};

use std::net::IpAddr;

/// The columns that `door_from` reads of an app `a`, for the account with the id and the role that two expressions give.
macro_rules! door_columns {
    ($user:literal, $role:literal) => {
        concat!(
            "a.id, a.name, a.url, CASE a.access WHEN 'everyone' THEN TRUE WHEN 'admins' THEN coalesce(",
            $role,
            " = 'admin', FALSE) ELSE EXISTS (SELECT 1 FROM app_groups g JOIN group_members m ON m.group_id = g.group_id
                WHERE g.app_id = a.id AND m.user_id = ",
            $user,
            ") END, a.verified_at"
        )
    };
}

pub(super) use door_columns;

pub(super) fn door_from(row: &dyn Columns, first: usize) -> Result<Door, Fault> {
    let id = row.number(first)?;
    let origin = Origin::parse(row.text(first + 2)?);
    door_at(origin.map_err(|_| Fault::Other(format!("the app {id} has no usable URL")))?, row, first)
}

/// The same where its origin is known.
fn door_at(origin: Origin, row: &dyn Columns, first: usize) -> Result<Door, Fault> {
    let id = row.number(first)?;
    Ok(Door {
        app: AppId::new(id).ok_or_else(|| Fault::Other(format!("there is an app {id}")))?,
        name: row.text(first + 1)?.to_owned(),
        origin,
        may_enter: row.flag(first + 3)?,
        verified_at: row.nullable(first + 4, |n| row.time(n))?,
    })
}

impl Reader<'_> {
    /// The app of a host, and whether an account may enter it. For the point door.
    pub fn door(&self, host: &str, user: Option<&User>) -> Result<Option<Door>, Error> {
        const SQL: &str = concat!("SELECT ", door_columns!("?2", "?3"), " FROM apps a WHERE a.host = ?1");
        let (id, role) = (user.map(|user| user.id), user.map(|user| user.role.as_str()));
        Ok(self.sql.first(SQL, values![host, id, role], |row| door_from(row, 0))?)
    }

    /// The same by the app's id.
    pub fn door_of(&self, app: AppId, user: Option<&User>) -> Result<Option<Door>, Error> {
        const SQL: &str = concat!("SELECT ", door_columns!("?2", "?3"), " FROM apps a WHERE a.id = ?1");
        let (id, role) = (user.map(|user| user.id), user.map(|user| user.role.as_str()));
        Ok(self.sql.first(SQL, values![app.get(), id, role], |row| door_from(row, 0))?)
    }

    /// The apps that an account may enter, by name. One that can't be read is left out. Scans all.
    pub fn open_doors(&self, user: &User) -> Result<Vec<Door>, Error> {
        const SQL: &str = concat!("SELECT ", door_columns!("?1", "?2"), " FROM apps a ORDER BY a.name, a.id");
        let found = self.sql.all(SQL, values![user.id, user.role.as_str()], |row| Ok(door_from(row, 0).ok()))?;
        Ok(found.into_iter().flatten().filter(|door| door.may_enter).collect())
    }

    /// Who has entered which app, by the token of the app's cookie, in one statement: the session of the browser that the
    /// app's depends on, whether or not the two have expired. Only if it is the app at this origin. For the point door.
    pub fn entered_by_token(&self, token: &TokenHash, origin: &Origin) -> Result<Option<EnteredApp>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            user_columns!(),
            ", p.id, p.kind, p.created_at, p.authenticated_at, p.last_used_at, p.expires_at,
               s.id, s.last_used_at, s.expires_at, ",
            door_columns!("u.id", "u.role"),
            " FROM sessions s JOIN sessions p ON p.id = s.parent_id JOIN users u ON u.id = s.user_id
                JOIN apps a ON a.id = s.app_id
              WHERE s.token_hash = ?1 AND a.url = ?2 AND u.disabled = FALSE"
        );
        let read = |row: &dyn Columns| {
            let user = user_from(row)?;
            let session = session_from(row, USER_WIDTH, user.id)?;
            let with_app = AppSession {
                id: SessionId::from_stored(row.text(USER_WIDTH + 6)?.to_owned()),
                last_used_at: row.time(USER_WIDTH + 7)?,
                expires_at: row.time(USER_WIDTH + 8)?,
            };
            let door = door_at(origin.clone(), row, USER_WIDTH + 9)?;
            Ok(EnteredApp { signed_in: SignedIn { user, session }, with_app, door })
        };
        Ok(self.sql.first(SQL, values![token, origin.as_str()], read)?)
    }

    /// The key with which flows are signed.
    pub fn flow_key(&self) -> Result<[u8; 32], Error> {
        let found = self.sql.first("SELECT flow_key FROM instance", &[], |row| row.array(0))?;
        found.ok_or_else(|| Error::Internal("the row of the table instance is missing".into()))
    }

    /// A code, whether or not it can still be used.
    pub fn entry_code(&self, code: &TokenHash) -> Result<Option<EntryCodeState>, Error> {
        const SQL: &str =
            "SELECT app_id, session_id, nonce_hash, path, expires_at, spent FROM entry_codes WHERE code_hash = ?1";
        let read = |row: &dyn Columns| {
            Ok(EntryCodeState {
                app: AppId::new(row.number(0)?).ok_or_else(|| Fault::Other("a code is for no app".into()))?,
                session: SessionId::from_stored(row.text(1)?.to_owned()),
                nonce: NonceHash::from_stored(row.array(2)?),
                path: AppPath::of(row.text(3)?),
                expires_at: row.time(4)?,
                is_spent: row.flag(5)?,
            })
        };
        Ok(self.sql.first(SQL, values![code], read)?)
    }
}

/// How many sessions a browser may have with one app; the oldest goes.
const MAX_OF_BROWSER: u32 = 4;

impl Writer<'_> {
    pub fn insert_entry_code(&mut self, session: &SessionId, new: &NewEntryCode) -> Result<(), Error> {
        const SQL: &str = "INSERT INTO entry_codes (code_hash, session_id, app_id, nonce_hash, path, expires_at, spent)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, FALSE)";
        let nonce = &new.nonce.as_bytes()[..];
        self.sql.change(SQL, values![&new.hash, session, new.app.get(), nonce, new.path.as_str(), new.expires_at])?;
        Ok(())
    }

    /// Uses a code up. `false` where it was used before.
    pub fn spend_entry_code(&mut self, code: &TokenHash) -> Result<bool, Error> {
        const SQL: &str = "UPDATE entry_codes SET spent = TRUE WHERE code_hash = ?1 AND spent = FALSE";
        Ok(self.sql.change(SQL, values![code])? == 1)
    }

    /// Opens a session with an app for a browser that is signed in. It ends with the browser's at the latest. Of those that
    /// the browser has with the app, and the account with all apps, the oldest go.
    pub fn insert_app_session(
        &mut self,
        browser: &SignedIn,
        app: AppId,
        token: &TokenHash,
        user_agent: Option<&String>,
    ) -> Result<(), Error> {
        const INSERT: &str = "INSERT INTO sessions (id, token_hash, user_id, kind, parent_id, app_id, created_at,
                authenticated_at, last_used_at, expires_at, ip, user_agent)
             SELECT ?1, ?2, user_id, 'app', id, ?3, ?4, authenticated_at, ?4, expires_at, ?5, ?6
             FROM sessions WHERE id = ?7";
        const TRIM: &str =
            "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE parent_id = ?1 AND app_id = ?2
             ORDER BY place DESC LIMIT 9223372036854775807 OFFSET ?3)";
        const TRIM_ALL: &str =
            "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE user_id = ?1 AND kind = 'app'
             ORDER BY created_at DESC, place DESC LIMIT 9223372036854775807 OFFSET ?2)";
        let (id, parent, ip) =
            (SessionId::generate(), &browser.session.id, self.caller.client.ip.map(|ip| ip.to_string()));
        self.sql.change(INSERT, values![&id, token, app.get(), self.now, ip.as_ref(), user_agent, parent])?;
        self.sql.change(TRIM, values![parent, app.get(), MAX_OF_BROWSER])?;
        self.sql.change(TRIM_ALL, values![browser.user.id, SessionLimits::MAX_APP_SESSIONS])?;
        Ok(())
    }

    /// Notes that a proxy asked whether somebody may enter an app, if it still has the URL that was asked about.
    pub fn set_verified(&mut self, app: AppId, url: &Origin, at: Timestamp, from: IpAddr) -> Result<(), Error> {
        const SQL: &str = "UPDATE apps SET verified_at = ?3, verified_from = ?4 WHERE id = ?1 AND url = ?2";
        self.sql.change(SQL, values![app.get(), url.as_str(), at, &from.to_string()])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{empty, reader, writer};
    use super::*;
    use crate::domain::AppSessionToken;

    #[test]
    fn of_all_sessions_with_apps_the_oldest_go() {
        // given: an account with as many as it may have, in other browsers
        let connection = empty();
        let most = SessionLimits::MAX_APP_SESSIONS;
        connection
            .execute_batch(&format!(
                "INSERT INTO users (id, username, username_key, email, email_key, email_verified, password_hash,
                    password_version, role, disabled, revision, created_at, updated_at)
                 VALUES (1, 'ada', 'ada', 'ada@example.com', 'ada@example.com', 1, '', 1, 'user', 0, 1, 0, 0);
                 INSERT INTO apps (id, name, url, host, access, created_at)
                 VALUES (1, 'Notes', 'https://notes.example', 'notes.example', 'everyone', 0);
                 WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {most})
                 INSERT INTO sessions SELECT NULL, 'b' || n, randomblob(32), 1, 'browser', NULL, NULL, 0, 0, 0, 900, NULL, NULL
                 FROM n;
                 WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {most})
                 INSERT INTO sessions SELECT NULL, 'a' || n, randomblob(32), 1, 'app', 'b' || n, 1, n, 0, 0, 900, NULL, NULL
                 FROM n"
            ))
            .unwrap();
        let browser = reader(&connection).signed_in_by_session(&SessionId::from_stored("b7".to_owned()));
        let (browser, token) = (browser.unwrap().unwrap(), AppSessionToken::generate().hash());

        // when
        let now = Timestamp::from_millis(i64::from(most) + 1);
        writer(&connection, now).insert_app_session(&browser, AppId::new(1).unwrap(), &token, None).unwrap();

        // then
        let one = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(one("SELECT count(*) FROM sessions WHERE kind = 'app'"), i64::from(most));
        assert_eq!(one("SELECT count(*) FROM sessions WHERE id = 'a1'"), 0, "the oldest");
        assert_eq!(one("SELECT count(*) FROM sessions WHERE id = 'a2'"), 1);
    }
}
