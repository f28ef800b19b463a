//! Who is calling.

mod basic;
mod bearer;
pub mod cookie;
mod cross_site;
mod forwarded;
mod visitor;

pub use bearer::{AnyCaller, SignedInCaller};
pub use forwarded::{AppVisitor, ForwardedRequest, Manner, QUERY, RequestKind, start_of};
pub use visitor::{Administrator, Member, Visitor};

use crate::domain::USER_AGENT_LENGTH;
use poem::http::{HeaderMap, header};

/// The client's `User-Agent`, without control characters, and shortened.
pub fn user_agent(headers: &HeaderMap) -> Option<String> {
    let sent = headers.get(header::USER_AGENT)?;
    let text = String::from_utf8_lossy(sent.as_bytes());
    Some(text.chars().filter(|c| !c.is_control()).take(USER_AGENT_LENGTH).collect())
}
