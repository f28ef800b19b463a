//! Who may enter an app: a choice, and a box for each group.

use crate::{
    domain::{App, AppAccess, Faults, GroupName, PageSize, Registration},
    http::{
        auth::Member,
        pages::form::{Choice, Refusal, Tick},
        wire::{error::ApiError, form::Form},
    },
};

/// How the names of the boxes begin.
const BOX: &str = "group-";

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
        let chosen = sent.map_or(now, |sent| sent.text("access"));
        let is_ticked = |group: &GroupName| match sent {
            Some(sent) => sent.is_ticked(&format!("{BOX}{group}")),
            None => app.is_some_and(|app| app.groups.contains(group)),
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
        let choice = Choice::new("access", "Who may enter", options, chosen);
        let choice_fault = has_fault("access").then(|| "Choose again: that is no longer there.".to_owned());
        Ok(Self {
            choice: Choice { fault: choice_fault, ..choice },
            groups,
            groups_fault: has_fault("groups").then_some(fault),
            is_open: member.context.app.policy().registration == Registration::Open,
        })
    }
}

/// What was chosen. The boxes count only where groups decide.
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
