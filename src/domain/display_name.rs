//! Display names: what people are called on pages and in apps.

use regex::Regex;
use std::{borrow::Cow, fmt, sync::LazyLock};
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// A name in any script, for people to read. It need not be unique. In Unicode's normalization form C, so that what looks
/// the same is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayName(String);

/// Controls, separators of lines, and what overrides or isolates the direction of the text around it (Unicode Standard
/// Annex #9, section 2): a name must not rearrange what stands beside it.
macro_rules! forbidden {
    () => {
        r"\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069"
    };
}

/// White space, and characters that nobody sees.
macro_rules! unseen {
    () => {
        r" \u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u202f\u205f-\u206f\u3000\u3164\ufeff\uffa0"
    };
}

impl DisplayName {
    /// In characters (Unicode code points), once it is normalized.
    pub const MAX_LENGTH: usize = 100;
    /// Without what is forbidden, and with a character at each end that can be seen. Variation selectors may only follow
    /// another character.
    pub const PATTERN: &str = concat!(
        "^[^",
        forbidden!(),
        unseen!(),
        r"\ufe00-\ufe0f](?:[^",
        forbidden!(),
        "]*[^",
        forbidden!(),
        unseen!(),
        "])?$"
    );

    /// A name that is not in normalization form C is normalized, not refused: people can't see the difference, and
    /// keyboards write both.
    pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        static ALLOWED: LazyLock<Regex> = LazyLock::new(|| Regex::new(DisplayName::PATTERN).expect("a pattern"));
        // One more than fits shows whether it fits.
        let name: String = text.nfc().take(Self::MAX_LENGTH + 1).collect();
        if name.is_empty() {
            return Err("must not be empty".into());
        }
        if name.chars().count() > Self::MAX_LENGTH {
            return Err(format!("must have at most {} characters", Self::MAX_LENGTH).into());
        }
        if !ALLOWED.is_match(&name) {
            return Err(
                "must begin and end with a visible character, and have no control characters, line separators or \
                 characters that change the direction of text"
                    .into(),
            );
        }
        Ok(Self(name))
    }

    /// What is stored. Another spelling of a name was written by another program.
    pub fn from_stored(text: &str) -> Result<Self, Cow<'static, str>> {
        if is_nfc(text) { Self::parse(text) } else { Err("must be in Unicode's normalization form C".into()) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for DisplayName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_may_be_in_any_script() {
        for good in [
            "A",
            "Ada Lovelace",
            "O\u{2019}Brien, Flann",
            "\u{5c71}\u{7530}\u{592a}\u{90ce}",
            "\u{645}\u{62d}\u{645}\u{62f} \u{639}\u{644}\u{6cc}\u{200c}\u{632}\u{627}\u{62f}\u{647}",
            "\u{928}\u{93f}\u{930}\u{94d}\u{92e}\u{932}\u{93e}",
            "Ada \u{2764}\u{fe0f}",
            "\u{1f469}\u{200d}\u{1f4bb}",
            "<b>&amp;",
            &"\u{1d49c}".repeat(100),
        ] {
            assert_eq!(DisplayName::parse(good).map(|name| name.to_string()).as_deref(), Ok(good));
        }
    }

    #[test]
    fn a_name_that_is_not_normalized_becomes_what_looks_the_same() {
        let name = DisplayName::parse("Zoe\u{308}").unwrap();
        assert_eq!(name.as_str(), "Zo\u{eb}");
        assert!(DisplayName::parse(&"e\u{301}".repeat(100)).is_ok(), "counted once it is normalized");
        assert!(DisplayName::parse(&"\u{958}".repeat(51)).is_err(), "two characters each, normalized");
        assert!(DisplayName::from_stored("Zoe\u{308}").is_err());
    }

    #[test]
    fn a_name_that_is_empty_too_long_or_acts_on_the_text_around_it_is_refused() {
        for bad in [
            "",
            " ",
            "\u{3000}\u{a0}",
            " Ada",
            "Ada ",
            "Ada\u{a0}",
            "\u{feff}Ada",
            "Ada\u{200b}",
            "\u{200b}",
            "\u{2060}\u{ad}",
            "\u{3164}",
            "\u{fe0f}",
            "A\0da",
            "A\0",
            "Ada\r\nRemote-Role: admin",
            "A\tda",
            "A\u{85}da",
            "A\u{7f}da",
            "A\u{2028}da",
            "A\u{2029}da",
            "A\u{202e}da",
            "A\u{202a}da",
            "A\u{2066}da",
            "A\u{2069}da",
            &"a".repeat(101),
            concat!(
                "\u{a0}0a AA0\u{a1}A \u{1250}\u{a1}\u{1ee61} AaAa\u{10a05} \u{ae} a \u{a1}\u{1f000}\u{74d}0  ",
                "\u{1132a}\u{16a40}\u{ae}\u{b47}\u{1003c}\u{103c8}\u{1f8b0}\u{ae}a\u{112b0}0 0\u{ae}a\u{1df00}",
                "\u{3a3}\u{bd7}AA\u{a47}\u{3a3}\u{af9} \u{119a0}\u{c55}\u{fffc}\u{13a0} \u{1970} a\u{1d129} ",
                "\u{1290}\u{1128a}\u{113c7}\u{180f}A 0\u{1ee34}aA\u{3a3}\u{10eab} A0 A 0 \u{ae}aA A\u{a59}",
            ),
        ] {
            assert!(DisplayName::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_that_is_accepted_reads_back_and_is_fit_for_a_header(text in "\\PC{0,8}|[\u{0}-\u{ff}\u{2000}-\u{206f}]{0,4}|\\PC{90,110}") {
            if let Ok(name) = DisplayName::parse(&text) {
                prop_assert_eq!(DisplayName::from_stored(name.as_str()), Ok(name.clone()));
                prop_assert!((1..=DisplayName::MAX_LENGTH).contains(&name.as_str().chars().count()));
                prop_assert!(!name.as_str().contains(char::is_control) && name.as_str().trim() == name.as_str());
            }
        }

        #[test]
        fn the_published_pattern_makes_names_that_parse(text in &DisplayName::PATTERN[1..DisplayName::PATTERN.len() - 1]) {
            let normalized = text.nfc().count();
            prop_assert_eq!(DisplayName::parse(&text).is_ok(), normalized <= DisplayName::MAX_LENGTH, "{:?}", text);
        }
    }
}
