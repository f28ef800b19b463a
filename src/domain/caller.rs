//! The caller: a value that every use case and every write receives.

use super::{SignedIn, User, UserId};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

/// The party on whose behalf something is done.
#[derive(Debug, Clone)]
pub enum Actor {
    /// A caller without a token.
    Anonymous,
    /// A user with a valid session. The account is as it was when the request came; a write reads it again.
    SignedIn(Arc<SignedIn>),
    /// A native client that shows an app token of this account to an app behind a proxy. It can do nothing else.
    AppToken(Arc<User>),
    /// The command line (anyone who can open the database file), or the service itself.
    Shell,
}

/// The warning about an undeclared proxy on this machine that sends `X-Forwarded-For`. `PROXY` stands for its IP address.
pub const UNDECLARED_PROXY: &str = "a proxy on this machine (PROXY) sends X-Forwarded-For but is not declared, so the IP addresses of its clients are unknown: all clients share one budget against guessing, each of them can lock an owner out of an account, and the log and the sessions don't show IP addresses; start 'usher serve' with --trusted-proxy PROXY";

/// Where a request comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Client {
    /// `None` if it is not known: behind an undeclared proxy, or on the command line.
    pub ip: Option<IpAddr>,
}

impl Client {
    /// The unit by which guesses are counted.
    pub fn prefix(self) -> Option<ClientPrefix> {
        self.ip.map(ClientPrefix::of)
    }

    pub fn network(self) -> Option<Network> {
        self.prefix().map(ClientPrefix::network)
    }
}

/// The IP addresses that count as one client: a single IPv4 address, or an IPv6 /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientPrefix(IpAddr);

impl ClientPrefix {
    pub fn of(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(first_bits(address, 64)),
            address @ IpAddr::V4(_) => address,
        })
    }

    /// The first of the IP addresses.
    pub fn first(self) -> IpAddr {
        self.0
    }

    pub fn network(self) -> Network {
        Network(match self.0 {
            IpAddr::V6(address) => IpAddr::V6(first_bits(address, 48)),
            IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & !(u32::MAX >> 24))),
        })
    }
}

/// The IP addresses that often belong to one household, company or hosting customer: an IPv4 /24 or an IPv6 /48.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl Network {
    pub fn is_ipv6(self) -> bool {
        self.0.is_ipv6()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn first_bits(address: Ipv6Addr, bits: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() & !(u128::MAX >> bits))
}

impl fmt::Display for ClientPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who asks, from where, and in which request.
#[derive(Debug, Clone)]
pub struct Caller {
    pub actor: Actor,
    pub client: Client,
    pub request_id: Option<Arc<str>>,
}

impl Caller {
    /// The command line, and the service's own maintenance.
    pub fn shell() -> Self {
        Self { actor: Actor::Shell, client: Client::default(), request_id: None }
    }

    /// The same without their session: as anybody else at the same place.
    #[must_use]
    pub fn without_session(&self) -> Self {
        Self { actor: Actor::Anonymous, ..self.clone() }
    }

    pub fn user_id(&self) -> Option<UserId> {
        self.user().map(|user| user.id)
    }

    /// The account on whose behalf something is done.
    pub fn user(&self) -> Option<&User> {
        match &self.actor {
            Actor::SignedIn(signed_in) => Some(&signed_in.user),
            Actor::AppToken(owner) => Some(owner),
            Actor::Anonymous | Actor::Shell => None,
        }
    }

    pub fn signed_in(&self) -> Option<&SignedIn> {
        match &self.actor {
            Actor::SignedIn(signed_in) => Some(signed_in),
            Actor::Anonymous | Actor::AppToken(_) | Actor::Shell => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_prefix_is_an_ipv4_address_or_half_of_an_ipv6_one() {
        let of = |ip: &str| ClientPrefix::of(ip.parse().unwrap());
        assert_eq!(of("203.0.113.7").to_string(), "203.0.113.7");
        assert_eq!(of("::ffff:203.0.113.7"), of("203.0.113.7"));
        assert_eq!(of("2001:db8:1:2:3:4:5:6").to_string(), "2001:db8:1:2::");
    }

    #[test]
    fn a_network_is_24_bits_of_ipv4_or_48_of_ipv6() {
        let of = |ip: &str| Client { ip: Some(ip.parse().unwrap()) }.network().unwrap();
        assert_eq!(of("2001:db8:1:2:3:4:5:6").to_string(), "2001:db8:1::");
        assert_eq!(of("203.0.113.7").to_string(), "203.0.113.0");
        assert_eq!(of("::ffff:203.0.113.250"), of("203.0.113.7"));
        assert_ne!(of("203.0.112.7"), of("203.0.113.7"));
        assert_eq!(Client::default().network(), None);
    }
}
