//! Statements about apps and the groups that they let in.

use super::users::{names_from, text};
use crate::{
    domain::{
        App, AppAccess, AppId, AppSelector, AppStatus, DamagedApp, DisplayName, Error, Faults, GroupId, GroupName,
        LastAsked, NewApp, Origin, Page, PageSize, Timestamp,
    },
    store::{
        Reader, Writer,
        sql::{Columns, Fault, values},
    },
};
use std::time::Duration;

/// Chooses apps by a condition: the columns that `read` reads.
macro_rules! select {
    ($by:literal) => {
        concat!(
            "SELECT a.id, a.name, a.url, a.access, a.host,
                    (SELECT string_agg(g.name, ',') FROM app_groups ag JOIN groups g ON g.id = ag.group_id
                     WHERE ag.app_id = a.id), a.verified_at, a.verified_from
             FROM apps a ",
            $by
        )
    };
}

/// Reads an app. What can't be read is named: an app of which anything is unclear lets nobody in.
fn read(row: &dyn Columns) -> Result<Result<App, DamagedApp>, Fault> {
    let (id, mut faults) = (row.number(0)?, Faults::default());
    let id = AppId::new(id).ok_or_else(|| Fault::Other(format!("there is an app {id}")))?;
    let name = faults.collect("name", DisplayName::from_stored(&text(row, 1)?));
    let url = faults.collect("url", Origin::parse(&text(row, 2)?));
    let access = faults.collect("access", AppAccess::parse(&text(row, 3)?));
    let host = text(row, 4)?;
    if url.as_ref().is_some_and(|url| url.host() != host) {
        faults.add("host", "must be that of the url");
    }
    let groups = row.nullable(5, |n| text(row, n))?.map_or_else(Vec::new, |list| names_from(&list));
    match (name, url, access) {
        (Some(name), Some(url), Some(access)) if faults.is_empty() => Ok(Ok(App { id, name, url, access, groups })),
        _ => Ok(Err(DamagedApp { id, faults })),
    }
}

fn app_from(row: &dyn Columns) -> Result<App, Fault> {
    read(row)?.map_err(|damaged| Fault::Other(damaged.to_string()))
}

/// Reads an app, and when a proxy last asked about it.
fn read_with_last_asked(row: &dyn Columns) -> Result<AppStatus, Fault> {
    let from = row.nullable(7, |n| Ok(row.text(n)?.parse().ok()))?.flatten();
    let asked = row.nullable(6, |n| row.time(n))?.map(|at| LastAsked { at, from });
    Ok(read(row)?.map(|app| (app, asked)))
}

impl Reader<'_> {
    /// An app, and when a proxy last asked about it. For the point door.
    pub fn app_with_last_asked(&self, id: AppId) -> Result<Option<(App, Option<LastAsked>)>, Error> {
        let read = |row: &dyn Columns| read_with_last_asked(row)?.map_err(|damaged| Fault::Other(damaged.to_string()));
        Ok(self.sql.first(select!("WHERE a.id = ?1"), values![id], read)?)
    }

    /// A page of apps with when a proxy last asked about each, by their ids. What can't be read hides no other.
    pub fn apps_with_last_asked(&self, after: Option<AppId>, size: PageSize) -> Result<Page<AppStatus, AppId>, Error> {
        let given = values![after.map_or(0, AppId::get), size.get() + 1];
        let found = self.sql.all(select!("WHERE a.id > ?1 ORDER BY a.id LIMIT ?2"), given, read_with_last_asked)?;
        let id = |status: &AppStatus| status.as_ref().map_or_else(|damaged| damaged.id, |(app, _)| app.id);
        Ok(Page::cut(found, size, id))
    }

    /// Counts the sessions in an app that can be used at `now`, up to a limit: those whose browser's session has not ended
    /// either. Scans as many.
    pub fn count_sessions_in_app(
        &self,
        id: AppId,
        now: Timestamp,
        idle_timeout: Duration,
        limit: u32,
    ) -> Result<u32, Error> {
        const SQL: &str = "SELECT count(*) FROM (SELECT 1 FROM sessions s JOIN sessions b ON b.id = s.parent_id
             WHERE s.app_id = ?1 AND s.expires_at > ?2 AND b.expires_at > ?2 AND b.last_used_at > ?3 LIMIT ?4) AS inside";
        let count = self.sql.only(SQL, values![id, now, now - idle_timeout, limit], |row| row.number(0))?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Every app that can be read, and when a proxy last asked about it. Scans all.
    pub(in crate::store) fn readable_apps(&self) -> Result<Vec<(App, Option<LastAsked>)>, Fault> {
        let found = self.sql.all(select!("ORDER BY a.id"), &[], read_with_last_asked)?;
        Ok(found.into_iter().filter_map(AppStatus::ok).collect())
    }

    /// For the point door.
    pub fn app(&self, id: AppId) -> Result<Option<App>, Error> {
        Ok(self.sql.first(select!("WHERE a.id = ?1"), values![id], app_from)?)
    }

    /// Looks for an app by its id or its host, whether or not it is damaged. For the point door.
    pub fn app_id(&self, app: &AppSelector) -> Result<Option<AppId>, Error> {
        let id = |row: &dyn Columns| row.number(0);
        let found = match app {
            AppSelector::Id(id_given) => self.sql.first("SELECT id FROM apps WHERE id = ?1", values![*id_given], id)?,
            AppSelector::Host(host) => self.sql.first("SELECT id FROM apps WHERE host = ?1", values![host], id)?,
        };
        Ok(found.and_then(AppId::new))
    }

    /// A page of the apps, in the order in which they were registered. Scans.
    pub fn apps(&self, after: Option<AppId>, size: PageSize) -> Result<Page<App, AppId>, Error> {
        let given = values![after.map_or(0, AppId::get), size.get() + 1];
        let found = self.sql.all(select!("WHERE a.id > ?1 ORDER BY a.id LIMIT ?2"), given, app_from)?;
        Ok(Page::cut(found, size, |app: &App| app.id))
    }

    /// The apps that let a group in, in the order in which they were registered. Scans.
    pub fn apps_of_group(&self, group: GroupId) -> Result<Vec<App>, Error> {
        let sql = select!("WHERE a.id IN (SELECT app_id FROM app_groups WHERE group_id = ?1) ORDER BY a.id");
        Ok(self.sql.all(sql, values![group], app_from)?)
    }

    /// Every app of which something can't be read. Scans all.
    pub fn damaged_apps(&self) -> Result<Vec<DamagedApp>, Error> {
        let found = self.sql.all(select!("ORDER BY a.id"), &[], |row| read(row).map(Result::err))?;
        Ok(found.into_iter().flatten().collect())
    }
}

