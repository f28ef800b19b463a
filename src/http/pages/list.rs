//! Lists: what narrows them, where a page of them begins, and the way to the next one.

use crate::http::wire::{
    error::{ApiError, OfPage},
    query::{Cursor, FromParameter, parameter},
};
use poem::{Request, http::StatusCode};
use std::fmt::Display;

/// The parameter that says where a page begins.
const CURSOR: &str = "cursor";

/// A parameter that narrows a list. An empty one is none: forms send all their fields.
pub fn filter(request: &Request, name: &str) -> Option<String> {
    parameter(request, name).filter(|value| !value.is_empty())
}

/// Where the page begins that somebody asks for; `None` at the beginning of the list.
pub fn place<T>(request: &Request, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, ApiError> {
    let Some(text) = filter(request, CURSOR) else { return Ok(None) };
    let place = Cursor::from_parameter(&text).ok().and_then(|cursor| parse(cursor.place()));
    place.map(Some).ok_or_else(|| {
        let page = &OfPage { status: StatusCode::BAD_REQUEST, title: "This is not a page of the list" };
        ApiError::of_page(page, "open the list from its beginning")
    })
}

/// The ways from a page of a list to others.
#[derive(Debug)]
pub struct Ways {
    /// To the beginning, unless this is it.
    pub first: Option<String>,
    /// To the next page, if the list goes on.
    pub next: Option<String>,
}

impl Ways {
    /// Of a list at a path, narrowed by filters, of which empty ones are left out.
    pub fn new(path: &str, filters: &[(&str, &str)], begins: bool, next: Option<&impl Display>) -> Self {
        let to = |cursor: Option<String>| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(filters.iter().filter(|(_, value)| !value.is_empty()));
            query.extend_pairs(cursor.map(|cursor| (CURSOR, cursor)));
            let query = query.finish();
            if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
        };
        Self { first: (!begins).then(|| to(None)), next: next.map(|next| to(Some(Cursor::text_of(&next.to_string())))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_keep_what_narrows_the_list() {
        let ways = Ways::new("/x", &[("q", "a&b"), ("role", "")], false, Some(&7));
        assert_eq!(ways.first.as_deref(), Some("/x?q=a%26b"));
        assert_eq!(ways.next.as_deref(), Some("/x?q=a%26b&cursor=Nw"));
        let ways = Ways::new("/x", &[], true, None::<&i64>);
        assert_eq!((ways.first, ways.next), (None, None));
    }
}
