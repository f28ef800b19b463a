//! Statements about invitations and reset tokens: what is spent once.

use super::{Reader, Writer, error::OrDomain, users::text};
use crate::domain::{
    DamagedInvitation, EmailAddress, Error, Faults, Invitation, InvitationId, NewInvitation, Page, PageSize, Role,
    Timestamp, TokenHash, User, UserId,
};
use rusqlite::{
    OptionalExtension, Row, params,
    types::{Type, ValueRef},
};

const COLUMNS: &str = "id, email, role, created_by, created_at, expires_at";

/// Reads the columns of `COLUMNS`. What can't be read is named.
fn read(row: &Row<'_>) -> rusqlite::Result<Result<Invitation, DamagedInvitation>> {
    let (id, mut faults) = (row.get(0)?, Faults::default());
    let id = InvitationId::new(id).ok_or(rusqlite::Error::IntegralValueOutOfRange(0, id))?;
    let email = match row.get_ref(1)? {
        ValueRef::Null => None,
        _ => faults.collect("email", EmailAddress::parse(&text(row, 1)?)),
    };
    let Some(role) = faults.collect("role", Role::parse(&text(row, 2)?)).filter(|_| faults.is_empty()) else {
        return Ok(Err(DamagedInvitation { id, faults }));
    };
    Ok(Ok(Invitation {
        id,
        email,
        role,
        created_by: row.get::<_, Option<i64>>(3)?.and_then(UserId::new),
        created_at: Timestamp::from_millis(row.get(4)?),
        expires_at: Timestamp::from_millis(row.get(5)?),
    }))
}

fn invitation_from(row: &Row<'_>) -> rusqlite::Result<Invitation> {
    read(row)?.map_err(|damaged| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, damaged.to_string().into()))
}

impl Reader<'_> {
    /// An invitation that can still be used. For the point door.
    pub fn invitation(&self, token: &TokenHash, now: Timestamp) -> Result<Option<Invitation>, Error> {
        self.connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM invitations WHERE token_hash = ?1 AND expires_at > ?2"))
            .and_then(|mut statement| {
                statement.query_row(params![token.as_bytes(), now.as_millis()], invitation_from).optional()
            })
            .or_domain()
    }

    /// A page of the invitations that can still be used, in the order in which they were made. Scans.
    pub fn invitations(
        &self,
        after: Option<InvitationId>,
        size: PageSize,
        now: Timestamp,
    ) -> Result<Page<Invitation, InvitationId>, Error> {
        let mut statement = self
            .connection
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM invitations WHERE id > ?1 AND expires_at > ?2 ORDER BY id LIMIT ?3"
            ))
            .or_domain()?;
        let bounds = params![after.map_or(0, InvitationId::get), now.as_millis(), size.get() + 1];
        let found = statement.query_map(bounds, invitation_from).and_then(Iterator::collect).or_domain()?;
        Ok(Page::cut(found, size, |invitation: &Invitation| invitation.id))
    }

    /// Every invitation that could still be used and of which something can't be read. Scans all.
    pub fn damaged_invitations(&self, now: Timestamp) -> Result<Vec<DamagedInvitation>, Error> {
        let look = || -> rusqlite::Result<Vec<DamagedInvitation>> {
            let sql = format!("SELECT {COLUMNS} FROM invitations WHERE expires_at > ?1 ORDER BY id");
            let mut statement = self.connection.prepare(&sql)?;
            let found = statement.query_map([now.as_millis()], read)?;
            found.filter_map(|found| found.map(Result::err).transpose()).collect()
        };
        look().or_domain()
    }

    /// Whose password a reset token sets. For the point door.
    pub fn reset_target(&self, token: &TokenHash, now: Timestamp) -> Result<Option<User>, Error> {
        let id: Option<i64> = self
            .connection
            .prepare_cached("SELECT user_id FROM password_resets WHERE token_hash = ?1 AND expires_at > ?2")
            .and_then(|mut statement| {
                statement.query_row(params![token.as_bytes(), now.as_millis()], |row| row.get(0)).optional()
            })
            .or_domain()?;
        id.and_then(UserId::new).map_or(Ok(None), |id| self.user(id))
    }
}

