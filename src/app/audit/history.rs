//! What happened to one account, for its owner.

use super::AuditLog;
use crate::{
    app::access::Operation,
    domain::{AuditCursor, AuditEntry, Caller, Error, HistoryEntry, Page, PageSize, Role, User, UserId, Usernames},
    store::Reader,
};
use std::collections::BTreeSet;

impl AuditLog {
    /// Reads a page of an account's history, newest entries first, as complete as a page of the log. Needs the server's
    /// runtime.
    pub async fn history(
        &self,
        caller: &Caller,
        target: Option<UserId>,
        before: Option<AuditCursor>,
        size: PageSize,
    ) -> Result<Page<HistoryEntry, AuditCursor>, Error> {
        let operation = Operation::ReadHistory(target);
        self.core.decide(caller, operation)?;
        self.core.flushes.wait().await;
        let read = move |reader: &Reader<'_>| {
            let owner = reader.user(target.ok_or(Error::UserNotFound)?)?.ok_or(Error::UserNotFound)?;
            let page = reader.history(owner.id, before, size)?;
            let names = names(reader, &owner, &page.items);
            let told = page.items.into_iter().map(|entry| HistoryEntry::new(entry, owner.id, &names));
            Ok(Page { items: told.collect(), next: page.next })
        };
        self.core.scan(caller, operation, read).await
    }
}

/// The names of other accounts in these entries that the owner may know: those of administrators, or, for an
/// administrator, all. An account that can't be read has none.
fn names(reader: &Reader<'_>, owner: &User, entries: &[AuditEntry]) -> Usernames {
    let ids: BTreeSet<UserId> =
        entries.iter().flat_map(|entry| [entry.actor, entry.subject]).flatten().filter_map(UserId::new).collect();
    let others = ids.into_iter().filter(|id| *id != owner.id).filter_map(|id| reader.user(id).ok().flatten());
    let known = others.filter(|other| owner.role == Role::Admin || other.role == Role::Admin);
    Usernames::of(known.map(|other| (other.id.get(), Some(other.username))))
}
