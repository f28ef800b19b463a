//! Who may enter an app: a choice, and a box for each group.

use super::apps::in_words;
use crate::{
    domain::{App, AppAccess, Faults, GroupName, PageSize, Registration},
    http::{
        auth::Member,
        pages::form::{Choice, Refusal, Tick, it_is_now},
        wire::{
            error::{ApiError, ErrorCode},
            form::Form,
        },
    },
};
use std::collections::BTreeSet;

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
        let now = (app.map_or(AppAccess::Admins, |app| app.access), app.map_or(&[][..], |app| &app.groups));
        let ticked: BTreeSet<&str> = match sent {
            Some(sent) => boxes(sent).collect(),
            None => now.1.iter().map(GroupName::as_str).collect(),
        };
        let chosen = sent.map_or(now.0.as_str(), |sent| sent.text("access"));
        let tick = |group: GroupName| Tick {
            is_ticked: ticked.contains(group.as_str()),
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
        let was_changed = refusal.is_some_and(|refusal| refusal.code == ErrorCode::PreconditionFailed);
        let typed = AppAccess::parse(chosen).map(|access| in_words(access, ticked.iter().copied())).unwrap_or_default();
        let now = in_words(now.0, now.1.iter().map(GroupName::as_str));
        Ok(Self {
            choice: Choice {
                help: it_is_now(&typed, &now).filter(|_| was_changed),
                fault: has_fault("access").then(|| "Choose again.".to_owned()),
                ..Choice::new("access", "Who may enter", options, chosen)
            },
            groups_fault: has_fault("groups").then_some(fault),
            groups,
            is_open: member.context.app.policy().registration == Registration::Open,
        })
    }
}

/// The groups whose boxes are ticked.
fn boxes(sent: &Form) -> impl Iterator<Item = &str> {
    sent.beginning_with(BOX).map(|(name, _)| name)
}

/// What was chosen. The boxes count only where groups decide.
pub fn read(sent: &Form, faults: &mut Faults) -> Option<(AppAccess, Vec<GroupName>)> {
    let access = faults.collect("access", AppAccess::parse(sent.text("access")))?;
    let boxes = boxes(sent).filter(|_| access == AppAccess::Groups);
    let groups = faults.collect("groups", boxes.map(GroupName::parse).collect())?;
    Some((access, groups))
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
