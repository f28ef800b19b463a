//! Pages of the list of accounts: in every order, from its beginning, its middle and its end.

use anyhow::{Context, Result};
use base64ct::{Base64UrlUnpadded, Encoding};
use rusqlite::Connection;
use usher::domain::{SortKey, SortValue, UserCursor, UserId, UserSort};

/// How many accounts a page has unless the query says otherwise.
pub const PAGE: u32 = 50;

/// What each page is called, and its query, in a database of so many accounts.
pub fn pages(connection: &Connection, users: u32) -> Result<Vec<(String, String)>> {
    let mut pages = Vec::new();
    for sort in UserSort::ALL {
        let text = sort.as_str();
        pages.push((format!("sort={text}, first page"), format!("sort={text}")));
        for (name, skipped, reversed) in [("page in the middle", users / 2, false), ("last page", PAGE, true)] {
            let cursor = cursor_at(connection, sort, skipped, reversed)?;
            pages.push((format!("sort={text}, {name}"), format!("sort={text}&cursor={cursor}")));
        }
    }
    Ok(pages)
}

/// The cursor of a list's place: after as many accounts, or before as many from its end.
fn cursor_at(connection: &Connection, sort: UserSort, skipped: u32, from_end: bool) -> Result<String> {
    let key = match sort.key {
        SortKey::Id => "id",
        SortKey::Username => "username_key",
        SortKey::CreatedAt => "created_at",
        SortKey::LastLoginAt => "last_login_order",
    };
    let (order, skipped) =
        (if sort.descending == from_end { "ASC" } else { "DESC" }, if from_end { skipped } else { skipped - 1 });
    let sql = format!("SELECT id, {key} FROM users ORDER BY {key} {order}, id {order} LIMIT 1 OFFSET {skipped}");
    let place = connection.query_row(&sql, [], |row| {
        let value = match sort.key {
            SortKey::Id => SortValue::Id,
            SortKey::Username => SortValue::Text(row.get(1)?),
            SortKey::CreatedAt | SortKey::LastLoginAt => SortValue::Time(row.get(1)?),
        };
        Ok((row.get(0)?, value))
    });
    let (id, value) = place?;
    let id = UserId::new(id).context("an id")?;
    Ok(Base64UrlUnpadded::encode_string(UserCursor { sort, value, id }.to_string().as_bytes()))
}