impl Writer<'_> {
    /// Stores a new app. Fails with `HostTaken`, and with a fault of `groups` where one of them is not there.
    pub fn insert_app(&mut self, new: &NewApp) -> Result<App, Error> {
        const SQL: &str =
            "INSERT INTO apps (name, url, host, access, created_at) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id";
        let given = values![&new.name, new.url.as_str(), new.url.host(), new.access.as_str(), self.now];
        let id = self.sql.only(SQL, given, |row| row.number(0))?;
        let id = AppId::new(id).ok_or_else(|| Error::Internal(format!("the database gave the id {id}")))?;
        self.set_app_groups(id, &new.groups)?;
        self.app(id)?.ok_or(Error::AppNotFound)
    }

    /// Writes every field of an app. With another URL, people who are inside must enter again. Fails as `insert_app` does.
    pub fn update_app(&mut self, id: AppId, new: &NewApp) -> Result<App, Error> {
        const SQL: &str = "UPDATE apps SET name = ?2, url = ?3, host = ?4, access = ?5 WHERE id = ?1";
        let given = values![id, &new.name, new.url.as_str(), new.url.host(), new.access.as_str()];
        self.leave_other_url(id, &new.url)?;
        self.sql.change(SQL, given)?;
        self.sql.change("DELETE FROM app_groups WHERE app_id = ?1", values![id])?;
        self.set_app_groups(id, &new.groups)?;
        self.app(id)?.ok_or(Error::AppNotFound)
    }

    /// Unless an app has this URL, takes back what was given for the other one: its sessions, entry codes and app tokens,
    /// which someone else may be able to read there; and that a proxy asked, which says nothing about this URL.
    fn leave_other_url(&mut self, id: AppId, url: &Origin) -> Result<(), Error> {
        const FORGET: &str = "UPDATE apps SET verified_at = NULL, verified_from = NULL WHERE id = ?1 AND url <> ?2";
        const TAKE_BACK: [&str; 3] = [
            "DELETE FROM sessions WHERE app_id = ?1",
            "DELETE FROM entry_codes WHERE app_id = ?1",
            "DELETE FROM app_tokens WHERE app_id = ?1",
        ];
        if self.sql.change(FORGET, values![id, url.as_str()])? == 0 {
            return Ok(());
        }
        for sql in TAKE_BACK {
            self.sql.change(sql, values![id])?;
        }
        Ok(())
    }

    fn set_app_groups(&mut self, app: AppId, groups: &[GroupName]) -> Result<(), Error> {
        const FIND: &str = "SELECT id FROM groups WHERE name_key = ?1";
        const SQL: &str = "INSERT INTO app_groups (app_id, group_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        for name in groups {
            let found = self.sql.first(FIND, values![&name.key()], |row| row.number(0))?.and_then(GroupId::new);
            let Some(group) = found else {
                let mut faults = Faults::default();
                faults.add("groups", "must name groups that exist");
                return Err(Error::Invalid(faults));
            };
            self.sql.change(SQL, values![app, group])?;
        }
        Ok(())
    }

    /// Deletes an app, with every session in it. `false` where there is none.
    pub fn delete_app(&mut self, id: AppId) -> Result<bool, Error> {
        Ok(self.sql.change("DELETE FROM apps WHERE id = ?1", values![id])? == 1)
    }
}
