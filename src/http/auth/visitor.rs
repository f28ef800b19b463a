//! Who opens a page, from the cookies of the browser.

use super::{
    QUERY,
    cookie::{self, CookieName},
    cross_site,
};
use crate::{
    domain::{Actor, BrowserToken, Caller, Error, KnownBrowserToken, Origin, User},
    http::{
        context::Context,
        wire::error::{ApiError, ErrorCode},
    },
};
use percent_encoding::utf8_percent_encode;
use poem::{
    FromRequest, Request, RequestBody,
    http::{HeaderMap, HeaderValue, header},
};
use std::{ops::Deref, sync::Arc, time::Duration};
use zeroize::Zeroizing;

/// Somebody in a browser, at the public URL. A page that takes one has refused cross-site requests and other hosts.
pub struct Visitor {
    pub context: Arc<Context>,
    pub caller: Caller,
    pub public_url: Origin,
    /// The cookie of a browser in which somebody has signed in before.
    pub known: Option<KnownBrowserToken>,
    /// The token of the link that was opened last in this browser, of whatever kind.
    pub link: Option<Zeroizing<String>>,
    pub user_agent: Option<String>,
    /// Whether a page of another site led here.
    pub comes_from_elsewhere: bool,
}

impl Visitor {
    pub fn is_signed_in(&self) -> bool {
        self.caller.signed_in().is_some()
    }

    /// A `Set-Cookie` header.
    pub fn cookie(&self, name: CookieName, value: &str, max_age: Option<Duration>) -> HeaderValue {
        cookie::set(name, self.public_url.is_https(), value, max_age)
    }

    pub fn without_cookie(&self, name: CookieName) -> HeaderValue {
        cookie::remove(name, self.public_url.is_https())
    }
}

impl<'a> FromRequest<'a> for Visitor {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        let context = Context::shared(request).map_err(ApiError::from)?;
        let public_url = context.app.policy().public_url.clone();
        let public_url = public_url.ok_or_else(|| ApiError::internal("a page without a public URL"))?;
        refuse_other_hosts(request.headers(), &public_url)?;
        cross_site::refuse(request.method(), request.headers(), &public_url)?;
        let read = |name| cookie::read(request.headers(), name, public_url.is_https());
        let caller = caller(context, read(CookieName::Session)).await?;
        let known = read(CookieName::Known).and_then(KnownBrowserToken::parse);
        let link = read(CookieName::Link).map(|token| Zeroizing::new(token.to_owned()));
        Ok(Self {
            context: context.clone(),
            caller,
            known,
            link,
            user_agent: super::user_agent(request.headers()),
            comes_from_elsewhere: cross_site::comes_from_elsewhere(request.headers()),
            public_url,
        })
    }
}

/// Somebody who is signed in. Others are led to the sign-in, and from there to where they were going.
pub struct Member(Visitor);

impl Member {
    pub fn user(&self) -> &User {
        &self.0.caller.signed_in().expect("nobody else is a member").user
    }
}

impl Deref for Member {
    type Target = Visitor;

    fn deref(&self) -> &Visitor {
        &self.0
    }
}

impl<'a> FromRequest<'a> for Member {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
        let visitor = Visitor::from_request(request, body).await?;
        if visitor.is_signed_in() {
            return Ok(Self(visitor));
        }
        let to = request.uri().path_and_query().filter(|_| request.method().is_safe());
        let to = to.map_or_else(String::new, |to| format!("?to={}", utf8_percent_encode(to.as_str(), QUERY)));
        let refusal = ApiError::new(ErrorCode::AuthenticationRequired);
        Err(refusal.leading_to(format!("/sign-in{to}")).for_person().into())
    }
}

/// An administrator who is signed in. Others who are signed in are refused, whatever they ask for.
pub struct Administrator(Member);

impl Deref for Administrator {
    type Target = Member;

    fn deref(&self) -> &Member {
        &self.0
    }
}

impl<'a> FromRequest<'a> for Administrator {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
        let member = Member::from_request(request, body).await?;
        member.context.app.accounts.may_administer(&member.caller).map_err(ApiError::from)?;
        Ok(Self(member))
    }
}

/// Links, cookies and redirects are those of the public URL, so that a page anywhere else would not work.
fn refuse_other_hosts(headers: &HeaderMap, public_url: &Origin) -> Result<(), ApiError> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let is_ours = host.is_some_and(|host| host.eq_ignore_ascii_case(public_url.authority()));
    if is_ours {
        return Ok(());
    }
    let text = format!("pages are served at {public_url}, which is this server's --public-url, and nowhere else");
    Err(ApiError::with_message(ErrorCode::NotFound, text))
}

/// A cookie that opens nothing any more is nobody's: unlike a program, a browser sends it without being told to.
async fn caller(context: &Context, token: Option<&str>) -> Result<Caller, ApiError> {
    let actor = match token.and_then(BrowserToken::parse) {
        None => Actor::Anonymous,
        Some(token) => match context.app.sessions.authenticate_browser(&token).await {
            Ok(signed_in) => Actor::SignedIn(Arc::new(signed_in)),
            Err(Error::InvalidToken) => Actor::Anonymous,
            Err(error) => return Err(error.into()),
        },
    };
    Ok(context.caller(actor))
}
