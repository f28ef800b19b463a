//! Statements for invitations, which can be used once.

use super::users::text;
use crate::{
    domain::{
        DamagedInvitation, EmailAddress, Error, Faults, Invitation, InvitationId, NewInvitation, Page, PageSize, Role,
        Timestamp, TokenHash, UserId,
    },
    store::{
        Reader, Writer,
        sql::{Columns, Fault, values},
    },
};

/// The columns that `read` reads.
macro_rules! columns {
    () => {
        "id, email, role, created_by, created_at, expires_at"
    };
}

/// Reads the columns of `columns!`, and names those that can't be read.
fn read(row: &dyn Columns) -> Result<Result<Invitation, DamagedInvitation>, Fault> {
    let (id, mut faults) = (row.number(0)?, Faults::default());
    let id = InvitationId::new(id).ok_or_else(|| Fault::Other(format!("there is an invitation {id}")))?;
    let email =
        row.nullable(1, |n| text(row, n))?.and_then(|email| faults.collect("email", EmailAddress::parse(&email)));
    let Some(role) = faults.collect("role", Role::parse(&text(row, 2)?)).filter(|_| faults.is_empty()) else {
        return Ok(Err(DamagedInvitation { id, faults }));
    };
    Ok(Ok(Invitation {
        id,
        email,
        role,
        created_by: row.nullable(3, |n| row.number(n))?.and_then(UserId::new),
        created_at: row.time(4)?,
        expires_at: row.time(5)?,
    }))
}

fn invitation_from(row: &dyn Columns) -> Result<Invitation, Fault> {
    read(row)?.map_err(|damaged| Fault::Other(damaged.to_string()))
}

impl Reader<'_> {
    /// An invitation that can still be used. For `point`.
    pub fn invitation(&self, token: &TokenHash, now: Timestamp) -> Result<Option<Invitation>, Error> {
        const SQL: &str = concat!("SELECT ", columns!(), " FROM invitations WHERE token_hash = ?1 AND expires_at > ?2");
        Ok(self.sql.first(SQL, values![token, now], invitation_from)?)
    }

    /// A page of the invitations that can still be used, oldest first. Scans.
    pub fn invitations(
        &self,
        after: Option<InvitationId>,
        size: PageSize,
        now: Timestamp,
    ) -> Result<Page<Invitation, InvitationId>, Error> {
        const SQL: &str =
            concat!("SELECT ", columns!(), " FROM invitations WHERE id > ?1 AND expires_at > ?2 ORDER BY id LIMIT ?3");
        let given = values![after.map_or(0, InvitationId::get), now, size.get() + 1];
        let found = self.sql.all(SQL, given, invitation_from)?;
        Ok(Page::cut(found, size, |invitation: &Invitation| invitation.id))
    }

    /// The damaged ones among the invitations that can still be used. Scans all.
    pub fn damaged_invitations(&self, now: Timestamp) -> Result<Vec<DamagedInvitation>, Error> {
        const SQL: &str = concat!("SELECT ", columns!(), " FROM invitations WHERE expires_at > ?1 ORDER BY id");
        let found = self.sql.all(SQL, values![now], |row| read(row).map(Result::err))?;
        Ok(found.into_iter().flatten().collect())
    }
}

impl Writer<'_> {
    pub fn insert_invitation(&mut self, new: &NewInvitation) -> Result<Invitation, Error> {
        const SQL: &str = concat!(
            "INSERT INTO invitations (token_hash, email, role, created_by, created_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING ",
            columns!()
        );
        let by = self.caller.user_id();
        let given = values![&new.token_hash, new.email.as_ref(), new.role.as_str(), by, self.now, new.expires_at];
        Ok(self.sql.only(SQL, given, invitation_from)?)
    }

    /// Uses an invitation up. `None` if it can't be used, or no longer.
    pub fn spend_invitation(&mut self, token: &TokenHash) -> Result<Option<Invitation>, Error> {
        const SQL: &str =
            concat!("DELETE FROM invitations WHERE token_hash = ?1 AND expires_at > ?2 RETURNING ", columns!());
        Ok(self.sql.first(SQL, values![token, self.now], invitation_from)?)
    }

    /// Deletes an invitation. `false` if none that can still be used has this id.
    pub fn delete_invitation(&mut self, id: InvitationId) -> Result<bool, Error> {
        const SQL: &str = "DELETE FROM invitations WHERE id = ?1 AND expires_at > ?2";
        Ok(self.sql.change(SQL, values![id.get(), self.now])? == 1)
    }

    /// Deletes the invitations and reset tokens that an account created, and returns the number of invitations.
    pub fn delete_tokens_created_by(&mut self, user: UserId) -> Result<u32, Error> {
        self.sql.change("DELETE FROM password_resets WHERE created_by = ?1", values![user])?;
        let invitations = self.sql.change("DELETE FROM invitations WHERE created_by = ?1", values![user])?;
        Ok(u32::try_from(invitations).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{empty, writer};
    use super::*;
    use crate::domain::InvitationToken;

    /// What was looked at before a password was hashed may have expired meanwhile.
    #[test]
    fn an_invitation_that_has_expired_is_not_spent() {
        let (connection, at) = (empty(), Timestamp::from_millis);
        let token_hash = InvitationToken::generate().hash();
        let new = NewInvitation { token_hash, email: None, role: Role::User, expires_at: at(100) };
        writer(&connection, at(0)).insert_invitation(&new).unwrap();
        assert_eq!(writer(&connection, at(100)).spend_invitation(&token_hash).unwrap(), None);
        assert!(writer(&connection, at(99)).spend_invitation(&token_hash).unwrap().is_some());
    }
}
