//! Invitations: those that can still be used, and a form for further ones, whose links are handed over.

use super::SECTIONS;
use crate::{
    app::Invite,
    domain::{
        EmailAddress, Error, Faults, Invitation, InvitationCount, InvitationId, PageSize, Registration, Role, Usernames,
    },
    http::{
        auth::Administrator,
        pages::{
            done::Done,
            form::{Choice, Field, FormView, Refusal, again, status},
            handed_over::HandedOver,
            link::link_of,
            list::{Ways, place},
            view::{self, Layout, html, page, wait},
        },
        wire::{error::ApiError, form::Form},
    },
};
use poem::{Request, Response, Result, handler};
use std::{collections::BTreeSet, time::Duration};

pub const PATH: &str = "/admin/invitations";

page! {
    InvitationsPage from "invitations.html" {
        invitations: Vec<Invitation>,
        /// Of those who created them.
        usernames: Usernames,
        ways: Ways,
        create: FormView<'p>,
        /// Whether invitations let nobody in.
        is_closed: bool,
    }
}

/// What was typed.
struct Typed<'p> {
    email: &'p str,
    role: &'p str,
    lifetime: &'p str,
    count: &'p str,
}

impl<'p> Typed<'p> {
    fn of(sent: &'p Form) -> Self {
        let [email, role, lifetime, count] = ["email", "role", "lifetime", "count"].map(|name| sent.text(name));
        Self { email, role, lifetime, count }
    }

    /// What it means, or all that is wrong with it.
    fn read(&self, usual: Duration) -> Result<(Invite, InvitationCount), Error> {
        let mut faults = Faults::default();
        let email = Some(self.email).filter(|email| !email.is_empty());
        let email = email.map(|email| faults.collect("email", EmailAddress::parse(email)));
        let role = faults.collect("role", Role::parse(self.role));
        let lifetime = lifetimes(usual).into_iter().find(|lifetime| lifetime.as_secs().to_string() == self.lifetime);
        let lifetime = faults.collect("lifetime", lifetime.ok_or_else(|| "must be one of these".into()));
        let count = faults.collect("count", InvitationCount::parse(self.count.trim()));
        match (email, role, lifetime, count) {
            (email, Some(role), Some(lifetime), Some(count)) if faults.is_empty() => {
                Ok((Invite { email: email.flatten(), role, expires_in: Some(lifetime) }, count))
            }
            _ => Err(Error::Invalid(faults)),
        }
    }

    fn form(&self, usual: Duration) -> FormView<'p> {
        let lifetimes =
            lifetimes(usual).into_iter().map(|lifetime| (lifetime.as_secs().to_string(), in_words(lifetime)));
        let roles = Role::ALL.map(|role| (role.as_str().to_owned(), view::role(role).to_owned()));
        let many = format!("1 to {}, all alike.", InvitationCount::MAX);
        FormView {
            action: PATH.into(),
            fields: vec![
                Field::new("email", "E-mail address", "email", "off", self.email)
                    .optional()
                    .with_help("If it is given, the invitation is for this e-mail address alone."),
                Field::new("count", "How many", "number", "off", self.count).with_help(many),
            ],
            choices: vec![
                Choice::new("role", "Role", roles, self.role),
                Choice::new("lifetime", "Can be used for", lifetimes, self.lifetime),
            ],
            button: "Create invitation",
            takes_focus: false,
            ..FormView::default()
        }
    }
}

/// How long an invitation may be used, for a choice. One of them is what the settings say.
fn lifetimes(usual: Duration) -> BTreeSet<Duration> {
    BTreeSet::from([
        Duration::from_hours(1),
        Duration::from_hours(24),
        Duration::from_hours(168),
        Duration::from_hours(720),
        usual,
    ])
}

