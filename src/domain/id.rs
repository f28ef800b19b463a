//! The numbers of what is stored: positive, in canonical decimal, and never used twice.

use std::fmt;

macro_rules! ids {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(i64);

        impl $name {
            pub fn new(id: i64) -> Option<Self> {
                (id > 0).then_some(Self(id))
            }

            /// Reads canonical decimal: `1` is an id; `01`, `+1`, `-1`, `1e3` and what exceeds 63 bits are not.
            pub fn parse(text: &str) -> Option<Self> {
                let canonical = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
                canonical.then(|| text.parse().ok()).flatten().and_then(Self::new)
            }

            pub fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_i64(self.0)
            }
        }
    )*};
}

ids! {
    /// The number of an account.
    UserId,
    /// The number of an invitation. It opens nothing.
    InvitationId,
    /// The number of a group.
    GroupId,
    /// The number of an app.
    AppId,
    /// The number of an app token. It opens nothing.
    AppTokenId,
}
