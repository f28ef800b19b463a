//! Where one is signed in, and ending that.

use super::SECTIONS;
use crate::{
    app::SessionScope,
    domain::Error,
    http::{
        auth::{Member, cookie::CookieName},
        pages::{
            done::Done,
            session_rows::{self, Row},
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

/// This session first, then the newest.
#[handler]
pub async fn show(member: Member) -> Result<Response> {
    let listed = member.context.app.sessions.list(&member.caller, member.caller.user_id());
    let rows = session_rows::of(listed.await.map_err(ApiError::from)?);
    Ok(html(StatusCode::OK, &SessionsPage { layout: Layout::of(&member).within(&SECTIONS, PATH), rows })?)
}

/// Ends one session, the others or all. Those who end their own have to sign in again.
#[handler]
pub async fn end(member: Member, sent: Form) -> Result<Response> {
    let which = session_rows::meant(&sent);
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
