//! Sessions: the secret that opens one, what is stored of it, and how long it lasts.

use super::{Timestamp, User, UserId};
use rand::{TryRng, rngs::SysRng};
use sha2::{Digest, Sha256};
use std::{fmt, time::Duration};
use zeroize::Zeroizing;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `length` characters of base62, each drawn uniformly by the operating system's generator.
pub fn random_text(length: usize) -> Zeroizing<String> {
    // 248 is the largest multiple of 62 in a byte; taking what lies above would favour the first characters.
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

/// What a signed-in client holds: `ush_`, 43 characters of base62 (256 bits), and a checksum of those 43 in 6 more, so
/// that a secret scanner can find one and a mistyped one is refused without a look-up. Never stored, never shown again.
pub struct SessionToken(Zeroizing<String>);

impl SessionToken {
    const PREFIX: &str = "ush_";
    const SECRET_LENGTH: usize = 43;
    pub const LENGTH: usize = Self::PREFIX.len() + Self::SECRET_LENGTH + 6;
    pub const PATTERN: &str = "^ush_[0-9A-Za-z]{49}$";

    pub fn generate() -> Self {
        let secret = random_text(Self::SECRET_LENGTH);
        let mut token = Zeroizing::new(String::with_capacity(Self::LENGTH));
        token.push_str(Self::PREFIX);
        token.push_str(&secret);
        token.extend(checksum(&secret).map(char::from));
        Self(token)
    }

    /// Accepts what `generate` can have made, and nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(Self::PREFIX)?;
        let base62 = text.len() == Self::LENGTH && rest.bytes().all(|b| b.is_ascii_alphanumeric());
        let (secret, sum) = base62.then(|| rest.split_at(Self::SECRET_LENGTH))?;
        (checksum(secret) == sum.as_bytes()).then(|| Self(Zeroizing::new(text.to_owned())))
    }

    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0.as_bytes()).into())
    }

    /// The secret itself, for the one answer that carries it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(…)")
    }
}

/// SHA-256 of a whole token: all that the database knows of it.
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

/// The public name of a session. It says nothing and opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionId(String);

impl SessionId {
    const LENGTH: usize = 16;

    pub fn generate() -> Self {
        Self(random_text(Self::LENGTH).to_string())
    }

    /// Takes what the database holds.
    pub fn from_stored(id: String) -> Self {
        Self(id)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One sign-in that has not been ended.
#[derive(Debug, Clone)]
pub struct Session {
    pub id: SessionId,
    pub user_id: UserId,
    pub created_at: Timestamp,
    /// The last use that has been recorded; the true one may be a little later.
    pub last_used_at: Timestamp,
    /// The absolute end, whatever the use.
    pub expires_at: Timestamp,
}

/// A session that is about to be stored.
#[derive(Debug)]
pub struct NewSession {
    pub id: SessionId,
    pub token_hash: TokenHash,
    pub user_id: UserId,
    pub expires_at: Timestamp,
    pub user_agent: Option<String>,
}

/// A session together with whose it is, as one look-up finds them.
#[derive(Debug, Clone)]
pub struct SignedIn {
    pub user: User,
    pub session: Session,
}

/// How long sessions last and how many an account may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionLimits {
    /// A session that is not used for this long ends.
    pub idle_timeout: Duration,
    /// A session ends this long after its sign-in, whatever the use.
    pub lifetime: Duration,
    /// Beyond this, an account's oldest session goes.
    pub max_per_user: u32,
}

impl Default for SessionLimits {
    fn default() -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Self { idle_timeout: 7 * DAY, lifetime: 30 * DAY, max_per_user: 100 }
    }
}

impl SessionLimits {
    /// How long after their end the rows of sessions stay, so that a clock that jumps destroys nothing.
    pub const KEPT_AFTER_END: Duration = Duration::from_hours(7 * 24);

    /// Whether a session that was last used at `last_used_at` can still be used.
    pub fn is_alive(&self, session: &Session, last_used_at: Timestamp, now: Timestamp) -> bool {
        now < session.expires_at && now.since(last_used_at) < self.idle_timeout
    }

    /// Whether the stored time of last use is old enough to be worth a write: a minute, or a tenth of the idle timeout.
    pub fn is_worth_recording(&self, session: &Session, now: Timestamp) -> bool {
        now.since(session.last_used_at) > (self.idle_timeout / 10).min(Duration::from_mins(1))
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
