//! Tokens: secrets from the operating system's random generator, and their stored hashes.

use rand::{TryRng, rngs::SysRng};
use sha2::{Digest, Sha256};
use std::{fmt, marker::PhantomData};
use zeroize::Zeroizing;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `length` characters of base62, each drawn uniformly by the operating system's generator.
pub fn random_text(length: usize) -> Zeroizing<String> {
    // 248 is the largest multiple of 62 in a byte. Using larger values would favour the first characters.
    const FAIR: u8 = 248;
    let mut drawn = Zeroizing::new(String::with_capacity(length));
    let mut bytes = Zeroizing::new([0u8; 64]);
    while drawn.len() < length {
        SysRng.try_fill_bytes(&mut *bytes).expect("the operating system's random generator answers");
        for byte in bytes.iter().filter(|byte| **byte < FAIR).take(length - drawn.len()) {
            drawn.push(char::from(BASE62[usize::from(byte % 62)]));
        }
    }
    drawn
}

/// The CRC-32 of `secret` in six characters of base62, padded with zeros in front.
fn checksum(secret: &str) -> [u8; 6] {
    let mut rest = crc32fast::hash(secret.as_bytes());
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// A kind of token. Its prefix shows what it is for.
pub trait Kind {
    const NAME: &str;
    const PREFIX: &str;
    /// What tokens of this kind look like, for the spec.
    const PATTERN: &str;
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $kind:ident, $token:ident => $prefix:literal,)*) => {$(
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $kind {}

        impl Kind for $kind {
            const NAME: &str = stringify!($token);
            const PREFIX: &str = concat!($prefix, "_");
            const PATTERN: &str = concat!("^", $prefix, "_[0-9A-Za-z]{49}$");
        }

        $(#[doc = $doc])*
        pub type $token = Token<$kind>;
    )*

    /// Whether a text begins as a token of any kind, whole or not.
    pub fn begins_as_a_token(text: &str) -> bool {
        [$(<$kind as Kind>::PREFIX),*].iter().any(|prefix| text.starts_with(prefix))
    }};
}

kinds! {
    /// The token of a session.
    OfSession, SessionToken => "ush",
    /// What a signed-in browser holds, in the cookie of the public URL.
    OfBrowser, BrowserToken => "ushb",
    /// What a signed-in browser holds in the cookie of an app.
    OfAppSession, AppSessionToken => "usha",
    /// What a browser holds in which somebody has signed in. It opens nothing.
    OfKnownBrowser, KnownBrowserToken => "ushk",
    /// What a native client shows to one app.
    OfAppToken, AppTokenSecret => "ushp",
    /// Lets a browser that is signed in enter an app, once.
    OfEntry, EntryCode => "ushe",
    /// Lets its holder create the first administrator, once.
    OfSetup, SetupToken => "ushs",
    /// Lets its holder set a new password, once.
    OfReset, ResetToken => "ushr",
    /// Lets its holder register, once.
    OfInvitation, InvitationToken => "ushi",
}

/// A prefix, 43 characters of base62 (256 bits), and a checksum of those 43 in 6 more, so that a secret scanner can find
/// it and a mistyped one is refused without a look-up. It is never stored, and shown once. A token of one kind is never
/// accepted as one of another.
pub struct Token<K> {
    text: Zeroizing<String>,
    kind: PhantomData<K>,
}

impl<K: Kind> Token<K> {
    const SECRET_LENGTH: usize = 43;
    /// In characters, which are bytes here.
    pub const LENGTH: usize = K::PREFIX.len() + Self::SECRET_LENGTH + 6;

    pub fn generate() -> Self {
        let secret = random_text(Self::SECRET_LENGTH);
        let mut text = Zeroizing::new(String::with_capacity(Self::LENGTH));
        text.push_str(K::PREFIX);
        text.push_str(&secret);
        text.extend(checksum(&secret).map(char::from));
        Self { text, kind: PhantomData }
    }

