//! Invitations. Administrators create, list and delete them; registering uses them up.

use super::{access::Operation, core::Core};
use crate::domain::{
    Action, Caller, EmailAddress, Error, Faults, Invitation, InvitationCount, InvitationId, InvitationToken,
    NewInvitation, Page, PageSize, Role, TokenHash,
};
use std::{sync::Arc, time::Duration};

/// What an invitation is for.
#[derive(Debug, Clone)]
pub struct Invite {
    /// The only e-mail address that may register with it.
    pub email: Option<EmailAddress>,
    pub role: Role,
    /// `None`: the lifetime of the settings.
    pub expires_in: Option<Duration>,
}

/// A new invitation. Its token is not stored, so it can be shown only now.
#[derive(Debug)]
pub struct IssuedInvitation {
    pub token: InvitationToken,
    pub invitation: Invitation,
}

/// The invitation of a token that can still be used.
pub(super) async fn by_token(
    core: &Core,
    caller: &Caller,
    operation: Operation,
    token: TokenHash,
) -> Result<Invitation, Error> {
    let now = core.clock.now();
    let found = core.read(caller, operation, move |reader| reader.invitation(&token, now));
    found.await?.ok_or(Error::InvalidInvitation)
}

/// Invitations to register.
pub struct Invitations {
    pub(super) core: Arc<Core>,
}

impl Invitations {
    /// Creates an invitation.
    pub async fn create(&self, caller: &Caller, invite: Invite) -> Result<IssuedInvitation, Error> {
        let created = self.create_many(caller, invite, InvitationCount::ONE).await?;
        created.into_iter().next().ok_or_else(|| Error::Internal("no invitation was created".to_owned()))
    }

    /// Creates several invitations alike, all or none; only one for an e-mail address. They are one entry of the audit log.
    pub async fn create_many(
        &self,
        caller: &Caller,
        invite: Invite,
        count: InvitationCount,
    ) -> Result<Vec<IssuedInvitation>, Error> {
        self.core.decide(caller, Operation::Invite)?;
        if invite.email.is_some() && count != InvitationCount::ONE {
            let mut faults = Faults::default();
            faults.add("count", "must be 1 for an invitation with an e-mail address");
            return Err(Error::Invalid(faults));
        }
        let expires_at = self.core.clock.now() + invite.expires_in.unwrap_or(self.core.policy.invitation_lifetime);
        let new = |token: &InvitationToken| {
            let Invite { email, role, .. } = invite.clone();
            NewInvitation { token_hash: token.hash(), email, role, expires_at }
        };
        let tokens: Vec<InvitationToken> = (0..count.get()).map(|_| InvitationToken::generate()).collect();
        let new: Vec<NewInvitation> = tokens.iter().map(new).collect();
        let created = self.core.change(caller, Operation::Invite, move |writer, _| {
            let invitations = new.iter().map(|new| writer.insert_invitation(new)).collect::<Result<Vec<_>, _>>()?;
            writer.record_times(Action::InvitationCreated, None, count.get());
            Ok(invitations)
        });
        let issued = created.await?.into_iter().zip(tokens);
        Ok(issued.map(|(invitation, token)| IssuedInvitation { token, invitation }).collect())
    }

    /// The invitation of a token, for somebody who may register with it. It is not used up.
    pub async fn find(&self, caller: &Caller, token: &InvitationToken) -> Result<Invitation, Error> {
        let operation = Operation::Register { role: Role::User, mode: self.core.policy.registration, invited: true };
        by_token(&self.core, &caller.without_session(), operation, token.hash()).await
    }

    /// Lists the invitations that can still be used, oldest first.
    pub async fn list(
        &self,
        caller: &Caller,
        after: Option<InvitationId>,
        size: PageSize,
    ) -> Result<Page<Invitation, InvitationId>, Error> {
        let now = self.core.clock.now();
        self.core.scan(caller, Operation::Invite, move |reader| reader.invitations(after, size, now)).await
    }

    /// Deletes an invitation.
    pub async fn delete(&self, caller: &Caller, id: Option<InvitationId>) -> Result<(), Error> {
        self.core
            .change(caller, Operation::Invite, move |writer, _| {
                let id = id.ok_or(Error::InvitationNotFound)?;
                if !writer.delete_invitation(id)? {
                    return Err(Error::InvitationNotFound);
                }
                writer.record(Action::InvitationDeleted, None);
                Ok(())
            })
            .await
    }
}