impl Writer<'_> {
    pub fn insert_invitation(&mut self, new: &NewInvitation) -> Result<Invitation, Error> {
        self.connection
            .prepare_cached(&format!(
                "INSERT INTO invitations (token_hash, email, role, created_by, created_at, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING {COLUMNS}"
            ))
            .and_then(|mut statement| {
                let values = params![
                    new.token_hash.as_bytes(),
                    new.email.as_ref().map(EmailAddress::as_str),
                    new.role.as_str(),
                    self.caller.user_id().map(UserId::get),
                    self.now.as_millis(),
                    new.expires_at.as_millis(),
                ];
                statement.query_row(values, invitation_from)
            })
            .or_domain()
    }

    /// Uses an invitation up. `None` where it can't be used, or no more.
    pub fn spend_invitation(&mut self, token: &TokenHash) -> Result<Option<Invitation>, Error> {
        self.connection
            .prepare_cached(&format!(
                "DELETE FROM invitations WHERE token_hash = ?1 AND expires_at > ?2 RETURNING {COLUMNS}"
            ))
            .and_then(|mut statement| {
                statement.query_row(params![token.as_bytes(), self.now.as_millis()], invitation_from).optional()
            })
            .or_domain()
    }

    /// Takes an invitation back. `false` where there is none that can still be used.
    pub fn delete_invitation(&mut self, id: InvitationId) -> Result<bool, Error> {
        self.connection
            .prepare_cached("DELETE FROM invitations WHERE id = ?1 AND expires_at > ?2")
            .and_then(|mut statement| statement.execute(params![id.get(), self.now.as_millis()]))
            .or_domain()
            .map(|deleted| deleted == 1)
    }

    /// Takes back the invitations and reset tokens that somebody made, and tells how many invitations that were.
    pub fn delete_tokens_made_by(&mut self, user: UserId) -> Result<u32, Error> {
        let delete =
            |sql: &str| self.connection.prepare_cached(sql).and_then(|mut it| it.execute([user.get()])).or_domain();
        delete("DELETE FROM password_resets WHERE created_by = ?1")?;
        let invitations = delete("DELETE FROM invitations WHERE created_by = ?1")?;
        Ok(u32::try_from(invitations).unwrap_or(u32::MAX))
    }

    pub fn insert_password_reset(
        &mut self,
        user: UserId,
        token: &TokenHash,
        expires_at: Timestamp,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO password_resets (token_hash, user_id, created_by, created_at, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    token.as_bytes(),
                    user.get(),
                    self.caller.user_id().map(UserId::get),
                    self.now.as_millis(),
                    expires_at.as_millis()
                ])
            })
            .or_domain()
            .map(drop)
    }

    /// Uses a reset token up, and tells whose password it sets. `None` where it can't be used, or no more.
    pub fn spend_password_reset(&mut self, token: &TokenHash) -> Result<Option<UserId>, Error> {
        let id: Option<i64> = self
            .connection
            .prepare_cached("DELETE FROM password_resets WHERE token_hash = ?1 AND expires_at > ?2 RETURNING user_id")
            .and_then(|mut statement| {
                statement.query_row(params![token.as_bytes(), self.now.as_millis()], |row| row.get(0)).optional()
            })
            .or_domain()?;
        Ok(id.and_then(UserId::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Caller, InvitationToken, ResetToken};
    use rusqlite::Connection;

    fn writer(connection: &Connection, now: i64) -> Writer<'_> {
        let now = Timestamp::from_millis(now);
        Writer { reader: Reader { connection }, caller: Caller::shell(), now, events: vec![] }
    }

    /// What was looked at before a password was hashed may have expired meanwhile.
    #[test]
    fn what_has_expired_is_not_spent() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("../../schema.sql")).unwrap();
        connection.execute_batch("PRAGMA foreign_keys = off").unwrap();
        let (invitation, reset) = (InvitationToken::generate().hash(), ResetToken::generate().hash());
        let expires_at = Timestamp::from_millis(100);
        let mut before = writer(&connection, 0);
        let new = NewInvitation { token_hash: invitation, email: None, role: Role::User, expires_at };
        before.insert_invitation(&new).unwrap();
        before.insert_password_reset(UserId::new(7).unwrap(), &reset, expires_at).unwrap();

        let mut late = writer(&connection, 100);
        assert_eq!(late.spend_invitation(&invitation).unwrap(), None);
        assert_eq!(late.spend_password_reset(&reset).unwrap(), None);

        let mut in_time = writer(&connection, 99);
        assert!(in_time.spend_invitation(&invitation).unwrap().is_some());
        assert_eq!(in_time.spend_password_reset(&reset).unwrap(), UserId::new(7));
    }
}
