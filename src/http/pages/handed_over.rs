//! Links that an administrator hands over: shown once, with QR codes for phones.

use super::view::{Layout, html, page};
use crate::{domain::Timestamp, http::wire::error::ApiError};
use poem::{Response, http::StatusCode};
use qrcodegen::{QrCode, QrCodeEcc};
use std::fmt::Write as _;

/// What is shown once.
pub struct HandedOver {
    pub title: &'static str,
    /// What the links do.
    pub text: String,
    pub links: Vec<String>,
    pub expires_at: Timestamp,
    /// The page to go on with, and its name.
    pub back: (String, String),
}

page! {
    HandedOverPage from "handed_over.html" {
        handed_over: &'p HandedOver,
        codes: Vec<(&'p str, Code)>,
    }
}

impl HandedOver {
    /// Nothing of it can be had again.
    pub fn show(&self, layout: Layout<'_>) -> Result<Response, ApiError> {
        let code = |link: &'_ String| Code::of(link);
        let codes = self.links.iter().map(code).collect::<Result<Vec<_>, _>>()?;
        let codes = self.links.iter().map(String::as_str).zip(codes).collect();
        html(StatusCode::CREATED, &HandedOverPage { layout, handed_over: self, codes })
    }
}

/// A QR code, as the shape of its dark modules.
struct Code {
    /// The width and height, in modules, with the quiet zone.
    size: i32,
    /// What SVG's `path` draws: a rectangle for each row of dark modules.
    dark: String,
}

/// The light modules that a reader needs around a code (ISO/IEC 18004, section 9.1).
const QUIET_ZONE: i32 = 4;

impl Code {
    fn of(text: &str) -> Result<Self, ApiError> {
        let code = QrCode::encode_text(text, QrCodeEcc::Medium);
        let code = code.map_err(|error| ApiError::internal(format!("a link has no QR code: {error}")))?;
        let mut dark = String::new();
        for y in 0..code.size() {
            let mut x = 0;
            while x < code.size() {
                let width = (x..code.size()).take_while(|x| code.get_module(*x, y)).count();
                if width > 0 {
                    let _ = write!(dark, "M{} {}h{width}v1h-{width}z", x + QUIET_ZONE, y + QUIET_ZONE);
                }
                x += i32::try_from(width).unwrap_or(0) + 1;
            }
        }
        Ok(Self { size: code.size() + 2 * QUIET_ZONE, dark })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_is_the_code_within_a_quiet_zone() {
        let link = format!("https://auth.example.com/invited?token=ushi_{}", "0".repeat(49));
        let code = Code::of(&link).unwrap();
        let expected = QrCode::encode_text(&link, QrCodeEcc::Medium).unwrap();
        assert_eq!(code.size, expected.size() + 8);
        let mut drawn = std::collections::BTreeSet::new();
        for rectangle in code.dark.split_terminator('z') {
            let (place, shape) = rectangle.strip_prefix('M').unwrap().split_once('h').unwrap();
            let (x, y) = place.split_once(' ').unwrap();
            let width: i32 = shape.split_once('v').unwrap().0.parse().unwrap();
            let x: i32 = x.parse().unwrap();
            drawn.extend((x..x + width).map(|x| (x - QUIET_ZONE, y.parse::<i32>().unwrap() - QUIET_ZONE)));
        }
        let all = (0..expected.size()).flat_map(|y| (0..expected.size()).map(move |x| (x, y)));
        assert_eq!(drawn, all.filter(|(x, y)| expected.get_module(*x, *y)).collect());
    }
}
