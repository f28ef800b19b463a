//! What a hash costs, whose form it has, and why one can't be verified.

use password_hash::phc;
use std::fmt;

/// What a new hash costs. The defaults are OWASP's (Password Storage Cheat Sheet, Argon2id).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// In KiB.
    pub memory: u32,
    pub iterations: u32,
    /// Lanes. They are computed one after the other.
    pub parallelism: u32,
}

impl Cost {
    /// The most that a setting may ask for: everyone who waits pays for what is hashed.
    pub const MAX: Cost = Cost { memory: 65_536, iterations: 10, parallelism: 4 };
    /// The most that a stored hash may ask for, which leaves room for those of Django (100 MiB, 8 lanes). Beyond `MAX` it
    /// is a slow one.
    pub const MAX_STORED: Cost = Cost { memory: 131_072, iterations: 10, parallelism: 8 };
    pub const DEFAULT: Cost = Cost { memory: 19_456, iterations: 2, parallelism: 1 };

    pub(super) fn is_within(self, most: Cost) -> bool {
        self.memory <= most.memory && self.iterations <= most.iterations && self.parallelism <= most.parallelism
    }
}

/// What computes a stored hash, and whose form that has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheme {
    pub algorithm: &'static str,
    /// The library whose form this is; `None` for one that many share.
    pub library: Option<&'static str>,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.algorithm)?;
        self.library.map_or(Ok(()), |library| write!(f, " ({library})"))
    }
}

/// Why a stored hash can't be verified. The text goes after the name of the field; it repeats nothing of the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unverifiable {
    #[error("is not a hash in a known form")]
    Unknown,
    #[error("begins like a hash that is known here, and is cut off, damaged or of a variant that is not")]
    Damaged,
    #[error("asks for more than {0}")]
    TooExpensive(&'static str),
}

/// Compares hashes in constant time. `None` where one has a length that no hash has.
pub(super) fn same(one: &[u8], other: &[u8]) -> Option<bool> {
    Some(phc::Output::new(one).ok()? == phc::Output::new(other).ok()?)
}
