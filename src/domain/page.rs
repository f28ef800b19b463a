//! Pages of lists: their size, and where the next page begins.

use super::{Role, User, UserId};
use std::{borrow::Cow, fmt};

/// The maximum number of entries of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(u32);

impl PageSize {
    pub const MAX: u32 = 200;
    pub const DEFAULT: u32 = 50;
    pub const MAX_SIZE: PageSize = PageSize(Self::MAX);

    pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        let canonical = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
        let number = canonical.then(|| text.parse().ok()).flatten().filter(|number| *number <= Self::MAX);
        number.map(Self).ok_or_else(|| format!("must be a whole number from 1 to {}", Self::MAX).into())
    }

    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self(Self::DEFAULT)
    }
}

/// A page of a list, and where the next one begins. `next` is `None` at the end of the list.
#[derive(Debug, Clone)]
pub struct Page<T, C> {
    pub items: Vec<T>,
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    /// Makes a page of `size` entries. `found` has one entry more if the list continues.
    pub fn cut(mut found: Vec<T>, size: PageSize, cursor: impl Fn(&T) -> C) -> Self {
        let most = size.get() as usize;
        let goes_on = found.len() > most;
        found.truncate(most);
        let next = found.last().filter(|_| goes_on).map(cursor);
        Self { items: found, next }
    }
}

/// The field that a list of accounts is sorted by. Accounts with the same value are sorted by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    Id,
    Username,
    CreatedAt,
    /// Accounts that have never signed in come first.
    LastLoginAt,
}

/// The order of a list of accounts. As text: the name of a field, with a leading hyphen for the reverse order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserSort {
    pub key: SortKey,
    pub descending: bool,
}

impl UserSort {
    pub const ALL: [UserSort; 8] = {
        const fn sort(key: SortKey, descending: bool) -> UserSort {
            UserSort { key, descending }
        }
        [
            sort(SortKey::Id, false),
            sort(SortKey::Id, true),
            sort(SortKey::Username, false),
            sort(SortKey::Username, true),
            sort(SortKey::CreatedAt, false),
            sort(SortKey::CreatedAt, true),
            sort(SortKey::LastLoginAt, false),
            sort(SortKey::LastLoginAt, true),
        ]
    };

    pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        Self::ALL
            .into_iter()
            .find(|sort| sort.as_str() == text)
            .ok_or_else(|| "must be id, username, created_at or last_login_at, or one of these after a hyphen".into())
    }

    pub fn as_str(self) -> &'static str {
        match (self.key, self.descending) {
            (SortKey::Id, false) => "id",
            (SortKey::Id, true) => "-id",
            (SortKey::Username, false) => "username",
            (SortKey::Username, true) => "-username",
            (SortKey::CreatedAt, false) => "created_at",
            (SortKey::CreatedAt, true) => "-created_at",
            (SortKey::LastLoginAt, false) => "last_login_at",
            (SortKey::LastLoginAt, true) => "-last_login_at",
        }
    }
}

impl Default for UserSort {
    fn default() -> Self {
        Self { key: SortKey::Id, descending: false }
    }
}

/// Which accounts are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// The beginning of the username or e-mail address, in any case.
    pub prefix: Option<SearchPrefix>,
    pub role: Option<Role>,
    pub disabled: Option<bool>,
    /// Accounts that are known to be damaged, and left out. A list with any other damaged account fails.
    pub except: Vec<UserId>,
}

/// The beginning of a username or an e-mail address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPrefix(String);

impl SearchPrefix {
    pub const MAX_LENGTH: usize = super::EmailAddress::MAX_LENGTH;

    /// Accepts any text. If no name begins with it, the search finds nothing.
    pub fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        if !(1..=Self::MAX_LENGTH).contains(&text.chars().count()) {
            return Err(format!("must have 1 to {} characters", Self::MAX_LENGTH).into());
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The place of an account in a list: the value that it is sorted by, and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserCursor {
    pub sort: UserSort,
    pub value: SortValue,
    pub id: UserId,
}

/// The value that an account is sorted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SortValue {
    /// The id alone.
    Id,
    Text(String),
    /// In milliseconds; an absent time is 0.
    Time(i64),
}

impl UserCursor {
    /// The place of `user` in a list of this order.
    pub fn at(user: &User, sort: UserSort) -> Self {
        let value = match sort.key {
            SortKey::Id => SortValue::Id,
            SortKey::Username => SortValue::Text(user.username.as_str().to_owned()),
            SortKey::CreatedAt => SortValue::Time(user.created_at.as_millis()),
            SortKey::LastLoginAt => SortValue::Time(user.last_login_at.map_or(0, |at| at.as_millis())),
        };
        Self { sort, value, id: user.id }
    }

    /// Reads what `Display` wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ' ');
        let sort = UserSort::parse(parts.next()?).ok()?;
        let id = UserId::parse(parts.next()?)?;
        let value = match (sort.key, parts.next()) {
            (SortKey::Id, None) => SortValue::Id,
            (SortKey::Username, Some(name)) => SortValue::Text(super::Username::parse(name).ok()?.to_string()),
            (SortKey::CreatedAt | SortKey::LastLoginAt, Some(time)) => SortValue::Time(time.parse().ok()?),
            _ => return None,
        };
        Some(Self { sort, value, id })
    }
}

impl fmt::Display for UserCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.sort.as_str(), self.id)?;
        match &self.value {
            SortValue::Id => Ok(()),
            SortValue::Text(text) => write!(f, " {text}"),
            SortValue::Time(millis) => write!(f, " {millis}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_page_has_at_most_two_hundred_entries() {
        assert_eq!(PageSize::parse("1").unwrap().get(), 1);
        assert_eq!(PageSize::parse("200").unwrap().get(), 200);
        for bad in ["", "0", "-1", "+1", "01", "201", "1.0", "ten", "99999999999999999999", "\u{661}"] {
            assert!(PageSize::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_page_that_goes_on_says_where() {
        let size = PageSize::parse("2").unwrap();
        let page = Page::cut(vec![1, 2, 3], size, |n| *n);
        assert_eq!((page.items, page.next), (vec![1, 2], Some(2)));
        let page = Page::cut(vec![1, 2], size, |n| *n);
        assert_eq!((page.items, page.next), (vec![1, 2], None));
    }

    #[test]
    fn a_cursor_reads_back() {
        let id = UserId::new(7).unwrap();
        for (sort, value) in [
            ("id", SortValue::Id),
            ("-username", SortValue::Text("ada".into())),
            ("created_at", SortValue::Time(-5)),
            ("-last_login_at", SortValue::Time(0)),
        ] {
            let cursor = UserCursor { sort: UserSort::parse(sort).unwrap(), value, id };
            assert_eq!(UserCursor::parse(&cursor.to_string()), Some(cursor));
        }
        for bad in ["", "id", "id 0", "id 1 2", "username 1", "created_at 1 x", "role 1 x", "username 1 a b"] {
            assert_eq!(UserCursor::parse(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_cursor_panic(text in "\\PC{0,40}|-?(id|username|created_at) [0-9]{1,20} \\PC{0,20}") {
            if let Some(cursor) = UserCursor::parse(&text) {
                prop_assert_eq!(UserCursor::parse(&cursor.to_string()), Some(cursor));
            }
        }
    }
}
