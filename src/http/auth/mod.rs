//! Who is calling.

mod bearer;

pub use bearer::{AnyCaller, SignedInCaller};
