//! What every part of the service shares, and the only way to the database.
//!
//! Requests go through methods that check permissions: [`Core::change`] writes, [`Core::read`] and [`Core::scan`] read.
//! The service's own work has methods without checks: [`Core::maintain`], [`Core::look_up`] and [`Core::survey`]. The store
//! is private to this file, so that no use case can bypass them.

use super::{
    Policy,
    access::{Operation, decide},
    audit::journal::Journal,
    entry::asked::Asked,
    maintenance::flushes::Flushes,
    sessions::uses::Uses,
    throttle::Throttle,
};
use crate::{
    clock::Clock,
    domain::{Action, Actor, AppTokenId, Caller, Error, SessionId, SessionKind, SignedIn, UserId, UserRecord},
    hashing::HashPool,
    store::{Finding, Reader, Store, StoreStats, Writer},
};
use std::{sync::Arc, time::Instant};

pub(super) struct Core {
    store: Store,
    pub hashing: HashPool,
    pub clock: Clock,
    pub policy: Policy,
    /// Attempts that failed or were refused.
    pub journal: Journal,
    pub throttle: Throttle,
    /// Uses of sessions that wait to be written.
    pub uses: Uses<SessionId>,
    /// Uses of app tokens that wait to be written.
    pub app_token_uses: Uses<AppTokenId>,
    pub flushes: Flushes,
    /// Questions of proxies that wait to be written.
    pub asked: Asked,
}

impl Core {
    pub fn new(store: Store, hashing: HashPool, clock: Clock, policy: Policy) -> Self {
        let throttle = Throttle::new(policy.throttle, clock.clone());
        let journal = Journal::new(clock.clone());
        Self {
            store,
            hashing,
            clock,
            policy,
            journal,
            throttle,
            uses: Uses::default(),
            app_token_uses: Uses::default(),
            flushes: Flushes::default(),
            asked: Asked::default(),
        }
    }

    /// Checks whether the caller may do this, and records a refusal. Use cases call it before work that comes before a
    /// change; [`Core::change`] checks in any case.
    pub fn decide(&self, caller: &Caller, operation: Operation) -> Result<(), Error> {
        self.record_refusal(caller, operation.subject(), decide(&caller.actor, &operation))
    }

    /// The same for a change: those who are signed in in a browser must have signed in recently for some.
    pub fn decide_change(&self, caller: &Caller, operation: Operation) -> Result<(), Error> {
        self.decide(caller, operation)?;
        let in_browser = caller.signed_in().filter(|signed_in| signed_in.session.kind == SessionKind::Browser);
        let is_stale = in_browser.is_some_and(|signed_in| !self.is_recent(signed_in));
        if is_stale && operation.needs_recent_sign_in(caller) {
            return self.record_refusal(caller, operation.subject(), Err(Error::ReauthenticationRequired));
        }
        Ok(())
    }

    /// Whether a sign-in is recent enough for what a stolen session alone must not allow.
    pub fn is_recent(&self, signed_in: &SignedIn) -> bool {
        let limit = self.policy.reauthenticate_after;
        limit.is_zero() || self.clock.now().since(signed_in.session.authenticated_at) <= limit
    }

    /// Returns the result unchanged, and records it if it is a refusal.
    pub fn record_refusal<T>(
        &self,
        caller: &Caller,
        subject: Option<UserId>,
        result: Result<T, Error>,
    ) -> Result<T, Error> {
        result.inspect_err(|error| match error {
            Error::Forbidden
            | Error::ReauthenticationRequired
            | Error::RegistrationClosed
            | Error::InvitationRequired => self.journal.record(Action::AccessDenied, caller, subject),
            Error::TooManyAttempts(_) => self.journal.record_counted(Action::AttemptThrottled, caller, subject),
            _ => {}
        })
    }

    /// Makes a change on behalf of a caller. Checks permissions, opens one transaction, reads the acting session and
    /// account again, and checks again. Then it runs `work` with the caller as they are now. A refusal is recorded.
    ///
    /// Slow work, such as a hash, comes before. `work` may run more than once, so it must change nothing but the
    /// database.
    pub async fn change<T: Send + 'static>(
        &self,
        caller: &Caller,
        operation: Operation,
        work: impl Fn(&mut Writer<'_>, &Caller) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let write = self.store.write(caller, guarded(caller.clone(), operation, work));
        self.if_allowed(caller, operation, write).await
    }

