//! App tokens for native clients: listed, created and revoked.

use super::SECTIONS;
use crate::{
    app::{IssuedAppToken, WantedAppToken},
    domain::{AppId, AppToken, AppTokenId, DisplayName, Door, Error, Faults},
    http::{
        auth::Member,
        pages::{
            done::Done,
            form::{Choice, Field, FormView, Refusal, again, status},
            view::{Layout, html, page, see_other},
        },
        wire::{error::ApiError, form::Form},
    },
};
use poem::{Response, Result, handler, http::StatusCode};
use std::time::Duration;

pub const PATH: &str = "/account/app-tokens";
pub const REVOKE: &str = "/account/app-tokens/revoke";

const DAY: Duration = Duration::from_hours(24);

/// How long a token may last, in the form, in words, and in time.
const LIVES: [(&str, &str, Option<Duration>); 4] = [
    ("30", "30 days", Some(DAY.saturating_mul(30))),
    ("90", "90 days", Some(DAY.saturating_mul(90))),
    ("365", "A year", Some(DAY.saturating_mul(365))),
    ("never", "Never: until it is revoked", None),
];
const USUAL_LIFE: &str = "90";

page! {
    AppTokensPage from "app_tokens.html" {
        tokens: Vec<AppToken>,
        /// `None` where no app may be entered.
        form: Option<FormView<'p>>,
    }
}

page! {
    CreatedPage from "app_token.html" {
        secret: &'p str,
        token: &'p AppToken,
        /// Where the app is.
        url: Option<&'p str>,
        username: &'p str,
    }
}

/// What was typed.
struct Typed<'p> {
    name: &'p str,
    app: &'p str,
    life: &'p str,
}

impl Typed<'_> {
    /// What is wanted, with all that is wrong with it.
    fn read(&self) -> Result<WantedAppToken, Error> {
        let mut faults = Faults::default();
        let name = faults.collect("name", DisplayName::parse(self.name));
        let life = LIVES.iter().find(|(value, ..)| *value == self.life).map(|(.., span)| *span);
        let expires_in = faults.collect("life", life.ok_or_else(|| "must be one of the list".into()));
        match (name, expires_in) {
            (Some(name), Some(expires_in)) => Ok(WantedAppToken { name, app: AppId::parse(self.app), expires_in }),
            _ => Err(Error::Invalid(faults)),
        }
    }
}

#[handler]
pub async fn show(member: Member) -> Result<Response> {
    let doors = doors(&member).await?;
    Ok(list(&member, &doors, &Typed { name: "", app: "", life: USUAL_LIFE }, None).await?)
}

/// Creates a token, and shows it, this once; or shows the form again.
#[handler]
pub async fn create(member: Member, sent: Form) -> Result<Response> {
    let typed = Typed { name: sent.text("name"), app: sent.text("app"), life: sent.text("life") };
    let created = match typed.read() {
        Ok(wanted) => member.context.app.app_tokens.create(&member.caller, member.caller.user_id(), wanted).await,
        Err(error) => Err(error),
    };
    let doors = doors(&member).await?;
    match created {
        Ok(issued) => Ok(show_once(&member, &doors, &issued)?),
        Err(Error::AppNotFound) if doors.is_empty() => Ok(see_other(PATH)), // the page says so
        Err(error) => Ok(list(&member, &doors, &typed, Some(&Refusal::of(at_its_field(error))?)).await?),
    }
}

/// Revokes a token. One that is not there was revoked before.
#[handler]
pub async fn revoke(member: Member, sent: Form) -> Result<Response> {
    let id = AppTokenId::parse(sent.text("token"));
    match member.context.app.app_tokens.revoke(&member.caller, member.caller.user_id(), id).await {
        Ok(()) | Err(Error::AppTokenNotFound) => Ok(Done::AppTokenRevoked.at(PATH)),
        Err(error) => Err(ApiError::from(error).into()),
    }
}

/// The apps that a token can be for.
async fn doors(member: &Member) -> Result<Vec<Door>, ApiError> {
    Ok(member.context.app.entry.open_doors(&member.caller).await?)
}

/// An app that was chosen may be gone, or closed to its user.
fn at_its_field(error: Error) -> Error {
    match error {
        Error::AppNotFound => {
            let mut faults = Faults::default();
            faults.add("app", "can’t be entered; choose another");
            Error::Invalid(faults)
        }
        other => other,
    }
}

async fn list(
    member: &Member,
    doors: &[Door],
    typed: &Typed<'_>,
    refusal: Option<&Refusal>,
) -> Result<Response, ApiError> {
    let tokens = member.context.app.app_tokens.list(&member.caller, member.caller.user_id()).await?;
    let apps = doors.iter().map(|door| (door.app.to_string(), door.name.clone()));
    let lives = LIVES.map(|(value, label, _)| (value.to_owned(), label.to_owned()));
    let form = FormView {
        action: PATH.into(),
        fields: vec![
            Field::new("name", "Name", "text", "off", typed.name)
                .with_help("What it is for: the client or the device, such as “Music player on the phone”."),
        ],
        choices: vec![Choice::new("app", "App", apps, typed.app), Choice::new("life", "Expires", lives, typed.life)],
        button: "Create app token",
        takes_focus: tokens.is_empty(),
        ..FormView::default()
    };
    let form = (!doors.is_empty()).then(|| form.marked(refusal));
    let page = AppTokensPage { layout: Layout::of(member).within(&SECTIONS, PATH), tokens, form };
    Ok(again(html(status(refusal), &page)?, refusal))
}

fn show_once(member: &Member, doors: &[Door], issued: &IssuedAppToken) -> Result<Response, ApiError> {
    let token = &issued.token;
    let page = CreatedPage {
        layout: Layout::of(member).within(&SECTIONS, PATH),
        secret: issued.secret.reveal(),
        token,
        url: doors.iter().find(|door| door.app == token.app).map(|door| door.origin.as_str()),
        username: member.user().username.as_str(),
    };
    html(StatusCode::CREATED, &page)
}
