//! Statements for reset tokens.

use crate::{
    domain::{Error, Timestamp, TokenHash, User, UserId},
    store::{Reader, Writer, sql::values},
};

impl Reader<'_> {
    /// The account of a reset token. For `point`.
    pub fn reset_target(&self, token: &TokenHash, now: Timestamp) -> Result<Option<User>, Error> {
        const SQL: &str = "SELECT user_id FROM password_resets WHERE token_hash = ?1 AND expires_at > ?2";
        let id = self.sql.first(SQL, values![token, now], |row| row.number(0))?;
        id.and_then(UserId::new).map_or(Ok(None), |id| self.user(id))
    }
}

impl Writer<'_> {
    pub fn insert_password_reset(
        &mut self,
        user: UserId,
        token: &TokenHash,
        expires_at: Timestamp,
    ) -> Result<(), Error> {
        const SQL: &str = "INSERT INTO password_resets (token_hash, user_id, created_by, created_at, expires_at)
                           VALUES (?1, ?2, ?3, ?4, ?5)";
        self.sql.change(SQL, values![token, user, self.caller.user_id(), self.now, expires_at])?;
        Ok(())
    }

    /// Uses a reset token up, and returns its account. `None` if it can't be used, or no longer.
    pub fn spend_password_reset(&mut self, token: &TokenHash) -> Result<Option<UserId>, Error> {
        const SQL: &str = "DELETE FROM password_resets WHERE token_hash = ?1 AND expires_at > ?2 RETURNING user_id";
        let id = self.sql.first(SQL, values![token, self.now], |row| row.number(0))?;
        Ok(id.and_then(UserId::new))
    }

    /// Deletes the reset tokens of an account.
    pub fn delete_password_resets(&mut self, id: UserId) -> Result<(), Error> {
        self.sql.change("DELETE FROM password_resets WHERE user_id = ?1", values![id])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{empty, writer};
    use super::*;
    use crate::domain::ResetToken;

    /// What was looked at before a password was hashed may have expired meanwhile.
    #[test]
    fn a_reset_token_that_has_expired_is_not_spent() {
        let connection = empty();
        connection.execute_batch("PRAGMA foreign_keys = off").unwrap();
        let (token, at) = (ResetToken::generate().hash(), Timestamp::from_millis);
        writer(&connection, at(0)).insert_password_reset(UserId::new(7).unwrap(), &token, at(100)).unwrap();
        assert_eq!(writer(&connection, at(100)).spend_password_reset(&token).unwrap(), None);
        assert_eq!(writer(&connection, at(99)).spend_password_reset(&token).unwrap(), UserId::new(7));
    }
}
