//! Requests that could be read in two ways, which are refused before anything reads them.

use crate::http::wire::error::{ApiError, ErrorCode};
use poem::{
    Request,
    error::NotFoundError,
    http::{Method, Version, header},
};

/// Refuses what could be read differently by a proxy in front (RFC 9112, sections 3.2 and 6.1), and what has no path.
pub fn admit(request: &mut Request) -> poem::Result<()> {
    let headers = request.headers();
    let hosts = headers.get_all(header::HOST).iter().count();
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let plainly_framed = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    };
    if !plainly_framed || hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Err(ApiError::new(ErrorCode::MalformedRequest).into());
    }
    if request.method() == Method::CONNECT {
        return Err(NotFoundError.into());
    }
    if let Some(path) = without_foreign_bytes(request.uri().path()) {
        *request.uri_mut() = path.parse().map_err(|_| NotFoundError)?;
    }
    Ok(())
}

/// Escapes of bytes beyond ASCII are part of no route and of no id, and the router takes offence at those that are no
/// UTF-8: each becomes a hyphen. `None` where there are none.
fn without_foreign_bytes(path: &str) -> Option<String> {
    let is_foreign = |escape: &str| escape.as_bytes().first().is_some_and(|digit| b"89abcdefABCDEF".contains(digit));
    let mut escapes = path.split('%');
    let mut plain = escapes.next()?.to_owned();
    let mut found = false;
    for escape in escapes {
        match escape.get(2..) {
            Some(rest) if is_foreign(escape) => {
                found = true;
                plain.push('-');
                plain.push_str(rest);
            }
            _ => {
                plain.push('%');
                plain.push_str(escape);
            }
        }
    }
    found.then_some(plain)
}
