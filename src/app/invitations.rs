//! Invitations. Administrators create, list and delete them; registering uses them up.

use super::{access::Operation, core::Core};
use crate::domain::{
    Action, Caller, EmailAddress, Error, Invitation, InvitationId, InvitationToken, NewInvitation, Page, PageSize,
    Role, TokenHash,
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
        let token = InvitationToken::generate();
        let new = NewInvitation {
            token_hash: token.hash(),
            email: invite.email,
            role: invite.role,
            expires_at: self.core.clock.now() + invite.expires_in.unwrap_or(self.core.policy.invitation_lifetime),
        };
        let created = self.core.change(caller, Operation::Invite, move |writer, _| {
            let invitation = writer.insert_invitation(&new)?;
            writer.record(Action::InvitationCreated, None);
            Ok(invitation)
        });
        Ok(IssuedInvitation { invitation: created.await?, token })
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
