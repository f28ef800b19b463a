//! Reading accounts.

use super::Accounts;
use crate::{
    app::access::Operation,
    domain::{
        Caller, DamagedUser, Error, Page, PageSize, Role, User, UserCursor, UserFilter, UserId, UserSelector, UserSort,
        Usernames,
    },
};
use std::collections::BTreeSet;

/// A page of accounts, and the number on all pages if the caller asked for it.
#[derive(Debug)]
pub struct UserList {
    pub page: Page<User, UserCursor>,
    pub total: Option<u64>,
}

/// How many accounts there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountCounts {
    pub all: u64,
    pub disabled: u64,
    pub admins: u64,
}

impl Accounts {
    pub async fn count(&self, caller: &Caller) -> Result<AccountCounts, Error> {
        let filter = UserFilter::default;
        let (disabled, admins) =
            (UserFilter { disabled: Some(true), ..filter() }, UserFilter { role: Some(Role::Admin), ..filter() });
        self.core
            .scan(caller, Operation::ListUsers, move |reader| {
                let count = |filter: &UserFilter| reader.count_users(filter);
                Ok(AccountCounts { all: count(&filter())?, disabled: count(&disabled)?, admins: count(&admins)? })
            })
            .await
    }

    /// Lists accounts.
    pub async fn list(
        &self,
        caller: &Caller,
        filter: UserFilter,
        sort: UserSort,
        after: Option<UserCursor>,
        size: PageSize,
        count: bool,
    ) -> Result<UserList, Error> {
        self.core
            .scan(caller, Operation::ListUsers, move |reader| {
                let page = reader.users(&filter, sort, after.as_ref(), size)?;
                let total = if count { Some(reader.count_users(&filter)?) } else { None };
                Ok(UserList { page, total })
            })
            .await
    }

    /// Reads an account. The caller's own account was read with their session and is not read again.
    pub async fn get(&self, caller: &Caller, target: Option<UserId>) -> Result<User, Error> {
        let operation = Operation::ReadUser(target);
        self.core.decide(caller, operation)?;
        let id = target.ok_or(Error::UserNotFound)?;
        match caller.signed_in() {
            Some(signed_in) if signed_in.user.id == id => Ok(signed_in.user.clone()),
            _ => self.core.read(caller, operation, move |reader| reader.user(id)).await?.ok_or(Error::UserNotFound),
        }
    }

    /// Whether somebody may look after all accounts. A refusal is recorded.
    pub fn may_administer(&self, caller: &Caller) -> Result<(), Error> {
        self.core.decide(caller, Operation::ListUsers)
    }

    /// The usernames that these accounts have now.
    pub async fn usernames(&self, caller: &Caller, accounts: BTreeSet<UserId>) -> Result<Usernames, Error> {
        let ids: Vec<i64> = accounts.into_iter().map(UserId::get).collect();
        self.core.scan(caller, Operation::ListUsers, move |reader| reader.usernames(&ids)).await
    }

    /// Finds the account that a person at the shell means.
    pub async fn find(&self, caller: &Caller, name: UserSelector) -> Result<User, Error> {
        let found = self.core.read(caller, Operation::ListUsers, move |reader| match &name {
            UserSelector::Id(id) => reader.user(*id),
            UserSelector::Email(email) => Ok(reader.credentials_by_email(email.as_str())?.map(|found| found.user)),
            UserSelector::Username(username) => reader.user_by_username(username),
        });
        found.await?.ok_or(Error::UserNotFound)
    }

    /// Finds the account to change or delete it, even if it is damaged. Fields that can't be read get harmless values,
    /// which the next change stores.
    pub async fn find_to_change(&self, caller: &Caller, name: UserSelector) -> Result<User, Error> {
        let UserSelector::Id(id) = name else { return self.find(caller, name).await };
        let found =
            self.core.read(caller, Operation::ListUsers, move |reader| reader.credentials_to_change(id)).await?;
        found.map(|(credentials, _)| credentials.user).ok_or(Error::UserNotFound)
    }

    /// Lists the damaged accounts: those with a field that can't be read.
    pub async fn damaged(&self, caller: &Caller) -> Result<Vec<DamagedUser>, Error> {
        self.core.scan(caller, Operation::ListUsers, |reader| reader.damaged_users()).await
    }
}
