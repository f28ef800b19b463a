//! The way from an app to the sign-in page and back: what a proxy passes on of an app's host, and what a browser meets here.

use super::{
    sign_in,
    view::{Layout, html, page, see_other},
};
use crate::{
    app::{Admission, Redeemed},
    domain::{AppPath, Door, Timestamp, random_text},
    http::{
        auth::{AppVisitor, QUERY, Visitor, cookie::CookieName, start_of},
        wire::{
            error::{ApiError, ErrorCode},
            query,
        },
    },
};
use percent_encoding::utf8_percent_encode;
use poem::{
    Request, Response, Result, handler,
    http::{StatusCode, header},
};

/// A parameter of the query; nothing where it is missing.
fn parameter(request: &Request, name: &str) -> String {
    query::parameter(request, name).unwrap_or_default()
}

async fn door(visitor: &AppVisitor) -> Result<Door, ApiError> {
    let found = visitor.context.app.entry.door(&visitor.at).await?;
    found.ok_or_else(|| {
        let text = format!("no app is registered for {}", visitor.at);
        ApiError::with_message(ErrorCode::Forbidden, text)
    })
}

/// What the cookie of a way holds: a nonce, and which ways were begun lately: when, in seconds, and a checksum of where to.
struct FlowCookie {
    nonce: String,
    starts: Vec<(i64, u32)>,
}

impl FlowCookie {
    const NONCE_LENGTH: usize = 43;
    /// Beginning the same way once more within this time means that the browser goes round in circles. Tabs that are
    /// restored together have ways of their own.
    const MAX_STARTS_OF_ONE: usize = 2;
    const SPAN: i64 = 60;
    const MAX_STARTS: usize = 16;

    /// Reads the cookie; another value than ours is as good as none.
    fn read(text: Option<&str>) -> Option<Self> {
        let mut parts = text?.split('.');
        let nonce = parts.next().filter(|nonce| nonce.len() == Self::NONCE_LENGTH)?;
        let is_ours = nonce.bytes().all(|b| b.is_ascii_alphanumeric());
        let read = |part: &str| part.split_once('-').and_then(|(at, to)| Some((at.parse().ok()?, to.parse().ok()?)));
        let starts = parts.map(read).collect::<Option<Vec<_>>>()?;
        (is_ours && starts.len() <= Self::MAX_STARTS).then(|| Self { nonce: nonce.to_owned(), starts })
    }

    fn new() -> Self {
        Self { nonce: random_text(Self::NONCE_LENGTH).to_string(), starts: Vec::new() }
    }

    /// Notes another start, or says that there have been too many.
    fn begin(&mut self, now: i64, path: &AppPath) -> bool {
        let to = crc32fast::hash(path.as_str().as_bytes());
        self.starts.retain(|(at, _)| (0..Self::SPAN).contains(&(now - at)));
        let is_circle = self.starts.iter().filter(|(_, other)| *other == to).count() >= Self::MAX_STARTS_OF_ONE;
        if is_circle {
            self.starts.retain(|(_, other)| *other != to);
        } else {
            self.starts.push((now, to));
            let beyond = self.starts.len().saturating_sub(Self::MAX_STARTS);
            self.starts.drain(..beyond);
        }
        is_circle
    }

    fn text(&self) -> String {
        self.starts.iter().fold(self.nonce.clone(), |text, (at, to)| format!("{text}.{at}-{to}"))
    }
}

page! {
    CirclePage from "circle.html" {
        app: &'p str,
        again: String,
        has_cookie: bool,
        secure: bool,
    }
}

