//! App tokens: created by their owner for one app, listed and revoked by their owner and by administrators.

use super::{access::Operation, core::Core, throttle::Attempt};
use crate::domain::{
    Action, AppId, AppToken, AppTokenId, AppTokenSecret, Caller, DisplayName, Error, NewAppToken, UserId,
};
use std::{sync::Arc, time::Duration};

/// What an app token is for.
#[derive(Debug, Clone)]
pub struct WantedAppToken {
    pub name: DisplayName,
    /// `None` is an id that no app can have.
    pub app: Option<AppId>,
    /// `None`: it works until it is revoked.
    pub expires_in: Option<Duration>,
}

/// A new app token. Its secret is not stored, so it can be shown only now.
#[derive(Debug)]
pub struct IssuedAppToken {
    pub secret: AppTokenSecret,
    pub token: AppToken,
}

/// What native clients show to apps.
pub struct AppTokens {
    pub(super) core: Arc<Core>,
}

impl AppTokens {
    /// Creates an app token for an account. `Error::AppNotFound` is also for an app that the account may not enter, so that
    /// nothing is learnt about it.
    pub async fn create(
        &self,
        caller: &Caller,
        owner: Option<UserId>,
        wanted: WantedAppToken,
    ) -> Result<IssuedAppToken, Error> {
        let charged = self.charge(caller, owner)?;
        let created = self.store(caller, owner, wanted).await;
        if created.is_err() {
            self.core.throttle.refund(&charged);
        }
        created
    }

    /// Limits how often owners create app tokens, as other changes of their accounts. No more than were created can be
    /// revoked.
    fn charge(&self, caller: &Caller, owner: Option<UserId>) -> Result<Attempt, Error> {
        let own = owner.filter(|id| caller.owns(*id) && !caller.administers());
        let Some(own) = own else { return Ok(Attempt::default()) };
        let charged = self.core.throttle.reserve_change(own, false, false, caller.client.prefix());
        self.core.record_refusal(caller, Some(own), charged)
    }

    async fn store(
        &self,
        caller: &Caller,
        owner: Option<UserId>,
        wanted: WantedAppToken,
    ) -> Result<IssuedAppToken, Error> {
        let secret = AppTokenSecret::generate();
        let (token_hash, core) = (secret.hash(), self.core.clone());
        let expires_at = wanted.expires_in.map(|span| self.core.clock.now() + span);
        let created = self.core.change(caller, Operation::CreateAppToken(owner), move |writer, _| {
            let owner = owner.ok_or(Error::UserNotFound)?;
            let user = writer.user(owner)?.ok_or(Error::UserNotFound)?;
            let app = wanted.app.ok_or(Error::AppNotFound)?;
            let door = writer.door_of(app, Some(&user))?.filter(|door| door.may_enter && !user.disabled);
            door.filter(|door| !core.policy.is_public_host(door.origin.host())).ok_or(Error::AppNotFound)?;
            let new = NewAppToken { token_hash, name: wanted.name.clone(), app, expires_at };
            let token = writer.insert_app_token(owner, &new)?;
            writer.record(Action::AppTokenCreated, Some(owner));
            Ok(token)
        });
        Ok(IssuedAppToken { token: created.await?, secret })
    }

    /// Lists the app tokens of an account that can still be used, the newest first.
    pub async fn list(&self, caller: &Caller, owner: Option<UserId>) -> Result<Vec<AppToken>, Error> {
        let now = self.core.clock.now();
        let found = self.core.scan(caller, Operation::AppTokens(owner), move |reader| {
            let owner = owner.ok_or(Error::UserNotFound)?;
            reader.user(owner)?.ok_or(Error::UserNotFound)?;
            reader.app_tokens_of(owner, now)
        });
        let mut tokens = found.await?;
        for token in &mut tokens {
            // A use may have been gathered and not yet been written.
            token.last_used_at = self.core.app_token_uses.of(&token.id).max(token.last_used_at);
        }
        Ok(tokens)
    }

    /// Revokes an app token, from the next request on.
    pub async fn revoke(&self, caller: &Caller, owner: Option<UserId>, id: Option<AppTokenId>) -> Result<(), Error> {
        self.core
            .change(caller, Operation::AppTokens(owner), move |writer, _| {
                let owner = owner.ok_or(Error::UserNotFound)?;
                writer.user(owner)?.ok_or(Error::UserNotFound)?;
                if !writer.delete_app_token(owner, id.ok_or(Error::AppTokenNotFound)?)? {
                    return Err(Error::AppTokenNotFound);
                }
                writer.record(Action::AppTokenRevoked, Some(owner));
                Ok(())
            })
            .await
    }
}
