//! The open connections, and their limits.

use super::{
    connection::{Connection, Phase},
    in_flight::InFlight,
    proxies::Proxies,
};
use crate::domain::{ClientPrefix, Network};
use std::{
    collections::{HashMap, hash_map::Entry::Occupied},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// How many connections may be open.
pub struct Limits {
    pub all: usize,
    /// For one network, unless it is a trusted proxy, which carries many clients.
    pub per_network: usize,
    pub proxies: Proxies,
}

impl Limits {
    /// With a limit for each network: a quarter of all.
    pub fn shared(all: usize, proxies: Proxies) -> Self {
        Self { all, per_network: all.div_ceil(4), proxies }
    }

    /// Without limits for networks.
    pub fn unshared(all: usize) -> Self {
        Self { all, per_network: all, proxies: Proxies::new(Vec::new()) }
    }
}

/// All open connections.
pub(super) struct Open {
    limits: Limits,
    last: AtomicU64,
    table: Mutex<Table>,
    in_flight: Arc<InFlight>,
}

#[derive(Default)]
struct Table {
    by_number: HashMap<u64, Arc<Connection>>,
    of_network: HashMap<Network, usize>,
}

impl Open {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, last: AtomicU64::new(0), table: Mutex::default(), in_flight: Arc::default() }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection. If its network has its share, the quietest connection of that network is closed; if there are
    /// too many in all, the quietest of all.
    pub(super) fn add(self: &Arc<Self>, peer: IpAddr) -> Entry {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let network = Some(ClientPrefix::of(peer).network()).filter(|_| !self.limits.proxies.trusts(peer));
        let connection = Arc::new(Connection::new(peer, network, self.in_flight.clone()));
        let mut table = self.table();
        if let Some(network) = network.filter(|network| table.count(*network) >= self.limits.per_network) {
            table.close_quietest(|connection| connection.network == Some(network));
        } else if table.by_number.len() >= self.limits.all {
            table.close_quietest(|_| true);
        }
        table.insert(number, connection.clone());
        drop(table);
        Entry { open: self.clone(), number, connection }
    }

    pub(super) fn close_quietest(&self) {
        self.table().close_quietest(|_| true);
    }
}

impl Table {
    fn count(&self, network: Network) -> usize {
        self.of_network.get(&network).copied().unwrap_or(0)
    }

    fn insert(&mut self, number: u64, connection: Arc<Connection>) {
        if let Some(network) = connection.network {
            *self.of_network.entry(network).or_default() += 1;
        }
        self.by_number.insert(number, connection);
    }

    fn remove(&mut self, number: u64) -> Option<Arc<Connection>> {
        let connection = self.by_number.remove(&number)?;
        if let Some(Occupied(mut count)) = connection.network.map(|network| self.of_network.entry(network)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        Some(connection)
    }

    /// Closes the quietest connection among those that match.
    fn close_quietest(&mut self, is_one: impl Fn(&Connection) -> bool) {
        // Clients that wait for an answer are closed last, so that others can't displace them by merely opening
        // connections. Those that have ended, but are still in the table, come first.
        let rank = |connection: &Connection| {
            let (is_open, is_answering) = (!connection.is_in(Phase::Closed), connection.is_in(Phase::Answering));
            (is_open, is_answering, connection.quiet_since())
        };
        let some = self.by_number.iter().filter(|(_, connection)| is_one(connection));
        let quietest = some.min_by_key(|(_, connection)| rank(connection)).map(|(number, _)| *number);
        if let Some(connection) = quietest.and_then(|number| self.remove(number)) {
            connection.close();
        }
    }
}

/// The entry of an open connection, removed when dropped.
pub(super) struct Entry {
    open: Arc<Open>,
    number: u64,
    pub(super) connection: Arc<Connection>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.open.table().remove(self.number);
        self.connection.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn one_that_has_ended_makes_room_before_one_that_is_open_and_one_that_is_answered_last() {
        let open = Arc::new(Open::new(Limits::unshared(3)));
        let mut entries: Vec<Entry> = (0..3).map(|_| open.add(IpAddr::V4(Ipv4Addr::LOCALHOST))).collect();
        entries[0].connection.has_complete_request();
        entries[2].connection.enter(Phase::Closed);
        let is_there = |entry: &Entry| open.table().by_number.contains_key(&entry.number);
        entries.push(open.add(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert_eq!(entries.iter().map(is_there).collect::<Vec<_>>(), [true, true, false, true]);
        entries[3].connection.has_complete_request();
        entries.push(open.add(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert_eq!(entries.iter().map(is_there).collect::<Vec<_>>(), [true, false, false, true, true]);
    }
}
