//! Links that let their holder do something once: the token moves from the URL into a cookie before anything is shown, so
//! that it stays in no history, bookmark or `Referer`.
//!
//! Opening a link spends nothing, since mail scanners open it, too. Its form carries a digest of the token, which must be that
//! of the cookie: of two links in one browser, the form of the first does not spend the second.

use super::view::see_other;
use crate::{
    domain::{Kind, OfInvitation, OfReset, OfSetup, Origin, Token},
    http::{
        auth::{Visitor, cookie::CookieName},
        wire::{
            error::{ApiError, OfPage},
            form::Form,
            query::parameter,
        },
    },
};
use base64ct::{Base64UrlUnpadded, Encoding};
use poem::{
    Request, Response,
    http::{StatusCode, header},
};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// The field of a form that carries the digest.
const FIELD: &str = "link";
/// How long a form may be filled in. Afterwards, the link is opened again.
const LIFETIME: Duration = Duration::from_hours(1);

/// What links are made for.
pub trait Linked: Kind {
    /// The page that they open.
    const PATH: &'static str;
    /// What it is called to the person who was given it.
    const IN_WORDS: &'static str;
}

impl Linked for OfInvitation {
    const PATH: &'static str = "/invited";
    const IN_WORDS: &'static str = "invitation";
}

impl Linked for OfSetup {
    const PATH: &'static str = "/setup";
    const IN_WORDS: &'static str = "set-up link";
}

impl Linked for OfReset {
    const PATH: &'static str = "/reset";
    const IN_WORDS: &'static str = "link for a new password";
}

/// What a link is called that opens nothing, and what to do about it.
pub const ENDED: [&str; 2] = [
    "This link has ended",
    "it was used before, it is too old, or another one has replaced it. If you have just used it yourself, sign in. \
     Otherwise, ask for a new link",
];

/// The link to hand over.
pub fn link_of<K: Linked>(public_url: &Origin, token: &Token<K>) -> String {
    format!("{public_url}{}?token={}", K::PATH, token.reveal())
}

/// Moves the token of a link into the cookie, and leads to the page without it. `None` where the URL has no token.
pub fn take<K: Linked>(visitor: &Visitor, request: &Request) -> Option<Response> {
    let token = parameter(request, "token")?;
    let cookie = match Token::<K>::parse(token.trim()) {
        Some(token) => visitor.cookie(CookieName::Link, token.reveal(), Some(LIFETIME)),
        None => visitor.without_cookie(CookieName::Link),
    };
    let mut response = see_other(K::PATH);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Some(response)
}

/// The token of the link that was opened last in this browser.
pub fn opened<K: Linked>(visitor: &Visitor) -> Result<Token<K>, ApiError> {
    visitor.link.as_deref().and_then(|token| Token::parse(token)).ok_or_else(missing::<K>)
}

/// What the form of a link carries unseen.
pub fn seal<K: Kind>(token: &Token<K>) -> (&'static str, String) {
    // Of the hash, so that no page shows what the database holds.
    (FIELD, Base64UrlUnpadded::encode_string(&Sha256::digest(token.hash().as_bytes())))
}

/// The token of the link that a form was made for, which is still the one that was opened last.
pub fn sent<K: Linked>(visitor: &Visitor, form: &Form) -> Result<Token<K>, ApiError> {
    let token = visitor.link.as_deref().ok_or_else(missing::<K>)?;
    let token = Token::<K>::parse(token).filter(|token| {
        let (field, digest) = seal(token);
        form.text(field) == digest
    });
    token.ok_or_else(another::<K>)
}

/// Lets the browser forget a link that has been used up.
pub fn forget(visitor: &Visitor, response: &mut Response) {
    response.headers_mut().append(header::SET_COOKIE, visitor.without_cookie(CookieName::Link));
}

/// It is unknown, has ended, or was used before.
pub fn ended() -> ApiError {
    ApiError::of_page(&OfPage { status: StatusCode::BAD_REQUEST, title: ENDED[0] }, ENDED[1])
}

/// The browser has no link for this page.
fn missing<K: Linked>() -> ApiError {
    let text = format!(
        "open the {} that you were given, the whole of it. If this page comes back, ask for a new one, or let this browser \
         keep cookies for this site",
        K::IN_WORDS
    );
    ApiError::of_page(&OfPage { status: StatusCode::BAD_REQUEST, title: "This page needs a link" }, text)
}

/// Another link was opened after a form was shown.
fn another<K: Linked>() -> ApiError {
    let text = format!(
        "after this form was shown, another link was opened in this browser. Nothing was changed. Open your {} again",
        K::IN_WORDS
    );
    ApiError::of_page(&OfPage { status: StatusCode::CONFLICT, title: "Another link was opened" }, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ResetToken;

    #[test]
    fn what_a_form_carries_is_neither_the_token_nor_what_the_database_holds() {
        let token = ResetToken::generate();
        let (_, digest) = seal(&token);
        assert_eq!(digest.len(), 43);
        assert!(!token.reveal().contains(&digest));
        assert_ne!(digest, Base64UrlUnpadded::encode_string(token.hash().as_bytes()));
    }

    #[test]
    fn a_link_leads_to_the_page_of_its_kind() {
        let (token, at) = (ResetToken::generate(), Origin::parse("https://auth.example.com").unwrap());
        assert_eq!(link_of(&at, &token), format!("https://auth.example.com/reset?token={}", token.reveal()));
    }
}
