//! Who may enter an app: a choice, and a box for each group.
//!
//! The form of an app says in hidden fields what it was shown with. What is sent as it was shown is no change, so that a page
//! that was opened long ago undoes nothing of what others have changed since.

use crate::{
    domain::{App, AppAccess, Faults, GroupName, PageSize, Registration},
    http::{
        auth::Member,
        pages::form::{Choice, Refusal, Tick},
        wire::{error::ApiError, form::Form},
    },
};
use std::{borrow::Cow, collections::BTreeSet};

/// How the names of the boxes begin.
const BOX: &str = "group-";
/// How the names of the hidden fields begin, and of those for boxes that were ticked.
const WAS: &str = "was-";
const WAS_BOX: &str = "was-group-";

/// The choice, with what is wrong with it.
pub struct Access {
    pub choice: Choice,
    pub groups: Vec<Tick>,
    pub groups_fault: Option<&'static str>,
    /// Whether "everyone" is anybody who creates an account.
    pub is_open: bool,
}

impl Access {
    /// As an app has it, or as it was sent. Of a new app, administrators are preselected, so that nobody is let in by accident.
    pub async fn of(
        member: &Member,
        app: Option<&App>,
        sent: Option<&Form>,
        refusal: Option<&Refusal>,
    ) -> Result<Self, ApiError> {
        let options = [
            (AppAccess::Admins, "Administrators"),
            (AppAccess::Everyone, "Everyone with an account"),
            (AppAccess::Groups, "Members of these groups:"),
        ];
        let options = options.map(|(access, label)| (access.as_str().to_owned(), label.to_owned()));
        let now = app.map_or(AppAccess::Admins, |app| app.access).as_str();
        let chosen = sent.map_or(now, |sent| again(sent, "access", now));
        let boxes = sent.map(|sent| Boxes::of(sent, app));
        let is_ticked = |group: &GroupName| {
            let is_in = app.is_some_and(|app| app.groups.contains(group));
            boxes.as_ref().and_then(|boxes| boxes.change(&group.to_string())).unwrap_or(is_in)
        };
        let tick = |group: GroupName| Tick {
            is_ticked: is_ticked(&group),
            name: format!("{BOX}{group}"),
            label: group.to_string(),
        };
        let groups: Vec<Tick> = all_groups(member).await?.into_iter().map(tick).collect();
        let has_fault = |field| refusal.is_some_and(|refusal| refusal.faults.contains(field));
        let fault = if groups.iter().any(|group| group.is_ticked) {
            "One of the groups is no longer there. Choose again."
        } else {
            "Choose a group, or let others in."
        };
        let groups_fault = has_fault("groups").then_some(fault);
        let choice = Choice::new("access", "Who may enter", options, chosen);
        let is_known = sent.is_some_and(|sent| AppAccess::parse(sent.text("access")).is_ok());
        let fault = if is_known { "it was changed meanwhile" } else { "that is no longer there" };
        let choice_fault = has_fault("access").then(|| format!("Choose again: {fault}."));
        Ok(Self {
            choice: Choice { fault: choice_fault, ..choice },
            groups,
            groups_fault,
            is_open: member.context.app.policy().registration == Registration::Open,
        })
    }
}

/// What the form of an app is shown with, in hidden fields.
pub fn as_shown(app: &App) -> Vec<(String, &str)> {
    let fields = [("name", app.name.as_str()), ("url", app.url.as_str()), ("access", app.access.as_str())];
    let fields = fields.map(|(name, value)| (format!("{WAS}{name}"), value)).into_iter();
    fields.chain(app.groups.iter().map(|group| (format!("{WAS_BOX}{group}"), "yes"))).collect()
}

/// What a field was shown with; what it is now where the form does not say.
pub fn was<'f>(sent: &'f Form, name: &str, now: &'f str) -> &'f str {
    let field = format!("{WAS}{name}");
    if sent.is_ticked(&field) { sent.text(&field) } else { now }
}

/// What a field is shown with again: what was typed, or what it is now if nobody changed it there.
pub fn again<'f>(sent: &'f Form, name: &str, now: &'f str) -> &'f str {
    let typed = sent.text(name);
    if typed == was(sent, name, now) { now } else { typed }
}

/// The boxes that are ticked, and those that were when the form was shown.
struct Boxes {
    ticked: BTreeSet<String>,
    were: BTreeSet<String>,
}

impl Boxes {
    fn of(sent: &Form, app: Option<&App>) -> Self {
        let sent_as = |beginning| sent.beginning_with(beginning).map(|(name, _)| name.to_owned()).collect();
        let were = match app {
            Some(app) if !sent.is_ticked(&format!("{WAS}access")) => {
                app.groups.iter().map(GroupName::to_string).collect()
            }
            _ => sent_as(WAS_BOX),
        };
        Self { ticked: sent_as(BOX), were }
    }

    /// What a box was made, if it is not as it was.
    fn change(&self, group: &str) -> Option<bool> {
        let is_ticked = self.ticked.contains(group);
        (is_ticked != self.were.contains(group)).then_some(is_ticked)
    }

    /// The groups of an app once what was changed here is changed there.
    fn applied_to(&self, app: &App) -> Result<Vec<GroupName>, Cow<'static, str>> {
        let staying = app.groups.iter().filter(|group| self.change(&group.to_string()) != Some(false)).cloned();
        let new = self.ticked.difference(&self.were).map(|name| GroupName::parse(name));
        staying.map(Ok).chain(new).collect()
    }
}

/// What was chosen otherwise than it was shown. The boxes count only where groups decide.
pub fn changes(app: &App, sent: &Form, faults: &mut Faults) -> (Option<AppAccess>, Option<Vec<GroupName>>) {
    let chosen = faults.collect("access", AppAccess::parse(sent.text("access")));
    let access = chosen.filter(|access| access.as_str() != was(sent, "access", app.access.as_str()));
    let boxes = Boxes::of(sent, Some(app));
    if chosen != Some(AppAccess::Groups) || (access.is_none() && boxes.ticked == boxes.were) {
        return (access, None);
    }
    if access.is_none() && app.access != AppAccess::Groups {
        faults.add("access", "was changed meanwhile");
        return (None, None);
    }
    (access, faults.collect("groups", boxes.applied_to(app)))
}

/// What was chosen for a new app. The boxes count only where groups decide.
pub fn read(sent: &Form, faults: &mut Faults) -> (Option<AppAccess>, Option<Vec<GroupName>>) {
    let access = faults.collect("access", AppAccess::parse(sent.text("access")));
    let groups = sent.beginning_with(BOX).map(|(name, _)| GroupName::parse(name)).collect();
    let groups = faults.collect("groups", groups).filter(|_| access == Some(AppAccess::Groups));
    (access, groups)
}

/// The groups that may be chosen, by name. Only administrators see them.
async fn all_groups(member: &Member) -> Result<Vec<GroupName>, ApiError> {
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let listed = member.context.app.groups.list(&member.caller, after, PageSize::MAX_SIZE).await?;
        names.extend(listed.items.into_iter().map(|group| group.name));
        after = listed.next;
        if after.is_none() {
            names.sort_by_cached_key(GroupName::key);
            return Ok(names);
        }
    }
}