    /// The same for work that is slow by its nature: it waits for its turn without a deadline.
    pub async fn change_without_deadline<T: Send + 'static>(
        &self,
        caller: &Caller,
        operation: Operation,
        work: impl Fn(&mut Writer<'_>, &Caller) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let write = self.store.write_without_deadline(caller, guarded(caller.clone(), operation, work));
        self.if_allowed(caller, operation, write).await
    }

    /// Checks permissions before a change begins, and records a refusal, whether it comes now or from the transaction.
    async fn if_allowed<T>(
        &self,
        caller: &Caller,
        operation: Operation,
        change: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.decide_change(caller, operation)?;
        self.record_refusal(caller, operation.subject(), change.await)
    }

    /// Looks up rows by key on behalf of a caller. The work must take microseconds.
    pub async fn read<T: Send + 'static>(
        &self,
        caller: &Caller,
        operation: Operation,
        work: impl Fn(&Reader<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.decide(caller, operation)?;
        self.store.point(work).await
    }

    /// Reads something slow, such as a list, on behalf of a caller.
    pub async fn scan<T: Send + 'static>(
        &self,
        caller: &Caller,
        operation: Operation,
        work: impl FnOnce(&Reader<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.decide(caller, operation)?;
        self.store.scan(work).await
    }

    /// The same for a later part of long work: meanwhile the session may have ended, and the role may have changed.
    pub async fn scan_again<T: Send + 'static>(
        &self,
        caller: &Caller,
        operation: Operation,
        work: impl FnOnce(&Reader<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let then = caller.clone();
        let guarded = move |reader: &Reader<'_>| {
            decide(&confirm(reader, &then)?, &operation)?;
            work(reader)
        };
        self.scan(caller, operation, guarded).await
    }

    /// Passes every account with its password hash to `each`, from one consistent snapshot, until `each` fails.
    pub async fn fold_records<T: Send + 'static, E: Send + 'static>(
        &self,
        caller: &Caller,
        operation: Operation,
        start: T,
        each: impl FnMut(T, &UserRecord) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, Error> {
        self.decide(caller, operation)?;
        self.store.fold_records(start, each).await
    }

    /// Writes for the service's own maintenance. Waits for its turn without a deadline.
    pub async fn maintain<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Writer<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.store.write_without_deadline(&Caller::shell(), work).await
    }

    /// Looks up rows by key for the service itself, such as the session of a token.
    pub async fn look_up<T: Send + 'static>(
        &self,
        work: impl Fn(&Reader<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.store.point(work).await
    }

    /// Reads something slow for the service itself.
    pub async fn survey<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.store.scan(work).await
    }

    /// Whether the database answers and is the one that was opened.
    pub async fn check(&self) -> Result<(), Error> {
        self.store.check().await
    }

    pub fn end_by(&self, end: Instant) {
        self.store.end_by(end);
    }

    /// What can be said of the files, the disk and the version.
    pub fn surroundings(&self) -> [Finding; 3] {
        self.store.surroundings()
    }

    pub fn store_stats(&self) -> StoreStats {
        self.store.stats()
    }
}

/// Wraps work so that it first checks permissions again, with the actor as read in the same transaction.
fn guarded<T>(
    caller: Caller,
    operation: Operation,
    work: impl Fn(&mut Writer<'_>, &Caller) -> Result<T, Error>,
) -> impl Fn(&mut Writer<'_>) -> Result<T, Error> {
    move |writer| {
        let actor = if operation.has_its_own_proof() { caller.actor.clone() } else { confirm(writer, &caller)? };
        decide(&actor, &operation)?;
        work(writer, &Caller { actor, ..caller.clone() })
    }
}

/// Reads the acting session and account again: the session may have ended, and the role may have changed, since the
/// request came.
fn confirm(reader: &Reader<'_>, caller: &Caller) -> Result<Actor, Error> {
    let Some(signed_in) = caller.signed_in() else { return Ok(caller.actor.clone()) };
    let found = reader.signed_in_by_session(&signed_in.session.id)?;
    found.map(|found| Actor::SignedIn(Arc::new(found))).ok_or(Error::InvalidToken)
}
