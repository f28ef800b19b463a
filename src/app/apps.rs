//! Apps behind a proxy: registered, changed and deleted by administrators.

use super::{access::Operation, core::Core};
use crate::domain::{
    Action, App, AppChanges, AppId, AppSelector, AppStatus, Caller, Error, Faults, LastAsked, NewApp, Origin, Page,
    PageSize,
};
use crate::store::{Reader, Writer};
use std::sync::Arc;

/// The apps that people enter with one sign-in.
pub struct Apps {
    pub(super) core: Arc<Core>,
}

impl Apps {
    pub async fn create(&self, caller: &Caller, new: NewApp) -> Result<App, Error> {
        let public_url = self.core.policy.public_url.clone();
        self.core
            .change(caller, Operation::ManageApps, move |writer, _| {
                check(&new, public_url.as_ref())?;
                let app = writer.insert_app(&new)?;
                writer.record(Action::AppCreated, None);
                Ok(app)
            })
            .await
    }

    /// Lists apps, in the order in which they were registered.
    pub async fn list(&self, caller: &Caller, after: Option<AppId>, size: PageSize) -> Result<Page<App, AppId>, Error> {
        self.core.scan(caller, Operation::ManageApps, move |reader| reader.apps(after, size)).await
    }

    pub async fn get(&self, caller: &Caller, id: Option<AppId>) -> Result<App, Error> {
        self.core
            .read(caller, Operation::ManageApps, move |reader| {
                reader.app(id.ok_or(Error::AppNotFound)?)?.ok_or(Error::AppNotFound)
            })
            .await
    }

    /// An app, and when a proxy last asked about it.
    pub async fn with_last_asked(&self, caller: &Caller, id: Option<AppId>) -> Result<(App, Option<LastAsked>), Error> {
        self.core
            .read(caller, Operation::ManageApps, move |reader| {
                reader.app_with_last_asked(id.ok_or(Error::AppNotFound)?)?.ok_or(Error::AppNotFound)
            })
            .await
    }

    /// The same for a page of a list, which one that is damaged does not hide.
    pub async fn list_with_last_asked(
        &self,
        caller: &Caller,
        after: Option<AppId>,
        size: PageSize,
    ) -> Result<Page<AppStatus, AppId>, Error> {
        self.core.scan(caller, Operation::ManageApps, move |reader| reader.apps_with_last_asked(after, size)).await
    }

    /// How many sessions in an app are counted.
    pub const MAX_COUNTED_SESSIONS: u32 = 10_000;

    /// The number of sessions in an app that can be used now, at most [`Self::MAX_COUNTED_SESSIONS`].
    pub async fn count_sessions(&self, caller: &Caller, id: AppId) -> Result<u32, Error> {
        let (now, idle_timeout) = (self.core.clock.now(), self.core.policy.sessions.idle_timeout);
        let count =
            move |reader: &Reader<'_>| reader.count_sessions_in_app(id, now, idle_timeout, Self::MAX_COUNTED_SESSIONS);
        self.core.scan(caller, Operation::ManageApps, count).await
    }

    /// The id of the app that a person at the shell means.
    pub async fn find(&self, caller: &Caller, app: AppSelector) -> Result<AppId, Error> {
        let found = self.core.read(caller, Operation::ManageApps, move |reader| reader.app_id(&app));
        found.await?.ok_or(Error::AppNotFound)
    }

    /// Changes what is given and leaves the rest. With another URL, sessions in it end, of which there may be many, and its
    /// app tokens are revoked. Changes nothing if the app is not as the caller has seen it, where that is given.
    pub async fn update(
        &self,
        caller: &Caller,
        id: Option<AppId>,
        changes: AppChanges,
        seen: Option<App>,
    ) -> Result<App, Error> {
        let public_url = self.core.policy.public_url.clone();
        let is_slow = changes.url.is_some();
        let work = move |writer: &mut Writer<'_>, _: &Caller| {
            let id = id.ok_or(Error::AppNotFound)?;
            let before = writer.app(id)?.ok_or(Error::AppNotFound)?;
            if seen.as_ref().is_some_and(|seen| *seen != before) {
                return Err(Error::PreconditionFailed);
            }
            let new = changes.apply(&before);
            check(&new, public_url.as_ref())?;
            let after = writer.update_app(id, &new)?;
            if after != before {
                writer.record(Action::AppChanged, None);
            }
            Ok(after)
        };
        if is_slow {
            self.core.change_without_deadline(caller, Operation::ManageApps, work).await
        } else {
            self.core.change(caller, Operation::ManageApps, work).await
        }
    }

    /// Deletes an app. Sessions in it end, and browsers can't enter it from the next request on. There may be many.
    pub async fn delete(&self, caller: &Caller, id: Option<AppId>) -> Result<(), Error> {
        self.core
            .change_without_deadline(caller, Operation::ManageApps, move |writer, _| {
                if !writer.delete_app(id.ok_or(Error::AppNotFound)?)? {
                    return Err(Error::AppNotFound);
                }
                writer.record(Action::AppDeleted, None);
                Ok(())
            })
            .await
    }
}

/// Refuses an app whose cookies the public URL would share, or whose links would change between http and https.
fn check(new: &NewApp, public_url: Option<&Origin>) -> Result<(), Error> {
    let mut faults = Faults::default();
    faults.collect("groups", new.check_groups());
    if let Some(public) = public_url.filter(|public| public.is_https() != new.url.is_https()) {
        let scheme = if public.is_https() { "https" } else { "http" };
        faults.add("url", format!("must begin with {scheme}://, as --public-url does"));
    }
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    match public_url {
        Some(public) if public.host() == new.url.host() => Err(Error::HostTaken),
        _ => Ok(()),
    }
}
