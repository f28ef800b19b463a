//! The pages on which administrators look after the service.

mod apps;
mod groups;
mod hostile;
mod invitations;
mod user;
mod users;
