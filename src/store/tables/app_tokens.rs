//! Statements about app tokens.

use super::{
    entry::{door_columns, door_from},
    users::{USER_WIDTH, text, user_columns, user_from},
};
use crate::{
    domain::{
        AppId, AppToken, AppTokenId, DisplayName, Error, NewAppToken, ShownAppToken, Timestamp, TokenHash, UserId,
    },
    store::{
        Reader, Writer,
        sql::{Columns, Fault, values},
    },
};

/// Chooses app tokens `t` by a condition: the columns that `token_from` reads.
macro_rules! select {
    ($by:literal) => {
        concat!(
            "SELECT t.id, t.name, t.app_id, a.name, t.created_at, t.expires_at, t.last_used_at
             FROM app_tokens t JOIN apps a ON a.id = t.app_id WHERE ",
            $by
        )
    };
}

/// A name that can't be read is replaced, so that its owner still sees the token and can revoke it.
fn token_from(row: &dyn Columns) -> Result<AppToken, Fault> {
    let id = row.number(0)?;
    let fault = |what: &str| Fault::Other(format!("the app token {id} has no usable {what}"));
    let damaged = || DisplayName::parse(&format!("damaged-{id}")).expect("a name");
    Ok(AppToken {
        id: AppTokenId::new(id).ok_or_else(|| fault("id"))?,
        name: DisplayName::from_stored(&text(row, 1)?).unwrap_or_else(|_| damaged()),
        app: AppId::new(row.number(2)?).ok_or_else(|| fault("app"))?,
        app_name: text(row, 3)?.into_owned(),
        created_at: row.time(4)?,
        expires_at: row.nullable(5, |n| row.time(n))?,
        last_used_at: row.nullable(6, |n| row.time(n))?,
    })
}

impl Reader<'_> {
    /// An app token by its secret, in one statement: its owner, if the account is enabled, and the door of its app; whether or
    /// not it has expired. For the point door.
    pub fn shown_app_token(&self, token: &TokenHash) -> Result<Option<ShownAppToken>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            user_columns!(),
            ", t.id, t.expires_at, t.last_used_at, ",
            door_columns!("u.id", "u.role"),
            " FROM app_tokens t JOIN users u ON u.id = t.user_id JOIN apps a ON a.id = t.app_id
              WHERE t.token_hash = ?1 AND u.disabled = FALSE"
        );
        let read = |row: &dyn Columns| {
            let id = row.number(USER_WIDTH)?;
            Ok(ShownAppToken {
                id: AppTokenId::new(id).ok_or_else(|| Fault::Other(format!("there is an app token {id}")))?,
                owner: user_from(row)?,
                door: door_from(row, USER_WIDTH + 3)?,
                expires_at: row.nullable(USER_WIDTH + 1, |n| row.time(n))?,
                last_used_at: row.nullable(USER_WIDTH + 2, |n| row.time(n))?,
            })
        };
        Ok(self.sql.first(SQL, values![token], read)?)
    }

    /// The app tokens of an account that can still be used, the newest first. Scans.
    pub fn app_tokens_of(&self, user: UserId, now: Timestamp) -> Result<Vec<AppToken>, Error> {
        const SQL: &str = select!("t.user_id = ?1 AND (t.expires_at IS NULL OR t.expires_at > ?2) ORDER BY t.id DESC");
        Ok(self.sql.all(SQL, values![user, now], token_from)?)
    }
}

