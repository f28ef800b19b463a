//! What a password hash costs, and how many are computed at a time.

use super::{Unusable, unusable, values::number};
use crate::hashing::Cost;
use clap::Args;

/// What a password hash costs, in memory and time, for this server and for somebody who has stolen the file.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Password hashing (Argon2id)")]
pub struct CostSettings {
    /// KiB of memory for one hash: at least 8 for each lane (--argon2-parallelism), at most 65536. A change takes effect at the
    /// next sign-in of each account
    #[arg(long, env = "USHER_ARGON2_MEMORY", value_name = "KIB", default_value_t = Cost::DEFAULT.memory, value_parser = number(8..=Cost::MAX.memory))]
    pub argon2_memory: u32,

    /// Passes over that memory, from 1 to 10
    #[arg(long, env = "USHER_ARGON2_ITERATIONS", value_name = "PASSES", default_value_t = Cost::DEFAULT.iterations, value_parser = number(1..=Cost::MAX.iterations))]
    pub argon2_iterations: u32,

    /// Lanes, from 1 to 4; they are computed one after the other
    #[arg(long, env = "USHER_ARGON2_PARALLELISM", value_name = "LANES", default_value_t = Cost::DEFAULT.parallelism, value_parser = number(1..=Cost::MAX.parallelism))]
    pub argon2_parallelism: u32,
}

/// How many hashes are computed at a time, and how many wait.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Password hashing (Argon2id)")]
pub struct HashingSettings {
    #[command(flatten)]
    pub cost: CostSettings,

    /// The number of passwords hashed at the same time, each in --argon2-memory. The default is the number of processors
    #[arg(long, env = "USHER_HASH_THREADS", value_name = "COUNT", value_parser = number(1..=256_u16))]
    pub hash_threads: Option<u16>,

    /// The number of hashes that may wait. Above this number, sign-ins, registrations and new passwords are answered with 503 at
    /// once. Networks (IPv4 /24, IPv6 /48) take turns. Each may use a quarter of the places, including those of --hash-threads.
    /// All clients behind a proxy that is not in --trusted-proxy count as one network
    #[arg(long, env = "USHER_HASH_QUEUE", value_name = "COUNT", default_value_t = 128, value_parser = number(1..=u16::MAX))]
    pub hash_queue: u16,
}

impl CostSettings {
    pub fn cost(self) -> Result<Cost, Unusable> {
        let cost = Cost {
            memory: self.argon2_memory,
            iterations: self.argon2_iterations,
            parallelism: self.argon2_parallelism,
        };
        // The parsers have checked each number alone.
        cost.is_valid().then_some(cost).ok_or_else(|| {
            unusable(format!(
                "--argon2-memory {} is too little for --argon2-parallelism {}: it must be at least {} (8 KiB for each lane)",
                cost.memory,
                cost.parallelism,
                8 * cost.parallelism
            ))
        })
    }
}
