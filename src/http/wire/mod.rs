//! How bytes become values, and values and errors become answers.

pub mod body;
pub mod envelope;
pub mod error;
pub mod form;
pub mod headers;
pub mod if_match;
pub mod path;
pub mod query;
pub mod request_id;
pub mod schema;
pub mod upload;
