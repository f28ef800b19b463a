//! The chain of the audit log: each entry has a hash over itself and the hash of the previous entry.
//!
//! The owner of the file can compute a new, valid chain. But nobody can compute a different chain that is valid and also
//! contains a point of the old one. So keeping a point elsewhere proves that the log was not rebuilt.

use sha2::{Digest, Sha256};
use std::{borrow::Cow, fmt};

/// The hash of one entry. The hash of the next entry covers it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChainHash(pub [u8; 32]);

impl ChainHash {
    /// The hash before the first entry.
    pub const START: ChainHash = ChainHash([0; 32]);
    /// The number of lower-case hexadecimal digits of a hash as text.
    pub const LENGTH: usize = 64;
    pub const PATTERN: &str = "^[0-9a-f]{64}$";

    pub fn parse(text: &str) -> Option<Self> {
        let mut hash = Self::START;
        let digit =
            |at: usize| char::from(*text.as_bytes().get(at)?).to_digit(16).and_then(|digit| digit.try_into().ok());
        for (n, byte) in hash.0.iter_mut().enumerate() {
            let (high, low): (u8, u8) = (digit(2 * n)?, digit(2 * n + 1)?);
            *byte = high << 4 | low;
        }
        (text.len() == Self::LENGTH).then_some(hash)
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainHash({self})")
    }
}

impl serde::Serialize for ChainHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A place in the chain: an entry's id and hash. As text `ID:HASH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainPoint {
    pub id: i64,
    pub hash: ChainHash,
}

impl ChainPoint {
    /// Before the first entry.
    pub const START: ChainPoint = ChainPoint { id: 0, hash: ChainHash::START };

    /// Reads what `Display` wrote, with the digits of the hash in any case.
    pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        let read = text.split_once(':').and_then(|(id, hash)| {
            let canonical = id.bytes().all(|b| b.is_ascii_digit());
            Some(Self { id: id.parse().ok().filter(|_| canonical)?, hash: ChainHash::parse(hash)? })
        });
        read.ok_or_else(|| "must be ID:HASH: a number, a colon, and 64 hexadecimal digits".into())
    }
}

impl fmt::Display for ChainPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id, self.hash)
    }
}

/// The stored fields that an entry's hash covers.
#[derive(Debug, Clone, Copy)]
pub struct ChainedEntry<'e> {
    pub id: i64,
    pub at: i64,
    pub action: &'e [u8],
    pub actor: Option<i64>,
    pub subject: Option<i64>,
    pub ip: Option<&'e [u8]>,
    pub request_id: Option<&'e [u8]>,
    pub count: i64,
}

impl ChainedEntry<'_> {
    /// SHA-256 over this entry and the hash of the one before. Each part is preceded by its length in eight bytes, so
    /// that no two entries have the same encoding; an absent part has the length `u64::MAX`.
    pub fn hash(&self, before: &ChainHash) -> ChainHash {
        const VERSION: &[u8] = b"usher audit 1";
        let mut encoded = Vec::with_capacity(256);
        let mut part = |bytes: Option<&[u8]>| {
            encoded.extend_from_slice(&bytes.map_or(u64::MAX, |bytes| bytes.len() as u64).to_be_bytes());
            encoded.extend_from_slice(bytes.unwrap_or_default());
        };
        let (actor, subject) = (self.actor.map(i64::to_be_bytes), self.subject.map(i64::to_be_bytes));
        part(Some(VERSION));
        part(Some(&before.0));
        part(Some(&self.id.to_be_bytes()));
        part(Some(&self.at.to_be_bytes()));
        part(Some(self.action));
        part(actor.as_ref().map(|bytes| &bytes[..]));
        part(subject.as_ref().map(|bytes| &bytes[..]));
        part(self.ip);
        part(self.request_id);
        match u32::try_from(self.count) {
            Ok(count) => part(Some(&count.to_be_bytes())),
            Err(_) => part(Some(&self.count.to_be_bytes())), // never written, so it matches nothing
        }
        ChainHash(Sha256::digest(&encoded).into())
    }
}

