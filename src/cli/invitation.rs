//! `usher invite` and `usher invitation`

use super::{
    eprint, explain,
    handed_over::HandedOver,
    open,
    output::{Table, all_pages, json, or_hyphen, show_json},
    print,
};
use crate::{
    app::{App, Invite as Invitation, IssuedInvitation, Policy},
    config::InvitationSettings,
    domain::{self, Caller, EmailAddress, InvitationCount, InvitationId, PageSize, Role, User, UserSelector},
    http::answers,
};
use anyhow::Result;
use clap::{Args, Subcommand};
use futures_executor::block_on;
use std::path::Path;

/// Create and print invitations, each for one person
///
/// Prints a link that the person opens in a browser, if --public-url is known; else a token, which the person sends in the
/// field `invitation` of POST /api/v1/users. It works once, in every registration mode except 'closed'. Opening the link
/// does not use it up.
#[derive(Debug, Args)]
pub(super) struct Invite {
    /// The only e-mail address that may register with it. It then counts as verified. If an account already has it, the
    /// command prints a warning
    #[arg(long, value_name = "ADDRESS", value_parser = |text: &str| EmailAddress::parse(text))]
    email: Option<EmailAddress>,

    /// The role of the account that is registered with it: user or admin
    #[arg(long, default_value = "user", value_parser = |text: &str| Role::parse(text))]
    role: Role,

    /// Create so many alike, all or none, and print one a line. Not more than 1 with --email
    #[arg(long, value_name = "COUNT", value_parser = |text: &str| InvitationCount::parse(text))]
    count: Option<InvitationCount>,

    /// Print it as JSON, in the shape of POST /api/v1/invitations; with --count as a list
    #[arg(long, conflicts_with = "token")]
    json: bool,

    #[command(flatten)]
    handed_over: HandedOver,

    #[command(flatten)]
    settings: InvitationSettings,
}

impl Invite {
    pub(super) fn run(&self, database: &Path) -> Result<()> {
        let policy = Policy { invitation_lifetime: self.settings.invitation_lifetime, ..Policy::default() };
        let app = open(database, policy)?;
        let invite = Invitation { email: self.email.clone(), role: self.role, expires_in: None };
        let count = self.count.unwrap_or(InvitationCount::ONE);
        let invited = block_on(app.invitations.create_many(&Caller::shell(), invite, count)).map_err(explain)?;
        for IssuedInvitation { invitation, .. } in &invited {
            let domain::Invitation { id, role, expires_at, .. } = invitation;
            eprint(&format!("invitation {id}, for the role {role}, until {expires_at}"));
        }
        if let Some(email) = &self.email {
            warn_of_account(&app, email);
        }
        print(&self.result(invited)?)
    }

    fn result(&self, invited: Vec<IssuedInvitation>) -> Result<String> {
        match (self.json, self.count) {
            (true, Some(_)) => json(&answers::CreatedInvitations::from(invited)),
            (true, None) => {
                invited.into_iter().map(|invited| json(&answers::CreatedInvitation::from(invited))).collect()
            }
            (false, _) => Ok(invited.iter().map(|invited| self.handed_over.line(&invited.token)).collect()),
        }
    }
}

/// Warns if an account has the e-mail address of the invitation. Until that changes, nobody can register with it.
fn warn_of_account(app: &App, email: &EmailAddress) {
    if let Ok(user) = block_on(app.accounts.find(&Caller::shell(), UserSelector::Email(email.clone()))) {
        let User { id, username, .. } = user;
        eprint(&format!(
            "warning: {email} is the e-mail address of an account already ({username}, id {id}); while that is so, nobody \
             can register with this invitation"
        ));
    }
}

/// List and delete invitations, also while a server runs
#[derive(Debug, Subcommand)]
pub(super) enum InvitationCommand {
    List(List),
    Delete(Delete),
}

impl InvitationCommand {
    pub(super) fn run(self, database: &Path) -> Result<()> {
        match self {
            Self::List(command) => command.run(database),
            Self::Delete(command) => command.run(database),
        }
    }
}

/// List the invitations that can still be used
#[derive(Debug, Args)]
pub(super) struct List {
    /// Print one JSON document, in the shape of GET /api/v1/invitations
    #[arg(long)]
    json: bool,
}

impl List {
    fn run(&self, database: &Path) -> Result<()> {
        let app = open(database, Policy::default())?;
        let shell = Caller::shell();
        let all = all_pages(|after| block_on(app.invitations.list(&shell, after, PageSize::MAX_SIZE)))?;
        if self.json {
            return show_json(&answers::InvitationList::from(all));
        }
        let mut table = Table::new(&["ID", "EMAIL", "ROLE", "CREATED BY", "CREATED", "EXPIRES"])?;
        for invitation in all.items {
            table.row(&[
                invitation.id.to_string(),
                or_hyphen(invitation.email),
                invitation.role.to_string(),
                or_hyphen(invitation.created_by),
                invitation.created_at.to_string(),
                invitation.expires_at.to_string(),
            ])?;
        }
        table.flush()
    }
}

/// Delete an invitation, so that nobody can use it any more
#[derive(Debug, Args)]
pub(super) struct Delete {
    /// The invitation's id; see 'usher invitation list'
    #[arg(value_parser = invitation_id)]
    id: InvitationId,
}

fn invitation_id(text: &str) -> Result<InvitationId, String> {
    InvitationId::parse(text).ok_or_else(|| "an id is 1, 2, 3 and so on; see 'usher invitation list'".to_owned())
}

impl Delete {
    fn run(&self, database: &Path) -> Result<()> {
        let app = open(database, Policy::default())?;
        block_on(app.invitations.delete(&Caller::shell(), Some(self.id))).map_err(explain)?;
        eprint(&format!("invitation {} was deleted", self.id));
        Ok(())
    }
}
