//! Apps behind a proxy, which people enter with one sign-in.

use super::{AppId, DisplayName, Faults, GroupName, LastAsked, Origin};
use std::{borrow::Cow, fmt};

/// Who may enter an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppAccess {
    /// Everybody who is signed in.
    Everyone,
    Admins,
    /// Accounts in one of the app's groups; administrators, too, only there.
    Groups,
}

impl AppAccess {
    pub const ALL: [AppAccess; 3] = [AppAccess::Everyone, AppAccess::Admins, AppAccess::Groups];

    pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        let known = Self::ALL.into_iter().find(|access| access.as_str() == text);
        known.ok_or_else(|| "must be \"everyone\", \"admins\" or \"groups\"".into())
    }

    pub fn as_str(self) -> &'static str {
        match self {
            AppAccess::Everyone => "everyone",
            AppAccess::Admins => "admins",
            AppAccess::Groups => "groups",
        }
    }
}

impl fmt::Display for AppAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for AppAccess {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// An app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    pub id: AppId,
    pub name: DisplayName,
    pub url: Origin,
    pub access: AppAccess,
    /// Those that may enter, by name, sorted without regard to case. Empty unless `access` is `Groups`.
    pub groups: Vec<GroupName>,
}

impl App {
    /// How many groups one app can let in.
    pub const MAX_GROUPS: u32 = 100;
}

/// What it takes to register an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApp {
    pub name: DisplayName,
    pub url: Origin,
    pub access: AppAccess,
    pub groups: Vec<GroupName>,
}

impl NewApp {
    /// Notes what can't be: groups have to be named where they decide, and nowhere else.
    pub fn check_groups(&self) -> Result<(), Cow<'static, str>> {
        match (self.access, self.groups.is_empty()) {
            (AppAccess::Groups, true) => Err("must name a group, since access is \"groups\"".into()),
            (AppAccess::Everyone | AppAccess::Admins, false) => {
                Err("must be left out, unless access is \"groups\"".into())
            }
            _ => Ok(()),
        }
    }
}

/// What a caller asks to change about an app; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct AppChanges {
    pub name: Option<DisplayName>,
    pub url: Option<Origin>,
    pub access: Option<AppAccess>,
    /// All of them. Where `access` becomes another than `Groups`, those of before are forgotten.
    pub groups: Option<Vec<GroupName>>,
}

impl AppChanges {
    /// The app as it shall stand.
    pub fn apply(&self, app: &App) -> NewApp {
        let access = self.access.unwrap_or(app.access);
        let before = if access == AppAccess::Groups { app.groups.clone() } else { vec![] };
        NewApp {
            name: self.name.clone().unwrap_or_else(|| app.name.clone()),
            url: self.url.clone().unwrap_or_else(|| app.url.clone()),
            access,
            groups: self.groups.clone().unwrap_or(before),
        }
    }
}

/// An app of which something can't be read, because another program wrote to the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedApp {
    pub id: AppId,
    /// What is wrong with which field.
    pub faults: Faults,
}

impl fmt::Display for DamagedApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> = self.faults.iter().map(|(field, fault)| format!("{field} {fault}")).collect();
        let Self { id, .. } = self;
        write!(f, "the app {id} is damaged: {}; delete it with 'usher app delete {id}'", faults.join(", "))
    }
}

/// An app that can be read, with when a proxy last asked about it; or what is wrong with it.
pub type AppStatus = Result<(App, Option<LastAsked>), DamagedApp>;

/// How a person at the shell says which app is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppSelector {
    Id(AppId),
    /// In lower case, without a port.
    Host(String),
}

impl AppSelector {
    /// All digits are an id, and anything else a host.
    pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        if text.is_empty() {
            return Err("must not be empty".into());
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return AppId::parse(text).map(Self::Id).ok_or_else(|| "is not an id: ids are 1, 2, 3 and so on".into());
        }
        Ok(Self::Host(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for AppSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Host(host) => host.fmt(f),
        }
    }
}
