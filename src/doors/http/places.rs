//! Places for connections: as many as there are open files for them, and of one address no more than its share
//! (reliability.md C10, O4).

use super::forwarded::contains;
use crate::core::origins::Origin;
use crate::core::slack::Slack;
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// The places of a port, which all that listen for it share; or those in memory, of a KiB each.
#[derive(Debug, Clone)]
pub struct Places(Arc<Semaphore>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Place {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Place {
    /// The place of one that needs none.
    pub fn none() -> Place {
        Place { _permit: None }
    }
}

impl Places {
    /// So many.
    pub fn new(count: usize) -> Places {
        Places(Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS))))
    }

    /// A place, where one is free.
    pub fn try_take(&self) -> Option<Place> {
        self.0.clone().try_acquire_owned().ok().map(|permit| Place { _permit: Some(permit) })
    }

    /// A place, as soon as one is free; those who wait get theirs in the order in which they came.
    pub async fn take(&self) -> Place {
        // It is never closed.
        Place { _permit: self.0.clone().acquire_owned().await.ok() }
    }

    /// As many places as a thing of so many bytes takes, where one is for a KiB.
    pub fn try_take_bytes(&self, bytes: usize) -> Option<Place> {
        let count = u32::try_from(bytes.div_ceil(1024)).ok()?;
        self.0.clone().try_acquire_many_owned(count).ok().map(|permit| Place { _permit: Some(permit) })
    }

    fn all_free(&self, count: usize) -> bool {
        self.0.available_permits() == count && Arc::strong_count(&self.0) == 1
    }
}

/// Whose connections are counted, and how.
#[derive(Debug, Clone)]
pub struct Shares {
    /// How many one address may have.
    pub connections: usize,
    /// Those that are not counted.
    pub exempt: Vec<IpNet>,
    /// Those that speak for others, and are not counted either.
    pub trusted_proxies: Vec<IpNet>,
}

/// Against whom what comes from an address counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Against this place.
    As(Origin),
    /// Against nobody.
    Not,
    /// Against whom each request says that it comes from.
    ByRequest,
}

impl Shares {
    /// Against whom a peer counts.
    pub fn counted(&self, peer: IpAddr) -> Counted {
        let peer = peer.to_canonical();
        if contains(&self.trusted_proxies, peer) {
            Counted::ByRequest
        } else {
            self.origin(peer).map_or(Counted::Not, Counted::As)
        }
    }

    /// Against which place what comes from an address counts, if it does. Of IPv6, who has one address has all of
    /// its /64. An IPv4 address has the number of a network of IPv6 that is nobody's (0::/8, RFC 4291).
    pub fn origin(&self, address: IpAddr) -> Option<Origin> {
        let address = address.to_canonical();
        let number = match address {
            IpAddr::V4(four) => u64::from(four.to_bits()),
            IpAddr::V6(six) => (six.to_bits() >> 64) as u64,
        };
        (!contains(&self.exempt, address)).then(|| Origin::of(number))
    }
}

/// The places of each address that has connections: on all listeners of a port together.
#[derive(Debug)]
pub struct Addresses(watch::Sender<Table>);

impl Addresses {
    /// So many places each.
    pub fn new(each: usize) -> Addresses {
        Addresses(watch::Sender::new(Table::new(each)))
    }

    /// The places of one.
    pub fn of(&self, origin: Origin) -> Places {
        let mut places = None;
        // Nobody is told of it.
        self.0.send_if_modified(|table| {
            places = Some(table.of(origin));
            false
        });
        places.unwrap_or_else(|| Places::new(0))
    }
}

#[derive(Debug)]
struct Table {
    each: usize,
    of: HashMap<Origin, Places>,
    /// How many addresses may be there before those that have left are looked for.
    look_at: usize,
}

impl Table {
    fn new(each: usize) -> Table {
        Table { each, of: HashMap::new(), look_at: 64 }
    }

    fn of(&mut self, origin: Origin) -> Places {
        if self.of.len() >= self.look_at {
            let each = self.each;
            self.of.retain(|_, places| !places.all_free(each));
            self.of.give_back_slack();
            self.look_at = 64.max(2 * self.of.len());
        }
        self.of.entry(origin).or_insert_with(|| Places::new(self.each)).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c10_an_address_counts_as_its_network_where_it_counts() {
        let nets = |nets: &[&str]| nets.iter().map(|net| net.parse().unwrap()).collect();
        let shares = Shares {
            connections: 1,
            exempt: nets(&["10.0.0.0/8", "::1/128"]),
            trusted_proxies: nets(&["192.0.2.7/32"]),
        };
        let counted = |address: &str| shares.counted(address.parse().unwrap());
        let same = [("198.51.100.1", "::ffff:198.51.100.1"), ("2001:db8::1", "2001:db8::ffff:0:0:1")];
        for (one, other) in same {
            assert_eq!(counted(one), counted(other), "{one} {other}");
            assert!(matches!(counted(one), Counted::As(_)), "{one}");
        }
        for (one, other) in [("198.51.100.1", "198.51.100.2"), ("2001:db8::1", "2001:db8:0:1::1")] {
            assert_ne!(counted(one), counted(other), "{one} {other}");
        }
        for exempt in ["10.1.2.3", "::ffff:10.1.2.3", "::1"] {
            assert_eq!(counted(exempt), Counted::Not, "{exempt}");
        }
        assert_eq!(counted("192.0.2.7"), Counted::ByRequest);
    }

    #[test]
    fn c10_an_address_without_connections_is_forgotten() {
        let mut addresses = Table::new(2);
        let kept: Vec<Place> = (1..=10).filter_map(|i| addresses.of(Origin::of(i)).try_take()).collect();
        for i in 0..10_000 {
            assert!(addresses.of(Origin::of(1000 + i)).try_take().is_some());
        }
        assert!(addresses.of.len() < 200, "{} addresses are kept", addresses.of.len());
        let first = addresses.of(Origin::of(1));
        let second = first.try_take();
        assert!(
            second.is_some() && first.try_take().is_none(),
            "it has two, and one of them was taken before"
        );
        assert_eq!(kept.len(), 10);
    }
}