    /// Accepts only texts that `generate` can return.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(K::PREFIX)?;
        let base62 = text.len() == Self::LENGTH && rest.bytes().all(|b| b.is_ascii_alphanumeric());
        let (secret, sum) = base62.then(|| rest.split_at(Self::SECRET_LENGTH))?;
        let text = Zeroizing::new(text.to_owned());
        (checksum(secret) == sum.as_bytes()).then_some(Self { text, kind: PhantomData })
    }

    /// Whether a text has the prefix of these tokens, even if the rest is not valid.
    pub fn begins(text: &str) -> bool {
        text.starts_with(K::PREFIX)
    }

    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.text.as_bytes()).into())
    }

    /// The secret itself, for the one answer that contains it.
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

impl<K: Kind> fmt::Debug for Token<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(…)", K::NAME)
    }
}

/// SHA-256 of a whole token. The database stores nothing else of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_has_a_prefix_256_bits_and_a_checksum() {
        let token = SessionToken::generate();
        let text = token.reveal();
        assert_eq!((text.len(), SessionToken::LENGTH), (53, 53));
        assert!(text.starts_with("ush_"));
        assert_eq!(&text.as_bytes()[47..], checksum(&text[4..47]));
        assert!(SessionToken::parse(text).is_some_and(|parsed| parsed.hash() == token.hash()));
    }

    #[test]
    fn the_checksum_is_the_crc_32_in_six_digits() {
        // "123456789" is the check value of CRC-32: 0xCBF43926 = 3421780262.
        assert_eq!(&checksum("123456789"), b"3jZRME");
        assert_eq!(&checksum(""), b"000000");
    }

    #[test]
    fn a_token_with_one_character_changed_is_refused() {
        let token = SessionToken::generate().reveal().to_owned();
        for at in 0..token.len() {
            let mut other = token.clone().into_bytes();
            other[at] = if other[at] == b'x' { b'y' } else { b'x' };
            assert!(SessionToken::parse(&String::from_utf8(other).unwrap()).is_none(), "at {at}");
        }
        assert!(SessionToken::parse(&token[..52]).is_none());
        assert!(SessionToken::parse(&format!("{token}0")).is_none());
    }

    #[test]
    fn characters_are_drawn_evenly() {
        let mut counts = [0u32; 128];
        let text = random_text(62_000);
        text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
        // A thousand each is expected, with a standard deviation of 31; six of those are one in a hundred million.
        assert!(BASE62.iter().all(|byte| (810..1190).contains(&counts[usize::from(*byte)])));
    }

    #[test]
    fn a_token_of_one_kind_is_none_of_another() {
        let (reset, invitation) = (ResetToken::generate(), InvitationToken::generate());
        assert!(reset.reveal().starts_with("ushr_") && ResetToken::parse(reset.reveal()).is_some());
        assert!(invitation.reveal().starts_with("ushi_") && InvitationToken::parse(invitation.reveal()).is_some());
        for text in [reset.reveal(), invitation.reveal()] {
            assert!(SessionToken::parse(text).is_none());
        }
        assert!(ResetToken::parse(SessionToken::generate().reveal()).is_none());
        assert!(ResetToken::parse(invitation.reveal()).is_none());
    }

    #[test]
    fn secrets_are_never_shown() {
        let token = SessionToken::generate();
        assert_eq!(format!("{token:?} {:?}", token.hash()), "SessionToken(…) TokenHash(…)");
    }

    proptest! {
        #[test]
        fn whatever_is_not_a_token_is_refused_without_a_panic(text in "\\PC{0,60}|ush_[0-9A-Za-z]{49}|ush_\\PC{49}") {
            if let Some(token) = SessionToken::parse(&text) {
                prop_assert_eq!(&text.as_bytes()[47..], checksum(&text[4..47]));
                prop_assert_eq!(token.reveal(), text);
            }
        }
    }
}