/// A fault of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainFault {
    /// The entry's hash does not match its fields and the previous hash.
    Changed { id: i64 },
    /// Entries are missing between others.
    Missing { first: i64, last: i64 },
    /// An entry from before the anchor, where retention has deleted everything.
    BeforeAnchor { id: i64 },
    /// The last entries are missing.
    Cut { last: i64, head: i64 },
    /// An entry after the recorded end of the log.
    BeyondHead { id: i64 },
    /// The last entry has another hash than the recorded one.
    OtherHead { id: i64 },
}

impl fmt::Display for ChainFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { id } => write!(f, "entry {id} was changed, or an entry before it was"),
            Self::Missing { first, last } if first == last => write!(f, "entry {first} is missing"),
            Self::Missing { first, last } => write!(f, "entries {first} to {last} are missing"),
            Self::BeforeAnchor { id } => write!(f, "entry {id} is older than the point where the log begins"),
            Self::Cut { last, head } => write!(f, "the log ends at entry {last}, but entry {head} was written"),
            Self::BeyondHead { id } => write!(f, "entry {id} was written past the end of the log"),
            Self::OtherHead { id } => write!(f, "entry {id} differs from the recorded end of the log"),
        }
    }
}

/// Checks a chain entry by entry, in the order of their ids, without keeping the entries.
#[derive(Debug)]
pub struct ChainWalk {
    anchor: ChainPoint,
    last: ChainPoint,
    entries: u64,
    /// The first few; `broken` counts all.
    faults: Vec<ChainFault>,
    broken: u64,
}

impl ChainWalk {
    /// The maximum number of faults that are reported one by one.
    pub const MAX_REPORTED: usize = 5;

    /// Begins after the last entry that retention deleted.
    pub fn from(anchor: ChainPoint) -> Self {
        Self { anchor, last: anchor, entries: 0, faults: Vec::new(), broken: 0 }
    }

    fn fault(&mut self, fault: ChainFault) {
        self.broken += 1;
        if self.faults.len() < Self::MAX_REPORTED {
            self.faults.push(fault);
        }
    }

    /// Checks the next entry and its stored hash. After a fault, the check continues with the stored hash, so one changed
    /// entry is one fault.
    pub fn next(&mut self, entry: &ChainedEntry<'_>, stored: ChainHash) {
        if entry.id <= self.anchor.id {
            return self.fault(ChainFault::BeforeAnchor { id: entry.id });
        }
        if entry.id != self.last.id + 1 {
            self.fault(ChainFault::Missing { first: self.last.id + 1, last: entry.id - 1 });
        } else if entry.hash(&self.last.hash) != stored {
            self.fault(ChainFault::Changed { id: entry.id });
        }
        self.entries += 1;
        self.last = ChainPoint { id: entry.id, hash: stored };
    }

    /// Records an entry that can't be read.
    pub fn next_unreadable(&mut self, id: i64) {
        self.fault(ChainFault::Changed { id });
        self.last.id = id;
    }

