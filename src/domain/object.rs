//! Strict reading of JSON objects: a repeated member is a fault. (Most parsers take the last one.)

use super::Faults;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::{borrow::Cow, fmt};

/// Reads the members of one object, and adds a fault for each repeated one.
pub struct StrictObject<'f>(pub &'f mut Faults);

impl<'de> DeserializeSeed<'de> for StrictObject<'_> {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for StrictObject<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if members.contains_key(&name) {
                self.0.add(plain_name(&name), "must be given only once");
            }
            members.insert(name, value);
        }
        Ok(members)
    }
}

/// Returns a member's name for use in messages if it is plain. Any other name could be a misplaced secret.
pub fn plain_name(name: &str) -> Cow<'static, str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if (1..=64).contains(&name.len()) && name.bytes().all(plain) { name.to_owned().into() } else { "(unknown)".into() }
}