fn in_words(span: Duration) -> String {
    let seconds = span.as_secs();
    let (count, unit) = match (seconds % 86_400, seconds % 3_600) {
        (0, _) => (seconds / 86_400, "day"),
        (_, 0) => (seconds / 3_600, "hour"),
        _ => return wait(seconds),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[handler]
pub async fn list(admin: Administrator, request: &Request) -> Result<Response> {
    let usual = admin.context.app.policy().invitation_lifetime.as_secs().to_string();
    let typed = Typed { email: "", role: Role::User.as_str(), lifetime: &usual, count: "1" };
    Ok(show(&admin, place(request, InvitationId::parse)?, &typed, None).await?)
}

/// Creates invitations, and shows their links once; or shows the form again.
#[handler]
pub async fn create(admin: Administrator, sent: Form) -> Result<Response> {
    let (typed, invitations) = (Typed::of(&sent), &admin.context.app.invitations);
    let issued = match typed.read(admin.context.app.policy().invitation_lifetime) {
        Ok((invite, count)) => invitations.create_many(&admin.caller, invite, count).await,
        Err(error) => Err(error),
    };
    let issued = match issued {
        Ok(issued) => issued,
        Err(error) => return Ok(show(&admin, None, &typed, Some(&Refusal::of(error)?)).await?),
    };
    let first = &issued.first().ok_or_else(|| ApiError::internal("no invitation was created"))?.invitation;
    let who = first.email.as_ref().map_or("one person".to_owned(), |email| format!("{email} alone"));
    let with = if first.role == Role::Admin { ", who is an administrator then" } else { "" };
    let handed_over = HandedOver {
        title: if issued.len() == 1 { "Invitation" } else { "Invitations" },
        text: format!(
            "With {} link, {who} creates an account, once{with}.",
            if issued.len() == 1 { "this" } else { "each" }
        ),
        expires_at: first.expires_at,
        links: issued.iter().map(|issued| link_of(&admin.public_url, &issued.token)).collect(),
        back: (PATH.to_owned(), "Back to the invitations".to_owned()),
    };
    Ok(handed_over.show(Layout::of(&admin).within(&SECTIONS, PATH))?)
}

/// Deletes an invitation. One that is not there has been used or deleted meanwhile.
#[handler]
pub async fn delete(admin: Administrator, _sent: Form) -> Result<Response> {
    let id = admin.context.path_parameters.first().and_then(|id| InvitationId::parse(id));
    match admin.context.app.invitations.delete(&admin.caller, id).await {
        Ok(()) => Ok(Done::InvitationDeleted.at(PATH)),
        Err(error) => Err(ApiError::from(error).into()),
    }
}

async fn show(
    admin: &Administrator,
    after: Option<InvitationId>,
    typed: &Typed<'_>,
    refusal: Option<&Refusal>,
) -> Result<Response, ApiError> {
    let (app, caller) = (&admin.context.app, &admin.caller);
    let listed = app.invitations.list(caller, after, PageSize::default()).await?;
    let creators = listed.items.iter().filter_map(|invitation| invitation.created_by).collect();
    let page = InvitationsPage {
        layout: Layout::of(admin).within(&SECTIONS, PATH),
        usernames: app.accounts.usernames(caller, creators).await?,
        ways: Ways::new(PATH, &[], after.is_none(), listed.next.as_ref()),
        invitations: listed.items,
        create: typed.form(app.policy().invitation_lifetime).marked(refusal),
        is_closed: app.policy().registration == Registration::Closed,
    };
    Ok(again(html(status(refusal), &page)?, refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_in_words_and_one_is_the_usual() {
        let words = |usual| lifetimes(usual).into_iter().map(in_words).collect::<Vec<_>>();
        assert_eq!(words(Duration::from_hours(168)), ["1 hour", "1 day", "7 days", "30 days"]);
        assert_eq!(words(Duration::from_hours(48))[2], "2 days");
        assert_eq!(words(Duration::from_hours(50))[2], "50 hours");
        assert_eq!(words(Duration::from_secs(90))[0], "90 seconds");
    }
}
