//! The pages on which administrators look after the service.

mod apps;
mod audit;
mod groups;
mod health;
mod hostile;
mod import;
mod invitations;
mod overview;
mod user;
mod users;
