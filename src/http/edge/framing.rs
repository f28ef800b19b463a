//! Refuses ambiguous requests before anything reads them.

use crate::http::wire::error::{ApiError, ErrorCode};
use poem::{
    Request,
    http::{Version, header},
};

/// Refuses requests that a proxy in front could interpret differently (RFC 9112, sections 3.2 and 6.1).
pub fn admit(request: &Request) -> Result<(), ApiError> {
    let headers = request.headers();
    let hosts = headers.get_all(header::HOST).iter().count();
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let plainly_framed = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    };
    if plainly_framed && (hosts == 1 || (hosts == 0 && request.version() != Version::HTTP_11)) {
        Ok(())
    } else {
        Err(ApiError::new(ErrorCode::MalformedRequest))
    }
}
