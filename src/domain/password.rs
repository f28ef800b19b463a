//! Passwords, their stored hashes, and which passwords are refused.

use std::{
    borrow::Cow,
    collections::HashSet,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};
use zeroize::Zeroizing;

/// A password: a new one that has met the policy (`PasswordPolicy::accept`), or one that somebody claims to know
/// (`attempt`). Wiped from memory when dropped, and never shown.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// In Unicode code points. Longer ones are refused before anything is hashed.
    pub const MAX_LENGTH: usize = 256;
    /// Any character except NUL, which C libraries take for the end of a text.
    pub const PATTERN: &str = r"^[^\u0000]*$";
    /// The smallest `--password-min-length` (OWASP ASVS 5.0, 6.2.1; NIST SP 800-63B-4, 3.1.1.2).
    pub const MIN_LENGTH: usize = 8;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A password that somebody tries. `None` if no account can have it: it is too long, or contains a NUL. The policy is
    /// not applied, because it may have changed since the password was set.
    pub fn attempt(text: &str) -> Option<Self> {
        let possible = text.chars().nth(Self::MAX_LENGTH).is_none() && !text.contains('\0');
        possible.then(|| Self(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A stored password hash: algorithm, parameters, salt and hash in one text. It is a PHC string. The hash of an imported
/// account has the form of the other service until the next sign-in.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes the text as it is. Whether it can be verified is found out at the next sign-in.
    pub fn from_text(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// Passwords that too many people have.
#[derive(Debug, Clone)]
pub enum Blocklist {
    /// The words in `common-passwords.txt`: those of Django's list that are long enough to be a password.
    /// Source and licence stand beside it, in `common-passwords.LICENSE`.
    Bundled,
    /// An operator's own words, in lower case. Clones share them.
    Custom(Arc<RwLock<HashSet<String>>>),
}

/// Lower case, one word a line, sorted by bytes, so that it is searched where it lies.
const BUNDLED: &str = include_str!("common-passwords.txt");

impl Blocklist {
    /// One word per line. Empty lines are ignored.
    pub fn parse(text: &str) -> Self {
        let words = text.lines().filter(|line| !line.is_empty()).map(str::to_lowercase).collect();
        Self::Custom(Arc::new(RwLock::new(words)))
    }

    /// Whether the password is on the list, without regard to case.
    pub fn contains(&self, password: &str) -> bool {
        let folded = Zeroizing::new(password.to_lowercase());
        match self {
            Self::Bundled => is_line_of(BUNDLED, &folded),
            Self::Custom(words) => words.read().unwrap_or_else(PoisonError::into_inner).contains(folded.as_str()),
        }
    }

    /// Replaces the words by those of another list, also in all clones. The bundled list does not change.
    pub fn replace_words(&self, other: &Self) {
        if let (Self::Custom(words), Self::Custom(others)) = (self, other) {
            let others = others.read().unwrap_or_else(PoisonError::into_inner).clone();
            *words.write().unwrap_or_else(PoisonError::into_inner) = others;
        }
    }
}

/// Binary search over sorted lines: each step looks at the line around the middle byte.
fn is_line_of(lines: &str, wanted: &str) -> bool {
    let (lines, wanted) = (lines.as_bytes(), wanted.as_bytes());
    let (mut low, mut high) = (0, lines.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = lines[low..middle].iter().rposition(|&b| b == b'\n').map_or(low, |at| low + at + 1);
        let end = lines[middle..].iter().position(|&b| b == b'\n').map_or(lines.len(), |at| middle + at);
        match lines[start..end].cmp(wanted) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    false
}

/// Which new passwords are accepted. There are no composition rules (NIST SP 800-63B-4, 3.1.1.2).
#[derive(Debug, Clone)]
pub struct PasswordPolicy {
    /// In Unicode code points.
    pub min_length: usize,
    /// `None` accepts common passwords, and an account's own username or e-mail address.
    pub blocklist: Option<Blocklist>,
}

impl PasswordPolicy {
    /// Checks a new password. `names` are the username and e-mail address that the account has or will have.
    pub fn accept(&self, text: &str, names: &[&str]) -> Result<Password, Cow<'static, str>> {
        let length = text.chars().count();
        if length < self.min_length {
            return Err(format!("must have at least {} characters", self.min_length).into());
        }
        if length > Password::MAX_LENGTH {
            return Err(format!("must have at most {} characters", Password::MAX_LENGTH).into());
        }
        if text.contains('\0') {
            return Err("must not contain the character NUL".into());
        }
        let is_a_name = names.iter().any(|name| name.eq_ignore_ascii_case(text));
        if self.blocklist.is_some() && is_a_name {
            return Err("must not be the account's username or e-mail address".into());
        }
        if self.blocklist.as_ref().is_some_and(|list| list.contains(text)) {
            return Err("is on a list of common passwords; choose another".into());
        }
        Ok(Password(Zeroizing::new(text.to_owned())))
    }
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self { min_length: Password::MIN_LENGTH, blocklist: Some(Blocklist::Bundled) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bundled_list_is_sorted_lower_case_and_long_enough() {
        let words: Vec<&str> = BUNDLED.lines().collect();
        assert!(words.len() >= 3_000);
        assert!(words.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(words.iter().all(|word| word.to_lowercase() == *word && word.chars().count() >= Password::MIN_LENGTH));
        assert!(words.iter().all(|word| Blocklist::Bundled.contains(word)));
    }

    #[test]
    fn a_common_password_is_refused_in_any_case() {
        let policy = PasswordPolicy::default();
        for common in ["password", "PassWord", "12345678", "iloveyou"] {
            assert!(policy.accept(common, &[]).is_err(), "{common}");
        }
        assert!(policy.accept("correct horse", &[]).is_ok());
        let lax = PasswordPolicy { blocklist: None, ..policy };
        assert!(lax.accept("password", &["password"]).is_ok());
    }

    #[test]
    fn a_password_is_not_the_accounts_own_name_or_address() {
        let policy = PasswordPolicy::default();
        assert!(policy.accept("Ada.Lovelace", &["ada.lovelace", "ada@example.com"]).is_err());
        assert!(policy.accept("ADA@example.com", &["ada.lovelace", "ada@example.com"]).is_err());
        assert!(policy.accept("ada.lovelace!", &["ada.lovelace", "ada@example.com"]).is_ok());
    }

    #[test]
    fn length_counts_code_points_and_nothing_is_trimmed() {
        let policy = PasswordPolicy::default();
        assert!(policy.accept("ééééééé", &[]).is_err(), "seven characters in fourteen bytes");
        assert!(policy.accept("éééééééé", &[]).is_ok());
        assert_eq!(policy.accept("  spaces  ", &[]).unwrap().as_str(), "  spaces  ");
        assert!(policy.accept(&"é".repeat(256), &[]).is_ok());
        assert!(policy.accept(&"é".repeat(257), &[]).is_err());
        assert!(policy.accept("nul\0inside", &[]).is_err());
        assert!(policy.accept("tab\tand\nline", &[]).is_ok());
        assert!(Password::attempt(&"é".repeat(256)).is_some());
        assert!(Password::attempt(&"é".repeat(257)).is_none());
    }

    #[test]
    fn an_own_list_replaces_the_bundled_one() {
        let list = Blocklist::parse("Swordfish1\r\n\nhunter2hunter2");
        assert!(list.contains("sWORDFISH1") && list.contains("hunter2hunter2"));
        assert!(!list.contains("password") && !list.contains(""));
    }

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(format!("{:?}", Password::attempt("correct horse").unwrap()), "Password(…)");
        assert_eq!(format!("{:?}", PasswordHash::from_text("$argon2id$x".into())), "PasswordHash(…)");
    }

    proptest! {
        #[test]
        fn searching_lines_agrees_with_reading_them(mut words in prop::collection::btree_set("[a-c]{1,4}", 0..20), wanted in "[a-c]{0,4}") {
            let text: String = words.iter().flat_map(|word| [word.as_str(), "\n"]).collect();
            prop_assert_eq!(is_line_of(&text, &wanted), words.remove(&wanted));
        }
    }
}
