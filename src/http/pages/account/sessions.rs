//! Where one is signed in, and ending that.

use super::SECTIONS;
use crate::{
    app::{ListedSession, SessionScope},
    domain::{Error, SessionId, SessionKind},
    http::{
        auth::{Member, cookie::CookieName},
        pages::{
            browser_name::browser_name,
            done::Done,
            view::{Layout, html, page},
        },
        wire::{error::ApiError, form::Form},
    },
};
use poem::{
    Response, Result, handler,
    http::{StatusCode, header},
};

pub const PATH: &str = "/account/sessions";

page! {
    SessionsPage from "sessions.html" {
        rows: Vec<Row>,
    }
}

/// A session with a program or in a browser.
struct Row {
    /// What it is called.
    client: String,
    /// What the client says of itself, where that is not in the name.
    user_agent: Option<String>,
    session: ListedSession,
    /// Those with apps that depend on it.
    with_apps: Vec<ListedSession>,
}

impl Row {
    fn of(session: ListedSession) -> Self {
        let name = session.user_agent.as_deref().and_then(browser_name);
        let (client, is_named) = match (session.kind, name) {
            (SessionKind::Api, _) => ("Program".to_owned(), false),
            (_, Some(name)) => (name, true),
            (_, None) => ("Unknown browser".to_owned(), false),
        };
        let user_agent = session.user_agent.clone().filter(|_| !is_named);
        Self { client, user_agent, session, with_apps: vec![] }
    }

    /// Where somebody signed in.
    fn place(&self) -> String {
        self.session.ip.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string())
    }

    /// What tells its button from the others for those who don't see the page.
    fn in_words(&self) -> String {
        format!("{}, IP address {}", self.client, self.place())
    }
}

/// This session first, then the newest.
#[handler]
pub async fn show(member: Member) -> Result<Response> {
    let listed = member.context.app.sessions.list(&member.caller, member.caller.user_id());
    let mut rows: Vec<Row> = vec![];
    // Sessions with apps come behind the browser's that they depend on.
    for session in listed.await.map_err(ApiError::from)? {
        match rows.last_mut().filter(|_| session.with_app.is_some()) {
            Some(browser) => browser.with_apps.push(session),
            None => rows.push(Row::of(session)),
        }
    }
    rows.sort_by_key(|row| !row.session.current);
    Ok(html(StatusCode::OK, &SessionsPage { layout: Layout::of(&member).within(&SECTIONS, PATH), rows })?)
}

/// Ends one session, the others or all. Those who end their own have to sign in again.
#[handler]
pub async fn end(member: Member, sent: Form) -> Result<Response> {
    let which = match sent.text("which") {
        "all" => SessionScope::All,
        "others" => SessionScope::Others,
        _ => SessionScope::One(SessionId::from_stored(sent.text("session").to_owned())),
    };
    let own = member.caller.signed_in().map(|signed_in| &signed_in.session.id);
    let (done, ends_here) = match &which {
        SessionScope::All => (Done::AllSessionsEnded, true),
        SessionScope::Others => (Done::OtherSessionsEnded, false),
        SessionScope::One(id) => (Done::SessionEnded, own == Some(id)),
    };
    match member.context.app.sessions.end(&member.caller, member.caller.user_id(), which).await {
        // One that is not there has ended before.
        Ok(()) | Err(Error::SessionNotFound) => {}
        Err(error) => return Err(ApiError::from(error).into()),
    }
    if !ends_here {
        return Ok(done.at(PATH));
    }
    let mut response = done.at("/sign-in");
    response.headers_mut().append(header::SET_COOKIE, member.without_cookie(CookieName::Session));
    Ok(response)
}
