//! The pages on which administrators look after the service.

mod groups;
mod hostile;
mod invitations;
mod user;
mod users;
