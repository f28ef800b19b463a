//! Costs and schemes of hashes, and why a hash can't be verified.

use password_hash::phc;
use std::fmt;

/// The cost of a new hash. The defaults are those of OWASP (Password Storage Cheat Sheet, Argon2id).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// In KiB.
    pub memory: u32,
    pub iterations: u32,
    /// Lanes. They are computed one after another.
    pub parallelism: u32,
}

impl Cost {
    /// The maximum of the settings: every waiting caller pays for it.
    pub const MAX: Cost = Cost { memory: 65_536, iterations: 10, parallelism: 4 };
    /// The maximum of a stored hash, which allows those of Django (100 MiB, 8 lanes). Hashes beyond `MAX` are slow
    /// ones.
    pub const MAX_STORED: Cost = Cost { memory: 131_072, iterations: 10, parallelism: 8 };
    pub const DEFAULT: Cost = Cost { memory: 19_456, iterations: 2, parallelism: 1 };

    pub(super) fn is_within(self, most: Cost) -> bool {
        self.memory <= most.memory && self.iterations <= most.iterations && self.parallelism <= most.parallelism
    }
}

/// The algorithm and the format of a stored hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheme {
    pub algorithm: &'static str,
    /// The library whose format it is; `None` for a format that many share.
    pub library: Option<&'static str>,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.algorithm)?;
        self.library.map_or(Ok(()), |library| write!(f, " ({library})"))
    }
}

/// Why a stored hash can't be verified. The text follows the name of the field, and repeats nothing of the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unverifiable {
    #[error("is not a hash in a known format")]
    Unknown,
    #[error("looks like a known hash, but is truncated, damaged or of an unsupported variant")]
    Damaged,
    #[error("costs more than is allowed: at most {0}")]
    TooExpensive(&'static str),
}

/// Compares hashes in constant time. `None` if one has a length that no hash can have.
pub(super) fn same(one: &[u8], other: &[u8]) -> Option<bool> {
    Some(phc::Output::new(one).ok()? == phc::Output::new(other).ok()?)
}
