//! The pages on which administrators look after the service.

mod user;
mod users;
