//! The database: what survives kills, damage, full disks, long readers and migrations.

#[path = "../support/mod.rs"]
mod support;

mod backup;
mod damage;
mod files;
#[cfg(feature = "system-tests")]
mod kills;
mod long_readers;
mod upgrade;
mod writes;
