//! An account, as administrators see it, and what they do about it: each action is one form.

use super::{
    SECTIONS,
    users::{self, path_of},
};
use crate::{
    app::{ExpectedRevision, SessionScope},
    domain::{AppToken, AppTokenId, Error, Group, GroupId, PageSize, User, UserChanges, UserId, UserSelector},
    http::{
        auth::Administrator,
        pages::{
            deletion,
            done::Done,
            form::{FormView, Refusal, again, status},
            handed_over::HandedOver,
            link::link_of,
            profile_form::{self, Typed},
            session_rows::{self, Row},
            view::{Layout, html, page},
        },
        wire::{error::ApiError, form::Form},
    },
};
use poem::{Response, Result, handler};

/// A box of a group, and that it was ticked when the page was shown.
const GROUP: &str = "group-";
const WAS_IN: &str = "was-group-";

page! {
    UserPage from "user.html" {
        user: &'p User,
        path: String,
        edit: FormView<'p>,
        /// Whether it is in each.
        groups: Vec<(bool, Group)>,
        /// Whether there are more groups than are shown.
        has_more_groups: bool,
        sessions: Vec<Row>,
        app_tokens: Vec<AppToken>,
        delete: FormView<'p>,
        /// Whether it is the administrator's own.
        is_own: bool,
        /// Why something else than these forms was refused.
        refusal: Option<&'p str>,
    }
}

/// The form that was refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Profile,
    Delete,
    Other,
}

/// The account that a page is about.
struct Opened {
    admin: Administrator,
    id: Option<UserId>,
    user: User,
}

impl Opened {
    async fn by(admin: Administrator) -> Result<Self, ApiError> {
        let id = admin.context.path_parameters.first().and_then(|id| UserId::parse(id));
        let selector = UserSelector::Id(id.ok_or(Error::UserNotFound)?);
        let user = admin.context.app.accounts.find_to_change(&admin.caller, selector).await?;
        Ok(Self { admin, id, user })
    }

    /// Leads to the page of the account, which says what has been done; or shows it again, with what is wrong.
    async fn after<T>(self, result: Result<T, Error>, done: Done, part: Part) -> Result<Response, ApiError> {
        match result {
            Ok(_) => Ok(done.at(&path_of(self.user.id))),
            Err(error) => self.show(&Typed::from_user(&self.user), Some((part, &Refusal::of(error)?))).await,
        }
    }

    async fn show(&self, typed: &Typed<'_>, refused: Option<(Part, &Refusal)>) -> Result<Response, ApiError> {
        let (app, caller, user) = (&self.admin.context.app, &self.admin.caller, &self.user);
        let groups = app.groups.list(caller, None, PageSize::MAX_SIZE).await?;
        let has_more_groups = groups.next.is_some();
        let of = |part| refused.filter(|(refused, _)| *refused == part).map(|(_, refusal)| refusal);
        let page = UserPage {
            layout: Layout::of(&self.admin).within(&SECTIONS, users::PATH),
            path: path_of(user.id),
            edit: FormView {
                action: path_of(user.id).into(),
                ..profile_form::form(user, typed, true, of(Part::Profile))
            }
            .marked(of(Part::Profile)),
            groups: groups.items.into_iter().map(|group| (user.groups.contains(&group.name), group)).collect(),
            has_more_groups,
            sessions: session_rows::of(app.sessions.list(caller, self.id).await?),
            app_tokens: app.app_tokens.list(caller, self.id).await?,
            delete: self.deletion().marked(of(Part::Delete)),
            is_own: caller.user_id() == self.id,
            refusal: of(Part::Other).map(|refusal| refusal.text.as_str()),
            user,
        };
        let refusal = refused.map(|(_, refusal)| refusal);
        Ok(again(html(status(refusal), &page)?, refusal))
    }

    fn deletion(&self) -> FormView<'static> {
        FormView {
            action: format!("{}/delete", path_of(self.user.id)).into(),
            fields: vec![deletion::field("Username of the account", self.user.username.as_str(), "")],
            button: "Delete account",
            takes_focus: false,
            ..FormView::default()
        }
    }

    async fn set_disabled(self, disabled: bool) -> Result<Response, ApiError> {
        let changes = UserChanges { disabled: Some(disabled), ..UserChanges::default() };
        let accounts = &self.admin.context.app.accounts;
        let changed = accounts.update(&self.admin.caller, self.id, changes, ExpectedRevision::Any).await;
        self.after(changed, if disabled { Done::Disabled } else { Done::Enabled }, Part::Other).await
    }
}

#[handler]
pub async fn show(admin: Administrator) -> Result<Response> {
    let opened = Opened::by(admin).await?;
    Ok(opened.show(&Typed::from_user(&opened.user), None).await?)
}

/// Changes what is not as it was; or shows the form again.
#[handler]
pub async fn save(admin: Administrator, sent: Form) -> Result<Response> {
    let opened = Opened::by(admin).await?;
    let (user, typed) = (&opened.user, Typed::of(&sent));
    let saved = match typed.changes(user) {
        Ok(changes) => {
            let expected = profile_form::expected(user, &sent);
            opened.admin.context.app.accounts.update(&opened.admin.caller, opened.id, changes, expected).await
        }
        Err(error) => Err(error),
    };
    match saved {
        Ok(_) => Ok(Done::Saved.at(&path_of(user.id))),
        Err(error) => {
            let refusal = Refusal::of(error)?;
            Ok(opened.show(&typed, Some((Part::Profile, &refusal))).await?)
        }
    }
}

