//! The style sheet and the icon. Their names carry a hash of their content, so that browsers may keep them for a year.

use base64ct::{Base64UrlUnpadded, Encoding};
use poem::{Response, handler, http::header};
use sha2::{Digest, Sha256};
use std::sync::OnceLock;

const STYLE: &str = include_str!("templates/style.css");
const ICON: &str = include_str!("templates/icon.svg");

/// The path of the style sheet.
pub fn style() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| path("style", STYLE, "css"))
}

/// The path of the icon.
pub fn icon() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| path("icon", ICON, "svg"))
}

fn path(name: &str, content: &str, extension: &str) -> String {
    let hash = Base64UrlUnpadded::encode_string(&Sha256::digest(content)[..9]);
    format!("/assets/{name}-{hash}.{extension}")
}

#[handler]
pub(super) fn show_style() -> Response {
    asset("text/css; charset=utf-8", STYLE)
}

#[handler]
pub(super) fn show_icon() -> Response {
    asset("image/svg+xml", ICON)
}

fn asset(media_type: &str, content: &'static str) -> Response {
    let for_a_year = "public, max-age=31536000, immutable";
    Response::builder().content_type(media_type).header(header::CACHE_CONTROL, for_a_year).body(content)
}