impl Writer<'_> {
    /// Stores an app token. Fails with `TooManyAppTokens`; those that have expired make room first.
    pub fn insert_app_token(&mut self, user: UserId, new: &NewAppToken) -> Result<AppToken, Error> {
        const SQL: &str = "INSERT INTO app_tokens (token_hash, user_id, app_id, name, created_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id";
        const TRIM: &str = "DELETE FROM app_tokens WHERE user_id = ?1 AND expires_at <= ?2";
        let is_full = |writer: &Self| -> Result<bool, Error> {
            const COUNT: &str = "SELECT count(*) FROM app_tokens WHERE user_id = ?1";
            Ok(writer.sql.only(COUNT, values![user], |row| row.number(0))? >= AppToken::MAX_PER_USER.into())
        };
        if is_full(self)? {
            self.sql.change(TRIM, values![user, self.now])?;
            if is_full(self)? {
                return Err(Error::TooManyAppTokens);
            }
        }
        let given = values![&new.token_hash, user, new.app, &new.name, self.now, new.expires_at];
        let id = self.sql.only(SQL, given, |row| row.number(0))?;
        Ok(self.sql.only(select!("t.id = ?1"), values![id], token_from)?)
    }

    /// Revokes an app token of an account. `false` if it has none with this id that can still be used.
    pub fn delete_app_token(&mut self, user: UserId, id: AppTokenId) -> Result<bool, Error> {
        const SQL: &str =
            "DELETE FROM app_tokens WHERE id = ?1 AND user_id = ?2 AND (expires_at IS NULL OR expires_at > ?3)";
        Ok(self.sql.change(SQL, values![id, user, self.now])? == 1)
    }

    /// Records a use of an app token. The time never moves backwards, except from a time in the future, which was stored while
    /// the clock was wrong.
    pub fn set_app_token_used(&mut self, id: AppTokenId, at: Timestamp) -> Result<(), Error> {
        const SQL: &str = "UPDATE app_tokens SET last_used_at = ?2
             WHERE id = ?1 AND (last_used_at IS NULL OR last_used_at < ?2 OR last_used_at > ?3)";
        self.sql.change(SQL, values![id, at, self.now])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{empty, reader, writer};
    use super::*;
    use crate::domain::AppTokenSecret;
    use rusqlite::Connection;

    /// With one account, an app that it may enter, and an app token of it.
    fn database() -> (Connection, TokenHash) {
        let connection = empty();
        connection
            .execute_batch(
                "INSERT INTO users (id, username, username_key, email, email_key, email_verified, password_hash,
                    password_version, role, disabled, revision, created_at, updated_at)
                 VALUES (1, 'ada', 'ada', 'ada@example.com', 'ada@example.com', 1, '', 1, 'user', 0, 1, 0, 0);
                 INSERT INTO apps (id, name, url, host, access, created_at)
                 VALUES (1, 'Notes', 'https://notes.example', 'notes.example', 'everyone', 0)",
            )
            .unwrap();
        let (token_hash, name) = (AppTokenSecret::generate().hash(), DisplayName::parse("git").unwrap());
        let new = NewAppToken { token_hash, name, app: AppId::new(1).unwrap(), expires_at: None };
        writer(&connection, Timestamp::from_millis(0)).insert_app_token(UserId::new(1).unwrap(), &new).unwrap();
        (connection, token_hash)
    }

    #[test]
    fn one_of_a_disabled_account_is_not_found_even_if_another_program_left_it() {
        let (connection, token) = database();
        let is_found = || reader(&connection).shown_app_token(&token).unwrap().is_some();
        assert!(is_found());
        connection.execute_batch("UPDATE users SET disabled = 1").unwrap();
        assert!(!is_found());
    }

    #[test]
    fn the_last_use_moves_only_forward_unless_it_is_yet_to_come() {
        let (connection, _) = database();
        let (id, at) = (AppTokenId::new(1).unwrap(), Timestamp::from_millis);
        for (used, now, stored) in [(50, 50, 50), (40, 60, 50), (70, 70, 70), (30, 65, 30)] {
            writer(&connection, at(now)).set_app_token_used(id, at(used)).unwrap();
            let last: i64 = connection.query_row("SELECT last_used_at FROM app_tokens", [], |row| row.get(0)).unwrap();
            assert_eq!(last, stored, "{used} at {now}");
        }
    }
}
