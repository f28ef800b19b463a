//! Stored hashes, in all supported formats.

use super::{
    argon,
    foreign::Foreign,
    scheme::{Scheme, Unverifiable},
};
use crate::domain::PasswordHash;

/// Identifies a hash, and checks that it can be verified at an allowed cost.
pub fn recognize(hash: &PasswordHash) -> Result<Scheme, Unverifiable> {
    Stored::parse(hash).map(|stored| stored.scheme())
}

/// Whether another service stored "no password" for the account: nothing, or text that begins with `!`, as Django
/// writes. No hash begins like that.
pub fn is_unusable(hash: &PasswordHash) -> bool {
    hash.as_str().is_empty() || hash.as_str().starts_with('!')
}

/// A stored hash that can be verified.
pub(super) enum Stored {
    Argon2 { hash: argon::Stored, library: Option<&'static str> },
    Foreign(Foreign),
}

impl Stored {
    pub(super) fn parse(hash: &PasswordHash) -> Result<Self, Unverifiable> {
        let text = hash.as_str();
        // Django puts its own name before the PHC string.
        let (argon2, library) =
            text.strip_prefix("argon2$argon2").map_or((text, None), |_| (&text["argon2".len()..], Some("Django")));
        if argon2.starts_with("$argon2") {
            return argon::Stored::parse(argon2).map(|hash| Self::Argon2 { hash, library });
        }
        Foreign::parse(text).map(Self::Foreign)
    }

    fn scheme(&self) -> Scheme {
        match self {
            Self::Argon2 { hash, library } => Scheme { library: *library, ..hash.scheme() },
            Self::Foreign(foreign) => foreign.scheme(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hashing::Cost;
    use proptest::prelude::*;

    #[test]
    fn a_stored_hash_may_cost_more_than_a_new_one_and_then_is_a_slow_one() {
        let stored = |cost: Cost| {
            let Cost { memory: m, iterations: t, parallelism: p } = cost;
            argon::Stored::parse(&format!("$argon2id$v=19$m={m},t={t},p={p}$c2FsdHNhbHRzYWx0$MTIzNDU2Nzg5MDEyMzQ1Ng"))
        };
        let (most, with) = (Cost::MAX, |memory, iterations, parallelism| Cost { memory, iterations, parallelism });
        assert!(most.is_valid() && stored(most).is_ok_and(|hash| !hash.is_far_more_expensive_than(most)));
        for beyond in [with(65_537, 1, 1), with(64, 1, 5), Cost::MAX_STORED] {
            assert!(!beyond.is_valid(), "{beyond:?}");
            assert!(stored(beyond).is_ok_and(|hash| hash.is_far_more_expensive_than(most)), "{beyond:?}");
        }
        for refused in [with(131_073, 1, 1), with(64, 11, 1), with(128, 1, 9)] {
            assert!(matches!(stored(refused), Err(Unverifiable::TooExpensive(_))), "{refused:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_recognizing_panic(text in "(argon2)?\\$argon2(id|i|d)?(\\$v=[0-9]{2})?\\$(m=[0-9]{1,11},t=[0-9]{1,11},p=[0-9]{1,11}|[a-z=,0-9]{0,30})(\\$[A-Za-z0-9+/]{0,90}){0,3}|\\PC{0,99}") {
            if let Ok(Stored::Argon2 { hash, .. }) = Stored::parse(&PasswordHash::from_text(text)) {
                prop_assert!(hash.cost().is_within(Cost::MAX_STORED));
            }
        }
    }
}
