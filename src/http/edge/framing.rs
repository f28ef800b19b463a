//! Refuses ambiguous requests before anything reads them.

use crate::http::wire::error::{ApiError, ErrorCode};
use poem::{
    Request,
    http::{Version, header},
};

/// Refuses requests that a proxy in front could interpret differently (RFC 9112, sections 3.2 and 6.1).
pub fn admit(request: &Request) -> Result<(), ApiError> {
    let headers = request.headers();
    let mut hosts = headers.get_all(header::HOST).iter();
    let has_plain_host = match (hosts.next(), hosts.next()) {
        (None, _) => request.version() != Version::HTTP_11,
        (Some(host), None) => host.as_bytes().iter().all(|byte| is_of_a_host(*byte)),
        (Some(_), Some(_)) => false,
    };
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let plainly_framed = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    };
    if plainly_framed && has_plain_host { Ok(()) } else { Err(ApiError::new(ErrorCode::MalformedRequest)) }
}

/// Whether a byte can be part of a host and a port (RFC 3986, section 3.2).
fn is_of_a_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte)
}
