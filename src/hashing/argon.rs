//! Argon2 (RFC 9106), with memory that is reused between hashes, and its PHC strings.

use super::scheme::{Cost, Scheme, Unverifiable, same};
use crate::domain::{Error, Password, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use password_hash::phc;
use rand::{TryRng, rngs::SysRng};

/// Bytes of a new hash and of its salt (RFC 9106, section 4).
const OUTPUT: usize = 32;
const SALT: usize = 16;

/// The minimum allocation. glibc maps blocks above 32 MiB separately, and unmaps them when they are freed; it may keep
/// smaller ones for good. Untouched memory costs nothing.
const MAPPED_BLOCKS: usize = 33 * 1024 * 1024 / Block::SIZE;

impl Cost {
    /// Whether new hashes can have this cost: at least 8 KiB for each lane, one pass, one lane, and no more than `MAX`.
    pub fn is_valid(self) -> bool {
        self.is_within(Self::MAX) && self.params(OUTPUT).is_some()
    }

    /// `None` for a cost that Argon2 does not support, or that exceeds `MAX_STORED`.
    pub(super) fn params(self, output: usize) -> Option<Params> {
        let params = Params::new(self.memory, self.iterations, self.parallelism, Some(output)).ok();
        params.filter(|_| self.is_within(Self::MAX_STORED))
    }
}

/// The memory of one thread.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl Memory {
    pub(super) fn release(&mut self) {
        self.0 = Vec::new();
    }

    /// Hashes a new password with a fresh salt.
    pub(super) fn hash(&mut self, password: &Password, cost: Cost) -> Result<PasswordHash, Error> {
        let failed = || Error::Internal("a password could not be hashed".into());
        let mut salt = [0u8; SALT];
        SysRng.try_fill_bytes(&mut salt).map_err(|_| failed())?;
        let mut stored = Stored::new(cost, &salt, vec![0; OUTPUT]);
        stored.output = self.compute(password, &stored).ok_or_else(failed)?;
        stored.to_phc().ok_or_else(failed)
    }

    /// `None` if the hash can't be verified.
    pub(super) fn verify(&mut self, password: &Password, stored: &Stored) -> Option<bool> {
        let output = self.compute(password, stored)?;
        same(&output, &stored.output)
    }

    /// Hashes a password with the parameters and the salt of a stored hash.
    fn compute(&mut self, password: &Password, stored: &Stored) -> Option<Vec<u8>> {
        let mut output = vec![0u8; stored.output.len()];
        let params = stored.cost.params(output.len())?;
        let blocks = params.block_count();
        if self.0.capacity() < blocks {
            self.0 = Vec::with_capacity(blocks.max(MAPPED_BLOCKS));
        }
        if self.0.len() < blocks {
            self.0.resize(blocks, Block::default());
        }
        Argon2::new(stored.variant, stored.version, params)
            .hash_password_into_with_memory(
                password.as_str().as_bytes(),
                &stored.salt,
                &mut output,
                &mut self.0[..blocks],
            )
            .ok()?;
        Some(output)
    }
}

/// A parsed PHC string of Argon2.
pub(super) struct Stored {
    variant: Algorithm,
    version: Version,
    cost: Cost,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Stored {
    fn new(cost: Cost, salt: &[u8], output: Vec<u8>) -> Self {
        Self { variant: Algorithm::Argon2id, version: Version::V0x13, cost, salt: salt.to_vec(), output }
    }

    /// Reads a string that begins with `$argon2`.
    pub(super) fn parse(text: &str) -> Result<Self, Unverifiable> {
        let damaged = || Unverifiable::Damaged;
        let parsed = phc::PasswordHash::new(text).map_err(|_| damaged())?;
        let variant = Algorithm::new(parsed.algorithm.as_str()).map_err(|_| damaged())?;
        let version = match parsed.version {
            None | Some(0x10) => Version::V0x10,
            Some(0x13) => Version::V0x13,
            Some(_) => return Err(damaged()),
        };
        // A key or associated data (`keyid`, `data`) is not supported.
        if parsed.params.iter().any(|(name, _)| !["m", "t", "p"].contains(&name.as_str())) {
            return Err(damaged());
        }
        let param = |name: &str| parsed.params.get_decimal(name).ok_or_else(damaged);
        let cost = Cost { memory: param("m")?, iterations: param("t")?, parallelism: param("p")? };
        if !cost.is_within(Cost::MAX_STORED) {
            return Err(Unverifiable::TooExpensive("128 MiB of memory, 10 passes and 8 lanes for Argon2"));
        }
        let (salt, output) = parsed.salt.zip(parsed.hash).ok_or_else(damaged)?;
        cost.params(output.as_bytes().len()).ok_or_else(damaged)?;
        Ok(Self { variant, version, cost, salt: salt.as_ref().to_vec(), output: output.as_bytes().to_vec() })
    }

    pub(super) fn scheme(&self) -> Scheme {
        Scheme { algorithm: self.variant.as_str(), library: None }
    }

    #[cfg(test)]
    pub(super) fn cost(&self) -> Cost {
        self.cost
    }

    /// Whether it is like a new hash at this cost.
    pub(super) fn is_current_at(&self, cost: Cost) -> bool {
        let kind = (self.variant, self.version, self.output.len());
        kind == (Algorithm::Argon2id, Version::V0x13, OUTPUT) && self.cost == cost
    }

    /// Whether it takes several times as long as a hash at this cost, so that it would delay others, or exceeds the
    /// cost of any new hash.
    pub(super) fn is_far_more_expensive_than(&self, cost: Cost) -> bool {
        let work = |cost: Cost| u64::from(cost.memory) * u64::from(cost.iterations);
        work(self.cost) > 4 * work(cost) || !self.cost.is_within(Cost::MAX)
    }

    fn to_phc(&self) -> Option<PasswordHash> {
        let mut params = phc::ParamsString::new();
        let Cost { memory, iterations, parallelism } = self.cost;
        for (name, value) in [("m", memory), ("t", iterations), ("p", parallelism)] {
            params.add_decimal(name, value).ok()?;
        }
        let hash = phc::PasswordHash {
            algorithm: phc::Ident::new(self.variant.as_str()).ok()?,
            version: Some(self.version.into()),
            params,
            salt: Some(phc::Salt::new(&self.salt).ok()?),
            hash: Some(phc::Output::new(&self.output).ok()?),
        };
        Some(PasswordHash::from_text(hash.to_string()))
    }
}

/// A random hash that matches no password, as far as anybody knows: finding one would mean inverting Argon2id.
pub(super) fn decoy(cost: Cost) -> PasswordHash {
    let mut drawn = [0u8; SALT + OUTPUT];
    SysRng.try_fill_bytes(&mut drawn).expect("the operating system's random generator answers");
    let (salt, output) = drawn.split_at(SALT);
    let stored = Stored::new(cost, salt, output.to_vec());
    stored.to_phc().expect("salt, output and parameters have the lengths of the format")
}