    /// The last entry that was checked, or the anchor.
    pub fn last(&self) -> ChainPoint {
        self.last
    }

    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Compares the end with the recorded end. Returns the first faults, and the number of all.
    pub fn end(mut self, head: ChainPoint) -> (Vec<ChainFault>, u64) {
        let last = self.last;
        match last.id.cmp(&head.id) {
            std::cmp::Ordering::Less => self.fault(ChainFault::Cut { last: last.id, head: head.id }),
            std::cmp::Ordering::Greater => self.fault(ChainFault::BeyondHead { id: last.id }),
            std::cmp::Ordering::Equal if last.hash != head.hash => self.fault(ChainFault::OtherHead { id: last.id }),
            std::cmp::Ordering::Equal => {}
        }
        (self.faults, self.broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Link = (ChainedEntry<'static>, ChainHash);

    /// `count` entries after the anchor, each with its hash, and the head.
    fn chain(count: i64) -> (Vec<Link>, ChainPoint) {
        let mut head = ChainPoint::START;
        let entries = (1..=count).map(|id| {
            let entry = ChainedEntry {
                id,
                at: 1_000 * id,
                action: b"session.signed_in",
                actor: Some(7),
                subject: Some(id),
                ip: Some(b"127.0.0.1"),
                request_id: None,
                count: 1,
            };
            head = ChainPoint { id, hash: entry.hash(&head.hash) };
            (entry, head.hash)
        });
        (entries.collect(), head)
    }

    fn walk(entries: &[(ChainedEntry<'_>, ChainHash)], head: ChainPoint) -> Vec<ChainFault> {
        let mut walk = ChainWalk::from(ChainPoint::START);
        for (entry, hash) in entries {
            walk.next(entry, *hash);
        }
        walk.end(head).0
    }

    #[test]
    fn a_chain_as_it_was_written_holds() {
        let (entries, head) = chain(20);
        assert_eq!(walk(&entries, head), []);
        assert_eq!(walk(&[], ChainPoint::START), []);
    }

    #[test]
    fn each_way_to_break_a_chain_has_its_name() {
        let (entries, head) = chain(20);
        let broken = |change: &dyn Fn(&mut Vec<Link>)| {
            let mut entries = entries.clone();
            change(&mut entries);
            walk(&entries, head)
        };
        assert_eq!(broken(&|entries| entries[4].0.count = 2), [ChainFault::Changed { id: 5 }]);
        let changed = |id| ChainFault::Changed { id };
        assert_eq!(broken(&|entries| entries[4].1 = ChainHash::START), [changed(5), changed(6)]);
        assert_eq!(broken(&|entries| drop(entries.drain(4..7))), [ChainFault::Missing { first: 5, last: 7 }]);
        let swap = |entries: &mut Vec<Link>| {
            entries.swap(4, 5);
            (entries[4].0.id, entries[5].0.id) = (5, 6);
        };
        assert_eq!(broken(&swap), [changed(5), changed(6), changed(7)]);
        assert_eq!(broken(&|entries| entries.truncate(19)), [ChainFault::Cut { last: 19, head: 20 }]);
        let (longer, _) = chain(21);
        assert_eq!(broken(&|entries| entries.push(longer[20])), [ChainFault::BeyondHead { id: 21 }]);
        assert_eq!(walk(&entries, ChainPoint { hash: ChainHash::START, ..head }), [ChainFault::OtherHead { id: 20 }]);
        let old = ChainedEntry { id: 0, ..entries[0].0 };
        assert_eq!(broken(&|entries| entries.insert(0, (old, head.hash))), [ChainFault::BeforeAnchor { id: 0 }]);
    }

    #[test]
    fn a_chain_whose_beginning_was_taken_away_holds_from_its_anchor() {
        let (entries, head) = chain(20);
        let mut walk = ChainWalk::from(ChainPoint { id: 8, hash: entries[7].1 });
        for (entry, hash) in &entries[8..] {
            walk.next(entry, *hash);
        }
        assert_eq!((walk.entries(), walk.last()), (12, head));
        assert_eq!(walk.end(head), (vec![], 0));
    }

    #[test]
    fn a_count_that_was_never_written_matches_no_other() {
        let (entries, _) = chain(1);
        let with = |count| ChainedEntry { count, ..entries[0].0 }.hash(&ChainHash::START);
        assert_ne!(with(1), with(1 << 32 | 1));
        assert_ne!(with(0), with(-1));
    }

    #[test]
    fn a_point_reads_back() {
        let (_, head) = chain(3);
        assert_eq!(ChainPoint::parse(&head.to_string()), Ok(head));
        assert_eq!(ChainPoint::parse(&head.to_string().to_uppercase()), Ok(head));
        let zeros = "0".repeat(64);
        for bad in ["", ":", "1", "1:", &format!("-1:{zeros}"), &format!("+1:{zeros}"), &format!("1:{zeros}0"), &zeros]
        {
            assert!(ChainPoint::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_point_panic(text in "\\PC{0,80}|[0-9]{0,25}:[0-9a-fA-Fäx]{60,70}") {
            if let Ok(point) = ChainPoint::parse(&text) {
                prop_assert_eq!(ChainPoint::parse(&point.to_string()), Ok(point));
            }
        }
    }
}
