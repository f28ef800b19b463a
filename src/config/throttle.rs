//! Whether guessing is slowed down.

use clap::{Args, ValueEnum};

/// Whether something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

/// Whether guessing is slowed down.
#[derive(Debug, Clone, Copy, Args)]
pub struct ThrottleSettings {
    /// Limit guessing. Too many failed sign-ins (by IP address and by account), registrations or password resets (by IP
    /// address), or changes of one's own account are answered with 429. Turn it off for measurements only
    #[arg(long, env = "USHER_THROTTLE", value_enum, value_name = "ON|OFF", default_value_t = Switch::On)]
    pub throttle: Switch,
}

impl ThrottleSettings {
    pub fn is_on(self) -> bool {
        self.throttle == Switch::On
    }
}
