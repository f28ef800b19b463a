//! The keys of budgets: keyed hashes, which reveal nothing about their owners.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The key of a budget: part of a keyed hash of its owner.
pub(super) type Key = [u8; 16];

/// The account that an e-mail address belongs to, whether or not there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::app) struct AccountKey(pub(super) Key);

impl AccountKey {
    /// Accepts any text, without regard to case.
    pub fn of(secret: &[u8], email: &str) -> Self {
        Self(keyed_hash(secret, "account", &[email.to_ascii_lowercase().as_bytes()]))
    }

    /// The accounts that are unlocked together with this one. There are few groups, so few rows, and most hold one
    /// account.
    pub fn unlock_group(self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }

    /// Position on the ring of accounts. If this account does not exist, the hash of the account there is verified.
    /// Nobody outside can compute these 31 bits, and the group uses others.
    pub fn place(self) -> u32 {
        u32::from_be_bytes([self.0[2], self.0[3], self.0[4], self.0[5]]) >> 1
    }
}

/// A keyed hash, so that stored keys reveal nothing about their owners. Each part is preceded by its length.
pub(super) fn keyed_hash(secret: &[u8], kind: &str, parts: &[&[u8]]) -> Key {
    let mut hash = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    for part in [kind.as_bytes()].iter().chain(parts) {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut key = Key::default();
    key.copy_from_slice(&hash.finalize().into_bytes()[..size_of::<Key>()]);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_stand_all_over_a_ring_of_31_bits() {
        let places: Vec<u32> =
            (0..256).map(|n| AccountKey::of(b"secret", &format!("{n}@example.com")).place()).collect();
        let mut eighths = places.iter().map(|place| place >> 28).collect::<Vec<_>>();
        eighths.sort_unstable();
        eighths.dedup();
        assert_eq!(eighths, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert!(places.iter().any(|place| place % 2 == 1), "the last bit is one of the key's");
    }
}
