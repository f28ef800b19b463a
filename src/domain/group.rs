//! Groups of accounts: what apps let in, and what they are told of a person.

use super::{Faults, GroupId, Username, fold};
use std::{borrow::Cow, fmt};

/// The name of a group: as a username, unique without regard to case, kept as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupName(String);

impl GroupName {
    pub const MAX_LENGTH: usize = Username::MAX_LENGTH;
    pub const PATTERN: &str = Username::PATTERN;

    pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        Username::parse(text).map(|_| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is equal for those that differ in case alone.
    pub fn key(&self) -> String {
        fold(&self.0)
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for GroupName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A group. Who is in it is listed by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub id: GroupId,
    pub name: GroupName,
}

impl Group {
    /// How many groups an account can be in: their names must fit into a header of a few kilobytes, which is what proxies
    /// have room for (32 names of 64 characters are 2 KiB).
    pub const MAX_PER_USER: u32 = 32;
}

/// A group of which something can't be read, because another program wrote to the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedGroup {
    pub id: GroupId,
    /// What is wrong with which field.
    pub faults: Faults,
}

impl fmt::Display for DamagedGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> = self.faults.iter().map(|(field, fault)| format!("{field} {fault}")).collect();
        let Self { id, .. } = self;
        write!(
            f,
            "the group {id} is damaged: {}; repair it with 'usher group rename {id} NAME', or delete it with \
             'usher group delete {id}'",
            faults.join(", ")
        )
    }
}

/// How a person at the shell says which group is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupSelector {
    Id(GroupId),
    Name(GroupName),
}

impl GroupSelector {
    /// All digits are an id, and anything else a name.
    pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return GroupId::parse(text).map(Self::Id).ok_or_else(|| "is not an id: ids are 1, 2, 3 and so on".into());
        }
        GroupName::parse(text).map(Self::Name)
    }
}

impl fmt::Display for GroupSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_meant_by_its_id_or_its_name() {
        assert_eq!(GroupSelector::parse("42"), Ok(GroupSelector::Id(GroupId::new(42).unwrap())));
        assert!(matches!(GroupSelector::parse("4amily"), Ok(GroupSelector::Name(_))));
        for bad in ["", "0", "042", "99999999999999999999", "-a", "a b", "a,b", "a@b"] {
            assert!(GroupSelector::parse(bad).is_err(), "{bad:?}");
        }
    }
}
