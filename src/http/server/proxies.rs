//! The peers that speak for many clients.

use ipnet::IpNet;
use std::net::IpAddr;

/// The proxies whose headers are believed.
#[derive(Debug)]
pub struct Proxies {
    trusted: Vec<IpNet>,
}

impl Proxies {
    pub fn new(trusted: Vec<IpNet>) -> Self {
        Self { trusted }
    }

    pub fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.trusted.iter().any(|network| network.contains(&ip))
    }
}