/// Joins the groups whose boxes were ticked, and leaves those whose boxes no longer are. Others stay as they are, no matter
/// who has changed them meanwhile.
#[handler]
pub async fn set_groups(admin: Administrator, sent: Form) -> Result<Response> {
    let opened = Opened::by(admin).await?;
    let ids = |beginning| -> Vec<GroupId> {
        sent.beginning_with(beginning).filter_map(|(id, _)| GroupId::parse(id)).collect()
    };
    let (ticked, before) = (ids(GROUP), ids(WAS_IN));
    let beyond = |ids: &[GroupId], others: &[GroupId]| -> Vec<GroupId> {
        ids.iter().filter(|id| !others.contains(id)).copied().collect()
    };
    let (from, to) = (beyond(&before, &ticked), beyond(&ticked, &before));
    let moved = opened.admin.context.app.groups.move_member(&opened.admin.caller, opened.id, from, to).await;
    Ok(opened.after(moved, Done::Saved, Part::Other).await?)
}

/// Ends one session, or all of them.
#[handler]
pub async fn end_sessions(admin: Administrator, sent: Form) -> Result<Response> {
    let opened = Opened::by(admin).await?;
    let (which, done) = match session_rows::meant(&sent) {
        SessionScope::One(id) => (SessionScope::One(id), Done::SessionEnded),
        _ => (SessionScope::All, Done::SessionsEnded),
    };
    let sessions = &opened.admin.context.app.sessions;
    let ended = match sessions.end(&opened.admin.caller, opened.id, which).await {
        Err(Error::SessionNotFound) => Ok(()), // it has ended meanwhile
        ended => ended,
    };
    Ok(opened.after(ended, done, Part::Other).await?)
}

#[handler]
pub async fn revoke_app_token(admin: Administrator, sent: Form) -> Result<Response> {
    let opened = Opened::by(admin).await?;
    let token = AppTokenId::parse(sent.text("token"));
    let revoked = match opened.admin.context.app.app_tokens.revoke(&opened.admin.caller, opened.id, token).await {
        Err(Error::AppTokenNotFound) => Ok(()), // it was revoked meanwhile
        revoked => revoked,
    };
    Ok(opened.after(revoked, Done::AppTokenRevoked, Part::Other).await?)
}

#[handler]
pub async fn disable(admin: Administrator, _sent: Form) -> Result<Response> {
    Ok(Opened::by(admin).await?.set_disabled(true).await?)
}

#[handler]
pub async fn enable(admin: Administrator, _sent: Form) -> Result<Response> {
    Ok(Opened::by(admin).await?.set_disabled(false).await?)
}

#[handler]
pub async fn unlock(admin: Administrator, _sent: Form) -> Result<Response> {
    let opened = Opened::by(admin).await?;
    let unlocked = opened.admin.context.app.accounts.unlock(&opened.admin.caller, opened.id).await;
    Ok(opened.after(unlocked, Done::Unlocked, Part::Other).await?)
}

/// Creates a link for a new password, and shows it once.
#[handler]
pub async fn issue_reset(admin: Administrator, _sent: Form) -> Result<Response> {
    let opened = Opened::by(admin).await?;
    let issued = opened.admin.context.app.resets.issue(&opened.admin.caller, opened.id).await;
    let issued = match issued {
        Ok(issued) => issued,
        Err(error) => return Ok(opened.after(Err::<(), _>(error), Done::Saved, Part::Other).await?),
    };
    let name = &opened.user.username;
    let text =
        format!("With this link, {name} sets a new password, once. Earlier links of the account no longer work.");
    let handed_over = HandedOver {
        title: "Link for a new password",
        text,
        links: vec![link_of(&opened.admin.public_url, &issued.token)],
        expires_at: issued.expires_at,
        back: (path_of(opened.user.id), format!("Back to {name}")),
    };
    Ok(handed_over.show(Layout::of(&opened.admin).within(&SECTIONS, users::PATH))?)
}

/// Deletes the account, if its username was typed.
#[handler]
pub async fn delete(admin: Administrator, sent: Form) -> Result<Response> {
    let opened = Opened::by(admin).await?;
    let user = &opened.user;
    let deleted = match deletion::confirm(user.username.as_str(), sent.text(deletion::FIELD)) {
        Ok(()) => {
            // Nobody has renamed it meanwhile.
            let expected = ExpectedRevision::OneOf(vec![(user.id.get(), user.revision)]);
            opened.admin.context.app.accounts.delete(&opened.admin.caller, opened.id, expected).await
        }
        Err(error) => Err(error),
    };
    match deleted {
        Ok(()) => Ok(Done::AccountDeleted.at(users::PATH)),
        Err(error) => {
            let refusal = deletion::refusal(error)?;
            Ok(opened.show(&Typed::from_user(user), Some((Part::Delete, &refusal))).await?)
        }
    }
}
