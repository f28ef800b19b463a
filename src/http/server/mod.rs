//! Sockets, and the deadlines of those on the other side. Knows no route, and nobody above.

mod connection;
mod in_flight;
mod proxies;

pub use connection::{Connection, Limits, serve};
pub use proxies::Proxies;