/// `/_usher/start` on the host of an app: binds the way to the browser by a cookie, and leads to the sign-in. It writes
/// nothing, for anybody may ask.
#[handler]
pub(super) async fn start(visitor: AppVisitor, request: &Request) -> Result<Response> {
    let door = door(&visitor).await?;
    let app = &visitor.context.app;
    let path = AppPath::of(&parameter(request, "to"));
    let mut cookie = FlowCookie::read(visitor.flow_cookie.as_deref()).unwrap_or_else(FlowCookie::new);
    let is_circle = cookie.begin(app.now().as_millis().div_euclid(1000), &path);
    let mut response = if is_circle {
        let page = CirclePage {
            layout: Layout::new(app.policy(), None),
            app: &door.name,
            again: start_of(&visitor.at, &path),
            has_cookie: visitor.has_app_cookie,
            secure: visitor.at.is_https(),
        };
        html(StatusCode::CONFLICT, &page)?
    } else {
        let flow = app.entry.begin(&door, path, &cookie.nonce).await.map_err(ApiError::from)?;
        let public_url =
            app.policy().public_url.as_ref().ok_or_else(|| ApiError::internal("there is no public URL"))?;
        see_other(&format!("{public_url}/enter?flow={flow}"))
    };
    response.headers_mut().append(header::SET_COOKIE, visitor.cookie(CookieName::Flow, &cookie.text()));
    Ok(response)
}

page! {
    NotAllowedPage from "not_allowed.html" {
        app: &'p str,
    }
}

/// `/enter`: those who are signed in get a code for the app, the others the sign-in page.
#[handler]
pub(super) async fn enter(visitor: Visitor, request: &Request) -> Result<Response> {
    let flow = parameter(request, "flow");
    let entry = &visitor.context.app.entry;
    if !visitor.is_signed_in() {
        let app = entry.destination(&visitor.caller, &flow).await.map_err(ApiError::from)?;
        let app = app.ok_or_else(unknown_flow)?;
        return Ok(sign_in::form(
            &visitor,
            &sign_in::Filled { flow: &flow, app: Some(&app), ..Default::default() },
            None,
        )?);
    }
    match entry.admit(&visitor.caller, &flow).await.map_err(ApiError::from)? {
        Admission::Code { origin, code } => Ok(see_other(&format!("{origin}/_usher/callback?code={}", code.reveal()))),
        Admission::Stale { origin, path } => Ok(see_other(&start_of(&origin, &path))),
        Admission::Refused { app } => {
            let layout = Layout::of(&visitor);
            Ok(html(StatusCode::FORBIDDEN, &NotAllowedPage { layout, app: &app })?)
        }
        Admission::Unknown => Err(unknown_flow().into()),
    }
}

fn unknown_flow() -> ApiError {
    ApiError::with_message(ErrorCode::NotFound, "this link leads to no app; open the app again")
}

page! {
    ContinuePage from "continue.html" {
        to: String,
    }
}

/// `/continue`: where a form ends whose way leads on to an app. Browsers apply `form-action` to what a form is redirected to,
/// so that this page leads on.
#[handler]
pub(super) fn lead_on(visitor: Visitor, request: &Request) -> Result<Response> {
    let flow = utf8_percent_encode(&parameter(request, "flow"), QUERY).to_string();
    Ok(html(StatusCode::OK, &ContinuePage { layout: Layout::of(&visitor), to: format!("/enter?flow={flow}") })?)
}

page! {
    EntryFailedPage from "entry_failed.html" {
        app: &'p str,
        text: &'p str,
        again: String,
        request_id: &'p str,
    }
}

