//! Statements about the set-up link.

use crate::{
    domain::{Error, Timestamp, TokenHash},
    store::{Reader, Writer, sql::values},
};

impl Reader<'_> {
    /// Whether this is the token of the set-up link, and it has not expired. For `point`.
    pub fn is_setup_token(&self, token: &TokenHash, now: Timestamp) -> Result<bool, Error> {
        const SQL: &str = "SELECT EXISTS (SELECT 1 FROM setup_link WHERE token_hash = ?1 AND expires_at > ?2)";
        Ok(self.sql.only(SQL, values![token, now], |row| row.flag(0))?)
    }
}

impl Writer<'_> {
    /// Stores a new set-up link in place of the earlier one.
    pub fn replace_setup_link(&mut self, token: &TokenHash, expires_at: Timestamp) -> Result<(), Error> {
        const SQL: &str = "INSERT INTO setup_link (only_row, token_hash, expires_at) VALUES (1, ?1, ?2)
                           ON CONFLICT (only_row) DO UPDATE SET token_hash = excluded.token_hash, expires_at = excluded.expires_at";
        self.sql.change(SQL, values![token, expires_at])?;
        Ok(())
    }

    /// Uses the set-up link up. `false` if it can't be used, or no longer.
    pub fn spend_setup_link(&mut self, token: &TokenHash) -> Result<bool, Error> {
        const SQL: &str = "DELETE FROM setup_link WHERE token_hash = ?1 AND expires_at > ?2";
        Ok(self.sql.change(SQL, values![token, self.now])? == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{empty, reader, writer};
    use super::*;
    use crate::domain::SetupToken;

    #[test]
    fn a_link_works_until_it_expires_or_another_takes_its_place_and_once() {
        let (connection, at) = (empty(), Timestamp::from_millis);
        let [first, second] = [SetupToken::generate().hash(), SetupToken::generate().hash()];
        writer(&connection, at(0)).replace_setup_link(&first, at(100)).unwrap();
        let opens = |token, now| reader(&connection).is_setup_token(token, at(now)).unwrap();
        assert_eq!((opens(&first, 99), opens(&first, 100), opens(&second, 0)), (true, false, false));
        writer(&connection, at(0)).replace_setup_link(&second, at(200)).unwrap();
        assert_eq!((opens(&first, 0), opens(&second, 199)), (false, true));

        let spend = |token, now| writer(&connection, at(now)).spend_setup_link(token).unwrap();
        assert_eq!((spend(&first, 0), spend(&second, 200)), (false, false));
        assert_eq!((spend(&second, 199), spend(&second, 199)), (true, false));
    }
}
