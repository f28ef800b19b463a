//! The scheme `Basic` (RFC 7617), by which native clients show app tokens to apps.

use base64ct::{Base64, Encoding};
use poem::http::HeaderValue;
use zeroize::Zeroizing;

/// The password in a value of `Authorization` of this scheme. The username means nothing.
pub(super) fn password(value: &HeaderValue) -> Option<Zeroizing<String>> {
    let (scheme, credentials) = value.to_str().ok()?.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let credentials = Zeroizing::new(Base64::decode_vec(credentials.trim()).ok()?);
    let colon = credentials.iter().position(|byte| *byte == b':')?;
    String::from_utf8(credentials[colon + 1..].to_vec()).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_comes_after_the_first_colon_whatever_the_username() {
        for (value, expected) in [
            ("Basic YTpi", Some("b")),
            ("basic   YTpiOmM=", Some("b:c")),
            ("BASIC Ong=", Some("x")),
            ("Basic /zp4", Some("x")),
            ("Basic YTo=", Some("")),
            ("Basic YTr/", None),
            ("Basic YQ==", None),
            ("Basic YTpiOmM", None),
            ("Basic", None),
            ("Basic ", None),
            ("Bearer YTpi", None),
            ("YTpi", None),
        ] {
            let found = password(&HeaderValue::from_static(value));
            assert_eq!(found.as_ref().map(|password| password.as_str()), expected, "{value}");
        }
    }
}