/// `/_usher/callback` on the host of an app: a code becomes a session with the app.
#[handler]
pub(super) async fn callback(visitor: AppVisitor, request: &Request) -> Result<Response> {
    let door = door(&visitor).await?;
    let failed = |text: &str| {
        let page = EntryFailedPage {
            layout: Layout::new(visitor.context.app.policy(), None),
            app: &door.name,
            text,
            again: start_of(&visitor.at, &AppPath::of("/")),
            request_id: &visitor.context.request_id,
        };
        html(StatusCode::FORBIDDEN, &page)
    };
    let cookie = FlowCookie::read(visitor.flow_cookie.as_deref());
    let (entry, code) = (&visitor.context.app.entry, parameter(request, "code"));
    // Without a cookie there is no nonce that fits: the code is used up.
    let nonce = cookie.as_ref().map_or("", |cookie| &cookie.nonce);
    let redeemed = entry.redeem(&visitor.caller, &door, &code, nonce, visitor.user_agent.clone()).await;
    match redeemed.map_err(ApiError::from)? {
        Redeemed::Entered { token, path } => {
            let mut response = see_other(&format!("{}{path}", visitor.at));
            let cookie = visitor.cookie(CookieName::App, token.reveal());
            response.headers_mut().append(header::SET_COOKIE, cookie);
            Ok(response)
        }
        Redeemed::Again { path } => Ok(see_other(&start_of(&visitor.at, &path))),
        Redeemed::Refused if cookie.is_none() => Ok(failed(
            "The browser did not send the cookie that this app set when you opened it. Cookies may be blocked.",
        )?),
        Redeemed::Refused => {
            Ok(failed("This link was made for another browser or another app, or it was used before.")?)
        }
    }
}

/// `/_usher/sign-out` on the host of an app. It changes nothing, so that no other site can sign anybody out.
#[handler]
pub(super) fn sign_out(visitor: AppVisitor) -> Result<Response> {
    let public_url = visitor.context.app.policy().public_url.as_ref();
    let public_url = public_url.ok_or_else(|| ApiError::internal("there is no public URL"))?;
    Ok(see_other(&format!("{public_url}/sign-out")))
}

page! {
    TestPage from "test.html" {
        at: String,
        app: Option<&'p str>,
        client: String,
        has_app_cookie: bool,
        verified_at: Option<Timestamp>,
    }
}

/// `/_usher/test` on the host of an app: what arrives here, for those who set up a proxy.
#[handler]
pub(super) async fn test(visitor: AppVisitor) -> Result<Response> {
    let app = &visitor.context.app;
    let door = app.entry.door(&visitor.at).await.map_err(ApiError::from)?;
    let page = TestPage {
        layout: Layout::new(app.policy(), None),
        at: visitor.at.to_string(),
        app: door.as_ref().map(|door| door.name.as_str()),
        client: visitor.context.client.ip.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string()),
        has_app_cookie: visitor.has_app_cookie,
        verified_at: door.as_ref().and_then(|door| door.verified_at),
    };
    Ok(html(StatusCode::OK, &page)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_start_of_one_way_within_a_minute_is_a_circle_and_then_it_begins_again() {
        let mut cookie = FlowCookie::new();
        let begun = |cookie: &mut FlowCookie, at, path: &str| {
            let is_circle = cookie.begin(at, &AppPath::of(path));
            *cookie = FlowCookie::read(Some(&cookie.text())).unwrap();
            is_circle
        };
        let circles = [0, 1, 59, 60, 61, 62].map(|at| begun(&mut cookie, at, "/x"));
        assert_eq!(circles, [false, false, true, false, false, true]);
        let mut slow = FlowCookie::new();
        assert_eq!([0, 30, 60, 90, 120].map(|at| begun(&mut slow, at, "/x")), [false; 5]);
        let mut tabs = FlowCookie::new();
        let circles: Vec<bool> = (0..40).map(|tab| begun(&mut tabs, 0, &format!("/{tab}"))).collect();
        assert_eq!(circles, [false; 40]);
    }

    #[test]
    fn a_cookie_that_we_did_not_set_is_none() {
        let nonce = "a".repeat(43);
        let ours = [nonce.clone(), format!("{nonce}.1-2.3-4")];
        assert!(ours.iter().all(|text| FlowCookie::read(Some(text)).is_some()));
        let many = nonce.clone() + &".1-2".repeat(17);
        let spoiled =
            [format!("{nonce}.x"), format!("{nonce}.1"), many, format!("{nonce}a"), "é".repeat(43), String::new()];
        assert!(spoiled.iter().all(|text| FlowCookie::read(Some(text)).is_none()));
        assert!(FlowCookie::read(None).is_none());
    }
}
