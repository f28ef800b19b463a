//! A group: its name, who is in it, and what it opens.

use super::{
    SECTIONS,
    groups::{self, name_form, path_of, read_name},
};
use crate::{
    domain::{App, EmailAddress, Error, Faults, Group, GroupId, PageSize, User, UserId, UserSelector, Username},
    http::{
        auth::Administrator,
        pages::{
            done::Done,
            form::{Field, FormView, Refusal, again, status},
            list::{Ways, place},
            view::{Layout, html, page},
        },
        wire::{error::ApiError, form::Form},
    },
};
use poem::{Request, Response, Result, handler};

/// The field of who is to be a member.
const LOGIN: &str = "login";

page! {
    GroupPage from "group.html" {
        group: &'p Group,
        path: String,
        rename: FormView<'p>,
        members: Vec<User>,
        ways: Ways,
        add: FormView<'p>,
        /// Those that let it in.
        apps: Vec<App>,
        /// Why something else than these forms was refused.
        refusal: Option<&'p str>,
    }
}

/// The form that was refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Name,
    Member,
    Other,
}

/// The group that a page is about.
struct Opened {
    admin: Administrator,
    group: Group,
}

impl Opened {
    async fn by(admin: Administrator) -> Result<Self, ApiError> {
        let id = admin.context.path_parameters.first().and_then(|id| GroupId::parse(id));
        let group = admin.context.app.groups.get(&admin.caller, id).await?;
        Ok(Self { admin, group })
    }

    /// Leads to the page of the group, which says what has been done; or shows it again, with what is wrong.
    async fn after<T>(
        &self,
        result: Result<T, Error>,
        done: Done,
        part: Part,
        typed: &str,
    ) -> Result<Response, ApiError> {
        match result {
            Ok(_) => Ok(done.at(&path_of(self.group.id))),
            Err(error) => self.show(None, typed, Some((part, &Refusal::of(error)?))).await,
        }
    }

    async fn show(
        &self,
        after: Option<UserId>,
        typed: &str,
        refused: Option<(Part, &Refusal)>,
    ) -> Result<Response, ApiError> {
        let (groups, caller, id) = (&self.admin.context.app.groups, &self.admin.caller, Some(self.group.id));
        let members = groups.members(caller, id, after, PageSize::default()).await?;
        let of = |part| refused.filter(|(refused, _)| *refused == part).map(|(_, refusal)| refusal);
        let typed_in = |part| of(part).map_or("", |_| typed);
        let path = path_of(self.group.id);
        let name = of(Part::Name).map_or(self.group.name.as_str(), |_| typed);
        let login = Field::new(LOGIN, "Username or e-mail address", "text", "off", typed_in(Part::Member));
        let page = GroupPage {
            layout: Layout::of(&self.admin).within(&SECTIONS, groups::PATH),
            group: &self.group,
            rename: FormView { action: path.clone().into(), button: "Rename", ..name_form(name) }
                .marked(of(Part::Name)),
            ways: Ways::new(&path, &[], after.is_none(), members.next.as_ref()),
            members: members.items,
            add: FormView {
                action: format!("{path}/join").into(),
                fields: vec![login],
                button: "Add member",
                takes_focus: false,
                ..FormView::default()
            }
            .marked(of(Part::Member)),
            apps: groups.apps(caller, id).await?,
            refusal: of(Part::Other).map(|refusal| refusal.text.as_str()),
            path,
        };
        let refusal = refused.map(|(_, refusal)| refusal);
        Ok(again(html(status(refusal), &page)?, refusal))
    }
}

#[handler]
pub async fn show(admin: Administrator, request: &Request) -> Result<Response> {
    let after = place(request, UserId::parse)?;
    Ok(Opened::by(admin).await?.show(after, "", None).await?)
}

#[handler]
pub async fn rename(admin: Administrator, sent: Form) -> Result<Response> {
    let (opened, typed) = (Opened::by(admin).await?, sent.text("name"));
    let (groups, id) = (&opened.admin.context.app.groups, Some(opened.group.id));
    let renamed = match read_name(typed) {
        Ok(name) => groups.rename(&opened.admin.caller, id, Some(name)).await,
        Err(error) => Err(error),
    };
    Ok(opened.after(renamed, Done::Saved, Part::Name, typed).await?)
}

/// Adds the account with this username or e-mail address.
#[handler]
pub async fn join(admin: Administrator, sent: Form) -> Result<Response> {
    let (opened, typed) = (Opened::by(admin).await?, sent.text(LOGIN).trim());
    let (app, caller) = (&opened.admin.context.app, &opened.admin.caller);
    let selector = if typed.contains('@') {
        EmailAddress::parse(typed).map(UserSelector::Email)
    } else {
        Username::parse(typed).map(UserSelector::Username)
    };
    let found = match selector {
        Ok(selector) => app.accounts.find(caller, selector).await,
        Err(_) => Err(Error::UserNotFound),
    };
    let added = match found {
        Ok(user) => app.groups.add_member(caller, Some(opened.group.id), Some(user.id)).await,
        Err(Error::UserNotFound) => {
            let mut faults = Faults::default();
            faults.add(LOGIN, "belongs to no account");
            Err(Error::Invalid(faults))
        }
        Err(error) => Err(error),
    };
    Ok(opened.after(added, Done::MemberAdded, Part::Member, typed).await?)
}

/// Takes an account out of the group.
#[handler]
pub async fn leave(admin: Administrator, sent: Form) -> Result<Response> {
    let opened = Opened::by(admin).await?;
    let groups = &opened.admin.context.app.groups;
    let user = UserId::parse(sent.text("user"));
    let removed = match groups.remove_member(&opened.admin.caller, Some(opened.group.id), user).await {
        Err(Error::UserNotFound) => Ok(()), // somebody else was faster
        removed => removed,
    };
    Ok(opened.after(removed, Done::MemberRemoved, Part::Other, "").await?)
}

#[handler]
pub async fn end_sessions(admin: Administrator, _sent: Form) -> Result<Response> {
    let opened = Opened::by(admin).await?;
    let ended = opened.admin.context.app.groups.end_sessions(&opened.admin.caller, Some(opened.group.id)).await;
    Ok(opened.after(ended, Done::SessionsEnded, Part::Other, "").await?)
}

#[handler]
pub async fn delete(admin: Administrator, _sent: Form) -> Result<Response> {
    let opened = Opened::by(admin).await?;
    match opened.admin.context.app.groups.delete(&opened.admin.caller, Some(opened.group.id)).await {
        Ok(()) => Ok(Done::GroupDeleted.at(groups::PATH)),
        Err(error) => Ok(opened.after(Err::<(), _>(error), Done::GroupDeleted, Part::Other, "").await?),
    }
}
