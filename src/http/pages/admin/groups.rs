//! The groups: a list of all, and a form for another.

use super::SECTIONS;
use crate::{
    domain::{Error, Faults, Group, GroupId, GroupName, PageSize},
    http::{
        auth::Administrator,
        pages::{
            done::Done,
            form::{Field, FormView, Refusal, again, name_limits, status},
            list::{Ways, place},
            view::{Layout, html, page},
        },
        wire::{error::ApiError, form::Form},
    },
};
use poem::{Request, Response, Result, handler};

pub const PATH: &str = "/admin/groups";

/// The page of a group.
pub fn path_of(group: GroupId) -> String {
    format!("{PATH}/{group}")
}

page! {
    GroupsPage from "groups.html" {
        groups: Vec<Group>,
        ways: Ways,
        create: FormView<'p>,
    }
}

#[handler]
pub async fn list(admin: Administrator, request: &Request) -> Result<Response> {
    Ok(show(&admin, place(request, GroupId::parse)?, "", None).await?)
}

/// Creates a group, and leads to its page; or shows the form again.
#[handler]
pub async fn create(admin: Administrator, sent: Form) -> Result<Response> {
    let typed = sent.text("name");
    let created = match read_name(typed) {
        Ok(name) => admin.context.app.groups.create(&admin.caller, name).await,
        Err(error) => Err(error),
    };
    match created {
        Ok(group) => Ok(Done::GroupCreated.at(&path_of(group.id))),
        Err(error) => Ok(show(&admin, None, typed, Some(&Refusal::of(error)?)).await?),
    }
}

async fn show(
    admin: &Administrator,
    after: Option<GroupId>,
    typed: &str,
    refusal: Option<&Refusal>,
) -> Result<Response, ApiError> {
    let listed = admin.context.app.groups.list(&admin.caller, after, PageSize::default()).await?;
    let page = GroupsPage {
        layout: Layout::of(admin).within(&SECTIONS, PATH),
        ways: Ways::new(PATH, &[], after.is_none(), listed.next.as_ref()),
        groups: listed.items,
        create: FormView { action: PATH.into(), button: "Create group", takes_focus: true, ..name_form(typed) }
            .marked(refusal),
    };
    Ok(again(html(status(refusal), &page)?, refusal))
}

/// A form with the name of a group.
pub fn name_form(typed: &str) -> FormView<'_> {
    FormView {
        fields: vec![Field::new("name", "Name", "text", "off", typed).with_help(name_limits(GroupName::MAX_LENGTH))],
        takes_focus: false,
        ..FormView::default()
    }
}

pub fn read_name(typed: &str) -> Result<GroupName, Error> {
    let mut faults = Faults::default();
    faults.collect("name", GroupName::parse(typed)).ok_or(Error::Invalid(faults))
}
